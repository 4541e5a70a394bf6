//! Machines with a boot loader on the disk: each comes up, is updated, and comes up with the new
//! system.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::time::Duration;

use machine::{Firmware, Machine};
use vm::{Image, Rack, Release, Workshop, updraft};

const BOOT: Duration = Duration::from_mins(5);
const UPDATE: Duration = Duration::from_mins(5);

fn release(name: &str) -> Release {
    Release::new(name).program(&updraft().unwrap())
}

fn image(workshop: &Workshop) -> Image<'_> {
    Image::of(&workshop.repository, "one")
}

/// With one system that is given up.
const MOST_BOOTS: usize = 4;
/// For [`boot_anew`].
const ENDS: &[&str] = &["-no-reboot"];
/// Nobody waits for a root that does not come.
const SHORT_WAIT: &str = "--karg=rootwait=20";

fn run(machine: &mut Machine, command: &str) -> String {
    machine.run_within(command, UPDATE).unwrap().good().unwrap()
}

/// Deploys a release from the medium.
fn update(machine: &mut Machine, mount_boot: &str, release: &str) {
    run(
        machine,
        "grep -q ' /run/site ' /proc/mounts || { mkdir -p /run/site; mount -o ro /dev/vdb /run/site; }",
    );
    run(machine, &format!("grep -q ' /boot ' /proc/mounts || {mount_boot}"));
    run(machine, "mount -o remount,rw /sysroot");
    run(
        machine,
        &format!(
            "updraft ostree --repo=/sysroot/ostree/repo pull-local --remote=site /run/site/repo os/{release} \
             && updraft ostree admin deploy --os=os site:os/{release}"
        ),
    );
}

fn reboot(machine: &mut Machine) {
    machine.tell("sync; reboot -f").unwrap();
}

/// Reboots a machine that ends when it reboots, and boots it as often as it wants until it is up.
/// Gives what the consoles said. A fresh one is faster: in one that goes on, what the firmware loads
/// lies where translated code of the last system was.
fn boot_anew(rack: &Rack, machine: &mut Machine) -> String {
    reboot(machine);
    machine.wait_for_end(BOOT).unwrap();
    let mut said = String::new();
    for _ in 0..MOST_BOOTS {
        *machine = rack.start().unwrap();
        match machine.wait_for("SYSTEM READY", BOOT) {
            Ok(text) => return said + &text,
            Err(_) if machine.has_ended() => said += &machine.console(),
            Err(error) => panic!("{error:#}"),
        }
    }
    panic!("it does not come up: {said}");
}

#[test]
fn systemd_boot_counts_and_leaves_a_system_that_finds_no_root() {
    // The third one has an initramfs that lacks the module of its disk.
    let workshop = Workshop::new(&[
        release("one"),
        release("two"),
        release("three").initramfs_file("/etc/updraft-init/modules", 0o644, ""),
    ])
    .unwrap();
    let image = image(&workshop)
        .option("--boot-loader=systemd-boot")
        .option(SHORT_WAIT)
        .option("--set=sysroot.boot-counting-tries=2");
    let rack = workshop.rack(&image).unwrap().with_efi().unwrap().with_arguments(ENDS);
    let boot = "mount -t vfat /dev/vda1 /boot";
    let mut machine = rack.start().unwrap();
    machine.wait_for("SYSTEM READY one", BOOT).unwrap();
    update(&mut machine, boot, "two");
    let entries = run(&mut machine, "ls /boot/loader/entries");
    assert!(entries.contains("+2.conf"), "{entries}");
    let console = boot_anew(&rack, &mut machine);
    assert!(console.contains("SYSTEM READY two"), "{console}");
    // It was counted, and is found good.
    run(&mut machine, boot);
    let entries = run(&mut machine, "ls /boot/loader/entries");
    assert!(entries.contains("+1-1.conf"), "{entries}");
    run(
        &mut machine,
        "for e in /boot/loader/entries/*+1-1.conf; do mv $e ${e%+*}.conf; done; sync",
    );
    update(&mut machine, boot, "three");
    // Two tries in vain; the initramfs says why and reboots.
    let console = boot_anew(&rack, &mut machine);
    assert!(console.contains("SYSTEM READY two"), "{console}");
    assert_eq!(console.matches("THE SYSTEM CANNOT BE BOOTED").count(), 2, "{console}");
}

