//! Machines with two roots: payloads are streamed from a server into the slot that does not run, which
//! is tried by a real boot loader and kept, or given up; and the power is cut while they are.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "what was found is for people, too")]
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use harness::{HARDWARE, Share};
use machine::Machine;
use serde_json::Value;
use vm::{Rack, Release, SlotReleases, Vehicle, Vendor, WriteLog, cuts, updraft};

const BOOT: Duration = Duration::from_mins(5);
const UPDATE: Duration = Duration::from_mins(5);
/// For a machine that is started anew after each reboot.
const ENDS: &[&str] = &["-no-reboot"];
/// How many moments are looked at when nobody says so, and how many of them are gone on from.
const SAMPLE: usize = 40;
const BOOTED: usize = 2;

/// What the init of each release runs: the network and the agent, if there is one.
const RC: &str = "\
mkdir -p /run/updraft-session
mount -t ext4 /dev/vda4 /var
mount -t vfat /dev/vda1 /boot
ifconfig lo 127.0.0.1 up
[ ! -e /usr/bin/updraftd ] || {
    ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
    updraftd --config /etc/updraft/updraftd.toml run >>/var/log/updraftd.log 2>&1 &
}
";

/// The agent's configuration, as far as it is not about its vendor.
const CONFIGURATION: &str = "\
[uptane]
polling_sec = 1

[pacman]
type = \"slots\"

[storage]
path = \"/var/sota\"

[bootloader]
reboot_sentinel_dir = \"/run/updraft-session\"
reboot_command = \"sync; reboot -f\"
";

fn slot(device: &Value, number: usize) -> &Value {
    &device["slots"]["slots"][number]
}

#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn a_payload_is_streamed_tried_and_kept_and_a_broken_one_is_given_up() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let vendor = Vendor::create(folder.path()).unwrap();
    let etc = folder.path().join("etc");
    vendor.configure(&etc, "updraftd.toml", CONFIGURATION).unwrap();
    let releases = SlotReleases::new(&folder.path().join("slots"), &etc).unwrap();
    let release = |name: &str| {
        let agent = updraft().unwrap().with_file_name("updraftd");
        Release::new(name).program(&agent).file("usr/etc/rc", 0o755, RC)
    };
    releases.add(&release("one")).unwrap();
    releases.add(&release("two")).unwrap();
    // It has no init: its kernel panics.
    let broken = ["usr/sbin/init", "usr/bin/init", "usr/bin/sh"];
    let broken = broken.into_iter().fold(release("broken"), Release::without);
    releases.add(&broken).unwrap();
    let disk = releases.disk("one", &folder.path().join("disk.img")).unwrap();
    let machine = folder.path().join("rack");
    std::fs::create_dir_all(&machine).unwrap();
    let rack = Rack::new(&machine, disk).with_efi().unwrap().with_network(&[]).with_arguments(ENDS);
    let mut vehicle = Vehicle::new(vendor, rack);
    vehicle.wait_for("one").unwrap();
    let order = |vehicle: &Vehicle, name: &str, old: Option<&str>| {
        let operator = &vehicle.vendor.operator;
        let full = releases.payload(operator, name, None).unwrap();
        let full = format!("{HARDWARE}={}", full.display());
        let mut create = vec!["release", "create", name, "--payload", &full];
        let delta = old.map(|old| releases.payload(operator, name, Some(old)).unwrap());
        let delta = delta.map(|delta| format!("{HARDWARE}={}", delta.display()));
        create.extend(delta.iter().flat_map(|delta| ["--delta", delta.as_str()]));
        operator.run(&create).unwrap();
        operator.run(&["rollout", "create", name, "--release", name]).unwrap();
    };
    vehicle.wait_for_server("its slots", |device| slot(device, 0)["successful"] == true).unwrap();

    order(&vehicle, "two", None);
    vehicle.wait_for("two").unwrap();
    vehicle
        .wait_for_server("two", |device| {
            device["last_report"]["success"] == true
                && device["components"][0]["installed"]["release"] == "two"
                && device["slots"]["running"] == "b"
                && slot(device, 1)["successful"] == true
        })
        .unwrap();
    let entries = vehicle.run("ls /boot/loader/entries").unwrap();
    assert_eq!(entries.split_whitespace().collect::<Vec<_>>(), ["slot-a.conf", "slot-b.conf"]);

    // By a delta, tried twice in vain; the old system says so.
    order(&vehicle, "broken", Some("two"));
    vehicle.wait_for_server("the broken one", |device| device["state"] == "updating").unwrap();
    vehicle.wait_for_end_of_boot().unwrap();
    vehicle.wait_for("two").unwrap();
    vehicle
        .wait_for_server("the fall back", |device| {
            let report = &device["last_report"];
            report["success"] == false
                && report["code"].as_str().unwrap_or_default().ends_with(":BOOT_FAILED")
                && device["slots"]["running"] == "b"
                && slot(device, 0)["bootable"] == false
        })
        .unwrap();
}

