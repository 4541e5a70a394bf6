//! Power cuts at every write of an update, as a boot loader sees the disk then.
//!
//! A machine updates while QEMU records what it writes. The disk is then put together as it may
//! stand after a cut at each flush, and between two flushes with some of the writes, in another
//! order, or torn. With `UPDRAFT_CUTS` the real `ostree` goes through the same.
//!
//! The same with entries and kernels on FAT, as systemd-boot reads them. The kernel of this machine may
//! have no FAT, so there what comes next is tried in a machine: again what was cut off, and the
//! next release.
//!
//! `UPDRAFT_CUTS=all` looks at every moment; without it a sample is looked at. `UPDRAFT_SHARE=1/8` looks
//! at every eighth of these, beginning with the first.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "what was found is for people, too")]
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Programs, Share};
use machine::Machine;
use tempfile::TempDir;
use vm::{
    Checker, Cut, Damage, DiskFile, Entry, Finding, Image, Rack, Release, Repository, Selected,
    WriteLog, cuts, fat_damage, fat_damage_at_any_moment,
};

const BOOT: Duration = Duration::from_mins(4);
const UPDATE: Duration = Duration::from_mins(6);
/// How many moments are looked at when nobody says so.
const SAMPLE: usize = 24;
/// Moments that are also booted, to see that the checker is right.
const BOOTED: usize = 3;
/// What a commit in the journal of ext4 begins with: magic and kind.
const COMMIT: [u8; 8] = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2];
/// The same where entries and kernels are on FAT.
const SAMPLE_ON_FAT: usize = 12;
/// These go on to the next release, each in up to three boots.
const BOOTED_ON_FAT: usize = 2;
/// What boot loaders and `ostree admin` read of a FAT file system.
const READ_OF_FAT: [&str; 2] = ["/loader", "/ostree"];
/// Disks that never obeyed a flush, to see that the checker sees damage.
const DISOBEDIENT: u64 = 8;
/// How many moments are looked at at the same time.
const WORKERS: usize = 2;

/// What the real tool and ours are told to do.
struct Way {
    name: &'static str,
    tool: &'static str,
    /// Whether entries and kernels are on FAT, for systemd-boot.
    is_fat: bool,
    /// Whether tries are counted, which ends with a confirmation.
    is_counted: bool,
    confirm: &'static str,
}

const OURS: Way = Way {
    name: "updraft",
    tool: "updraft ostree",
    is_fat: false,
    is_counted: true,
    confirm: "updraftd -c /usr/lib/agent boot-good",
};
const OURS_ON_FAT: Way = Way { name: "updraft-on-fat", is_fat: true, ..OURS };
const THEIRS: Way =
    Way { name: "ostree", tool: "ostree", is_fat: false, is_counted: false, confirm: "true" };

const AGENT: &str = "[storage]\npath = \"/var/sota\"\n\n[pacman]\nos = \"os\"\n";

/// What becomes of an update: how many moments lead to which release.
#[derive(Default)]
struct Outcome {
    selected: BTreeMap<Selected, usize>,
    stuck: Vec<String>,
    /// What a check of the FAT file system would have to mend, and how often.
    damage: BTreeMap<&'static str, usize>,
    /// The moments that have such damage.
    damaged: Vec<usize>,
}

