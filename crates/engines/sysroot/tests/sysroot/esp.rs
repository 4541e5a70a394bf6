//! Entries on a file system without links, read as systemd-boot reads them.
//!
//! Needs the Debian package systemd-boot, for `bootctl`.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use crate::support;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::Lab;
use updraft_bootenv::{BootEntry, BootVerdict, CountedName, EntryName, version_cmp};
use updraft_fs::fault::{Fault, Injection};
use updraft_sysroot::{
    BootCounting, DeployRequest, DeploymentId, Merge, Origin, Place, Retain, Switch,
};
use updraft_task::Context;

/// A lab with an ESP that systemd-boot is on.
fn lab(place: &str) -> Lab {
    let lab = Lab::ours();
    let esp = lab.path(place);
    fs::create_dir_all(esp.join("EFI/systemd")).unwrap();
    fs::write(esp.join("EFI/systemd/systemd-bootx64.efi"), "MZ").unwrap();
    fs::create_dir_all(esp.join("EFI/BOOT")).unwrap();
    fs::write(esp.join("EFI/BOOT/BOOTX64.EFI"), "MZ").unwrap();
    fs::create_dir_all(esp.join("loader/entries")).unwrap();
    fs::write(esp.join("loader/loader.conf"), "default ostree-*\n").unwrap();
    fs::write(esp.join("loader/entries/windows.conf"), "title W\nefi /EFI/w.efi\n").unwrap();
    lab
}

/// An entry as systemd-boot has it.
struct Entry {
    name: CountedName,
    entry: BootEntry,
}

/// Our entries in the order of systemd-boot: bad ones last, else by the name, the highest first.
fn offered(esp: &Path) -> Vec<Entry> {
    let mut list = Vec::new();
    for file in fs::read_dir(esp.join("loader/entries")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        // What is not `.conf` it does not see.
        if !EntryName::is_ours(&name) {
            continue;
        }
        let entry = BootEntry::parse(&fs::read(file.path()).unwrap()).unwrap();
        list.push(Entry { name: name.parse().unwrap(), entry });
    }
    let bad = |one: &Entry| one.name.verdict() == BootVerdict::Bad;
    list.sort_by(|left, right| match bad(left).cmp(&bad(right)) {
        Ordering::Equal => version_cmp(&right.name.to_string(), &left.name.to_string()),
        order => order,
    });
    list
}

/// Sees to it that everything that is offered boots a complete system, and gives their versions.
fn bootable(lab: &Lab, esp: &Path) -> Vec<String> {
    no_links(esp);
    let mut versions = Vec::new();
    for Entry { entry, name } in offered(esp) {
        let options = entry.get("options").unwrap().to_owned();
        let link = options.split(' ').find_map(|word| word.strip_prefix("ostree=/")).unwrap();
        let root = fs::canonicalize(lab.path(link))
            .unwrap_or_else(|error| panic!("{name} leads nowhere: {error}"));
        for (key, file) in [("linux", "vmlinuz"), ("initrd", "initramfs.img")] {
            let path = esp.join(entry.get(key).unwrap().trim_start_matches('/'));
            let original = root.join("usr/lib/modules/6.1").join(file);
            assert_eq!(fs::read(path).unwrap(), fs::read(original).unwrap(), "{key} of {name}");
        }
        assert!(root.join("etc/plain").is_file(), "{name} has no /etc");
        versions.push(fs::read_to_string(root.join("usr/bin/tool")).unwrap());
    }
    versions
}

/// Nothing that FAT could not hold.
fn no_links(folder: &Path) {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        let path = entry.path().display().to_string();
        assert!(!metadata.is_symlink(), "{path} is a link");
        assert!(metadata.is_dir() || metadata.nlink() == 1, "{path} has several names");
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.contains(['"', '*', ':', '<', '>', '?', '\\', '|']), "{path}");
        assert!(seen.insert(name.to_lowercase()), "{path} differs in case only");
        if metadata.is_dir() {
            no_links(&entry.path());
        }
    }
}

fn names(esp: &Path) -> Vec<String> {
    offered(esp).into_iter().map(|one| one.name.to_string()).collect()
}