#[test]
fn unified_kernel_images_boot_are_counted_and_given_up() {
    const STUB: &str = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";
    let stub = std::fs::read(Path::new("/").join(STUB)).expect("systemd-boot-efi is installed");
    // The first one has the stub of this machine, which makes the image.
    let workshop = Workshop::new(&[
        release("one"),
        release("two").file(STUB, 0o644, stub.clone()),
        release("three").file(STUB, 0o644, stub).initramfs_file(
            "/etc/updraft-init/modules",
            0o644,
            "",
        ),
    ])
    .unwrap();
    let image = image(&workshop)
        .option("--boot-loader=uki")
        .option(SHORT_WAIT)
        .option("--set=sysroot.boot-counting-tries=1");
    let rack = workshop.rack(&image).unwrap().with_efi().unwrap().with_arguments(ENDS);
    let boot = "mount -t vfat /dev/vda1 /boot";
    let images = "find /boot/EFI/Linux /boot/loader/entries /boot/ostree -type f 2>/dev/null; true";
    let mut machine = rack.start().unwrap();
    machine.wait_for("SYSTEM READY one", BOOT).unwrap();
    update(&mut machine, boot, "two");
    let listed = run(&mut machine, images);
    assert!(listed.contains("/boot/EFI/Linux/ostree-2+1.efi"), "{listed}");
    assert!(!listed.contains(".conf") && !listed.contains("vmlinuz"), "{listed}");
    let console = boot_anew(&rack, &mut machine);
    assert!(console.contains("SYSTEM READY two"), "{console}");
    run(&mut machine, boot);
    // The boot loader counted the try.
    let listed = run(&mut machine, images);
    assert!(listed.contains("/boot/EFI/Linux/ostree-2+0-1.efi"), "{listed}");
    run(&mut machine, "cd /boot/EFI/Linux && mv ostree-2+0-1.efi ostree-2.efi && sync");
    update(&mut machine, boot, "three");
    // A try in vain, and then the one before.
    let console = boot_anew(&rack, &mut machine);
    assert!(console.contains("SYSTEM READY two"), "{console}");
    assert!(console.contains("THE SYSTEM CANNOT BE BOOTED"), "{console}");
}

#[test]
fn efi_starts_grub_which_counts_and_leaves_what_nobody_found_good() {
    let workshop = Workshop::new(&[release("one"), release("two")]).unwrap();
    let image =
        image(&workshop).option("--boot-loader=grub").option("--set=sysroot.boot-counting-tries=1");
    let rack = workshop.rack(&image).unwrap().with_efi().unwrap().with_arguments(ENDS);
    let mut machine = rack.start().unwrap();
    machine.wait_for("SYSTEM READY one", BOOT).unwrap();
    update(&mut machine, "mount /dev/vda2 /boot", "two");
    let console = boot_anew(&rack, &mut machine);
    assert!(console.contains("SYSTEM READY two"), "{console}");
    run(&mut machine, "mount /dev/vda2 /boot");
    let status = run(&mut machine, "updraft ostree admin status");
    assert!(status.starts_with("* os "), "{status}");
    let counter = run(&mut machine, "grep ^boot_ /boot/grub/grubenv");
    assert!(counter.contains("boot_counter=0"), "{counter}");
    // Nobody says that it is good, and it had one try.
    let console = boot_anew(&rack, &mut machine);
    assert!(console.contains("SYSTEM READY one"), "{console}");
    run(&mut machine, "mount /dev/vda2 /boot");
    let counter = run(&mut machine, "grep ^boot_ /boot/grub/grubenv");
    assert!(counter.contains("boot_counter=-1"), "{counter}");
}

#[test]
fn a_bios_starts_grub_which_counts_and_gives_up() {
    // There is no init in the second one.
    let inits = ["usr/sbin/init", "usr/bin/init", "usr/bin/sh"];
    let two = inits.iter().fold(release("two"), |release, path| release.without(path));
    let workshop = Workshop::new(&[release("one"), two]).unwrap();
    let image = image(&workshop)
        .option("--boot-loader=grub-bios")
        .option("--set=sysroot.boot-counting-tries=1");
    let rack = workshop.rack(&image).unwrap();
    let rack = rack.with_firmware(Firmware::Bios).with_arguments(ENDS);
    let mut machine = rack.start().unwrap();
    machine.wait_for("SYSTEM READY one", BOOT).unwrap();
    update(&mut machine, "mount /dev/vda2 /boot", "two");
    // A try in vain, and then the one before.
    let console = boot_anew(&rack, &mut machine);
    assert!(console.contains("SYSTEM READY one"), "{console}");
    assert!(console.contains("THE SYSTEM CANNOT BE BOOTED"), "{console}");
    run(&mut machine, "mount /dev/vda2 /boot");
    let counter = run(&mut machine, "grep ^boot_ /boot/grub/grubenv");
    assert!(counter.contains("boot_counter=-1"), "{counter}");
}