fn run(machine: &mut Machine, command: &str) -> String {
    machine.run_within(command, UPDATE).unwrap().good().unwrap()
}

fn started(rack: &Rack, release: &str) -> Machine {
    let mut machine = rack.start().unwrap();
    machine.wait_for(&format!("SYSTEM READY {release}"), BOOT).unwrap();
    machine
}

fn with_medium(rack: Rack, medium: &Path) -> Rack {
    let drive = format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display());
    rack.with_arguments(&["-drive", &drive, "-device", "virtio-blk-pci,drive=medium"])
}

const APPLY: &str = "mkdir -p /run/site && mount -o ro /dev/vdb /run/site && \
                     updraft slots apply /run/site/p.bin";

#[test]
fn after_a_cut_at_any_moment_of_an_update_a_whole_slot_comes_up_and_goes_on() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = |name: &str| folder.path().join(name);
    let vendor = Vendor::create(folder.path()).unwrap();
    std::fs::create_dir_all(path("etc")).unwrap();
    let releases = SlotReleases::new(&path("slots"), &path("etc")).unwrap();
    for name in ["one", "two"] {
        let release = Release::new(name).program(&updraft().unwrap());
        releases.add(&release.file("usr/etc/rc", 0o755, RC)).unwrap();
    }
    std::fs::create_dir_all(path("medium-tree")).unwrap();
    let payload = releases.payload(&vendor.operator, "two", None).unwrap();
    std::fs::copy(payload, path("medium-tree/p.bin")).unwrap();
    let mut make = std::process::Command::new("mkfs.ext4");
    make.args(["-q", "-F", "-d"]).arg(path("medium-tree")).arg(path("medium")).arg("120M");
    assert!(make.status().unwrap().success());

    // Recorded: the update, the first start of the new slot, and that it is found well.
    let before = releases.disk("one", &path("before")).unwrap();
    let disk = before.copy(&path("disk")).unwrap();
    std::fs::create_dir_all(path("rack")).unwrap();
    let log = path("log");
    let rack = with_medium(Rack::new(&path("rack"), disk), &path("medium")).recording(&log);
    let mut machine = started(&rack, "one");
    run(&mut machine, APPLY);
    // Nothing is written back first.
    machine.tell("reboot -f").unwrap();
    machine.wait_for_end(BOOT).unwrap();
    let mut machine = started(&rack, "two");
    run(&mut machine, "updraft slots mark-successful");
    machine.kill();
    drop(machine);
    let log = WriteLog::read(&log).unwrap();

    let limit = match std::env::var("UPDRAFT_CUTS").as_deref() {
        Ok("all") => usize::MAX,
        Ok(number) => number.parse().unwrap(),
        Err(_) => SAMPLE,
    };
    let cuts = Share::from_environment().unwrap().of(cuts(&log, limit, 1));
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, cut) in cuts.iter().enumerate() {
        let disk = before.copy(&path("cut")).unwrap();
        cut.apply(&log, &disk).unwrap();
        let release = releases.started(&disk, &["one", "two"], &path("scratch"));
        let release = release.unwrap_or_else(|error| panic!("{}: {error:#}", cut.describe()));
        found.entry(release).or_default().push(index);
    }
    let counts: Vec<_> = found.iter().map(|(name, cuts)| (name, cuts.len())).collect();
    println!("{} operations, {} flushes: {counts:?}", log.entries.len(), log.flushes());
    assert_eq!(found.len(), 2, "some moments lead to each: {counts:?}");

    // Some of those with the old system go on to the new one.
    let old = &found["one"];
    for number in 0..BOOTED {
        let cut = &cuts[old[(2 * number + 1) * old.len() / (2 * BOOTED)]];
        println!("{}: goes on", cut.describe());
        let disk = before.copy(&path("cut")).unwrap();
        cut.apply(&log, &disk).unwrap();
        let rack = with_medium(Rack::new(&path("rack"), disk), &path("medium"));
        let mut machine = started(&rack, "one");
        run(&mut machine, APPLY);
        machine.kill();
        drop(machine);
        let release = releases.started(&rack.disk, &["one", "two"], &path("scratch")).unwrap();
        assert_eq!(release, "two", "{}", cut.describe());
    }
}
