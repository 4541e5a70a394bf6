//! `updraft-init SYSROOT` beside the real `ostree-prepare-root`: the same root, the same kernel, the
//! same arguments, and then the same mounts. All in one machine, each run in a mount namespace of
//! its own.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may")]

use std::path::Path;

use machine::{Disk, Initramfs, Kernel, Partition, Sysroot, System};

mod runs;
use runs::{OURS, Runs};

/// The real one, of Debian's package ostree-boot.
const PEER: &str = "/usr/lib/ostree/ostree-prepare-root";

/// What is looked at besides the mounts.
const LOOK: &str = r#"
    [ "$(cat /sysroot/etc/hostname)" ] && echo "SEEN $(cat /sysroot/etc/hostname)"
    echo SEEN $(ls /sysroot)
    cat /sysroot/usr/hotfix
"#;

struct Case {
    name: &'static str,
    /// `LINK` stands for the link to the deployment.
    line: &'static str,
    /// `$D` is the deployment's folder, `$C` the repository's configuration.
    setup: &'static str,
}

const CASES: &[Case] = &[
    Case { name: "plain", line: "ostree=LINK", setup: "" },
    Case { name: "ro-root", line: "ro quiet ostree=LINK", setup: "mount -o remount,ro /sysroot" },
    Case {
        name: "readonly",
        line: "quiet ostree=LINK rw",
        setup: "printf '[sysroot]\\nreadonly=true\\n' >>$C",
    },
    Case {
        name: "hotfix",
        line: "ostree=LINK",
        setup: "sed -i '/sysroot/d;/readonly/d' $C; mkdir -p $D/.usr-ovl-upper $D/.usr-ovl-work; echo SEEN hotfix >$D/.usr-ovl-upper/hotfix",
    },
    Case {
        name: "own-boot",
        line: "ostree=LINK",
        setup: "rm -f /sysroot/boot/loader; rm -rf $D/.usr-ovl-*",
    },
    Case { name: "missing", line: "ostree=/ostree/boot.1/os/none/0", setup: "" },
    Case { name: "no-link", line: "ostree=/ostree/deploy", setup: "" },
    Case { name: "nothing", line: "quiet", setup: "" },
    Case {
        name: "dangling",
        line: "ostree=/ostree/dangling",
        setup: "ln -sf nowhere /sysroot/ostree/dangling",
    },
];

fn succeeded(said: &str) -> bool {
    assert!(said.contains("RESULT "), "it did not end:\n{said}");
    said.lines().any(|line| line == "RESULT 0")
}

#[test]
fn the_mounts_are_those_of_the_real_program() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::cloud().unwrap();
    let sysroot = Sysroot::init(&folder.path().join("sysroot")).unwrap();
    let tree = folder.path().join("tree");
    System::new("one").kernel(&kernel).write(&tree).unwrap();
    // With these, /var is the business of systemd.
    std::fs::create_dir_all(tree.join("usr/lib/systemd/system-generators")).unwrap();
    for name in ["systemd", "system-generators/ostree-system-generator"] {
        std::fs::write(tree.join("usr/lib/systemd").join(name), "").unwrap();
    }
    sysroot.deploy(&tree, &[]).unwrap();
    let entry = sysroot.entries().unwrap().remove(0);
    let root = Partition::ext4("root").mib(160).folder(sysroot.folder());
    let disk = Disk::bare(&root, &folder.path().join("disk")).unwrap();

    let mut runs = Runs::new(&format!(
        "D=/sysroot/ostree/deploy/os/deploy/{}; C=/sysroot/ostree/repo/config",
        entry.deployment
    ));
    for case in CASES {
        let line = case.line.replace("LINK", &entry.link);
        for (who, program) in [("theirs", PEER), ("ours", OURS)] {
            let name = format!("{}-{who}", case.name);
            runs.add(&name, program, &line, case.setup, LOOK);
        }
    }
    // Newer than the real program here.
    let slot = "ln -sf ${D#/sysroot/ostree/} /sysroot/ostree/root.b";
    runs.add("slot", OURS, "androidboot.slot_suffix=_b", slot, LOOK);
    let transient = "echo '[etc]\ntransient=true' >/etc/ostree/prepare-root.conf";
    let changed = format!("echo changed >/sysroot/etc/hostname; {LOOK}");
    runs.add("transient", OURS, &format!("ostree={}", entry.link), transient, &changed);
    let initramfs = Initramfs::new().program(Path::new(PEER)).unwrap();
    let runs = runs.go(&kernel, initramfs, disk.path());

    for case in CASES {
        let [theirs, ours] = ["theirs", "ours"].map(|who| format!("{}-{who}", case.name));
        let seen = |name| -> Vec<String> {
            let said = runs.said(name);
            let lines =
                said.lines().filter(|line| line.starts_with("SEEN") || line.starts_with("FILE"));
            lines.map(str::to_owned).collect()
        };
        let (their_said, our_said) = (runs.said(&theirs), runs.said(&ours));
        let both = format!("{}:\n{their_said}\n{our_said}", case.name);
        assert_eq!(succeeded(&our_said), succeeded(&their_said), "{both}");
        assert_eq!(runs.mounts(&ours), runs.mounts(&theirs), "{both}");
        assert_eq!(seen(&ours), seen(&theirs), "{both}");
    }
    assert!(succeeded(&runs.said("plain-ours")) && !succeeded(&runs.said("missing-ours")));
    assert!(runs.said("hotfix-ours").contains("SEEN hotfix"), "{}", runs.said("hotfix-ours"));
    assert_eq!(runs.mounts("slot"), runs.mounts("own-boot-ours"));
    let transient = runs.mounts("transient");
    assert!(transient.contains(&"/sysroot/etc / rw overlay".to_owned()), "{transient:?}");
    assert!(runs.said("transient").contains("SEEN changed"), "{}", runs.said("transient"));
    assert!(runs.said("missing-ours").contains("way out: choose another entry"));
}
