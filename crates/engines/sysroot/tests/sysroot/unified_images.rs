//! Unified kernel images on a file system without links, read as systemd-boot reads them.
//!
//! Needs the Debian packages binutils, openssl, sbsigntool, systemd-boot and systemd-boot-efi.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

mod signatures;

use crate::support;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Lab;
use updraft_bootenv::{BootVerdict, CountedName, EntryName, KernelArgs, PeImage, version_cmp};
use updraft_fs::fault::{Fault, Injection};
use updraft_sysroot::{
    BootCounting, DeployRequest, DeploymentId, Merge, Origin, Place, Retain, Switch,
};
use updraft_task::Context;

const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// A lab with an ESP, where images are wanted.
fn lab(place: &str) -> (Lab, PathBuf) {
    let lab = Lab::ours();
    let esp = lab.path(place);
    fs::create_dir_all(esp.join("EFI/systemd")).unwrap();
    fs::create_dir_all(esp.join("EFI/Linux")).unwrap();
    fs::write(esp.join("EFI/Linux/fedora-6.1.efi"), "MZ").unwrap();
    lab.configure_ours("bootloader=uki");
    (lab, esp)
}

/// The content of a section.
fn section(image: &[u8], name: &str) -> Option<Vec<u8>> {
    let read = PeImage::parse(image).unwrap();
    let found = read.section(name)?;
    let from = found.offset as usize;
    Some(image[from..from + found.content_size() as usize].to_vec())
}

fn text(image: &[u8], name: &str) -> String {
    String::from_utf8(section(image, name).unwrap()).unwrap()
}

/// Our images in the order of systemd-boot, without sort keys: bad ones last, else by the name.
fn offered(esp: &Path) -> Vec<(CountedName, Vec<u8>)> {
    let mut list = Vec::new();
    for file in fs::read_dir(esp.join("EFI/Linux")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if EntryName::is_our_image(&name) {
            let image = fs::read(file.path()).unwrap();
            let about = text(&image, ".osrel");
            assert!(about.contains("PRETTY_NAME=\"Test OS "), "{about}");
            for line in about.lines() {
                assert!(!line.starts_with("ID=") && !line.starts_with("IMAGE_"), "{about}");
            }
            list.push((name.parse::<CountedName>().unwrap(), image));
        }
    }
    let bad = |name: &CountedName| name.verdict() == BootVerdict::Bad;
    list.sort_by(|(left, _), (right, _)| match bad(left).cmp(&bad(right)) {
        Ordering::Equal => version_cmp(&right.to_string(), &left.to_string()),
        order => order,
    });
    list
}

/// Sees to it that everything that is offered boots a complete system, and gives their versions.
fn bootable(lab: &Lab, esp: &Path) -> Vec<String> {
    let mut versions = Vec::new();
    for (name, image) in offered(esp) {
        let cmdline = text(&image, ".cmdline");
        let link = cmdline.split(' ').find_map(|word| word.strip_prefix("ostree=/")).unwrap();
        let root = fs::canonicalize(lab.path(link))
            .unwrap_or_else(|error| panic!("{name} leads nowhere: {error}"));
        let modules = root.join("usr/lib/modules/6.1");
        for (part, file) in [(".linux", "vmlinuz"), (".initrd", "initramfs.img")] {
            let whole = fs::read(modules.join(file)).unwrap();
            assert_eq!(section(&image, part).unwrap()[..whole.len()], whole, "{part} of {name}");
        }
        assert_eq!(text(&image, ".uname"), "6.1");
        assert!(root.join("etc/plain").is_file(), "{name} has no /etc");
        versions.push(fs::read_to_string(root.join("usr/bin/tool")).unwrap());
    }
    versions
}

fn names(esp: &Path) -> Vec<String> {
    offered(esp).into_iter().map(|(name, _)| name.to_string()).collect()
}

fn ids(lab: &Lab) -> Vec<DeploymentId> {
    lab.sysroot().deployments().unwrap().into_iter().map(|one| one.id).collect()
}