fn ids(lab: &Lab) -> Vec<DeploymentId> {
    lab.sysroot().deployments().unwrap().into_iter().map(|one| one.id).collect()
}

#[test]
fn deployments_come_and_go_and_their_order_changes() {
    for place in ["boot", "boot/efi", "efi"] {
        let lab = lab(place);
        let esp = lab.path(place);
        let first = lab.deploy(lab.commit("1", "k1", &[])).id;
        assert_eq!(names(&esp), ["ostree-1.conf"]);
        let second = lab.deploy(lab.commit("2", "k2", &[])).id;
        assert_eq!(bootable(&lab, &esp), ["2", "1"]);
        // The same kernel again: the first one's entry must not lead to another system.
        let third = lab.stage(lab.commit("3", "k2", &[]));
        assert_eq!(bootable(&lab, &esp), ["2", "1", "3"]);
        assert_eq!(ids(&lab), [second.clone(), first.clone(), third.clone()]);
        let ctx = Context::silent();
        let sysroot = lab.sysroot();
        let locked = sysroot.lock(&ctx).unwrap();
        assert_eq!(locked.make_default(&ctx, &third).unwrap().switch, Switch::Entries);
        assert_eq!(bootable(&lab, &esp), ["3", "2", "1"]);
        assert_eq!(locked.make_default(&ctx, &third).unwrap().switch, Switch::Nothing);
        assert_eq!(locked.rollback(&ctx).unwrap(), second);
        locked.undeploy(&ctx, &third, None).unwrap();
        locked.undeploy(&ctx, &first, None).unwrap();
        assert_eq!(bootable(&lab, &esp), ["2"]);
        let kernels = fs::read_dir(esp.join("ostree")).unwrap().count();
        assert_eq!(kernels, 1, "kernels that nobody needs go");
        assert!(esp.join("loader/entries/windows.conf").exists());
        assert!(esp.join("loader/loader.conf").exists());
        assert!(fs::symlink_metadata(lab.path("boot/loader")).is_err() || place == "boot");
    }
}

#[test]
fn a_boot_partition_with_links_stays_as_libostree_has_it() {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &[]));
    fs::create_dir_all(lab.path("boot/efi/EFI/systemd")).unwrap();
    lab.deploy(lab.commit("2", "k2", &[]));
    lab.configure_ours("bootloader=systemd-boot");
    lab.deploy(lab.commit("3", "k3", &[]));
    assert!(!lab.path("boot/efi/loader").exists());
    assert!(lab.admin(&["status"]).contains("os"));
}

#[test]
fn systemd_boot_counts_there() {
    let lab = lab("boot/efi");
    let esp = lab.path("boot/efi");
    lab.configure("boot-counting-tries=3");
    lab.configure_ours("bootloader=systemd-boot");
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let sysroot = lab.sysroot();
    assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::Entries);
    let ctx = Context::silent();
    assert!(sysroot.lock(&ctx).unwrap().mark_good(&first).unwrap());
    let second = lab.deploy(lab.commit("2", "k2", &[])).id;
    assert_eq!(names(&esp), ["ostree-3+3.conf", "ostree-2.conf"]);
    for _ in 0..3 {
        let tried = offered(&esp).remove(0).name;
        let folder = esp.join("loader/entries");
        fs::rename(folder.join(tried.to_string()), folder.join(tried.tried().to_string())).unwrap();
        assert_eq!(
            sysroot.boot_count(&second).unwrap().unwrap().done,
            tried.tried().count.unwrap().done
        );
    }
    assert_eq!(names(&esp), ["ostree-2.conf", "ostree-3+0-3.conf"]);
    assert_eq!(sysroot.next_boot().unwrap(), Some(first.clone()));
    sysroot.lock(&ctx).unwrap().make_default(&ctx, &first).unwrap();
    assert_eq!(bootable(&lab, &esp), ["1", "2"]);
    assert!(sysroot.is_bad(&second).unwrap(), "what was counted is kept");
}

