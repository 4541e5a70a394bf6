//! Two slots of Android's boot loader: what it would start, and where that leads.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::Lab;
use updraft_bootenv::{AndroidSlot, SlotControl};
use updraft_fs::fault::{Fault, Injection};
use updraft_sysroot::{
    BootCounting, DeployRequest, Deployment, DeploymentId, Options, Origin, Sysroot,
};
use updraft_task::Context;

/// Control of two slots, of which both work.
const CONTROL: [u8; 32] = [
    0x5f, 0x61, 0, 0, 0x42, 0x43, 0x41, 0x42, 1, 0x7a, 1, 0, 0xef, 0, 0x7e, 1, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0xec, 0x0e, 0x61, 0x56,
];

/// A device with two slots.
struct Device {
    lab: Lab,
    folder: PathBuf,
}

impl Device {
    fn new() -> Self {
        let lab = Lab::ours();
        let folder = lab.root().parent().unwrap().join("device");
        fs::create_dir_all(folder.join("running/proc")).unwrap();
        for name in ["sda1", "sda2"] {
            fs::write(folder.join(name), vec![7; 16384]).unwrap();
        }
        let mut misc = vec![0; 4096];
        misc[2048..2080].copy_from_slice(&CONTROL);
        fs::write(folder.join("misc"), misc).unwrap();
        // As names of partitions are.
        symlink("sda1", folder.join("boot_a")).unwrap();
        symlink("sda2", folder.join("boot_b")).unwrap();
        let place = folder.display();
        lab.configure_ours(&format!(
            "bootloader=aboot\nandroid-header-version=0\nandroid-boot={place}/boot\n\
             android-misc={place}/misc"
        ));
        lab.configure("boot-counting-tries=3");
        let device = Self { lab, folder };
        device.runs("quiet");
        device
    }

    fn runs(&self, cmdline: &str) {
        fs::write(self.folder.join("running/proc/cmdline"), format!("{cmdline}\n")).unwrap();
    }

    fn sysroot(&self) -> Sysroot {
        let options = Options { running_root: self.folder.join("running"), ..Options::default() };
        Sysroot::open_with(self.lab.root(), options).unwrap()
    }

    fn control(&self) -> SlotControl {
        SlotControl::parse(&fs::read(self.folder.join("misc")).unwrap()[2048..2080]).unwrap()
    }

    fn partition(&self, slot: AndroidSlot) -> Vec<u8> {
        fs::read(self.folder.join(format!("boot_{}", slot.letter()))).unwrap()
    }

    /// The deployment that the boot loader would start, which has to be whole.
    fn started(&self) -> (AndroidSlot, String) {
        let slot = self.control().next().unwrap();
        let link = self.lab.path(&format!("ostree/root.{}", slot.letter()));
        let root = fs::canonicalize(&link).unwrap_or_else(|error| panic!("{slot:?}: {error}"));
        let kernel = fs::read(root.join("usr/lib/modules/6.1/vmlinuz")).unwrap();
        let image = self.partition(slot);
        assert!(image.starts_with(b"ANDROID!"), "{slot:?} has no image");
        // The kernel is on the second page.
        assert_eq!(image[2048..2048 + kernel.len()], kernel, "{slot:?} has another kernel");
        assert!(root.join("etc/plain").is_file());
        (slot, fs::read_to_string(root.join("usr/bin/tool")).unwrap())
    }

    fn deploy(&self, version: &str, kernel: &str, runs: Option<&DeploymentId>) -> Deployment {
        let commit = self.lab.commit(version, kernel, &[]);
        let request = DeployRequest {
            booted: runs.cloned(),
            ..DeployRequest::new("os", commit, Origin::following("os/main"))
        };
        let ctx = Context::silent();
        let sysroot = self.sysroot();
        sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap()
    }
}

