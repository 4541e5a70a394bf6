//! A machine with a disk of several partitions boots a tiny system and obeys.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use machine::{Disk, Initramfs, Kernel, Machine, Options, Partition, System};

const TIMEOUT: Duration = Duration::from_mins(2);

const INIT: &str = "#!/bin/busybox sh
busybox mount -t devtmpfs devtmpfs /dev
while read -r module; do busybox insmod $module; done < /etc/updraft-init/modules
busybox mount -t ext4 /dev/vda2 /sysroot
exec busybox switch_root /sysroot /usr/sbin/init
";

#[test]
fn a_tiny_system_boots_and_obeys() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::cloud().unwrap();

    let (esp, tree) = (folder.path().join("esp"), folder.path().join("tree"));
    fs::create_dir_all(esp.join("EFI")).unwrap();
    fs::write(esp.join("EFI/a.txt"), "on the ESP").unwrap();
    System::new("one").kernel(&kernel).write(&tree).unwrap();
    let disk = Disk::gpt()
        .partition(Partition::efi().mib(40).label("ESP").folder(&esp))
        .partition(Partition::ext4("root").mib(96).label("root").folder(&tree))
        .build(&folder.path().join("disk.img"))
        .unwrap();
    assert_eq!(disk.debugfs(2, "cat /usr/etc/hostname").unwrap(), "tiny\n");

    let modules = kernel.modules().unwrap();
    let initramfs = Initramfs::new()
        .copy("/bin/busybox", Path::new("/bin/busybox"))
        .unwrap()
        .file("/init", 0o755, INIT)
        .modules(&modules, machine::DISK_MODULES)
        .unwrap()
        .modules(&modules, &["vfat", "nls_cp437", "nls_ascii"])
        .unwrap()
        .build(&folder.path().join("initramfs.img"))
        .unwrap();

    let options = Options::kernel(&kernel, Some(&initramfs), "quiet").disk(disk.path());
    let mut machine = Machine::start(&options.folder(folder.path())).unwrap();
    machine.wait_for("SYSTEM READY one", TIMEOUT).unwrap();
    let release = machine.run("uname -r").unwrap().good().unwrap();
    assert_eq!(release.trim(), kernel.release());
    let text = "x".repeat(5000);
    assert_eq!(machine.run(&format!("echo {text}")).unwrap().good().unwrap().trim(), text);
    assert_eq!(machine.run("exit 3").unwrap().status, 3);

    machine.tell("echo kept >/sysroot/kept; sync; reboot -f").unwrap();
    machine.wait_for("SYSTEM READY one", TIMEOUT).unwrap();
    assert_eq!(machine.run("cat /sysroot/kept").unwrap().good().unwrap(), "kept\n");
    machine.tell("poweroff -f").unwrap();
    machine.wait_for_end(TIMEOUT).unwrap();

    let error = machine.wait_for("never said", TIMEOUT).unwrap_err().to_string();
    assert!(error.starts_with("QEMU ended before the console said `never said`"), "{error}");
}

#[test]
fn the_newer_kernel_has_its_modules_too() {
    let kernel = Kernel::backports().unwrap();
    let needed = kernel.modules().unwrap().needed(&["virtio_blk", "overlay", "erofs"]).unwrap();
    assert!(needed.iter().any(|module| module.name == "erofs"));
    assert!(needed.iter().all(|module| module.bytes.starts_with(b"\x7fELF")));
}
