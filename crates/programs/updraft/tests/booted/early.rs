//! What is run early in the boot, soft reboots, and names of deployments.

use std::io::{BufRead as _, BufReader};

use super::machine::Machine;

#[test]
fn the_generator_and_the_remount_program_answer_to_their_names() {
    let machine = Machine::new();
    let booted = machine.boot();
    booted.sh("ln -s $(readlink /run/bin/ostree) /run/bin/ostree-system-generator");
    booted.sh("ln -s $(readlink /run/bin/ostree) /run/bin/ostree-remount");
    // This kernel was not started with `ostree=`.
    booted.sh("mkdir /run/units; ostree-system-generator /run/units /run/units /run/units");
    assert_eq!(booted.sh("ls /run/units"), "");
    booted.sh("mount -o remount,bind,ro /var");
    assert_eq!(booted.sh("ostree-remount"), "Remounted: /var");
    booted.sh("touch /var/writable");
    assert_eq!(booted.sh("ostree-remount"), "");
    // A /sysroot that is read-only on purpose stays so.
    booted.sh("mount -o remount,bind,ro /sysroot");
    let note = "\\163ysroot-ro\\0\\0\\0\\0\\0\\0\\001\\0b\\013";
    booted.sh(&format!("printf '{note}\\024' > /run/ostree-booted"));
    booted.sh("ostree-remount");
    let tried = booted.sh("(touch /sysroot/x) 2>&1 || true");
    assert!(tried.contains("Read-only file system"), "{tried}");
}

#[test]
fn a_soft_reboot_needs_the_same_kernel_and_an_image() {
    let machine = Machine::new();
    let booted = machine.boot();
    machine.commit("2", "k2", &[]);
    booted.admin(&["deploy", "os/main"]);
    let error = booted.refused(&["prepare-soft-reboot", "1"]);
    assert!(
        error.contains("Cannot prepare for soft-reboot currently booted deployment"),
        "{error}"
    );
    let error = booted.refused(&["prepare-soft-reboot", "0"]);
    assert_eq!(error, "error: Cannot soft-reboot to deployment with different kernel state");
    machine.commit("3", "k1", &[]);
    booted.admin(&["deploy", "os/main"]);
    let error = booted.refused(&["prepare-soft-reboot", "0"]);
    assert_eq!(error, "error: soft reboot not supported without composefs");
    let image = ("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled=yes\n");
    machine.commit("4", "k1", &[image]);
    booted.admin(&["deploy", "os/main"]);
    // What puts the root together is not installed here.
    let error = booted.refused(&["prepare-soft-reboot", "0"]);
    assert_eq!(error, "error: soft reboot not supported");
    // What was prepared is taken back, and after the reboot what it says counts.
    booted.sh("mkdir -p /run/ostree /run/nextroot; : > /run/ostree/nextroot-booted");
    booted.admin(&["prepare-soft-reboot", "--reset"]);
    booted.sh("test ! -e /run/ostree/nextroot-booted && echo > /run/ostree/nextroot-booted");
    booted.admin(&["deploy", "--stage", "os/main"]);
    booted.sh("test ! -e /run/ostree/nextroot-booted && : > /run/ostree/nextroot-booted");
    booted.admin(&["boot-complete"]);
    booted.sh("test ! -e /run/ostree/nextroot-booted && test -e /run/ostree-booted");
}

#[test]
fn deployments_have_names() {
    let machine = Machine::new();
    let booted = machine.boot();
    assert_eq!(booted.admin(&["status", "-D"]), "default");
    machine.commit("2", "k2", &[]);
    booted.admin(&["deploy", "os/main"]);
    assert_eq!(booted.admin(&["status", "--is-default"]), "not-default");
    for name in ["booted", "pending"] {
        assert_eq!(booted.admin(&["pin", name]), format!("Deployment {name} is now pinned"));
    }
    assert_eq!(booted.refused(&["pin", "rollback"]), "error: Deployment type not found: rollback");
    let json = booted.admin(&["status", "-J"]);
    assert_eq!(json.matches("\"pinned\": true").count(), 2, "{json}");
    assert_eq!(
        booted.refused(&["undeploy", "1"]),
        "error: Cannot undeploy currently booted deployment 1"
    );
}

#[test]
fn who_waits_for_the_lock_says_so() {
    let machine = Machine::new();
    let booted = machine.boot();
    let folder = updraft_fs::Dir::open(machine.path("ostree")).unwrap();
    let lock = updraft_fs::LockFile::try_acquire(&folder, "lock", updraft_fs::LockMode::Exclusive);
    let lock = lock.unwrap().unwrap();
    let mut child = booted.start(&["cleanup"]);
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "Waiting for sysroot lock...\n");
    drop(lock);
    assert!(child.wait().unwrap().success());
}

#[test]
fn only_root_changes_the_system_that_runs() {
    let machine = Machine::new();
    let booted = machine.boot();
    let tried = booted.sh("setpriv --reuid=65534 ostree admin cleanup 2>&1 || true");
    assert_eq!(tried, "error: You must be root to perform this command");
    let status = booted.sh("setpriv --reuid=65534 ostree admin status");
    assert_eq!(status, booted.admin(&["status"]));
}
