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
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::Programs;
use tempfile::TempDir;
use vm::{Checker, DiskFile, Image, Rack, Release, Repository, Selected, WriteLog, cuts};

const BOOT: Duration = Duration::from_mins(4);
const UPDATE: Duration = Duration::from_mins(6);
/// How many moments are looked at when nobody says so.
const SAMPLE: usize = 32;

/// Moments that are also booted, to see that the checker is right.
const BOOTED: usize = 3;
/// How many moments are looked at at the same time.
const WORKERS: usize = 2;

/// What the real tool and ours are told to do.
struct Way {
    tool: &'static str,
    /// Whether tries are counted, which ends with a confirmation.
    is_counted: bool,
    confirm: &'static str,
}

const OURS: Way = Way {
    tool: "updraft ostree",
    is_counted: true,
    confirm: "updraftd -c /usr/lib/agent boot-good",
};
const THEIRS: Way = Way { tool: "ostree", is_counted: false, confirm: "true" };

const AGENT: &str = "[storage]\npath = \"/var/sota\"\n\n[pacman]\nos = \"os\"\n";

/// What becomes of an update: how many moments lead to which release.
#[derive(Default)]
struct Outcome {
    selected: BTreeMap<Selected, usize>,
    stuck: Vec<String>,
}

/// A disk, and what was written to it from then on.
struct Recording {
    folder: PathBuf,
    before: DiskFile,
    log: WriteLog,
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
        let target = machine::target_folder().unwrap().join("debug");
        for name in ["one", "two", "three"] {
            let release = Release::new(name)
                .file("usr/share/payload", 0o644, name.repeat(100_000))
                .file("usr/lib/agent", 0o644, AGENT)
                .program(&target.join("updraft"))
                .program(&target.join("updraftd"))
                .program(Path::new("/usr/bin/ostree"));
            repository.add(&release).unwrap();
        }
        Self { folder, repository }
    }

    /// Records an update from one to two: pull over HTTP, deployment, reboot, confirmation,
    /// clean-up.
    fn record(&self, way: &Way) -> Recording {
        let folder = self.folder.path().join(way.tool.replace(' ', "-"));
        std::fs::create_dir(&folder).unwrap();
        let mut image = Image::of(&self.repository, "one");
        if way.is_counted {
            for option in ["updraft.boot-counting=initramfs", "sysroot.boot-counting-tries=3"] {
                image = image.option(format!("--set={option}"));
            }
        }
        let before = image.build(&folder.join("before")).unwrap();
        let disk = before.copy(&folder.join("disk")).unwrap();
        // The new release comes on a medium of its own, from which a server in the machine takes it.
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
        let run = |machine: &mut machine::Machine, command: &str| {
            machine.run_within(command, UPDATE).unwrap().good().unwrap()
        };
        let prepare = |release: &str| {
            let mut machine = rack.start().unwrap();
            machine.wait_for(&format!("SYSTEM READY {release}"), BOOT).unwrap();
            run(&mut machine, "mkdir -p /run/site /boot && mount -o ro /dev/vdb /run/site");
            run(
                &mut machine,
                "grep -q ' /boot ' /proc/mounts || mount LABEL=boot /boot || mount /dev/vda1 /boot",
            );
            run(&mut machine, "mount -o remount,rw /sysroot && ifconfig lo 127.0.0.1 up");
            machine
        };
        let tool = way.tool;
        let mut machine = prepare("one");
        run(
            &mut machine,
            "updraft ostree trivial-httpd --daemonize --port-file=/run/port /run/site/repo",
        );
        run(
            &mut machine,
            &format!(
                "{tool} pull --url=http://127.0.0.1:$(cat /run/port) site os/two && \
                 {tool} admin deploy --os=os site:os/two"
            ),
        );
        // Nothing is written back first.
        machine.tell("reboot -f").unwrap();
        machine.wait_for_end(BOOT).unwrap();
        let mut machine = prepare("two");
        run(&mut machine, &format!("{} && {tool} admin cleanup", way.confirm));
        // The power fails before anything else is written.
        machine.kill();
        drop(machine);
        let log = WriteLog::read(&log).unwrap();
        Recording { folder, before, log }
    }

    /// Looks at moments of a recording; boots some of them.
    fn cut(&self, way: &Way, limit: usize, booted: usize) -> Outcome {
        let recording = self.record(way);
        let log = &recording.log;
        let cuts = cuts(log, limit, 1);
        let step = cuts.len() / booted.max(1);
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new(Outcome::default());
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (recording, cuts, next, outcome) = (&recording, &cuts, &next, &outcome);
                scope.spawn(move || {
                    let folder = recording.folder.join(format!("worker-{worker}"));
                    let releases = ["one", "two", "three"];
                    let checker = Checker::new(&self.repository, &releases, &folder).unwrap();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(cut) = cuts.get(index) else { return };
                        let disk = recording.before.copy(&folder.join("cut")).unwrap();
                        cut.apply(log, &disk).unwrap();
                        let boot = booted > 0 && index % step == step / 2;
                        let copy = boot.then(|| disk.copy(&folder.join("booted")).unwrap());
                        let finding = checker.check(&disk, "three").unwrap();
                        if let Selected::Nothing(why) = &finding.selected {
                            println!("{}: {}: {why}", way.tool, cut.describe());
                        }
                        if let (Some(disk), Selected::Release(release)) = (copy, &finding.selected)
                        {
                            let mut machine = Rack::new(&folder, disk).start().unwrap();
                            machine.wait_for(&format!("SYSTEM READY {release}"), BOOT).unwrap();
                        }
                        let mut outcome = outcome.lock().unwrap();
                        if let Some(why) = finding.next_update {
                            outcome.stuck.push(format!("{}: {why}", cut.describe()));
                        }
                        *outcome.selected.entry(finding.selected).or_insert(0) += 1;
                    }
                });
            }
        });
        let outcome = outcome.into_inner().unwrap();
        println!(
            "{}: {} operations, {} flushes, {} moments: {:?}; of these the next update fails: {}",
            way.tool,
            log.entries.len(),
            log.flushes(),
            cuts.len(),
            outcome.selected,
            outcome.stuck.len(),
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
    let outcome = workshop.cut(&OURS, limit(), BOOTED);
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
    let theirs = workshop.cut(&THEIRS, if limit() > SAMPLE { limit() } else { limit() / 4 }, 0);
    println!("the real tool: {:?}", theirs.selected);
}
