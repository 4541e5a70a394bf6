//! `updraft slots` on machines whose boot loaders are real: systemd-boot counts in names of entries, and
//! OVMF, an EFI firmware, has boot entries of its own. An update is applied in the machine, tried,
//! given up when nobody finds it well, and kept when somebody does.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use machine::{Disk, Firmware, Initramfs, Kernel, Machine, Options, Partition};
use serde_json::Value;

const BOOT: Duration = Duration::from_mins(5);
const WORK: Duration = Duration::from_mins(2);
const SYSTEMD_BOOT: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"];
const MODULES: [&str; 7] =
    ["virtio_pci", "virtio_blk", "ext4", "vfat", "nls_cp437", "nls_ascii", "efivarfs"];
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
while read -r module; do insmod $module; done </etc/updraft-init/modules
mount -t vfat /dev/vda1 /esp
mount -t ext4 /dev/vda4 /state
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
echo \"SYSTEM READY $(cat /proc/cmdline)\" >/dev/console
while :; do sh /agent; sleep 1; done
";
const MIB: usize = 1 << 20;

/// A disk with a boot loader, two slots, and a place for what is remembered.
struct World {
    folder: tempfile::TempDir,
    disk: PathBuf,
    machine: Option<Machine>,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl World {
    fn new(boot_control: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["esp/EFI/BOOT", "esp/loader/entries", "data"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        // The payload, and the key that signs it.
        let new: Vec<u8> = (0..=250).cycle().take(2 * MIB).collect();
        std::fs::write(path("new.img"), new).unwrap();
        let openssl = || {
            let mut openssl = Command::new("openssl");
            openssl.current_dir(folder.path());
            openssl
        };
        let key = ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"];
        run(openssl().args(key));
        run(openssl().args(["ec", "-in", "key", "-pubout", "-out", "key.pub"]));
        let mut generate = Command::new(env!("CARGO_BIN_EXE_updraft"));
        generate.args(["payload", "generate", "data/p.bin", "--image", "system=new.img"]);
        run(generate.args(["--key", "key"]).current_dir(folder.path()));
        // The program, small enough for a boot loader.
        let updraft = path("updraft");
        run(Command::new("strip").arg(env!("CARGO_BIN_EXE_updraft")).arg("-o").arg(&updraft));

        let kernel = Kernel::cloud().unwrap();
        let config = format!(
            "state = \"/state/slots\"\nkeys = [\"/etc/key.pub\"]\ntries = 2\n{boot_control}\n\
             [partitions]\nsystem = [\"/dev/vda2\", \"/dev/vda3\"]\n"
        );
        let initramfs = Initramfs::new()
            .directory("/bin")
            .directory("/dev")
            .directory("/esp")
            .directory("/etc/updraft")
            .directory("/state")
            .directory("/tmp")
            .file("/init", 0o755, INIT)
            .file("/agent", 0o755, machine::AGENT)
            .file("/etc/updraft/slots.toml", 0o644, config)
            .copy("/etc/key.pub", &path("key.pub"))
            .unwrap()
            .copy("/bin/busybox", Path::new("/bin/busybox"))
            .unwrap()
            .program(&updraft)
            .unwrap()
            .program(Path::new("/usr/bin/efibootmgr"))
            .unwrap()
            .symlink("/usr/bin/updraft", updraft.to_str().unwrap())
            .modules(&kernel.modules().unwrap(), &MODULES)
            .unwrap()
            .build(&path("esp/initramfs.img"))
            .unwrap();
        assert!(initramfs.exists());
        std::fs::copy(kernel.image(), path("esp/vmlinuz")).unwrap();
        std::fs::copy(SYSTEMD_BOOT, path("esp/EFI/BOOT/BOOTX64.EFI")).unwrap();
        for (name, slot, version) in [("os-a", "a", 2), ("os-b+0-1", "b", 1)] {
            let entry = format!(
                "title os-{slot}\nversion {version}\nlinux /vmlinuz\ninitrd /initramfs.img\n\
                 options console=ttyS0 no_timer_check updraft.slot={slot}\n"
            );
            std::fs::write(path(&format!("esp/loader/entries/{name}.conf")), entry).unwrap();
        }
        let disk = Disk::gpt()
            .partition(Partition::efi().mib(256).folder(&path("esp")))
            .partition(Partition::empty("system_a").mib(4))
            .partition(Partition::empty("system_b").mib(4))
            .partition(Partition::ext4("state").mib(32).folder(&path("data")))
            .build(&path("disk.img"))
            .unwrap();
        std::fs::copy(OVMF[1], path("variables")).expect("ovmf is installed");
        Self { disk: disk.path().to_owned(), folder, machine: None }
    }

    /// Starts the machine and gives the slot whose system came up. A machine that is started anew is
    /// faster than one that goes on.
    fn boot(&mut self) -> char {
        if let Some(mut machine) = self.machine.take() {
            machine.tell("sync; umount /esp /state; reboot -f").unwrap();
            machine.wait_for_end(BOOT).unwrap();
        }
        let variables = self.folder.path().join("variables");
        let firmware = Firmware::Uefi { code: OVMF[0].into(), variables };
        let options = Options::firmware(firmware).disk(&self.disk).memory_mib(1024);
        let mut machine = Machine::start(&options.arguments(&["-no-reboot"])).unwrap();
        machine.wait_for("SYSTEM READY", BOOT).unwrap();
        let command_line = machine.run("cat /proc/cmdline").unwrap().good().unwrap();
        self.machine = Some(machine);
        let (_, slot) = command_line.split_once("updraft.slot=").expect("a slot is named");
        slot.chars().next().unwrap()
    }

    fn sh(&mut self, command: &str) -> String {
        let machine = self.machine.as_mut().unwrap();
        machine.run_within(command, WORK).unwrap().good().unwrap()
    }

    fn slots(&mut self, arguments: &str) -> Value {
        let said = self.sh(&format!("/usr/bin/updraft slots {arguments} --json --quiet"));
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
    }
}

/// An update that nobody finds well, then one that somebody does.
fn live_through_both(world: &mut World, tries: usize) {
    let applied = world.slots("apply /state/p.bin");
    assert_eq!(applied["code"], 0);
    assert_eq!(world.slots("status")["status"], "UPDATED_NEED_REBOOT");
    for _ in 0..tries {
        assert_eq!(world.boot(), 'b');
        assert_eq!(world.slots("status")["status"], "CLEANUP_PREVIOUS_UPDATE");
    }
    assert_eq!(world.boot(), 'a');
    assert_eq!(world.slots("status")["last"]["name"], "RolledBack");

    assert_eq!(world.slots("apply /state/p.bin")["code"], 0);
    assert_eq!(world.boot(), 'b');
    assert_eq!(world.slots("mark-successful")["slot"], "b");
    for _ in 0..2 {
        assert_eq!(world.boot(), 'b');
    }
    let status = world.slots("status");
    assert_eq!((&status["status"], &status["update"]), (&"IDLE".into(), &Value::Null));
    assert_eq!(status["slots"][1]["successful"], true);
}

#[test]
fn systemd_boot_tries_a_slot_and_gives_it_up_or_keeps_it() {
    let mut world = World::new(
        "[boot-control.entries]\nfolder = \"/esp/loader/entries\"\nnames = [\"os-a\", \"os-b\"]",
    );
    assert_eq!(world.boot(), 'a');
    live_through_both(&mut world, 2);
    let entries = world.sh("ls /esp/loader/entries");
    assert_eq!(entries.split_whitespace().collect::<Vec<_>>(), ["os-a.conf", "os-b.conf"]);
}

#[test]
fn the_firmware_tries_a_slot_and_gives_it_up_or_keeps_it() {
    let mut world = World::new("[boot-control.efi]\nnames = [\"System A\", \"System B\"]");
    assert_eq!(world.boot(), 'a');
    // Entries that start the kernel without a boot loader; the last one that is made is the first.
    for slot in ["b", "a"] {
        let name = slot.to_uppercase();
        world.sh(&format!(
            "efibootmgr --quiet --create --disk /dev/vda --part 1 --loader '\\vmlinuz' \
             --label 'System {name}' --unicode 'initrd=\\initramfs.img console=ttyS0 \
             no_timer_check updraft.slot={slot}'"
        ));
    }
    world.slots("mark-unbootable b");
    assert_eq!(world.boot(), 'a');
    live_through_both(&mut world, 1);
    let shown = world.sh("efibootmgr");
    assert!(shown.contains("System B") && !shown.contains("BootNext"), "{shown}");
}
