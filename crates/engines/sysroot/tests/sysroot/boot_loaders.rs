//! Configurations of boot loaders are, byte for byte, those of the real tool.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::support;
use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Lab, put};

const FOREIGN: &str = "PROMPT 1\nTIMEOUT 50\nLABEL memtest\n\tKERNEL /memtest\n\tAPPEND x\n";

/// A link through `boot/loader` at `link`, to a file with this text.
fn configure(lab: &Lab, name: &str, link: &str, text: &str) {
    let boot = lab.path("boot");
    fs::create_dir_all(boot.join("loader.0")).unwrap();
    symlink("loader.0", boot.join("loader")).unwrap();
    put(&boot.join("loader.0").join(name), text);
    let link = boot.join(link);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(format!("../loader/{name}"), link).unwrap();
}

/// Deploys three versions, the last one with the kernel of the second, by both tools.
fn compare(name: &str, link: &str, text: &str, files: &[(&str, &str)]) -> String {
    let (ours, theirs) = (Lab::ours(), Lab::theirs());
    for lab in [&ours, &theirs] {
        configure(lab, name, link, text);
    }
    let path = format!("boot/loader/{name}");
    for (version, kernel) in [("1", "k1"), ("2", "k2"), ("3", "k2")] {
        ours.deploy(ours.commit(version, kernel, files));
        theirs.commit(version, kernel, files);
        theirs.admin(&["deploy", "--os=os", "os/main"]);
        assert_eq!(ours.read(&path), theirs.read(&path), "version {version}");
    }
    ours.read(&path)
}