/// A disk, and what was written to it from then on.
struct Recording {
    folder: PathBuf,
    medium: PathBuf,
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
        let folder = self.folder.path().join(way.name);
        std::fs::create_dir(&folder).unwrap();
        let mut image = Image::of(&self.repository, "one");
        if way.is_counted {
            image = image.option("--set=sysroot.boot-counting-tries=3");
        }
        if way.is_fat {
            image = image.option("--boot-loader=systemd-boot");
        } else if way.is_counted {
            image = image.option("--set=updraft.boot-counting=initramfs");
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
        let rack = with_medium(Rack::new(&folder, disk), &medium).recording(&log);
        let prepare = |release: &str| {
            let mut machine = started(&rack, release);
            mount(&mut machine);
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
        Recording { folder, medium, before, log }
    }

    /// Looks at moments of a recording; boots some of them.
    fn cut(&self, way: &Way, limit: usize, booted: usize) -> Outcome {
        let recording = self.record(way);
        let log = &recording.log;
        let cuts = Share::from_environment().unwrap().of(cuts(log, limit, 1));
        let step = (cuts.len() / booted.max(1)).max(1);
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new(Outcome::default());
        if !way.is_fat {
            self.check_that_damage_is_seen(&recording);
        }
        if booted > 0 && !way.is_fat {
            self.boot_with_torn_commit(&recording);
        }
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
                        let boot = booted > 0 && !way.is_fat && index % step == step / 2;
                        let copy = boot.then(|| disk.copy(&folder.join("booted")).unwrap());
                        let (finding, damage) = look(way, &checker, &disk, &folder);
                        if let Selected::Nothing(why) = &finding.selected {
                            println!("{}: {}: {why}", way.name, cut.describe());
                        }
                        if let (Some(disk), Selected::Release(release)) = (copy, &finding.selected)
                        {
                            started(&Rack::new(&folder, disk), release);
                        }
                        let mut outcome = outcome.lock().unwrap();
                        if !damage.is_empty() {
                            println!("{}: {}: {damage:?}", way.name, cut.describe());
                            outcome.damaged.push(index);
                        }
                        for kind in damage {
                            *outcome.damage.entry(kind).or_insert(0) += 1;
                        }
                        if let Some(why) = finding.next_update {
                            outcome.stuck.push(format!("{}: {why}", cut.describe()));
                        }
                        *outcome.selected.entry(finding.selected).or_insert(0) += 1;
                    }
                });
            }
        });
        let mut outcome = outcome.into_inner().unwrap();
        println!(
            "{}: {} operations, {} flushes, {} moments: {:?}; of these the next update fails: {}",
            way.name,
            log.entries.len(),
            log.flushes(),
            cuts.len(),
            outcome.selected,
            outcome.stuck.len(),
        );
        if way.is_fat {
            println!("{}: what fsck.fat would mend: {:?}", way.name, outcome.damage);
            outcome.damaged.sort_unstable();
            check_what_is_read_of_fat(&recording);
            self.go_on(&recording, &cuts, &outcome.damaged, booted);
        }
        outcome
    }

    /// A disk that ignores flushes loses what is relied on: that is no release to the checker.
    fn check_that_damage_is_seen(&self, recording: &Recording) {
        let folder = recording.folder.join("disobedient");
        let checker = Checker::new(&self.repository, &["one", "two"], &folder).unwrap();
        let is_damaged = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let all = 0..recording.log.entries.len();
            let survived = all.filter(|_| random.bool()).collect();
            let disk = recording.before.copy(&folder.join("cut")).unwrap();
            Cut { durable: 0, survived, torn: None }.apply(&recording.log, &disk).unwrap();
            matches!(checker.selected(&disk), Selected::Nothing(_))
        };
        assert!((0..DISOBEDIENT).any(is_damaged), "the checker finds all of them in order");
    }

    /// Boots after the last moment that tears the end of a transaction in the journal of the root: the kernel
    /// of the machine takes that for damage, and the one that the checker mounts with may not.
    fn boot_with_torn_commit(&self, recording: &Recording) {
        let folder = recording.folder.join("torn-commit");
        let checker = Checker::new(&self.repository, &["one", "two"], &folder).unwrap();
        let entries = &recording.log.entries;
        let is_commit = |at: &usize| matches!(&entries[*at], Entry::Write { data, .. } if data.starts_with(&COMMIT));
        let torn = (0..entries.len()).rev().filter(is_commit).find_map(|at| {
            let cut = Cut { durable: at, survived: vec![at], torn: Some(1) };
            let disk = recording.before.copy(&folder.join("booted")).unwrap();
            cut.apply(&recording.log, &disk).unwrap();
            disk.has_torn_commit("root").unwrap().then_some((cut, disk))
        });
        let (cut, disk) = torn.expect("a transaction ends where the journal held something else");
        println!("{}: it is booted", cut.describe());
        match checker.selected(&disk.copy(&folder.join("cut")).unwrap()) {
            Selected::Release(release) => drop(started(&Rack::new(&folder, disk), &release)),
            Selected::Nothing(why) => panic!("{}: {why}", cut.describe()),
        }
    }

    /// Lets devices go on after some of the moments, half of them with damage.
    fn go_on(&self, recording: &Recording, cuts: &[Cut], damaged: &[usize], count: usize) {
        let all: Vec<usize> = (0..cuts.len()).collect();
        let mut chosen: BTreeSet<usize> = spread(damaged, count / 2).collect();
        chosen.extend(spread(&all, count.saturating_sub(chosen.len())));
        let waiting = Mutex::new(chosen);
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let waiting = &waiting;
                scope.spawn(move || {
                    let folder = recording.folder.join(format!("device-{worker}"));
                    let releases = ["one", "two", "three"];
                    let checker = Checker::new(&self.repository, &releases, &folder).unwrap();
                    loop {
                        let next = waiting.lock().unwrap().pop_first();
                        let Some(cut) = next.map(|index| &cuts[index]) else { return };
                        let disk = recording.before.copy(&folder.join("cut")).unwrap();
                        cut.apply(&recording.log, &disk).unwrap();
                        let looked_at = disk.copy(&folder.join("looked-at")).unwrap();
                        let Selected::Release(release) = checker.selected(&looked_at) else {
                            continue;
                        };
                        println!("{}: goes on from {release}", cut.describe());
                        let rack = with_medium(Rack::new(&folder, disk), &recording.medium);
                        next_updates(&rack, &checker, &release);
                    }
                });
            }
        });
    }
}

/// A name that is read never leads to what is not there, whichever writes between two flushes are on
/// the disk. What is made under another name may, and a folder that is given its own has both for a
/// moment.
fn check_what_is_read_of_fat(recording: &Recording) {
    let part = recording.before.boot_part().unwrap();
    let scratch = recording.folder.join("fat");
    let found =
        fat_damage_at_any_moment(&recording.before, part, &recording.log, &scratch).unwrap();
    println!("what fsck.fat would mend, and after how many operations: {found:#?}");
    let read: Vec<_> = found.iter().filter(|(damage, _)| is_read(damage)).collect();
    assert!(read.is_empty(), "{read:#?}");
    assert!(!found.is_empty(), "nothing is made under another name");
}

