//! Power cuts at every write of an update, as a boot loader sees the disk then.
//!
//! A machine updates while QEMU records what it writes. The disk is then put together as it may
//! stand after a cut at each flush, and between two flushes with some of the writes, in another
//! order, or torn. The real `ostree` goes through the same.
//!
//! `UPDRAFT_CUTS=all` looks at every moment; without it a sample is looked at.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "what was found is for people, too")]
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use harness::Programs;
use tempfile::TempDir;
use vm::{Checker, Image, Rack, Release, Repository, Selected, WriteLog, cuts};

const BOOT: Duration = Duration::from_mins(4);
const UPDATE: Duration = Duration::from_mins(6);
/// How many moments are looked at when nobody says so.
const SAMPLE: usize = 32;

/// What becomes of an update by `tool`: how many moments lead to which release.
struct Outcome {
    selected: BTreeMap<Selected, usize>,
    stuck: Vec<String>,
    entries: usize,
    flushes: usize,
}

struct Workshop {
    folder: TempDir,
    repository: Repository,
}

impl Workshop {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let programs = Programs::beside_tests().unwrap();
        let repository = Repository::create(&programs, &folder.path().join("site")).unwrap();
        let target = machine::target_folder().unwrap();
        let updraft = target.join("debug/updraft");
        for name in ["one", "two", "three"] {
            let release = Release::new(name)
                .file("usr/share/payload", 0o644, name.repeat(100_000))
                .program(&updraft)
                .program(Path::new("/usr/bin/ostree"));
            repository.add(&release).unwrap();
        }
        Self { folder, repository }
    }

    /// Records an update from one to two and looks at it.
    fn cut(&self, tool: &str, limit: usize) -> Outcome {
        let folder = self.folder.path().join(tool.replace(' ', "-"));
        std::fs::create_dir(&folder).unwrap();
        let before = Image::of(&self.repository, "one").build(&folder.join("before")).unwrap();
        let disk = before.copy(&folder.join("disk")).unwrap();
        // The new release comes on a medium of its own.
        let medium = folder.join("medium");
        let made = std::process::Command::new("mkfs.ext4")
            .args(["-q", "-F", "-d"])
            .arg(self.repository.medium())
            .arg(&medium)
            .arg("400M")
            .status();
        assert!(made.unwrap().success());
        let log = folder.join("log");
        let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
        let rack = Rack::new(&folder, disk).recording(&log).with_arguments(&[
            "-drive",
            &drive,
            "-device",
            "virtio-blk-pci,drive=medium",
        ]);
        let mut machine = rack.start().unwrap();
        machine.wait_for("SYSTEM READY one", BOOT).unwrap();
        let run = |machine: &mut machine::Machine, command: &str| {
            machine.run_within(command, UPDATE).unwrap().good().unwrap()
        };
        run(&mut machine, "mkdir -p /run/site /boot && mount -o ro /dev/vdb /run/site");
        run(
            &mut machine,
            "grep -q ' /boot ' /proc/mounts || mount -o rw LABEL=boot /boot || mount /dev/vda1 /boot",
        );
        run(&mut machine, "mount -o remount,rw /sysroot");
        run(
            &mut machine,
            &format!(
                "{tool} pull-local --repo=/sysroot/ostree/repo --remote=site /run/site/repo os/two && \
                 {tool} admin deploy --os=os site:os/two"
            ),
        );
        // The power fails before anything else is written.
        machine.kill();
        drop(machine);
        let log = WriteLog::read(&log).unwrap();
        let releases = ["one", "two", "three"];
        let checker = Checker::new(&self.repository, &releases, &folder.join("check")).unwrap();
        let mut outcome = Outcome {
            selected: BTreeMap::new(),
            stuck: Vec::new(),
            entries: log.entries.len(),
            flushes: log.flushes(),
        };
        for cut in cuts(&log, limit, 1) {
            let disk = before.copy(&folder.join("cut")).unwrap();
            cut.apply(&log, &disk).unwrap();
            let finding = checker.check(&disk, "three").unwrap();
            if let Selected::Nothing(why) = &finding.selected {
                println!("{tool}: {}: {why}", cut.describe());
            }
            if let Some(why) = finding.next_update {
                outcome.stuck.push(format!("{}: {why}", cut.describe()));
            }
            *outcome.selected.entry(finding.selected).or_insert(0) += 1;
        }
        println!(
            "{tool}: {} operations, {} flushes: {:?}",
            outcome.entries, outcome.flushes, outcome.selected
        );
        outcome
    }
}

fn limit() -> usize {
    match std::env::var("UPDRAFT_CUTS").as_deref() {
        Ok("all") => usize::MAX,
        Ok(number) => number.parse().unwrap(),
        Err(_) => SAMPLE,
    }
}

#[test]
fn after_a_cut_at_any_moment_the_old_or_the_new_system_comes_up() {
    let workshop = Workshop::new();
    let outcome = workshop.cut("updraft ostree", limit());
    let bad: Vec<&Selected> = outcome
        .selected
        .keys()
        .filter(|selected| matches!(selected, Selected::Nothing(_)))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    for release in ["one", "two"] {
        let selected = Selected::Release(release.to_owned());
        assert!(outcome.selected.contains_key(&selected), "no moment comes up with {release}");
    }
    assert!(outcome.stuck.is_empty(), "{:#?}", outcome.stuck);
    // The checker does see damage: with the real tool some moments bring nothing up.
    let theirs = workshop.cut("ostree", if limit() > SAMPLE { limit() } else { limit() / 4 });
    println!("the real tool: {:?}", theirs.selected);
}