#[test]
fn the_slot_that_does_not_run_is_written_and_started() {
    let device = Device::new();
    let ctx = Context::silent();
    let first = device.deploy("1", "k1", None).id;
    assert_eq!(device.started(), (AndroidSlot::A, "1".to_owned()));
    let sysroot = device.sysroot();
    assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::AndroidSlots);
    assert_eq!(sysroot.tries_left(&first).unwrap(), Some(3));
    // What the slot B had from before is not to be started: it leads nowhere.
    assert_eq!(device.control().count(AndroidSlot::B).unwrap().left, 0);
    sysroot.lock(&ctx).unwrap().mark_good(&first).unwrap();
    assert_eq!(device.control().count(AndroidSlot::A), None);

    device.runs("quiet androidboot.slot_suffix=_a");
    let before = device.partition(AndroidSlot::A);
    let second = device.deploy("2", "k2", Some(&first)).id;
    assert_eq!(device.started(), (AndroidSlot::B, "2".to_owned()));
    assert_eq!(device.partition(AndroidSlot::A), before, "what runs is not touched");
    assert_eq!(device.control().count(AndroidSlot::A), None);
    // Back to what runs: nothing is written, and it is known to work.
    let sysroot = device.sysroot();
    let locked = sysroot.lock(&ctx).unwrap();
    locked.make_default(&ctx, &first).unwrap();
    assert_eq!(device.started(), (AndroidSlot::A, "1".to_owned()));
    assert_eq!(device.control().count(AndroidSlot::A), None);
    locked.make_default(&ctx, &second).unwrap();
    assert_eq!(device.started(), (AndroidSlot::B, "2".to_owned()));
    locked.mark_bad(&second).unwrap();
    assert_eq!(device.started(), (AndroidSlot::A, "1".to_owned()));
    locked.make_default(&ctx, &first).unwrap();
    locked.undeploy(&ctx, &second, None).unwrap();
    assert_eq!(device.started(), (AndroidSlot::A, "1".to_owned()));
    assert!(fs::symlink_metadata(device.lab.path("ostree/root.b")).is_err());
}

#[test]
fn a_change_of_user_space_alone_gets_its_slot_as_well() {
    let device = Device::new();
    let first = device.deploy("1", "k", None).id;
    device.runs("androidboot.slot_suffix=_a");
    device.deploy("2", "k", Some(&first));
    assert_eq!(device.started(), (AndroidSlot::B, "2".to_owned()));
    device.deploy("3", "k", Some(&first));
    assert_eq!(device.started(), (AndroidSlot::B, "3".to_owned()));
}

#[test]
fn a_deployment_that_fails_at_any_operation_leaves_what_can_be_started() {
    let device = Device::new();
    let ctx = Context::silent();
    let first = device.deploy("1", "k1", None).id;
    device.sysroot().lock(&ctx).unwrap().mark_good(&first).unwrap();
    device.runs("androidboot.slot_suffix=_a");
    let commit = device.lab.commit("2", "k2", &[]);
    let request = DeployRequest {
        booted: Some(first.clone()),
        ..DeployRequest::new("os", commit, Origin::following("os/main"))
    };
    let mut seen = BTreeSet::new();
    for operations in 0.. {
        assert!(operations < 3000, "the deployment never ends");
        let sysroot = device.sysroot();
        let locked = sysroot.lock(&ctx).unwrap();
        let injection = Injection::after(operations, Fault::Broken);
        let result = locked.deploy(&ctx, &request);
        let struck = injection.has_struck();
        drop(injection);
        let (slot, version) = device.started();
        assert_eq!(slot == AndroidSlot::A, version == "1");
        seen.insert(version);
        if !struck {
            result.unwrap();
            break;
        }
        let new = sysroot.deployments().unwrap().into_iter().find(|one| one.id != first);
        locked.cleanup(&ctx).unwrap();
        device.started();
        if let Some(new) = new {
            locked.undeploy(&ctx, &new.id, None).unwrap();
        }
        assert_eq!(device.started(), (AndroidSlot::A, "1".to_owned()), "after {operations}");
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn what_is_missing_is_named_and_nothing_is_changed() {
    let device = Device::new();
    let first = device.deploy("1", "k1", None).id;
    let ctx = Context::silent();
    let fail = |kernel: &str| {
        let commit = device.lab.commit("2", kernel, &[]);
        let request = DeployRequest {
            booted: Some(first.clone()),
            ..DeployRequest::new("os", commit, Origin::following("os/main"))
        };
        let sysroot = device.sysroot();
        sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap_err().to_string()
    };
    device.runs("androidboot.slot_suffix=_a");
    let said = fail(&"k".repeat(32768));
    assert!(said.contains("do not fit"), "{said}");
    assert_eq!(device.started(), (AndroidSlot::A, "1".to_owned()));
    let list = || device.sysroot().deployments().unwrap();
    assert_eq!(list().len(), 1, "it was refused before the switch");
    fs::write(device.folder.join("misc"), vec![0; 4096]).unwrap();
    let said = fail("k2");
    assert!(said.contains("misc"), "{said}");
    assert_eq!(list()[0].id, first);
}
