//! Making `/usr` writable, state overlays, and the read-only `/sysroot`.

use std::fs;

use super::machine::Machine;

#[test]
fn development_lasts_until_the_next_boot() {
    let machine = Machine::new();
    let booted = machine.boot();
    let object = booted.sh("stat -c %i /usr/bin/tool");
    booted.admin(&["unlock"]);
    booted.sh("echo changed > /usr/bin/tool; echo new > /usr/bin/new");
    assert_eq!(booted.sh("cat /usr/bin/tool"), "changed");
    // Both say so.
    let status = booted.admin(&["status"]);
    assert!(status.contains("    Unlocked: development\n"), "{status}");
    assert_eq!(status, booted.peer(&["status"]));
    let error = booted.refused(&["unlock", "--hotfix"]);
    assert_eq!(error, "error: Deployment is already in unlocked state: development");
    // What was committed is as it was.
    assert_eq!(fs::read_to_string(machine.default_deployment().join("usr/bin/tool")).unwrap(), "1");
    assert_ne!(object, "");
    drop(booted);

    let booted = machine.boot();
    assert_eq!(booted.sh("cat /usr/bin/tool"), "1");
    assert!(!booted.admin(&["status"]).contains("Unlocked"));
    // Nothing of the boot before is seen by the next unlock.
    booted.admin(&["unlock"]);
    assert_eq!(booted.sh("ls /usr/bin"), "tool");
}

#[test]
fn transient_is_mounted_read_only() {
    let machine = Machine::new();
    let booted = machine.boot();
    booted.admin(&["unlock", "--transient"]);
    assert!(booted.admin(&["status"]).contains("    Unlocked: transient\n"));
    let tried = booted.sh("(echo x > /usr/bin/new) 2>&1 || true");
    assert!(tried.contains("Read-only file system"), "{tried}");
    let own = "unshare --mount sh -c 'mount -o remount,rw /usr && echo x > /usr/bin/new'";
    booted.sh(own);
    assert_eq!(booted.sh("cat /usr/bin/new"), "x");
}

#[test]
fn a_hotfix_leaves_a_clone_to_go_back_to() {
    let machine = Machine::new();
    let booted = machine.boot();
    booted.sh("echo mine > /etc/plain");
    booted.admin(&["unlock", "--hotfix"]);
    booted.sh("echo fixed > /usr/bin/tool");
    let status = booted.admin(&["status"]);
    assert!(status.starts_with("* os "), "{status}");
    assert!(status.contains("    Unlocked: hotfix\n"), "{status}");
    assert!(status.contains(".1 (rollback)\n"), "{status}");
    assert_eq!(status, booted.peer(&["status"]));
    let deployment = machine.default_deployment();
    let fixed = deployment.join(".usr-ovl-upper/bin/tool");
    assert_eq!(fs::read_to_string(fixed).unwrap(), "fixed\n");
    let origin = format!("{}.origin", deployment.display());
    assert!(fs::read_to_string(origin).unwrap().contains("unlocked=hotfix\n"));
    let clone = deployment.to_str().unwrap().replace(".0", ".1");
    assert_eq!(fs::read_to_string(format!("{clone}/usr/bin/tool")).unwrap(), "1");
    assert_eq!(fs::read_to_string(format!("{clone}/etc/plain")).unwrap(), "mine\n");
    // The next deployment is of the commit, without the hotfix.
    machine.commit("2", "k2", &[]);
    booted.admin(&["deploy", "os/main"]);
    assert!(!booted.admin(&["status"]).split("\n* os ").next().unwrap().contains("hotfix"));
}

#[test]
fn a_read_only_sysroot_is_written_in_a_namespace_of_its_own() {
    let machine = Machine::new();
    let booted = machine.boot();
    machine.commit("2", "k2", &[]);
    booted.sh("mount -o remount,bind,ro /sysroot && mount -o remount,bind,ro /boot");
    booted.admin(&["deploy", "os/main"]);
    assert!(booted.admin(&["status"]).contains("(pending)"));
    let tried = booted.sh("(echo x > /sysroot/x) 2>&1 || true");
    assert!(tried.contains("Read-only file system"), "{tried}");
}

#[test]
fn all_see_the_overlay_although_sysroot_is_read_only() {
    let machine = Machine::new();
    let booted = machine.boot();
    // As systemd has it: what is mounted in a copy of the namespace is seen in the other.
    booted.sh("mount --make-rshared / && mount -o remount,bind,ro /sysroot");
    booted.admin(&["unlock"]);
    booted.sh("echo changed > /usr/bin/tool");
    assert_eq!(booted.sh("cat /usr/bin/tool"), "changed");
    let tried = booted.sh("(echo x > /sysroot/x) 2>&1 || true");
    assert!(tried.contains("Read-only file system"), "{tried}");
}

#[test]
fn var_is_delivered_once() {
    let machine = Machine::new();
    let data = machine.path("ostree/deploy/os/var/lib/app/data");
    assert_eq!(fs::read_to_string(&data).unwrap(), "delivered");
    fs::write(&data, "mine").unwrap();
    machine.commit("2", "k2", &[("var/lib/app/later", "x")]);
    machine.admin(&["deploy", "--os=os", "os/main"]);
    assert_eq!(fs::read_to_string(&data).unwrap(), "mine");
    assert!(!data.with_file_name("later").exists());
}

#[test]
fn a_state_overlay_keeps_state_and_shows_new_files_of_the_image() {
    let machine = Machine::new();
    machine.commit("2", "k1", &[("opt/app/bin", "image 2"), ("opt/app/old", "o")]);
    machine.admin(&["deploy", "--os=os", "os/main"]);
    let booted = machine.boot();
    booted.admin(&["state-overlay", "opt", "/opt"]);
    booted.sh("echo state > /opt/app/state; echo patched > /opt/app/bin; rm /opt/app/old");
    drop(booted);
    // The same image again: as it was left.
    let booted = machine.boot();
    booted.admin(&["state-overlay", "opt", "/opt"]);
    assert_eq!(
        booted.sh("cat /opt/app/bin /opt/app/state; ls /opt/app"),
        "patched\nstate\nbin\nstate"
    );
    drop(booted);
    machine.commit("3", "k1", &[("opt/app/bin", "image 3")]);
    machine.admin(&["deploy", "--os=os", "os/main"]);
    let booted = machine.boot();
    booted.admin(&["state-overlay", "opt", "/opt"]);
    assert_eq!(booted.sh("cat /opt/app/bin"), "image 3");
    assert_eq!(booted.sh("cat /opt/app/state; ls /opt/app"), "state\nbin\nold\nstate");
}