#[test]
fn images_come_and_go_and_their_order_changes() {
    for place in ["boot", "boot/efi", "efi"] {
        let (lab, esp) = lab(place);
        let first = lab.deploy(lab.commit("1", "k1", &[])).id;
        assert_eq!(names(&esp), ["ostree-1.efi"]);
        let inode = || fs::metadata(esp.join("EFI/Linux/ostree-1.efi")).unwrap().ino();
        let before = inode();
        let second = lab.deploy(lab.commit("2", "k2", &[])).id;
        assert_eq!(bootable(&lab, &esp), ["2", "1"]);
        assert_eq!(inode(), before, "what is right is not written again");
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
        assert_eq!(bootable(&lab, &esp), ["2", "3", "1"]);
        locked.undeploy(&ctx, &third, None).unwrap();
        locked.undeploy(&ctx, &first, None).unwrap();
        assert_eq!(bootable(&lab, &esp), ["2"]);
        let left: BTreeSet<String> = fs::read_dir(esp.join("EFI/Linux"))
            .unwrap()
            .map(|one| one.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains("fedora-6.1.efi"), "what is not ours stays");
        assert!(!esp.join("ostree").exists(), "no kernels beside the images");
        assert_eq!(fs::read_dir(esp.join("EFI/Linux")).unwrap().count(), 2);
    }
}

#[test]
fn tries_are_counted_in_the_names_of_images() {
    let (lab, esp) = lab("efi");
    lab.configure("boot-counting-tries=3");
    let ctx = Context::silent();
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    let sysroot = lab.sysroot();
    assert_eq!(sysroot.boot_counting().unwrap(), BootCounting::Entries);
    assert!(sysroot.lock(&ctx).unwrap().mark_good(&first).unwrap());
    let second = lab.deploy(lab.commit("2", "k2", &[])).id;
    assert_eq!(names(&esp), ["ostree-2+3.efi", "ostree-1.efi"]);
    for _ in 0..3 {
        let tried = offered(&esp).remove(0).0;
        let folder = esp.join("EFI/Linux");
        fs::rename(folder.join(tried.to_string()), folder.join(tried.tried().to_string())).unwrap();
    }
    assert_eq!(names(&esp), ["ostree-1.efi", "ostree-2+0-3.efi"]);
    assert_eq!(sysroot.next_boot().unwrap(), Some(first.clone()));
    let locked = sysroot.lock(&ctx).unwrap();
    locked.make_default(&ctx, &first).unwrap();
    assert_eq!(bootable(&lab, &esp), ["1", "2"]);
    assert!(sysroot.is_bad(&second).unwrap(), "what was counted is kept");
    // Who wants it nevertheless gives it its tries again.
    locked.make_default(&ctx, &second).unwrap();
    assert_eq!(sysroot.tries_left(&second).unwrap(), Some(3));
    assert!(locked.mark_bad(&second).unwrap());
    assert!(names(&esp)[1].ends_with("+0-1.efi"), "{:?}", names(&esp));
}

#[test]
fn bootctl_lists_the_images() {
    let (lab, esp) = lab("boot/efi");
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
    for words in ["Test OS 2 (ostree:os:", "Test OS 1 (ostree:os:", "ostree=/ostree/boot.0/os/"] {
        assert!(said.contains(words), "no {words} in {said}{problem}");
    }
    let place = |words: &str| said.find(words).unwrap();
    assert!(place("Test OS 2") < place("Test OS 1"), "{said}");
}

#[test]
fn other_arguments_and_further_initramfs_images_make_another_image() {
    let (lab, esp) = lab("efi");
    let overlay = lab.path("overlay.img");
    fs::write(&overlay, "overlay").unwrap();
    let ctx = Context::silent();
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&ctx).unwrap();
    let commit = lab.commit("1", "k1", &[]);
    let mut request = DeployRequest::new("os", commit, Origin::following("os/main"));
    request.overlay_initrds = vec![overlay];
    let id = locked.deploy(&ctx, &request).unwrap().id;
    let image = offered(&esp).remove(0).1;
    assert_eq!(text(&image, ".initrd"), "initramfsoverlay");
    let mut deployment = sysroot.deployment(&id).unwrap();
    assert_eq!(deployment.overlay_initrds.len(), 1, "it is known after all");
    deployment.kernel_args.append("quiet");
    locked.write_deployments(&[deployment]).unwrap();
    assert_eq!(names(&esp), ["ostree-2.efi"]);
    let image = offered(&esp).remove(0).1;
    assert_eq!(text(&image, ".initrd"), "initramfsoverlay");
    let arguments = text(&image, ".cmdline");
    assert!(arguments.starts_with("ostree=") && arguments.ends_with(" quiet"), "{arguments}");
}

