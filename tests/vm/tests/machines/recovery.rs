//! A machine with one root: recovery in its initramfs makes the root anew in its own place, and the power
//! is cut while it does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "what was found is for people, too")]
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use harness::Share;
use machine::Machine;
use vm::{Leads, OneRoot, Rack, Release, WriteLog, cuts, updraft};

const BOOT: Duration = Duration::from_mins(5);
const UPDATE: Duration = Duration::from_mins(5);
/// How often a machine may start until its system is up.
const STARTS: usize = 4;
/// How many moments are looked at when nobody says so, and how many of them are gone on from.
const SAMPLE: usize = 40;
const BOOTED: usize = 2;

const RC: &str = "mount -t ext4 /dev/vda3 /cache\n";
const INSTALL: &str = "mkdir -p /run/site && mount -o ro /dev/vdb /run/site && \
                       cp /run/site/ota.zip /cache/ota.zip && sync && \
                       updraft ota install /cache/ota.zip --key /etc/updraft/ota.x509.pem \
                       --misc /dev/vda2";

/// Starts the machine until its system is up, and says which.
fn up(rack: &Rack) -> (Machine, &'static str) {
    for _ in 0..STARTS {
        let mut machine = rack.start().unwrap();
        if machine.wait_for("SYSTEM READY", BOOT).is_ok() {
            let name = machine.run("cat /usr/lib/os-release").unwrap().good().unwrap();
            return (machine, if name.contains("\"two\"") { "two" } else { "one" });
        }
        assert!(machine.has_ended(), "it hangs: {}", machine.console());
        let console = machine.console();
        assert!(console.contains("RECOVERY ENDS WITH"), "{console}");
    }
    panic!("the system does not come up");
}

fn with_medium(rack: Rack, medium: &Path) -> Rack {
    let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
    rack.with_arguments(&["-drive", &drive, "-device", "virtio-blk-pci,drive=medium"])
}

#[test]
fn recovery_makes_the_root_anew_and_after_a_cut_at_any_moment_it_goes_on() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = |name: &str| folder.path().join(name);
    let releases = OneRoot::new(&path("releases")).unwrap();
    for name in ["one", "two"] {
        let release = Release::new(name).program(&updraft().unwrap());
        let release = release.file("usr/etc/rc", 0o755, RC).file("cache/none", 0o644, "");
        releases.add(&release).unwrap();
    }
    let medium = releases.medium("two").unwrap();

    // Recorded: the order, and all that recovery does.
    let before = releases.disk("one", &path("before")).unwrap();
    let log = path("log");
    let disk = before.copy(&path("disk")).unwrap();
    let rack = with_medium(releases.rack(&path("rack"), disk).unwrap(), &medium).recording(&log);
    let (mut machine, running) = up(&rack);
    assert_eq!(running, "one");
    machine.run_within(INSTALL, UPDATE).unwrap().good().unwrap();
    machine.tell("reboot -f").unwrap();
    machine.wait_for_end(BOOT).unwrap();
    let (mut machine, running) = up(&rack);
    assert_eq!(running, "two");
    let last = machine.run("cat /cache/recovery/last_install").unwrap().good().unwrap();
    assert!(last.lines().any(|line| line == "1"), "{last}");
    machine.kill();
    drop(machine);
    let log = WriteLog::read(&log).unwrap();

    let limit = match std::env::var("UPDRAFT_CUTS").as_deref() {
        Ok("all") => usize::MAX,
        Ok(number) => number.parse().unwrap(),
        Err(_) => SAMPLE,
    };
    let cuts = Share::from_environment().unwrap().of(cuts(&log, limit, 1));
    let mut found: BTreeMap<Leads, Vec<usize>> = BTreeMap::new();
    for (index, cut) in cuts.iter().enumerate() {
        let disk = before.copy(&path("cut")).unwrap();
        cut.apply(&log, &disk).unwrap();
        let leads = releases.leads(&disk, &["one", "two"]).unwrap();
        assert_ne!(leads, Leads::Astray, "{}", cut.describe());
        found.entry(leads).or_default().push(index);
    }
    let counts: Vec<_> = found.iter().map(|(leads, cuts)| (leads, cuts.len())).collect();
    println!("{} operations, {} flushes: {counts:?}", log.entries.len(), log.flushes());
    let started = found.get(&Leads::ToRecovery).expect("some moments lead to recovery");

    // Recovery goes on where it was.
    for number in 0..BOOTED {
        let cut = &cuts[started[(2 * number + 1) * started.len() / (2 * BOOTED)]];
        println!("{}: goes on", cut.describe());
        let disk = before.copy(&path("cut")).unwrap();
        cut.apply(&log, &disk).unwrap();
        let rack = releases.rack(&path("rack"), disk).unwrap();
        let (mut machine, running) = up(&rack);
        machine.kill();
        drop(machine);
        assert_eq!(running, "two", "{}", cut.describe());
        let leads = releases.leads(&rack.disk, &["one", "two"]).unwrap();
        assert_eq!(leads, Leads::To("two".to_owned()), "{}", cut.describe());
    }
}
