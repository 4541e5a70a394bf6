//! A staged deployment, whatever operation fails when it is made and when it is finished.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::support::{Lab, ostree, put};
use updraft_fs::fault::{Fault, Injection};
use updraft_ostree::Metadata;
use updraft_ostree::gvariant::Value;
use updraft_sysroot::{DeployRequest, Finalization, Finalized, Options, Origin, Sysroot};
use updraft_task::Context;

/// The sysroot as the root of a running system, which runs from the first deployment, as a program
/// leaves word of it that mounts an image over the deployment's directory.
fn running(lab: &Lab) -> Sysroot {
    let run = lab.root().parent().unwrap().join("run");
    fs::create_dir_all(&run).unwrap();
    let first = lab.root().join(first_deployment(lab)).metadata().unwrap();
    let pair = Value::Tuple(vec![Value::Uint64(first.dev()), Value::Uint64(first.ino())]);
    let mut note = Metadata::new();
    note.insert("composefs", Value::Bool(true));
    note.insert("backing-root-device-inode", pair);
    fs::write(run.join("ostree-booted"), note.to_value().encode()).unwrap();
    let options = Options {
        run_folder: run,
        running_root: lab.root(),
        // The disk is not to be frozen for each of hundreds of tries.
        skip_sync: true,
        ..Options::default()
    };
    Sysroot::open_with(lab.root(), options).unwrap()
}

/// Of version 1, whatever is before it.
fn first_deployment(lab: &Lab) -> std::path::PathBuf {
    let list = lab.sysroot().deployments().unwrap();
    let first = list.iter().find(|one| one.version.as_deref() == Some("1")).unwrap();
    first.id.path()
}

fn assert_bootable(sysroot: &Sysroot) -> Vec<String> {
    let list = sysroot.deployments().unwrap();
    for one in &list {
        let root = sysroot.path().join(one.id.path());
        assert!(root.join("usr/bin/tool").is_file(), "{} is incomplete", one.id);
        assert_eq!(fs::read_to_string(root.join("etc/plain")).unwrap(), "mine\n", "{}", one.id);
        let kernel = format!("boot/ostree/os-{}/vmlinuz-6.1", one.boot_checksum);
        assert!(sysroot.path().join(kernel).is_file());
    }
    list.iter().map(|one| one.version.clone().unwrap_or_default()).collect()
}

#[test]
fn what_runs_is_found_by_the_note_alone() {
    let lab = Lab::ours();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let sysroot = running(&lab);
    assert_eq!(sysroot.running().unwrap(), Some(first.clone()));
    lab.deploy(lab.commit("2", "k1", &[]));
    assert_eq!(sysroot.running().unwrap(), Some(first));
    // Another sysroot of the same machine is not the one that runs.
    let other = Lab::ours();
    let options = Options {
        run_folder: lab.root().parent().unwrap().join("run"),
        running_root: lab.root(),
        ..Options::default()
    };
    let other = Sysroot::open_with(other.root(), options).unwrap();
    assert_eq!(other.running().unwrap(), None);
    assert_eq!(lab.sysroot().running().unwrap(), None);
    // A note that fits nothing is no reason to guess.
    fs::write(lab.root().parent().unwrap().join("run/ostree-booted"), "").unwrap();
    let error = sysroot.running().unwrap_err().to_string();
    assert!(error.starts_with("Unexpected state: "), "{error}");
}

#[test]
fn a_failure_of_staging_leaves_what_was_staged_before_or_nothing() {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &[]));
    let sysroot = running(&lab);
    let ctx = Context::silent();
    let commit = lab.commit("2", "k2", &[]);
    let request = DeployRequest {
        booted: sysroot.running().unwrap(),
        ..DeployRequest::new("os", commit, Origin::following("os/main"))
    };
    let mut operations = 0;
    loop {
        let locked = sysroot.lock(&ctx).unwrap();
        let injection = Injection::after(operations, Fault::Full);
        let result = locked.stage_until_shutdown(&ctx, &request, Finalization::AtShutdown);
        let struck = injection.has_struck();
        drop(injection);
        assert_eq!(sysroot.deployments().unwrap().len(), 1);
        if let Some(staged) = sysroot.staged().unwrap() {
            let root = lab.root().join(staged.deployment.id.path());
            assert!(root.join("usr/bin/tool").is_file() && root.join("etc/plain").is_file());
            assert_eq!(staged.deployment.origin, Some(Origin::following("os/main")));
        }
        if !struck {
            result.unwrap();
            break;
        }
        operations += 1;
        assert!(operations < 2000, "staging never ends");
    }
    assert!(operations > 30, "only {operations} operations were tried");
    let staged = sysroot.staged().unwrap().unwrap();
    assert_eq!(staged.deployment.version.as_deref(), Some("2"));
    // Its commit is kept by the repository.
    sysroot.lock(&ctx).unwrap().cleanup(&ctx).unwrap();
    let repo = format!("--repo={}", lab.path("ostree/repo").display());
    ostree(&["fsck", &repo]);
}

#[test]
fn a_failure_of_finishing_leaves_the_old_system_or_the_whole_new_one() {
    let lab = Lab::ours();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    put(&lab.root().join(first.path()).join("etc/plain"), "mine\n");
    let sysroot = running(&lab);
    let ctx = Context::silent();
    let commit = lab.commit("2", "k2", &[("usr/etc/fresh", "x")]);
    let request = DeployRequest {
        booted: sysroot.running().unwrap(),
        ..DeployRequest::new("os", commit, Origin::following("os/main"))
    };
    let (mut operations, mut lost, mut kept) = (0, 0, 0);
    loop {
        let locked = sysroot.lock(&ctx).unwrap();
        if sysroot.staged().unwrap().is_none() {
            locked.stage_until_shutdown(&ctx, &request, Finalization::AtShutdown).unwrap();
        }
        let injection = Injection::after(operations, Fault::Broken);
        let result = locked.finalize_staged();
        let struck = injection.has_struck();
        drop(injection);
        let versions = assert_bootable(&sysroot);
        if !struck {
            assert!(matches!(result.unwrap(), Finalized::Done { .. }));
            break;
        }
        match (versions[0].as_str(), sysroot.staged().unwrap()) {
            ("2", _) => {
                let id = sysroot.deployments().unwrap()[0].id.clone();
                locked.undeploy(&ctx, &id, request.booted.as_ref()).unwrap();
            }
            (_, None) => lost += 1,
            (_, Some(_)) => kept += 1,
        }
        assert_eq!(assert_bootable(&sysroot)[0], "1");
        operations += 1;
        assert!(operations < 2000, "finishing never ends");
    }
    // Before the note is removed nothing is lost, and after that only the update.
    assert!(kept >= 1 && lost > 20, "{kept} {lost}");
    assert_eq!(assert_bootable(&sysroot), ["2", "1"]);
    let locked = sysroot.lock(&ctx).unwrap();
    assert_eq!(locked.finalize_staged().unwrap(), Finalized::Nothing);
}