/// `bls-append-except-default`, as the real tool does it.
#[test]
fn entries_but_the_default_one_get_keys_of_the_configuration() {
    let entries = [(Lab::ours(), true), (Lab::theirs(), false)].map(|(lab, is_ours)| {
        lab.configure("bls-append-except-default=grub_users=admin;title=other title");
        for (version, kernel) in [("1", "k1"), ("2", "k2")] {
            let commit = lab.commit(version, kernel, &[]);
            if is_ours {
                lab.deploy(commit);
            } else {
                lab.admin(&["deploy", "--os=os", "os/main"]);
            }
        }
        let folder = lab.path("boot/loader/entries");
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names.iter().map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(entries[0], entries[1]);
    assert!(entries[0][0].contains("grub_users admin\n"), "{}", entries[0][0]);
    assert!(!entries[0][1].contains("grub_users"), "{}", entries[0][1]);
}

#[test]
fn syslinux_keeps_what_others_wrote() {
    let link = "syslinux/syslinux.cfg";
    let text = compare("syslinux.cfg", link, FOREIGN, &[]);
    assert!(text.contains(FOREIGN), "{text}");
    assert!(text.contains("\nDEFAULT Test OS 3 (ostree:0)\n"), "{text}");
}

#[test]
fn kernels_are_named_from_the_root_where_it_is_wanted() {
    let lab = Lab::ours();
    configure(&lab, "syslinux.cfg", "syslinux/syslinux.cfg", "");
    lab.configure("bootprefix=true");
    for version in ["1", "2"] {
        lab.deploy(lab.commit(version, version, &[]));
        for entry in fs::read_dir(lab.path("boot/loader/entries")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for key in ["\nlinux ", "\ninitrd "] {
                let path = text.split(key).nth(1).and_then(|rest| rest.lines().next()).unwrap();
                assert!(path.starts_with("/boot/ostree/os-"), "{text}");
                assert!(lab.path(path.trim_start_matches('/')).is_file(), "{text}");
            }
        }
    }
    let text = lab.read("boot/syslinux/syslinux.cfg");
    assert!(text.contains("\tKERNEL /boot/ostree/os-"), "{text}");
    assert!(!text.contains("/boot/boot"), "{text}");
}

#[test]
fn a_default_that_is_none_of_ours_stays() {
    // The real tool removes it, and the boot loader takes whatever is first.
    let lab = Lab::ours();
    let foreign_default = format!("DEFAULT memtest\n{FOREIGN}");
    configure(&lab, "syslinux.cfg", "syslinux/syslinux.cfg", &foreign_default);
    for version in ["1", "2"] {
        lab.deploy(lab.commit(version, "k1", &[]));
        let text = lab.read("boot/loader/syslinux.cfg");
        assert!(text.starts_with("DEFAULT memtest\n"), "{text}");
        assert_eq!(text.matches("DEFAULT").count(), 1, "{text}");
    }
}

#[test]
fn u_boot_gets_the_variables_of_the_tree() {
    let files = [
        ("usr/lib/ostree-boot/uEnv.txt", "loadfdt=load\n"),
        ("usr/lib/modules/6.1/dtb/board.dtb", "tree"),
    ];
    let text = compare("uEnv.txt", "uboot/uEnv.txt", "", &files);
    assert!(text.contains("loadfdt=load\n"), "{text}");
    assert!(text.contains("kernel_image2="), "{text}");
    assert!(text.contains("fdtdir="), "{text}");
}

/// A link through `boot/loader`, which leads nowhere yet.
fn link(lab: &Lab, at: &str, target: &str) {
    let path = lab.path("boot").join(at);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

#[test]
fn extlinux_gets_device_trees_as_u_boot_wants_them() {
    let lab = Lab::ours();
    link(&lab, "extlinux/extlinux.conf", "../loader/extlinux.conf");
    lab.deploy(lab.commit("1", "k1", &[("usr/lib/modules/6.1/devicetree", "tree")]));
    lab.deploy(lab.commit("2", "k2", &[("usr/lib/modules/6.1/dtb/board.dtb", "tree")]));
    let text = lab.read("boot/extlinux/extlinux.conf");
    assert!(
        text.starts_with("DEFAULT Test OS 2 (ostree:0)\nLABEL Test OS 2 (ostree:0)\n"),
        "{text}"
    );
    for word in ["\tKERNEL /boot/ostree/os-", "\tINITRD /boot/ostree/os-", "\tFDT /boot/ostree/os-"]
    {
        assert!(text.contains(word), "no {word} in {text}");
    }
    let folder = text.lines().find_map(|line| line.strip_prefix("\tFDTDIR /")).unwrap();
    assert!(lab.path(folder).join("board.dtb").is_file(), "{text}");
    // Foreign lines stay, as with syslinux.
    put(&lab.path("boot/loader/extlinux.conf"), &format!("TIMEOUT 9\n{text}"));
    lab.deploy(lab.commit("3", "k3", &[]));
    assert!(lab.read("boot/extlinux/extlinux.conf").starts_with("TIMEOUT 9\nDEFAULT Test OS 3"));
}

#[test]
fn u_boot_gets_a_script_where_it_looks_for_one() {
    let lab = Lab::ours();
    link(&lab, "boot.scr", "loader/boot.scr");
    for version in ["1", "2"] {
        lab.deploy(lab.commit(version, version, &[]));
        let script = lab.path("boot/boot.scr");
        let listed = support::run("mkimage", &["-l", script.to_str().unwrap()]);
        assert!(listed.contains("Linux Script (uncompressed)"), "{listed}");
        let text = fs::read(&script).unwrap();
        let text = String::from_utf8_lossy(&text[72..]).into_owned();
        // Both name what is there.
        let kernels: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("setenv kernel_image '/")?.strip_suffix('\''))
            .collect();
        assert_eq!(kernels.len().to_string(), version);
        assert!(kernels.iter().all(|path| lab.path(path).is_file()), "{text}");
    }
    assert!(lab.read("boot/loader/uEnv.txt").contains("kernel_image2="));
}

#[test]
fn u_boot_can_choose_in_uenv_where_tries_are_counted() {
    let lab = Lab::ours();
    lab.configure("bootloader=uboot");
    lab.deploy(lab.commit("1", "k1", &[]));
    lab.deploy(lab.commit("2", "k2", &[]));
    let select = |lab: &Lab| {
        let text = lab.read("boot/loader/uEnv.txt");
        text.lines().find_map(|line| line.strip_prefix("updraft_select=").map(str::to_owned))
    };
    assert_eq!(select(&lab), None, "as the real tool has it");
    lab.configure("boot-counting-tries=2");
    lab.deploy(lab.commit("3", "k3", &[]));
    let command = select(&lab).unwrap();
    assert!(command.starts_with("if test \"${rollback}\" = 1; then setenv kernel_image "));
    for name in ["kernel_image", "ramdisk_image", "fdt_file", "fdtdir", "bootargs"] {
        assert!(command.contains(&format!("setenv {name} ${{{name}2}};")), "{command}");
    }
}

/// A program that notes how it was called, and fails as long as a file says so.
fn program(lab: &Lab) -> (std::path::PathBuf, std::path::PathBuf) {
    let folder = lab.root().parent().unwrap().to_path_buf();
    let (path, notes) = (folder.join("program"), folder.join("notes"));
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {0}\nls boot/ostree >> {0}\ntest ! -e {1}\n",
        notes.display(),
        folder.join("broken").display()
    );
    put(&path, &text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
    (path, notes)
}

#[test]
fn zipl_runs_after_the_switch_and_before_old_kernels_go() {
    let lab = Lab::ours();
    lab.configure("bootloader=zipl");
    let (path, notes) = program(&lab);
    let options = updraft_sysroot::Options {
        boot_loader_program: Some(path),
        ..updraft_sysroot::Options::default()
    };
    let sysroot = updraft_sysroot::Sysroot::open_with(lab.root(), options).unwrap();
    let ctx = updraft_task::Context::silent();
    let locked = sysroot.lock(&ctx).unwrap();
    let deploy = |version: &str| {
        let commit = lab.commit(version, version, &[]);
        let origin = updraft_sysroot::Origin::following("os/main");
        let request = updraft_sysroot::DeployRequest::new("os", commit, origin);
        locked.deploy(&ctx, &request)
    };
    deploy("1").unwrap();
    deploy("2").unwrap();
    let stamp = lab.path("boot/ostree-bootloader-update.stamp");
    assert!(!stamp.exists());
    let broken = lab.root().parent().unwrap().join("broken");
    put(&broken, "");
    deploy("3").unwrap_err();
    assert!(stamp.exists(), "it has to run again");
    let kernels = fs::read_dir(lab.path("boot/ostree")).unwrap().count();
    assert_eq!(kernels, 3, "the kernels that zipl knows are there");
    locked.cleanup(&ctx).unwrap_err();
    assert_eq!(fs::read_dir(lab.path("boot/ostree")).unwrap().count(), 3);
    fs::remove_file(&broken).unwrap();
    locked.cleanup(&ctx).unwrap();
    assert!(!stamp.exists());
    assert_eq!(fs::read_dir(lab.path("boot/ostree")).unwrap().count(), 2);
    assert_eq!(fs::read_to_string(notes).unwrap().matches("os-").count(), 1 + 2 + 3 + 3 + 3);
}

/// A lab whose boot loader is Android's, and what the program was told by a deployment.
fn deploy_on_android(
    lines: &str,
    files: &[(&str, &str)],
) -> (Lab, updraft_sysroot::Result<Vec<String>>) {
    let lab = Lab::ours();
    let commit = lab.commit("1", "k1", files);
    lab.configure_ours(&format!("bootloader=aboot\n{lines}"));
    let (path, notes) = program(&lab);
    let options = updraft_sysroot::Options {
        boot_loader_program: Some(path),
        ..updraft_sysroot::Options::default()
    };
    let sysroot = updraft_sysroot::Sysroot::open_with(lab.root(), options).unwrap();
    let ctx = updraft_task::Context::silent();
    let origin = updraft_sysroot::Origin::following("os/main");
    let request = updraft_sysroot::DeployRequest {
        kernel_args: Some(updraft_bootenv::KernelArgs::parse("quiet")),
        ..updraft_sysroot::DeployRequest::new("os", commit, origin)
    };
    let deployed = sysroot.lock(&ctx).and_then(|locked| locked.deploy(&ctx, &request));
    let told = deployed.map(|_| {
        let said = fs::read_to_string(notes).unwrap();
        said.lines().next().unwrap().split(' ').map(str::to_owned).collect()
    });
    (lab, told)
}

const ABOOT_CFG: (&str, &str) = ("usr/lib/ostree-boot/aboot.cfg", "PARTITION_A=/dev/x\n");

#[test]
fn aboot_deploy_is_told_image_configuration_and_command_line() {
    let image = format!("ANDROID!{}", "\0".repeat(4088));
    let own = ("usr/lib/modules/6.1/aboot.img", image.as_str());
    let (lab, told) = deploy_on_android("", &[own, ABOOT_CFG]);
    let told = told.unwrap();
    assert_eq!(told[..3], ["-r", ".", "-c"]);
    assert!(lab.path(told[3].trim_start_matches('/')).is_file(), "{told:?}");
    assert_eq!((told[4].as_str(), told[5].as_str()), ("-o", "quiet"));
    assert!(told[6].starts_with("ostree=/ostree/boot."), "{told:?}");
    let image = lab.path("boot").join(told[7].trim_start_matches('/'));
    assert_eq!(fs::read(image).unwrap().len(), 4096);

    let (lab, told) = deploy_on_android("", &[("usr/lib/modules/6.1/aboot.img", "x"), ABOOT_CFG]);
    let error = told.unwrap_err().to_string();
    assert!(error.contains("no Android boot image"), "{error}");
    assert!(lab.sysroot().deployments().unwrap().is_empty());
}

#[test]
fn an_image_is_made_where_the_tree_brings_none() {
    let tree = ("usr/lib/modules/6.1/devicetree", "tree");
    let lines = "android-header-version=2\nandroid-base=0x80000000";
    let (lab, told) = deploy_on_android(lines, &[tree, ABOOT_CFG]);
    let image = fs::read(lab.path("boot").join(told.unwrap()[7].trim_start_matches('/'))).unwrap();
    // One page each: header, kernel, initramfs, device tree.
    assert_eq!(image.len(), 4 * 2048);
    let at = |page: usize, text: &str| image[page * 2048..].starts_with(text.as_bytes());
    assert!(at(0, "ANDROID!") && at(1, "k1\0") && at(2, "initramfs\0") && at(3, "tree\0"));
    assert_eq!(image[12..16], 0x8000_8000_u32.to_le_bytes());
    assert!(image[64..].starts_with(b"quiet\0"), "the command line leads to no deployment");
}
