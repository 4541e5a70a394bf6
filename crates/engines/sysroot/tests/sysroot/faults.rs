//! Whatever operation fails, the old or the new system is offered complete, and trying again
//! succeeds.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::support;
use std::collections::BTreeSet;

use crate::support::{Lab, ostree};
use updraft_fs::fault::{Fault, Injection};
use updraft_sysroot::{DeployRequest, Origin, Sysroot};
use updraft_task::Context;

/// What the boot loader offers can be booted: kernel, initramfs, and the deployment's files.
fn assert_bootable(sysroot: &Sysroot) -> Vec<String> {
    let list = sysroot.deployments().unwrap();
    for one in &list {
        let root = sysroot.path().join(one.id.path());
        assert!(root.join("usr/bin/tool").is_file(), "{} is incomplete", one.id);
        assert!(root.join("etc/plain").is_file(), "{} has no /etc", one.id);
        let kernels = format!("boot/ostree/os-{}", one.boot_checksum);
        for name in ["vmlinuz-6.1", "initramfs-6.1.img"] {
            let path = sysroot.path().join(&kernels).join(name);
            assert!(path.metadata().unwrap().len() > 0, "{} is missing", path.display());
        }
    }
    list.iter().map(|one| one.version.clone().unwrap_or_default()).collect()
}

fn fail_everywhere(kernel: &str, fault: Fault) {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &[]));
    let commit = lab.commit("2", kernel, &[("usr/etc/fresh", "x")]);
    let request = DeployRequest::new("os", commit, Origin::following("os/main"));
    let ctx = Context::silent();
    let mut seen = BTreeSet::new();
    let mut operations = 0;
    loop {
        let sysroot = lab.sysroot();
        let locked = sysroot.lock(&ctx).unwrap();
        let injection = Injection::after(operations, fault);
        let result = locked.deploy(&ctx, &request);
        let struck = injection.has_struck();
        drop(injection);
        let versions = assert_bootable(&sysroot);
        assert!(!versions.is_empty());
        seen.insert(versions[0].clone());
        if !struck {
            result.unwrap();
            break;
        }
        // Back to the state before, by the ordinary means, when the switch was made already.
        if versions[0] == "2" {
            let id = sysroot.deployments().unwrap()[0].id.clone();
            locked.undeploy(&ctx, &id, None).unwrap();
        }
        assert_eq!(assert_bootable(&sysroot)[0], "1");
        operations += 1;
        assert!(operations < 2000, "the deployment never ends");
    }
    assert!(operations > 30, "only {operations} operations were tried");
    assert_eq!(seen, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
    assert_eq!(assert_bootable(&lab.sysroot())[0], "2");
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    ostree(&["fsck", &repo]);
    lab.admin(&["status"]);
}

#[test]
fn a_full_disk_at_any_operation_of_a_deployment_with_a_new_kernel() {
    fail_everywhere("k2", Fault::Full);
}

#[test]
fn a_broken_disk_at_any_operation_of_a_deployment_with_the_same_kernel() {
    fail_everywhere("k1", Fault::Broken);
}

#[test]
fn trees_that_cannot_be_deployed_leave_everything_as_it_was() {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &[]));
    let before = support::layout(&lab.root());
    let both = lab.commit("2", "k2", &[("etc/also", "x")]);
    let request = DeployRequest::new("os", both, Origin::following("os/main"));
    let sysroot = lab.sysroot();
    let ctx = Context::silent();
    let error = sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap_err();
    assert_eq!(error.to_string(), "Tree contains both /etc and /usr/etc");
    sysroot.lock(&ctx).unwrap().cleanup(&ctx).unwrap();
    assert_eq!(support::layout(&lab.root()), before);

    let unknown = DeployRequest::new("other", both, Origin::following("os/main"));
    let error = sysroot.lock(&ctx).unwrap().deploy(&ctx, &unknown).unwrap_err();
    assert_eq!(error.to_string(), "No such stateroot: other");
}

#[test]
fn what_runs_is_found_by_the_kernel_command_line_and_cannot_be_undeployed() {
    let lab = Lab::ours();
    let id = lab.deploy(lab.commit("1", "k1", &[])).id;
    let entry = lab.read("boot/loader/entries/ostree-1.conf");
    let options = entry.lines().find_map(|line| line.strip_prefix("options ")).unwrap();
    let sysroot = lab.sysroot();
    assert_eq!(sysroot.booted(options).unwrap(), Some(id.clone()));
    assert_eq!(sysroot.booted("quiet").unwrap(), None);
    for bad in ["ostree=/etc", "ostree=/ostree/boot.1/../../x/0", "ostree=/ostree/boot.7/os/a/0"] {
        assert!(sysroot.booted(bad).is_err(), "{bad}");
    }
    let ctx = Context::silent();
    let locked = sysroot.lock(&ctx).unwrap();
    assert!(locked.undeploy(&ctx, &id, Some(&id)).is_err());
}