#[test]
fn entries_become_images_and_images_entries() {
    let (lab, esp) = lab("efi");
    let config = lab.path("ostree/repo/config");
    let images = fs::read_to_string(&config).unwrap();
    let entries = images.replace("bootloader=uki", "bootloader=systemd-boot");
    fs::write(&config, &entries).unwrap();
    lab.deploy(lab.commit("1", "k1", &[]));
    lab.deploy(lab.commit("2", "k2", &[]));
    assert!(names(&esp).is_empty());
    fs::write(&config, &images).unwrap();
    lab.deploy(lab.commit("3", "k3", &[]));
    assert_eq!(bootable(&lab, &esp), ["3", "2"]);
    assert_eq!(fs::read_dir(esp.join("loader/entries")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(esp.join("ostree")).unwrap().count(), 0, "nobody needs the kernels");
    fs::write(&config, &entries).unwrap();
    lab.deploy(lab.commit("4", "k4", &[]));
    assert!(names(&esp).is_empty());
    assert_eq!(fs::read_dir(esp.join("loader/entries")).unwrap().count(), 2);
}

#[test]
fn the_stub_is_that_of_the_deployment_or_is_named() {
    let (lab, esp) = lab("efi");
    let own = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";
    let error = {
        let commit = lab.commit("1", "k1", &[(own, "MZ but no program")]);
        let request = DeployRequest::new("os", commit, Origin::following("os/main"));
        let sysroot = lab.sysroot();
        let locked = sysroot.lock(&Context::silent()).unwrap();
        locked.deploy(&Context::silent(), &request).unwrap_err()
    };
    assert!(error.to_string().contains(own), "{error}");
    lab.configure_ours("uki-stub=/nowhere.stub");
    let request =
        DeployRequest::new("os", lab.commit("2", "k1", &[]), Origin::following("os/main"));
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&Context::silent()).unwrap();
    let error = locked.deploy(&Context::silent(), &request).unwrap_err();
    assert!(error.to_string().contains("systemd-boot-efi"), "{error}");
    assert!(names(&esp).is_empty());
}

/// What a reboot by kexec would start: kernel, initramfs and command line.
fn next_kernel(lab: &Lab) -> (String, String, String) {
    let next = lab.sysroot().default_kernel().unwrap();
    let mut texts = [Some(&next.kernel), next.initramfs.as_ref()].map(|file| {
        let mut text = String::new();
        let mut file = file.unwrap();
        // The kernel refuses what somebody may write to.
        let flags = rustix::fs::fcntl_getfl(file).unwrap();
        assert!(!flags.intersects(rustix::fs::OFlags::RDWR | rustix::fs::OFlags::WRONLY));
        file.read_to_string(&mut text).unwrap();
        text
    });
    (std::mem::take(&mut texts[0]), std::mem::take(&mut texts[1]), next.options)
}

#[test]
fn a_reboot_by_kexec_starts_what_the_boot_loader_would() {
    let (lab, _esp) = lab("efi");
    let config = lab.path("ostree/repo/config");
    let images = fs::read_to_string(&config).unwrap();
    assert!(lab.sysroot().default_kernel().is_err(), "nothing is deployed");
    lab.deploy(lab.commit("1", "k1", &[]));
    // Out of an image that was put together, overlay and all.
    let overlay = lab.path("overlay.img");
    fs::write(&overlay, "overlay").unwrap();
    let sysroot = lab.sysroot();
    let ctx = Context::silent();
    let mut request =
        DeployRequest::new("os", lab.commit("2", "k2", &[]), Origin::following("os/main"));
    request.overlay_initrds = vec![overlay];
    let deploy = |request: &DeployRequest| {
        sysroot.lock(&ctx).unwrap().deploy(&ctx, request).unwrap();
    };
    deploy(&request);
    let (kernel, initramfs, options) = next_kernel(&lab);
    assert_eq!((kernel.as_str(), initramfs.as_str()), ("k2", "initramfsoverlay"));
    assert!(options.contains("ostree=/ostree/boot.0/os/"), "{options}");
    // Out of the image of a commit, whose command line is in its entry.
    let folder = tempfile::tempdir().unwrap();
    let image = shipped(folder.path(), &[".osrel", ".linux", ".initrd"]);
    deploy(&commit_shipped(&lab, "3", &image, false));
    let (kernel, initramfs, options) = next_kernel(&lab);
    assert_eq!((kernel.as_str(), initramfs.as_str()), (".linux content", ".initrd content"));
    assert!(options.contains("ostree=/ostree/boot.0/os/"), "{options}");
    // Files that an entry names.
    fs::write(&config, images.replace("bootloader=uki", "bootloader=systemd-boot")).unwrap();
    let sysroot = lab.sysroot();
    let mut request =
        DeployRequest::new("os", lab.commit("4", "k4", &[]), Origin::following("os/main"));
    request.kernel_args = Some(KernelArgs::parse("quiet"));
    sysroot.lock(&ctx).unwrap().deploy(&ctx, &request).unwrap();
    let (kernel, initramfs, options) = next_kernel(&lab);
    assert_eq!((kernel.as_str(), initramfs.as_str()), ("k4", "initramfs"));
    assert!(options.starts_with("quiet ostree=/ostree/boot.0/os/"), "{options}");
}

