//! What Debian's tools say of what was written, and what we say of what they write.

use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_slots::boot_control::Slot;

use super::worlds::{Kind, World};

fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied());
    let output =
        command.output().unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn cgpt_and_sgdisk_see_the_attributes() {
    let world = World::new(Kind::Gpt);
    let disk = world.path("disk");
    let disk = disk.to_str().unwrap();
    let show = |partition: &str| {
        let flag = |flag: &str| run("cgpt", &["show", "-i", partition, flag, disk], &[]);
        [flag("-P"), flag("-T"), flag("-S")].map(|text| text.trim().parse::<u32>().unwrap())
    };
    assert_eq!(show("2"), [15, 0, 1]);
    world.control().set_active(Slot::B, Some(3)).unwrap();
    assert_eq!((show("2"), show("3")), ([14, 0, 1], [15, 3, 0]));
    let verified = run("sgdisk", &["--verify", disk], &[]);
    assert!(verified.contains("No problems found"), "{verified}");
    let attributes = run("sgdisk", &["--info=3", disk], &[]);
    assert!(attributes.contains("Attribute flags: 003F000000000004"), "{attributes}");

    // What cgpt writes.
    run("cgpt", &["add", "-i", "3", "-P", "0", disk], &[]);
    assert_eq!(world.control().status().unwrap().active, Some(Slot::A));
    run("cgpt", &["add", "-i", "3", "-P", "15", "-T", "1", "-S", "0", disk], &[]);
    let status = world.control().status().unwrap();
    assert_eq!((status.active, status.slots[1].tries_left), (Some(Slot::B), Some(1)));
}

#[test]
fn fw_printenv_sees_the_variables() {
    for kind in [Kind::Rauc, Kind::Mender] {
        let world = World::new(kind);
        let config = world.path("fw_env.config");
        let config = config.to_str().unwrap();
        let print = |name: &str| run("fw_printenv", &["-c", config, "-n", name], &[]);
        world.control().set_active(Slot::B, Some(10)).unwrap();
        if kind == Kind::Rauc {
            assert_eq!(print("BOOT_ORDER").trim(), "B A");
            assert_eq!(print("BOOT_B_LEFT").trim(), "a");
            run("fw_setenv", &["-c", config, "BOOT_B_LEFT", "0"], &[]);
        } else {
            for (name, value) in [
                ("mender_boot_part", "3"),
                ("mender_boot_part_hex", "3"),
                ("upgrade_available", "1"),
                ("bootcount", "0"),
                ("bootlimit", "10"),
            ] {
                assert_eq!(print(name).trim(), value, "{name}");
            }
            run("fw_setenv", &["-c", config, "bootcount", "10"], &[]);
        }
        assert_eq!(print("bootcmd").trim(), "run distro_bootcmd");
        assert_eq!(world.control().status().unwrap().active, Some(Slot::A), "{kind:?}");
    }
}

#[test]
fn grub_editenv_sees_the_variables() {
    let world = World::new(Kind::Grub);
    let block = world.path("grubenv");
    let block = block.to_str().unwrap();
    world.control().set_active(Slot::B, Some(1)).unwrap();
    let listed = run("grub-editenv", &[block, "list"], &[]);
    assert_eq!(listed, "ORDER=B A\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\n");
    run("grub-editenv", &[block, "set", "B_TRY=1"], &[]);
    assert_eq!(world.control().status().unwrap().active, Some(Slot::A));
}

/// A file system of its own, until this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        run("mount", &["-t", "tmpfs", "none", path.to_str().unwrap()], &[]);
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn bootctl_offers_the_same_entry_first() {
    let world = World::new(Kind::Entries);
    let disk = Mounted::at(&world.path("esp"));
    let esp = disk.0.as_path();
    // What there has to be on a partition that bootctl takes for one to start from.
    std::fs::create_dir_all(esp.join("EFI/systemd")).unwrap();
    for slot in ["os-a", "os-b"] {
        std::fs::write(esp.join(slot), b"kernel").unwrap();
    }
    let first = || {
        let entries = esp.join("loader/entries");
        super::cuts::copy_folder(&world.path("loader/entries"), &entries);
        let option = format!("--esp-path={}", esp.display());
        let relaxed = [("SYSTEMD_RELAX_ESP_CHECKS", "1"), ("SYSTEMD_RELAX_XBOOTLDR_CHECKS", "1")];
        let boot = esp.to_str().unwrap();
        let arguments = [&option, "--boot-path", boot, "--no-pager", "list"];
        let listed = run("bootctl", &arguments, &relaxed);
        let title = listed.lines().find_map(|line| line.trim().strip_prefix("title:"));
        let title = title.unwrap_or_else(|| panic!("{listed}"));
        title.split_whitespace().next().unwrap().to_owned()
    };
    let control = world.control();
    assert_eq!(first(), "os-a");
    control.set_active(Slot::B, Some(3)).unwrap();
    assert_eq!(first(), "os-b");
    for _ in 0..3 {
        assert_eq!(world.boot(), Some(Slot::B));
    }
    assert_eq!(first(), "os-a");
    control.mark_successful(Slot::B).unwrap();
    assert_eq!(first(), "os-b");
    // And back, though B's name is the higher one.
    control.set_active(Slot::A, Some(2)).unwrap();
    assert_eq!(first(), "os-a");
    control.set_active(Slot::B, None).unwrap();
    assert_eq!(first(), "os-b");
    control.mark_unbootable(Slot::B).unwrap();
    assert_eq!(first(), "os-a");
}

#[test]
fn efibootmgr_sees_the_order_and_the_next() {
    let world = World::new(Kind::Efi);
    let folder = format!("{}/", world.folder().display());
    let show = |arguments: &[&str]| {
        run("efibootmgr", arguments, &[("EFIVARFS_PATH", &folder), ("LIBEFIVAR_OPS", "efivarfs")])
    };
    let shown = show(&[]);
    assert!(shown.contains("BootOrder: 0002,0001"), "{shown}");
    assert!(shown.contains("Boot0005* System B"), "{shown}");
    let control = world.control();
    control.set_active(Slot::B, Some(1)).unwrap();
    assert!(show(&[]).contains("BootNext: 0005"));
    assert_eq!(world.boot(), Some(Slot::B));
    control.mark_successful(Slot::B).unwrap();
    let shown = show(&[]);
    assert!(shown.contains("BootOrder: 0005,0002,0001") && !shown.contains("BootNext"), "{shown}");
    // What efibootmgr writes.
    show(&["--bootnext", "0002"]);
    assert_eq!(control.status().unwrap().active, Some(Slot::A));
    show(&["--delete-bootnext"]);
    show(&["--bootorder", "0002,0005,0001"]);
    assert_eq!(control.status().unwrap().active, Some(Slot::A));
}