fn is_read(damage: &Damage) -> bool {
    let path = damage.path.to_ascii_lowercase();
    READ_OF_FAT.iter().any(|top| path.starts_with(top)) && damage.kind != Damage::SHARED
}

/// So many of these, from all parts.
fn spread(all: &[usize], count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(all.len());
    (0..count).map(move |at| all[(2 * at + 1) * all.len() / (2 * count)])
}

/// What a disk would come up with, and what of it is damaged.
fn look(
    way: &Way,
    checker: &Checker<'_>,
    disk: &DiskFile,
    folder: &Path,
) -> (Finding, BTreeSet<&'static str>) {
    if !way.is_fat {
        return (checker.check(disk, "three").unwrap(), BTreeSet::new());
    }
    let selected = checker.selected(disk);
    let copy = folder.join("fat");
    disk.copy_part(disk.boot_part().unwrap(), &copy).unwrap();
    let damage = fat_damage(&copy).unwrap().into_iter().map(|damage| damage.kind).collect();
    (Finding { selected, next_update: None }, damage)
}

fn with_medium(rack: Rack, medium: &Path) -> Rack {
    let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
    rack.with_arguments(&["-drive", &drive, "-device", "virtio-blk-pci,drive=medium"])
}

fn run(machine: &mut Machine, command: &str) -> String {
    machine.run_within(command, UPDATE).unwrap().good().unwrap()
}

fn started(rack: &Rack, release: &str) -> Machine {
    let mut machine = rack.start().unwrap();
    machine.wait_for(&format!("SYSTEM READY {release}"), BOOT).unwrap();
    machine
}

/// Mounts what an update needs.
fn mount(machine: &mut Machine) {
    run(machine, "mkdir -p /run/site /boot && mount -o ro /dev/vdb /run/site");
    run(
        machine,
        "grep -q ' /boot ' /proc/mounts || mount LABEL=boot /boot || mount /dev/vda1 /boot",
    );
    run(machine, "mount -o remount,rw /sysroot && ifconfig lo 127.0.0.1 up");
}

/// A device after the cut: what it did not get is deployed again, and then the next release. Each
/// time the power fails as soon as that is said to be done.
fn next_updates(rack: &Rack, checker: &Checker<'_>, selected: &str) {
    let mut machine = started(rack, selected);
    let releases: &[&str] = if selected == "one" { &["two", "three"] } else { &["three"] };
    for release in releases {
        mount(&mut machine);
        let pull = "updraft ostree --repo=/sysroot/ostree/repo pull-local --remote=site";
        let deploy = "updraft ostree admin deploy --os=os";
        run(
            &mut machine,
            &format!("{pull} /run/site/repo os/{release} && {deploy} site:os/{release}"),
        );
        machine.kill();
        drop(machine);
        let looked_at = rack.disk.copy(&rack.disk.path.with_extension("looked-at")).unwrap();
        assert_eq!(checker.selected(&looked_at), Selected::Release((*release).to_owned()));
        machine = started(rack, release);
    }
}

fn limit(sample: usize) -> usize {
    match std::env::var("UPDRAFT_CUTS").as_deref() {
        Ok("all") => usize::MAX,
        Ok(number) => number.parse().unwrap(),
        Err(_) => sample,
    }
}

/// Every moment leads to the old release or to the new one, and some to each.
fn check(outcome: &Outcome) {
    let is_bad = |selected: &&Selected| matches!(selected, Selected::Nothing(_));
    let bad: Vec<&Selected> = outcome.selected.keys().filter(is_bad).collect();
    assert!(bad.is_empty(), "{bad:?}");
    for release in ["one", "two"] {
        let selected = Selected::Release(release.to_owned());
        assert!(outcome.selected.contains_key(&selected), "no moment comes up with {release}");
    }
    assert!(outcome.stuck.is_empty(), "{:#?}", outcome.stuck);
}

#[test]
fn after_a_cut_at_any_moment_the_old_or_the_new_system_comes_up() {
    let workshop = Workshop::new();
    let limit = limit(SAMPLE);
    check(&workshop.cut(&OURS, limit, BOOTED));
    if std::env::var_os("UPDRAFT_CUTS").is_some() {
        // Some of its moments bring nothing up.
        let theirs = workshop.cut(&THEIRS, limit, 0);
        println!("the real tool: {:?}", theirs.selected);
    }
}

#[test]
fn with_entries_and_kernels_on_fat_the_old_or_the_new_system_comes_up_and_goes_on() {
    let workshop = Workshop::new();
    let limit = limit(SAMPLE_ON_FAT);
    let booted = if limit > SAMPLE_ON_FAT { 8 } else { BOOTED_ON_FAT };
    check(&workshop.cut(&OURS_ON_FAT, limit, booted));
}
