//! A machine that is updated by its server, over mutual TLS, with good releases and broken ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use vm::{Release, Vehicle};

/// What a broken release is, and what the server is told about it.
struct Trouble {
    release: &'static str,
    /// Runs at its start.
    script: &'static str,
    /// A file that its health check does not like.
    ill: bool,
    /// What it lacks.
    without: &'static [&'static str],
    code: &'static str,
    /// What else the report has to say.
    reason: &'static str,
}

/// How long a system hangs until it is reset.
const HANGS_SEC: u32 = 12;
/// The same where a boot takes long: what is in memory then was translated code before.
const HANGS_LONG_SEC: u32 = 60;

const NONE: Trouble =
    Trouble { release: "", script: "", ill: false, without: &[], code: "BOOT_FAILED", reason: "" };

const TROUBLES: [Trouble; 6] = [
    // A service does not pass its check.
    Trouble { release: "ill", ill: true, code: "HEALTH_CHECK_FAILED", reason: "service", ..NONE },
    // The agent cannot reach its server.
    Trouble {
        release: "cut-off",
        script: "ifconfig eth0 down",
        code: "HEALTH_CHECK_FAILED",
        reason: "server",
        ..NONE
    },
    // The kernel panics. Its last words outlive the reset.
    Trouble {
        release: "panics",
        script: "echo c >/proc/sysrq-trigger",
        reason: "tried 2 times in vain: its kernel panicked: Kernel panic - not syncing: sysrq \
                 triggered crash; its initramfs had handed over",
        ..NONE
    },
    // There is no init. busybox would be another one. From here on once is enough.
    Trouble {
        release: "no-init",
        without: &["usr/sbin/init", "usr/bin/init", "usr/bin/sh"],
        reason: "tried 1 times in vain: its initramfs handed over",
        ..NONE
    },
    // The initramfs cannot mount what it is to mount.
    Trouble {
        release: "no-mount-point",
        without: &["sysroot"],
        reason: "has no folder /sysroot",
        ..NONE
    },
    // It hangs until the watchdog resets it.
    Trouble {
        release: "hangs",
        script: "while :; do sleep 1000; done",
        reason: "tried 1 times in vain: its initramfs handed over",
        ..NONE
    },
];

fn installed(device: &Value) -> &str {
    device["components"][0]["installed"]["filepath"].as_str().unwrap_or_default()
}

/// Without room, and with a `/boot` that is read-only, an update fails and says what to do; the system
/// still boots, and the agent goes on by itself as soon as it can.
fn check_no_room(vehicle: &mut Vehicle, next: &Release) {
    let once = "updraftd --config /etc/updraft/updraftd.toml run-once 2>&1";
    vehicle.run("killall updraftd; while pidof updraftd; do :; done; true").unwrap();
    vehicle.vendor.order_release(next).unwrap();

    vehicle.run("mount -o remount,ro /boot").unwrap();
    let answer = vehicle.answer(once).unwrap();
    assert_eq!(answer.status, 5, "{}", answer.output);
    let said = answer.output.to_lowercase();
    assert!(said.contains("read-only file system") && said.contains("remount,rw"), "{said}");
    vehicle.run("mount -o remount,rw /boot").unwrap();

    // Not even a byte is left, for root neither.
    vehicle.run("dd if=/dev/zero of=/sysroot/ballast bs=64k; sync; ! echo x >/var/x").unwrap();
    let answer = vehicle.answer(once).unwrap();
    assert_eq!(answer.status, 7, "{}", answer.output);
    assert!(answer.output.contains("hint: free some space"), "{}", answer.output);
    vehicle.tell("reboot -f").unwrap();
    vehicle.wait_for("one").unwrap();
    vehicle.run("rm /sysroot/ballast").unwrap();
}

