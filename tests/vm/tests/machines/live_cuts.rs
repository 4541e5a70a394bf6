//! A machine that updates for ever, and whose power fails at random moments.
//!
//! `UPDRAFT_KILLS` says how often; 30 times when it does not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "what was found is for people, too")]
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::Programs;
use vm::{Checker, Image, Rack, Release, Repository, Selected};

const BOOT: Duration = Duration::from_mins(4);
const UPDATE: Duration = Duration::from_mins(4);
/// How many machines are cut off at the same time.
const MACHINES: u64 = 2;
/// How often in all, when nobody says so.
const KILLS: u64 = 30;
/// Nobody waits for longer than that before the power is cut, in seconds.
const MAX_WAIT: f64 = 60.0;

/// The power is cut within this part of two updates: in the first, which always switches, or soon
/// after it. What follows is the same again.
const WINDOW: f64 = 0.65;

/// Confirms what runs, and then updates to the other release and back.
const LOOP: &str = "#!/bin/sh
mkdir -p /run/site
mount -o ro /dev/vdb /run/site
mount -o remount,rw /sysroot
grep -q ' /boot ' /proc/mounts || mount LABEL=boot /boot || mount /dev/vda1 /boot
. /usr/lib/os-release
case $VERSION_ID in one) order='two one' ;; *) order='one two' ;; esac
while :; do
  updraftd --config /usr/lib/updraftd.toml boot-good || echo FAILED to confirm
  for release in $order; do
    updraft ostree pull-local --repo=/sysroot/ostree/repo --remote=site /run/site/repo os/$release &&
      updraft ostree admin deploy --os=os site:os/$release || { echo FAILED to update; sleep 1000; }
    echo UPDATED to $release
  done
done >/dev/console 2>&1
";

const CONFIGURATION: &str = "\
[storage]
path = \"/var/sota\"

[pacman]
os = \"os\"
";

/// What happened to one machine.
#[derive(Default)]
struct Told {
    booted: BTreeMap<String, u64>,
    /// Cuts in the middle of a first, second, … update after a boot.
    updates: BTreeMap<usize, u64>,
}

/// Cuts a machine off `kills` times, and looks at what is left.
fn torment(repository: &Repository, folder: &Path, kills: u64, seed: u64) -> Told {
    std::fs::create_dir_all(folder).unwrap();
    let disk = Image::of(repository, "one")
        .option("--set=updraft.boot-counting=initramfs")
        .option("--set=sysroot.boot-counting-tries=3")
        .option("--karg=updraft.fallback=previous")
        .build(&folder.join("disk"))
        .unwrap();
    let medium = folder.join("medium");
    let mut make = std::process::Command::new("mkfs.ext4");
    make.args(["-q", "-F", "-d"]).arg(repository.medium()).arg(&medium).arg("400M");
    assert!(make.status().unwrap().success());
    let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
    let rack = Rack::new(folder, disk.clone()).with_arguments(&[
        "-drive",
        &drive,
        "-device",
        "virtio-blk-pci,drive=medium",
    ]);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut told = Told::default();
    // How long two updates take here is found out by the first machine.
    let mut both = None;
    for number in 0..=kills {
        let mut machine = rack.start().unwrap();
        let console = machine.wait_for("SYSTEM READY", BOOT).unwrap();
        let release = console.trim_end().rsplit(' ').next().unwrap().to_owned();
        *told.booted.entry(release).or_insert(0) += 1;
        if number == kills {
            break;
        }
        let begun = Instant::now();
        machine.run("sh /usr/lib/loop </dev/null >/dev/null 2>&1 &").unwrap().good().unwrap();
        let both = *both.get_or_insert_with(|| {
            machine.wait_for("UPDATED to one", UPDATE).unwrap();
            begun.elapsed().as_secs_f64().min(MAX_WAIT)
        });
        if number > 0 {
            // Nothing is waited for: any moment will do.
            let moment = Duration::from_secs_f64(random.f64() * WINDOW * both);
            std::thread::sleep(moment);
        }
        let console = machine.console();
        assert!(!console.contains("FAILED"), "{console}");
        *told.updates.entry(console.matches("UPDATED").count()).or_insert(0) += 1;
        machine.kill();
    }
    let checker =
        Checker::new(repository, &["one", "two", "three"], &folder.join("check")).unwrap();
    let finding = checker.check(&disk, "three").unwrap();
    assert!(matches!(finding.selected, Selected::Release(_)), "{finding:?}");
    assert_eq!(finding.next_update, None);
    told
}

#[test]
fn a_machine_that_is_cut_off_again_and_again_always_comes_up() {
    let kills = std::env::var("UPDRAFT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let programs = Programs::beside_tests().unwrap();
    let repository = Repository::create(&programs, &folder.path().join("site")).unwrap();
    let target = machine::target_folder().unwrap();
    for name in ["one", "two", "three"] {
        let release = Release::new(name)
            .file("usr/share/payload", 0o644, name.repeat(100_000))
            .file("usr/lib/loop", 0o755, LOOP)
            .file("usr/lib/updraftd.toml", 0o644, CONFIGURATION)
            .program(&target.join("debug/updraft"))
            .program(&target.join("debug/updraftd"));
        repository.add(&release).unwrap();
    }
    let told: Vec<Told> = std::thread::scope(|scope| {
        let machines: Vec<_> = (0..MACHINES)
            .map(|number| {
                let folder = folder.path().join(format!("machine-{number}"));
                let repository = &repository;
                let own = kills / MACHINES + u64::from(number < kills % MACHINES);
                scope.spawn(move || torment(repository, &folder, own, number))
            })
            .collect();
        machines.into_iter().map(|machine| machine.join().unwrap()).collect()
    });
    for told in &told {
        println!("came up as {:?}; updates done before a cut {:?}", told.booted, told.updates);
    }
}
