//! A machine that is updated by its server, over mutual TLS, with good releases and broken ones.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use vm::Vehicle;

/// What a broken release is, and what the server is told about it.
struct Trouble {
    release: &'static str,
    /// Runs at its start.
    script: &'static str,
    /// A file that its health check does not like.
    ill: bool,
    /// Whether it has an init.
    init: bool,
    code: &'static str,
}

const TROUBLES: [Trouble; 4] = [
    // A service does not pass its check.
    Trouble { release: "ill", script: "", ill: true, init: true, code: "HEALTH_CHECK_FAILED" },
    // The agent cannot reach its server.
    Trouble {
        release: "cut-off",
        script: "ifconfig eth0 down",
        ill: false,
        init: true,
        code: "HEALTH_CHECK_FAILED",
    },
    // The kernel panics.
    Trouble {
        release: "panics",
        script: "echo c >/proc/sysrq-trigger",
        ill: false,
        init: true,
        code: "BOOT_FAILED",
    },
    // There is no init.
    Trouble { release: "no-init", script: "", ill: false, init: false, code: "BOOT_FAILED" },
];

fn installed(device: &Value) -> &str {
    device["components"][0]["installed"]["filepath"].as_str().unwrap_or_default()
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

    vehicle.vendor.order_release(&release("two")).unwrap();
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
        if !trouble.init {
            // busybox would be another one.
            for path in ["usr/sbin/init", "usr/bin/init", "usr/bin/sh"] {
                broken = broken.without(path);
            }
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