/// A device knows that it reset the machine, so that a hang is told from a panic.
#[test]
fn a_hang_is_told_by_the_watchdog_that_ended_it() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let release = |name: &str| Vehicle::release(name).unwrap().hardware_watchdog();
    // Longer than a busy host takes from the start of its initramfs to its agent.
    let release = |name: &str| release(name).watchdog_sec(HANGS_LONG_SEC);
    let mut vehicle = Vehicle::with_hardware_watchdog(folder.path(), &release("one")).unwrap();
    vehicle.wait_for("one").unwrap();
    vehicle.wait_for_server("its registration", |device| device["state"].is_string()).unwrap();
    let status = "cat /sys/class/watchdog/watchdog0/identity /sys/class/watchdog/*/bootstatus";
    assert_eq!(vehicle.run(status).unwrap(), "i6300ESB timer\n0\n");

    let hangs = release("hangs").file("usr/lib/trouble", 0o755, "while :; do sleep 1000; done");
    vehicle.vendor.order_release(&hangs).unwrap();
    vehicle.wait_for("one").unwrap();
    assert_eq!(vehicle.run(status).unwrap(), "i6300ESB timer\n32\n");
    vehicle
        .wait_for_server("the hang", |device| {
            let report = &device["last_report"];
            report["success"] == false
                && report.to_string().contains("it hung until the watchdog reset the machine")
        })
        .unwrap();
}

#[test]
fn good_releases_stay_and_broken_ones_come_back_by_themselves() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let release = |name: &str| Vehicle::release(name).unwrap();
    let mut vehicle = Vehicle::create(folder.path(), &release("one")).unwrap();
    vehicle.wait_for("one").unwrap();
    vehicle.wait_for_server("its registration", |device| device["state"].is_string()).unwrap();

    // What the device's owner changed is kept.
    vehicle
        .run("echo mine >/etc/mine && echo edited >>/etc/hostname && echo data >/var/data")
        .unwrap();

    check_no_room(&mut vehicle, &release("two"));
    vehicle.wait_for("two").unwrap();
    vehicle
        .wait_for_server("two", |device| {
            installed(device).starts_with("two-") && device["assignment"].is_null()
        })
        .unwrap();
    for (command, expected) in [
        ("cat /etc/mine", "mine\n"),
        ("cat /etc/hostname", "tiny\nedited\n"),
        ("cat /var/data", "data\n"),
    ] {
        assert_eq!(vehicle.run(command).unwrap(), expected, "{command}");
    }
    let tries = vehicle.run("cat /sysroot/ostree/updraft/tries").unwrap();
    assert!(tries.contains("good=true"), "{tries}");
    let status = vehicle.run("updraft ostree admin status").unwrap();
    assert!(status.lines().next().unwrap().starts_with("* os "), "{status}");

    for trouble in &TROUBLES {
        let name = trouble.release;
        let mut broken = release(name).file("usr/lib/trouble", 0o755, trouble.script);
        if trouble.ill {
            broken = broken.file("usr/share/ill", 0o644, "");
        }
        for path in trouble.without {
            broken = broken.without(path);
        }
        if name == "hangs" {
            broken = broken.watchdog_sec(HANGS_SEC);
        }
        if name == "no-init" {
            let config = "updraft ostree --repo=/sysroot/ostree/repo config";
            vehicle.run(&format!("{config} set sysroot.boot-counting-tries 1")).unwrap();
        }
        vehicle.vendor.order_release(&broken).unwrap();
        if trouble.code == "HEALTH_CHECK_FAILED" {
            vehicle.wait_for(name).unwrap();
        }
        vehicle.wait_for("two").unwrap();
        vehicle
            .wait_for_server(name, |device| {
                let report = &device["last_report"];
                let says = |key: &str, text: &str| {
                    report[key].as_str().is_some_and(|value| value.contains(text))
                };
                report["success"] == false
                    && says("description", &format!("{name}-"))
                    && report.to_string().contains(trouble.reason)
                    && report["code"].as_str().is_some_and(|code| code.ends_with(trouble.code))
                    && installed(device).starts_with("two-")
            })
            .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        // It is not offered first again.
        let status = vehicle.run("updraft ostree admin status").unwrap();
        assert!(status.lines().next().unwrap().starts_with("* os "), "{name}: {status}");
    }

    // Back by hand, to what was there before: first the plan, then the deed.
    vehicle.vendor.order_release(&release("three")).unwrap();
    vehicle.wait_for("three").unwrap();
    vehicle.wait_for_server("three", |device| installed(device).starts_with("three-")).unwrap();
    let rollback = "updraftd --config /etc/updraft/updraftd.toml rollback";
    let plan = vehicle.run(&format!("{rollback} --dry-run")).unwrap();
    assert!(plan.contains("(two) the default"), "{plan}");
    // It reboots, so it does not answer.
    vehicle.tell(&format!("killall updraftd; sleep 1; {rollback}")).unwrap();
    vehicle.wait_for("two").unwrap();
    vehicle
        .wait_for_server("the way back", |device| installed(device).starts_with("two-"))
        .unwrap();
}
