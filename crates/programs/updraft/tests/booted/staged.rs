//! Deployments that are finished at shutdown.

use std::fs;

use super::machine::Machine;

const NOTE: &str = "/run/ostree/staged-deployment";

#[test]
fn a_staged_deployment_takes_over_what_etc_is_at_shutdown() {
    let machine = Machine::new();
    let first = machine.default_deployment();
    let booted = machine.boot();
    let commit = machine.commit("2", "k2", &[("usr/etc/fresh", "new\n")]);
    booted.sh("echo early > /etc/plain");
    booted.admin(&["deploy", "--stage", "os/main"]);
    assert_eq!(booted.sh("cat /run/systemctl.log"), "start ostree-finalize-staged.service");
    let status = booted.admin(&["status"]);
    assert!(status.starts_with(&format!("  os {commit}.0 (staged)\n")), "{status}");
    assert!(status.contains("\n* os "), "{status}");
    // Both programs see the same.
    assert_eq!(status, booted.peer(&["status"]));
    // Nothing is offered yet, and it survives a cleanup.
    assert_eq!(machine.default_deployment(), first);
    booted.admin(&["cleanup"]);
    booted.peer(&["cleanup"]);
    assert_eq!(booted.admin(&["status"]), status);

    booted.admin(&["kargs", "edit-in-place", "--append-if-missing=more"]);
    booted.admin(&["instutil", "set-kargs", "--merge", "--append=most"]);
    assert_eq!(booted.admin(&["status"]), status);

    booted.sh("echo late > /etc/plain; echo added > /etc/added");
    let said = booted.admin(&["finalize-staged"]);
    assert!(said.contains("Copying /etc changes: 1 modified, 0 removed, 1 added"), "{said}");
    assert!(said.contains("bootconfig swap: yes"), "{said}");
    let second = machine.default_deployment();
    assert!(second.ends_with(format!("{commit}.0")));
    for (name, text) in [("plain", "late\n"), ("added", "added\n"), ("fresh", "new\n")] {
        assert_eq!(fs::read_to_string(second.join("etc").join(name)).unwrap(), text, "{name}");
    }
    let said = booted.admin(&["finalize-staged"]);
    assert_eq!(said, "No deployment staged for finalization");
    let entry = fs::read_to_string(machine.path("boot/loader/entries/ostree-2-os.conf")).unwrap();
    let options = entry.lines().find_map(|line| line.strip_prefix("options ")).unwrap();
    assert!(options.starts_with("quiet ostree=") && options.ends_with("/0 more most"), "{entry}");
    assert_eq!(booted.admin(&["status"]), booted.peer(&["status"]));
    assert!(booted.admin(&["status"]).contains("(pending)"));
}

#[test]
fn either_program_finishes_what_the_other_staged() {
    let machine = Machine::new();
    let booted = machine.boot();
    machine.commit("2", "k2", &[]);
    booted.sh("echo mine > /etc/plain");
    for (stage_by_us, version, kernel) in [(true, "3", "k3"), (false, "4", "k4"), (true, "5", "k4")]
    {
        let commit = machine.commit(version, kernel, &[]);
        let deploy = ["deploy", "--stage", "--karg-append=v=1", "os/main"];
        if stage_by_us {
            booted.admin(&deploy);
            booted.peer(&["finalize-staged"]);
        } else {
            booted.peer(&deploy);
            booted.admin(&["finalize-staged"]);
        }
        let default = machine.default_deployment();
        assert!(default.to_str().unwrap().contains(&commit), "version {version}");
        assert_eq!(fs::read_to_string(default.join("etc/plain")).unwrap(), "mine\n");
        assert_eq!(booted.admin(&["status"]), booted.peer(&["status"]));
        let entry =
            fs::read_to_string(machine.path("boot/loader/entries/ostree-2-os.conf")).unwrap();
        assert!(entry.contains("options quiet v=1 ostree="), "{entry}");
    }
}

#[test]
fn both_programs_write_the_same_note() {
    let machine = Machine::new();
    let booted = machine.boot();
    machine.commit("2", "k2", &[]);
    let deploy = ["deploy", "--stage", "os/main"];
    booted.admin(&deploy);
    let ours = booted.bytes(NOTE);
    booted.peer(&["undeploy", "0"]);
    booted.peer(&deploy);
    assert!(booted.bytes(NOTE) == ours);
}