/// An image with these sections, as others make it.
fn shipped(folder: &Path, sections: &[&str]) -> Vec<u8> {
    let path = folder.join("shipped.efi");
    let mut command = Command::new("objcopy");
    for (index, name) in sections.iter().enumerate() {
        let content = folder.join(format!("section{index}"));
        fs::write(&content, format!("{name} content")).unwrap();
        command.arg(format!("--add-section={name}={}", content.display()));
        command.arg(format!("--change-section-vma={name}={:#x}", 0x20000 + index * 0x1000));
    }
    assert!(command.arg(STUB).arg(&path).status().expect("binutils").success());
    fs::read(path).unwrap()
}

/// Commits a tree whose kernel is an image of its own.
fn commit_shipped(lab: &Lab, version: &str, image: &[u8], other_kernel: bool) -> DeployRequest {
    lab.commit(version, "k", &[]);
    let tree = lab.root().parent().unwrap().join(format!("tree-{version}"));
    let modules = tree.join("usr/lib/modules/6.1");
    fs::write(modules.join("6.1.efi"), image).unwrap();
    if !other_kernel {
        fs::remove_file(modules.join("vmlinuz")).unwrap();
        fs::remove_file(modules.join("initramfs.img")).unwrap();
    }
    let repo = format!("--repo={}", lab.root().join("ostree/repo").display());
    let tree = format!("--tree=dir={}", tree.display());
    let commit = support::ostree(&["commit", &repo, "-b", "os/main", "-s", "s", &tree]);
    DeployRequest::new("os", commit.parse().unwrap(), Origin::following("os/main"))
}

#[test]
fn an_image_of_the_commit_is_installed_as_it_is_or_refused_by_name() {
    let (lab, esp) = lab("efi");
    let folder = tempfile::tempdir().unwrap();
    let ctx = Context::silent();
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&ctx).unwrap();
    let good = shipped(folder.path(), &[".osrel", ".linux", ".initrd"]);
    for (version, other_kernel) in [("1", false), ("2", true)] {
        let id =
            locked.deploy(&ctx, &commit_shipped(&lab, version, &good, other_kernel)).unwrap().id;
        let newest = fs::read_dir(esp.join("loader/entries"))
            .unwrap()
            .map(|one| one.unwrap().path())
            .max()
            .unwrap();
        let entry = fs::read_to_string(newest).unwrap();
        let path = entry.lines().find_map(|line| line.strip_prefix("efi /")).unwrap();
        assert_eq!(fs::read(esp.join(path)).unwrap(), good, "not one byte is changed");
        assert!(!entry.contains("\nlinux ") && !entry.contains("\ninitrd "), "{entry}");
        assert!(entry.contains("ostree=/ostree/boot.0/os/") && !entry.contains("init="));
        assert_eq!(ids(&lab)[0], id);
    }
    assert!(names(&esp).is_empty());
    let before = ids(&lab);
    let fixed = shipped(folder.path(), &[".osrel", ".cmdline", ".linux"]);
    for (image, words) in [
        (fixed.as_slice(), "command line of its own"),
        (b"MZ", "no unified kernel image"),
        (&fs::read(STUB).unwrap(), "no unified kernel image"),
    ] {
        let error = locked.deploy(&ctx, &commit_shipped(&lab, "3", image, true)).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(words) && said.contains("6.1.efi"), "{said}");
        assert_eq!(ids(&lab), before);
    }
    // One that is put together beside it is ordered by the same numbers.
    locked
        .deploy(&ctx, &{
            let commit = lab.commit("4", "k4", &[]);
            DeployRequest::new("os", commit, Origin::following("os/main"))
        })
        .unwrap();
    assert_eq!(bootable(&lab, &esp), ["4"]);
    assert_eq!(lab.sysroot().deployments().unwrap().len(), 2);
    assert_eq!(fs::read_dir(esp.join("ostree")).unwrap().count(), 1, "one image of a commit stays");
}