/// Deployments of this version in the entries that a boot loader takes for such.
fn entries_of(lab: &Lab, esp: &Path, version: &str) -> usize {
    bootable(lab, esp).iter().filter(|one| *one == version).count()
}

/// FAT has no rename in one step: a name must not go before the other one is there.
#[test]
fn a_verdict_does_not_take_the_entry_away_at_any_operation() {
    let lab = lab("boot/efi");
    let esp = lab.path("boot/efi");
    lab.configure("boot-counting-tries=3");
    let only = lab.deploy(lab.commit("1", "k1", &[])).id;
    let ctx = Context::silent();
    let sysroot = lab.sysroot();
    let entries = esp.join("loader/entries");
    for operations in 0.. {
        assert!(operations < 100, "the verdict never ends");
        let locked = sysroot.lock(&ctx).unwrap();
        let injection = Injection::after(operations, Fault::Broken);
        let result = locked.mark_good(&only);
        let struck = injection.has_struck();
        drop(injection);
        assert!(entries_of(&lab, &esp, "1") > 0, "the entry is gone after {operations}");
        if !struck {
            assert!(result.unwrap());
            break;
        }
        // The next attempt, whatever was left; and back to what it was.
        locked.mark_good(&only).unwrap();
        assert_eq!(names(&esp), ["ostree-1.conf"], "after {operations}");
        fs::rename(entries.join("ostree-1.conf"), entries.join("ostree-1+3.conf")).unwrap();
    }
    assert_eq!(names(&esp), ["ostree-1.conf"]);
    // It is written anew before the old name goes, and is no other name of the same clusters.
    assert_eq!(bootable(&lab, &esp), ["1"]);
}

/// A rename on FAT may be cut off between the name and the content.
#[test]
fn names_without_content_are_not_read_and_are_written_again() {
    let lab = lab("boot/efi");
    let esp = lab.path("boot/efi");
    lab.deploy(lab.commit("1", "k1", &[]));
    lab.deploy(lab.commit("2", "k2", &[]));
    let entries = esp.join("loader/entries");
    fs::write(entries.join("ostree-9+3.conf"), "").unwrap();
    assert_eq!(ids(&lab).len(), 2);
    lab.sysroot().lock(&Context::silent()).unwrap().cleanup(&Context::silent()).unwrap();
    assert!(!entries.join("ostree-9+3.conf").exists());
    // The kernel of the third is that of the second, and is not there.
    for folder in fs::read_dir(esp.join("ostree")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            fs::write(file.unwrap().path(), "").unwrap();
        }
    }
    lab.deploy(lab.commit("3", "k2", &[]));
    assert_eq!(bootable(&lab, &esp)[0], "3");
}

#[test]
fn bootctl_lists_what_we_wrote() {
    let lab = Lab::ours();
    let esp = lab.path("boot/efi");
    let _disk = SmallDisk::at(&esp);
    fs::create_dir_all(esp.join("EFI/systemd")).unwrap();
    lab.configure("boot-counting-tries=2");
    lab.deploy(lab.commit("1", "k1", &[]));
    lab.deploy(lab.commit("2", "k2", &[]));
    let output = Command::new("bootctl")
        .arg(format!("--esp-path={}", esp.display()))
        .args(["--boot-path", esp.to_str().unwrap(), "--no-pager", "list"])
        .env("SYSTEMD_RELAX_ESP_CHECKS", "1")
        .env("SYSTEMD_RELAX_XBOOTLDR_CHECKS", "1")
        .output()
        .expect("bootctl is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{problem}");
    for words in ["Test OS 2 (ostree:3)", "Test OS 1 (ostree:2)", "ostree=/ostree/boot.0/os/"] {
        assert!(said.contains(words), "no {words} in {said}{problem}");
    }
    assert!(!said.contains("No such file") && !problem.contains("Failed"), "{said}{problem}");
}

fn request(lab: &Lab, version: &str, kernel: &str, place: Place) -> DeployRequest {
    let commit = lab.commit(version, kernel, &[]);
    DeployRequest { place, ..DeployRequest::new("os", commit, Origin::following("os/main")) }
}

