//! Machines with another processor. There is none of our programs in them: updates are deployed on
//! their disks from outside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::Answer;
use machine::{Firmware, Foreign, Initramfs, Kernel, Machine, Options};
use vm::{Image, Rack, Release, Workshop, updraft};

/// What a busy machine needs for a boot.
const BOOT: Duration = Duration::from_mins(5);
/// Their kernels are large.
const BOOT_SIZE: &str = "--boot-size=128M";

/// Mounts `/boot`, has zipl install what the entries say, and ends.
const INSTALLER: &str = "#!/bin/busybox sh
export PATH=/bin:/sbin
for name in mount umount insmod poweroff sleep; do busybox ln -s busybox /bin/$name; done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod $module; done </etc/updraft-init/modules
until [ -b /dev/vda1 ]; do sleep 0.1; done
mount -t ext4 /dev/vda1 /boot
zipl -V -c /etc/zipl.conf --blsdir /boot/loader/entries && echo ZIPL SUCCEEDED
umount /boot
poweroff -f
";
const INSTALLER_SETTINGS: &str = "[defaultboot]\ndefaultauto\ntarget=/boot\n";

/// What ext4 asks for when it mounts, and its module does not name.
const EXT4_NEEDS: &str = "crc32c_generic";

fn workshop(processor: Foreign) -> Workshop {
    let release = |name| Release::new(name).foreign(processor).modules(&[EXT4_NEEDS]);
    Workshop::new(&[release("one"), release("two")]).unwrap()
}

/// Makes a change to the system on the disk.
fn below<T>(
    workshop: &Workshop,
    rack: &Rack,
    change: impl FnOnce(&Path) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let root = workshop.folder().join("root");
    let _root = rack.disk.mount("root", &root)?;
    let _boot = rack.disk.mount("boot", &root.join("boot"))?;
    change(&root)
}

fn deploy_two(workshop: &Workshop, rack: &Rack) -> anyhow::Result<()> {
    below(workshop, rack, |root| workshop.repository.deploy_below(root, "two"))
}

/// Has `ostree admin` run zipl after each deployment.
fn choose_zipl(workshop: &Workshop, rack: &Rack) {
    let chosen = below(workshop, rack, |root| {
        let repository = format!("--repo={}", root.join("ostree/repo").display());
        let mut command = Command::new(updraft()?);
        command.args(["ostree", &repository, "config", "set", "sysroot.bootloader", "zipl"]);
        Answer::good(&mut command)
    });
    chosen.unwrap();
}

fn boots(rack: &Rack, release: &str) -> String {
    let mut machine = rack.start().unwrap();
    machine.wait_for(&format!("SYSTEM READY {release}"), BOOT).unwrap()
}

#[test]
fn extlinux_conf_is_booted_by_uboot_on_arm64() {
    let workshop = workshop(Foreign::Arm64);
    let image = Image::of(&workshop.repository, "one")
        .option("--boot-loader=extlinux")
        .option(BOOT_SIZE)
        .option("--karg=console=ttyAMA0");
    let rom = Firmware::Rom("/usr/lib/u-boot/qemu_arm64/u-boot.bin".into());
    let rack = workshop.rack(&image).unwrap().with_firmware(rom).with_processor(Foreign::Arm64);
    let console = boots(&rack, "one");
    assert!(console.contains("/extlinux/extlinux.conf"), "{console}");
    deploy_two(&workshop, &rack).unwrap();
    boots(&rack, "two");
}

/// A mainframe's firmware knows no files: it boots the sectors that zipl noted. Until zipl has run
/// after a deployment, that is the system before it, which has to be there still.
#[test]
#[ignore = "takes minutes: cargo xtask nightly --only machines"]
fn zipl_installs_the_first_entry_on_a_mainframe() {
    let workshop = workshop(Foreign::S390x);
    let disk = Image::of(&workshop.repository, "one")
        .option(BOOT_SIZE)
        .option("--karg=console=ttysclp0")
        .build(&workshop.folder().join("disk"))
        .unwrap();
    let rack = Rack::new(workshop.folder(), disk)
        .with_firmware(Firmware::Bios)
        .with_processor(Foreign::S390x);
    choose_zipl(&workshop, &rack);
    let installer = installer(&workshop.folder().join("installer"));
    run_zipl(&installer, &rack);
    boots(&rack, "one");
    // The switch is made, and then zipl cannot be run from outside: as if the power failed there.
    let refused = deploy_two(&workshop, &rack).unwrap_err().to_string();
    assert!(refused.contains("zipl does that for the running system only"), "{refused}");
    boots(&rack, "one");
    run_zipl(&installer, &rack);
    boots(&rack, "two");
}

fn installer(path: &Path) -> std::path::PathBuf {
    let debian = Foreign::S390x.folder().unwrap();
    let kernel = Foreign::S390x.kernel().unwrap();
    let mut initramfs = Initramfs::new()
        .modules(&kernel.modules().unwrap(), &["virtio_blk", "ext4", EXT4_NEEDS])
        .unwrap()
        .file("/init", 0o755, INSTALLER)
        .file("/etc/zipl.conf", 0o644, INSTALLER_SETTINGS)
        .directory("/boot");
    let library = "/lib/s390x-linux-gnu/libc.so.6";
    let loader = "/lib/s390x-linux-gnu/ld64.so.1";
    let programs = ["/bin/busybox", "/sbin/zipl", "/lib/s390-tools/stage3.bin", library];
    for (name, from) in
        programs.map(|name| (name, name)).into_iter().chain([("/lib/ld64.so.1", loader)])
    {
        initramfs = initramfs.copy(name, &debian.join(&from[1..])).unwrap();
    }
    initramfs.build(path).unwrap()
}

fn run_zipl(installer: &Path, rack: &Rack) {
    let kernel: Kernel = Foreign::S390x.kernel().unwrap();
    let options = Options::bare_kernel(&kernel, Some(installer), "console=ttysclp0".to_owned())
        .processor(Foreign::S390x)
        .disk(&rack.disk.path);
    let mut machine = Machine::start(&options).unwrap();
    machine.wait_for("ZIPL SUCCEEDED", BOOT).unwrap();
    machine.wait_for_end(BOOT).unwrap();
}