#[test]
fn a_locked_one_waits_until_it_is_unlocked() {
    let machine = Machine::new();
    let booted = machine.boot();
    assert_eq!(booted.refused(&["lock-finalization"]), "error: No staged deployment");
    machine.commit("2", "k2", &[]);
    booted.admin(&["deploy", "--lock-finalization", "os/main"]);
    assert!(booted.admin(&["status"]).contains(" (finalization locked)\n"));
    let first = machine.default_deployment();
    let said = booted.admin(&["finalize-staged"]);
    assert_eq!(said, "Not finalizing; the staged deployment is locked");
    assert_eq!(machine.default_deployment(), first);
    let again = booted.admin(&["lock-finalization"]);
    assert_eq!(again, "Staged deployment is already finalization locked");
    let unlocked = booted.admin(&["lock-finalization", "--unlock"]);
    assert_eq!(unlocked, "Staged deployment is now queued to apply on shutdown");
    // Older programs keep the lock in a file of its own.
    booted.sh("touch /run/ostree/staged-deployment-locked");
    assert!(booted.admin(&["status"]).contains(" (finalization locked)\n"));
    booted.admin(&["lock-finalization", "-u"]);
    booted.admin(&["finalize-staged"]);
    assert_ne!(machine.default_deployment(), first);
}

#[test]
fn a_failure_at_shutdown_is_told_at_the_next_boot_once() {
    let machine = Machine::new();
    let booted = machine.boot();
    // A file that was changed here is a directory in the new tree.
    let tree = machine.path("../tree/usr/etc/plain");
    fs::remove_file(&tree).unwrap();
    machine.commit("2", "k2", &[("usr/etc/plain/file", "x")]);
    booted.sh("echo mine > /etc/plain");
    booted.admin(&["deploy", "--stage", "os/main"]);
    let error = booted.refused(&["finalize-staged"]);
    let why = "Finalizing deployment: During /etc merge: Modified config file newly defaults to \
               directory 'plain', cannot merge";
    assert_eq!(error, format!("error: {why}"));
    let stamp = machine.path("boot/ostree/finalize-failure.stamp");
    assert_eq!(fs::read_to_string(&stamp).unwrap(), why);
    drop(booted);

    let booted = machine.boot();
    let error = booted.refused(&["boot-complete"]);
    let told = "error: ostree-finalize-staged.service failed on previous boot: ";
    assert_eq!(error, format!("{told}{why}"));
    booted.admin(&["boot-complete"]);
    // What was left of it goes with the next cleanup.
    booted.admin(&["cleanup"]);
    assert_eq!(fs::read_dir(machine.path("ostree/deploy/os/deploy")).unwrap().count(), 2);
}

#[test]
fn a_staged_one_goes_when_another_takes_its_place() {
    let machine = Machine::new();
    let booted = machine.boot();
    let second = machine.commit("2", "k2", &[]);
    booted.admin(&["deploy", "--stage", "os/main"]);
    assert_eq!(booted.refused(&["pin", "0"]), "error: Cannot pin staged deployment");
    let third = machine.commit("3", "k3", &[]);
    booted.admin(&["deploy", "--stage", "os/main"]);
    let status = booted.admin(&["status"]);
    assert!(!status.contains(&second) && status.contains(&third), "{status}");
    let said = booted.admin(&["undeploy", "0"]);
    assert!(said.contains(&format!("Deleted deployment {third}.0")), "{said}");
    assert!(!machine.path(format!("ostree/deploy/os/deploy/{third}.0")).exists());
    // A deployment that is the default at once drops one that waits.
    booted.admin(&["deploy", "--stage", "os/main"]);
    machine.commit("4", "k4", &[]);
    booted.admin(&["deploy", "os/main"]);
    assert!(!booted.admin(&["status"]).contains("(staged)"));
    assert_eq!(booted.admin(&["status"]), booted.peer(&["status"]));
    // Deploying at once needs no machine that runs; staging does.
    let outside = std::process::Command::new(env!("CARGO_BIN_EXE_updraft"))
        .args(["ostree", "admin", "deploy", "--os=os", "--stage", "os/main"])
        .arg(format!("--sysroot={}", machine.root().display()))
        .output()
        .unwrap();
    let text = String::from_utf8(outside.stderr).unwrap();
    let refused = "error: Cannot stage deployment: Not currently booted into an OSTree system\n";
    assert!(text.starts_with(refused), "{text}");
}

#[test]
fn overlay_initrds_wait_in_run() {
    let machine = Machine::new();
    let booted = machine.boot();
    machine.commit("2", "k2", &[]);
    booted.sh("echo image > /run/image");
    booted.admin(&["deploy", "--stage", "--overlay-initrd=/run/image", "os/main"]);
    let note = booted.bytes(NOTE);
    assert!(!machine.path("boot/ostree/initramfs-overlays").exists());
    booted.admin(&["undeploy", "0"]);
    booted.peer(&["deploy", "--stage", "--overlay-initrd=/run/image", "os/main"]);
    assert!(booted.bytes(NOTE) == note);
    booted.admin(&["finalize-staged"]);
    let entry = fs::read_to_string(machine.path("boot/loader/entries/ostree-2-os.conf")).unwrap();
    let initrd = entry.lines().rfind(|line| line.starts_with("initrd ")).unwrap();
    let image = machine.path("boot").join(initrd.trim_start_matches("initrd /"));
    assert_eq!(fs::read_to_string(image).unwrap(), "image\n");
}