/// Two versions are there, and a third comes; each of its writes fails once.
fn fail_everywhere(kernel: &str, place: Place, fault: Fault) {
    let lab = lab("boot/efi");
    let esp = lab.path("boot/efi");
    lab.configure("boot-counting-tries=2");
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    lab.deploy(lab.commit("2", "k2", &[]));
    let ctx = Context::silent();
    let request = DeployRequest {
        merge: Merge::From(first),
        retain: Retain { pending: true, rollback: true },
        ..request(&lab, "3", kernel, place)
    };
    let wanted = if place == Place::Default { "3" } else { "2" };
    let mut seen = BTreeSet::new();
    for operations in 0.. {
        assert!(operations < 3000, "the deployment never ends");
        let sysroot = lab.sysroot();
        let locked = sysroot.lock(&ctx).unwrap();
        let injection = Injection::after(operations, fault);
        let result = locked.deploy(&ctx, &request);
        let struck = injection.has_struck();
        drop(injection);
        // As the boot loader sees it, and as we do.
        let boots = bootable(&lab, &esp);
        assert!(boots[0] == "2" || boots[0] == wanted, "{boots:?} after {operations}");
        for version in ["1", "2"] {
            assert!(boots.iter().any(|one| one == version), "{boots:?} after {operations}");
        }
        let list = sysroot.deployments().unwrap();
        assert_eq!(list[0].version.as_deref(), Some(boots[0].as_str()));
        seen.insert((boots[0].clone(), boots.len()));
        if !struck {
            result.unwrap();
            break;
        }
        // The next attempt, without a fault, cleans up whatever was left.
        for one in list.iter().filter(|one| one.version.as_deref() == Some("3")) {
            locked.undeploy(&ctx, &one.id, None).unwrap();
        }
        locked.cleanup(&ctx).unwrap();
        assert_eq!(bootable(&lab, &esp), ["2", "1"], "after {operations}");
    }
    let count = if place == Place::Default { 2 } else { 1 };
    let defaults: BTreeSet<_> = seen.iter().map(|(default, _)| default).collect();
    assert_eq!(defaults.len(), count, "{seen:?}");
    assert_eq!(bootable(&lab, &esp).len(), 3);
    assert_eq!(lab.sysroot().deployments().unwrap().len(), 3);
}

#[test]
fn a_broken_disk_at_any_operation_of_a_new_default_with_a_new_kernel() {
    fail_everywhere("k3", Place::Default, Fault::Broken);
}

#[test]
fn a_full_disk_at_any_operation_of_a_staged_deployment_with_a_kernel_that_is_there() {
    fail_everywhere("k2", Place::Last, Fault::Full);
}

/// A file system of three mebibytes.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        support::run("mount", &["-t", "tmpfs", "-o", "size=3m", "none", path.to_str().unwrap()]);
        Self(path.to_path_buf())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn kernels_that_go_make_room_before_a_new_one_comes() {
    let lab = Lab::ours();
    let esp = lab.path("boot/efi");
    let _disk = SmallDisk::at(&esp);
    fs::create_dir_all(esp.join("EFI/systemd")).unwrap();
    let kernel = |letter: &str| letter.repeat(900 * 1024);
    let first = lab.deploy(lab.commit("1", &kernel("a"), &[])).id;
    lab.deploy(lab.commit("2", &kernel("b"), &[]));
    // Two are there and a third does not fit beside them. The first is what runs and stays.
    let ctx = Context::silent();
    let third = DeployRequest {
        booted: Some(first.clone()),
        ..request(&lab, "3", &kernel("c"), Place::Default)
    };
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&ctx).unwrap();
    locked.deploy(&ctx, &third).unwrap();
    assert_eq!(bootable(&lab, &esp), ["3", "1"]);
    let huge = DeployRequest {
        booted: Some(first),
        retain: Retain::ALL,
        ..request(&lab, "4", &"d".repeat(3 << 20), Place::Default)
    };
    let error = locked.deploy(&ctx, &huge).unwrap_err();
    assert!(error.to_string().contains("not enough room"), "{error}");
    assert_eq!(bootable(&lab, &esp), ["3", "1"], "nothing is lost by that");
}