#[test]
fn uboot_boots_what_was_deployed() {
    let workshop = Workshop::new(&[release("one"), release("two")]).unwrap();
    let image = image(&workshop).option("--boot-loader=uboot");
    let rom = Firmware::Rom("/usr/lib/u-boot/qemu-x86/u-boot.rom".into());
    let rack = workshop.rack(&image).unwrap().with_firmware(rom);
    let mut machine = rack.start().unwrap();
    machine.wait_for("SYSTEM READY one", BOOT).unwrap();
    update(&mut machine, "mount /dev/vda1 /boot", "two");
    reboot(&mut machine);
    machine.wait_for("SYSTEM READY two", BOOT).unwrap();
}

#[test]
fn a_board_that_imports_uenv_takes_the_second_entry_on_rollback() {
    // What a board's own boot command may look like, in a state in which all tries were made.
    let board = "setenv rollback 1\n\
                 load virtio 0:1 ${kernel_addr_r} /loader/uEnv.txt\n\
                 env import -t ${kernel_addr_r} ${filesize}\n\
                 run updraft_select\n\
                 load virtio 0:1 0x10000000 ${ramdisk_image}\n\
                 setenv ramdisk_size ${filesize}\n\
                 load virtio 0:1 ${kernel_addr_r} ${kernel_image}\n\
                 zboot ${kernel_addr_r} ${filesize} 0x10000000 ${ramdisk_size}\n";
    let script = updraft_bootenv::script_image("board", board).unwrap();
    let two = release("two").file("usr/share/board.scr", 0o644, script);
    let workshop = Workshop::new(&[release("one"), two]).unwrap();
    let image = image(&workshop)
        .option("--boot-loader=uboot")
        .option("--set=sysroot.boot-counting-tries=2");
    let rom = Firmware::Rom("/usr/lib/u-boot/qemu-x86/u-boot.rom".into());
    let rack = workshop.rack(&image).unwrap().with_firmware(rom);
    let mut machine = rack.start().unwrap();
    machine.wait_for("SYSTEM READY one", BOOT).unwrap();
    update(&mut machine, "mount /dev/vda1 /boot", "two");
    run(
        &mut machine,
        "rm /boot/boot.scr && cp /sysroot/ostree/deploy/os/deploy/*/usr/share/board.scr /boot/boot.scr",
    );
    reboot(&mut machine);
    let console = machine.wait_for("SYSTEM READY", BOOT).unwrap();
    assert!(console.contains("SYSTEM READY one"), "{console}");
    // The same line is in the command line of the kernel that it took.
    let first = run(&mut machine, "grep -o 'ostree=[^ ]*' /proc/cmdline").trim().to_owned();
    run(&mut machine, "mount /dev/vda1 /boot");
    let lines = run(&mut machine, "grep ^bootargs2= /boot/loader/uEnv.txt");
    assert!(lines.contains(&first), "{first} is not in {lines}");
}

#[test]
fn a_system_that_hangs_is_reset_by_the_watchdog_and_given_up() {
    const HANGS_SEC: u32 = 12;
    // The good one keeps the watchdog quiet; the other one does nothing any more.
    let good = "watchdog -t 2 /dev/watchdog\n";
    let workshop = Workshop::new(&[
        release("one").file("usr/etc/rc", 0o755, good),
        release("two")
            .file("usr/etc/rc", 0o755, "while :; do sleep 1000; done\n")
            .watchdog_sec(HANGS_SEC),
    ])
    .unwrap();
    let image = image(&workshop)
        .option("--set=updraft.boot-counting=initramfs")
        .option("--set=sysroot.boot-counting-tries=1")
        .option("--karg=updraft.watchdog");
    let rack = workshop.rack(&image).unwrap();
    let mut machine = rack.start().unwrap();
    let console = machine.wait_for("SYSTEM READY one", BOOT).unwrap();
    assert!(console.contains("the watchdog /dev/watchdog runs"), "{console}");
    update(&mut machine, "mount /dev/vda1 /boot", "two");
    reboot(&mut machine);
    machine.wait_for_end(BOOT).unwrap();
    // It hangs until it is reset, which ends this machine.
    let mut machine = rack.start().unwrap();
    machine.wait_for("try 1 of 1", BOOT).unwrap();
    machine.wait_for_end(BOOT).unwrap();
    let mut machine = rack.start().unwrap();
    let console = machine.wait_for("SYSTEM READY", BOOT).unwrap();
    assert!(console.contains("was tried 1 times in vain"), "{console}");
    assert!(console.contains("SYSTEM READY one"), "{console}");
}