#[test]
fn images_need_a_partition_for_them() {
    let lab = Lab::ours();
    lab.deploy(lab.commit("1", "k1", &[]));
    lab.configure_ours("bootloader=uki");
    let request =
        DeployRequest::new("os", lab.commit("2", "k1", &[]), Origin::following("os/main"));
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&Context::silent()).unwrap();
    let error = locked.deploy(&Context::silent(), &request).unwrap_err();
    assert!(error.to_string().contains("EFI system partition"), "{error}");
    assert_eq!(sysroot.deployments().unwrap().len(), 1);
}

/// Two versions are there, and a third comes; each of its writes fails once.
fn fail_everywhere(place: Place, fault: Fault) {
    let (lab, esp) = lab("boot/efi");
    let first = lab.deploy(lab.commit("1", "k1", &[])).id;
    lab.deploy(lab.commit("2", "k2", &[]));
    let ctx = Context::silent();
    let commit = lab.commit("3", "k3", &[]);
    let request = DeployRequest {
        merge: Merge::From(first),
        retain: Retain { pending: true, rollback: true },
        place,
        ..DeployRequest::new("os", commit, Origin::following("os/main"))
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
        for one in list.iter().filter(|one| one.version.as_deref() == Some("3")) {
            locked.undeploy(&ctx, &one.id, None).unwrap();
        }
        locked.cleanup(&ctx).unwrap();
        assert_eq!(bootable(&lab, &esp), ["2", "1"], "after {operations}");
        let files = fs::read_dir(esp.join("EFI/Linux")).unwrap().count();
        assert_eq!(files, 3, "nothing is left behind");
    }
    let count = if place == Place::Default { 2 } else { 1 };
    let defaults: BTreeSet<_> = seen.iter().map(|(default, _)| default).collect();
    assert_eq!(defaults.len(), count, "{seen:?}");
    assert_eq!(bootable(&lab, &esp).len(), 3);
}

#[test]
fn a_broken_disk_at_any_operation_of_a_new_default() {
    fail_everywhere(Place::Default, Fault::Broken);
}

#[test]
fn a_full_disk_at_any_operation_of_one_that_comes_last() {
    fail_everywhere(Place::Last, Fault::Full);
}

/// A file system of three mebibytes.
struct SmallDisk(PathBuf);

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
fn images_that_go_make_room_before_a_new_one_comes() {
    let (lab, esp) = lab("boot/efi");
    let _disk = SmallDisk::at(&esp);
    fs::create_dir_all(esp.join("EFI/systemd")).unwrap();
    let kernel = |letter: &str| letter.repeat(800 * 1024);
    let first = lab.deploy(lab.commit("1", &kernel("a"), &[])).id;
    lab.deploy(lab.commit("2", &kernel("b"), &[]));
    // Two are there and a third does not fit beside them. The first is what runs and stays.
    let ctx = Context::silent();
    let request = |commit, booted: &DeploymentId| DeployRequest {
        booted: Some(booted.clone()),
        ..DeployRequest::new("os", commit, Origin::following("os/main"))
    };
    let sysroot = lab.sysroot();
    let locked = sysroot.lock(&ctx).unwrap();
    let third = lab.commit("3", &kernel("c"), &[]);
    locked.deploy(&ctx, &request(third, &first)).unwrap();
    assert_eq!(bootable(&lab, &esp), ["3", "1"]);
    let huge = lab.commit("4", &"d".repeat(3 << 20), &[]);
    let huge = DeployRequest { retain: Retain::ALL, ..request(huge, &first) };
    let error = locked.deploy(&ctx, &huge).unwrap_err();
    assert!(error.to_string().contains("not enough room"), "{error}");
    assert_eq!(bootable(&lab, &esp), ["3", "1"], "nothing is lost by that");
}
