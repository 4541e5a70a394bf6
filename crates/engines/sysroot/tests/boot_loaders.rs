//! Configurations of boot loaders are, byte for byte, those of the real tool.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;

use support::{Lab, put};

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

#[test]
fn syslinux_keeps_what_others_wrote() {
    let link = "syslinux/syslinux.cfg";
    let text = compare("syslinux.cfg", link, FOREIGN, &[]);
    assert!(text.contains(FOREIGN), "{text}");
    assert!(text.contains("\nDEFAULT Test OS 3 (ostree:0)\n"), "{text}");
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
