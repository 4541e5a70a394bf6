//! `updraft-init` as the whole initramfs: real boots of a tiny system from real deployments.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may")]

use std::path::PathBuf;
use std::time::Duration;

use machine::{Disk, Initramfs, Kernel, Machine, Options, Partition, Sysroot, System};
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_mins(2);
const PART_UUID: &str = "0f4e1c5a-8a10-4e2f-9a43-1b6f0c9b7d11";

/// A disk with two deployments: "two" is the default, "one" is the one before.
struct Setup {
    folder: TempDir,
    kernel: Kernel,
    sysroot: Sysroot,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kernel = Kernel::cloud().unwrap();
        let sysroot = Sysroot::init(&folder.path().join("sysroot")).unwrap();
        for version in ["one", "two"] {
            let tree = folder.path().join(version);
            System::new(version).kernel(&kernel).write(&tree).unwrap();
            sysroot.deploy(&tree, &[]).unwrap();
        }
        Self { folder, kernel, sysroot }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn disk(&self) -> Disk {
        let root = Partition::ext4("system").label("root").part_uuid(PART_UUID).mib(160);
        Disk::gpt()
            .partition(Partition::empty("first").mib(1))
            .partition(root.folder(self.sysroot.folder()))
            .build(&self.path("disk"))
            .unwrap()
    }

    fn initramfs(&self) -> Initramfs {
        Initramfs::new()
            .copy("/init", &machine::build_updraft_init().unwrap())
            .unwrap()
            .modules(&self.kernel.modules().unwrap(), machine::DISK_MODULES)
            .unwrap()
    }

    fn start(&self, initramfs: &Initramfs, disk: &Disk, arguments: &str) -> Machine {
        let image = initramfs.build(&self.path("initramfs")).unwrap();
        let options = Options::kernel(&self.kernel, Some(&image), arguments);
        Machine::start(&options.disk(disk.path()).folder(self.folder.path())).unwrap()
    }
}

/// What a command in the guest says, when it succeeds.
fn say(machine: &mut Machine, command: &str) -> String {
    machine.run(command).unwrap().good().unwrap()
}

/// The options of the last mount at a place.
fn options_at(mounts: &str, place: &str) -> String {
    let line = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some(place));
    let line = line.unwrap_or_else(|| panic!("nothing is mounted at {place}:\n{mounts}"));
    line.split(' ').nth(3).unwrap().to_owned()
}

#[test]
fn a_deployment_boots_and_a_bad_one_gives_way_after_its_tries() {
    let setup = Setup::new();
    let entries = setup.sysroot.entries().unwrap();
    let link = &entries[0].link;
    let line = format!(
        "root=PARTUUID={PART_UUID} rw ostree={link} updraft.tries=2 updraft.fallback=previous"
    );
    let mut machine = setup.start(&setup.initramfs(), &setup.disk(), &line);

    let console = machine.wait_for("SYSTEM READY", TIMEOUT).unwrap();
    assert!(console.contains("SYSTEM READY two"), "{console}");
    let mounts = say(&mut machine, "cat /proc/mounts");
    for (place, expected) in [("/", "rw"), ("/usr", "ro"), ("/sysroot", "rw"), ("/var", "rw")] {
        let options = options_at(&mounts, place);
        assert!(options.starts_with(expected), "{place}: {options}");
    }
    assert_eq!(say(&mut machine, "cat /etc/hostname"), "tiny\n");
    say(&mut machine, "touch /etc/x /var/x /sysroot/x && test -e /sysroot/ostree/deploy/os/var/x");
    assert_ne!(machine.run("touch /usr/x").unwrap().status, 0, "/usr is read-only");
    let inodes = "stat -c %d:%i / /sysroot/ostree/deploy/os/deploy/";
    let same = say(&mut machine, &format!("{inodes}{}", entries[0].deployment));
    let (own, deployed) = same.trim().split_once('\n').unwrap();
    assert_eq!(own, deployed);
    assert!(say(&mut machine, "cat -v /run/ostree-booted").contains("backing-root-device-inode"));
    let tries = say(&mut machine, "cat /sysroot/ostree/updraft/tries");
    assert!(tries.contains("tried=1") && tries.contains(&entries[0].deployment), "{tries}");

    // Nobody says that it is good.
    machine.run("sync; reboot -f &").unwrap();
    assert!(machine.wait_for("SYSTEM READY", TIMEOUT).unwrap().contains("READY two"));
    machine.run("sync; reboot -f &").unwrap();
    let console = machine.wait_for("SYSTEM READY", TIMEOUT).unwrap();
    assert!(console.contains("was tried 2 times in vain"), "{console}");
    assert!(console.contains("SYSTEM READY one"), "{console}");
    let note = say(&mut machine, "cat /run/updraft/boot-fallback.json");
    let expected =
        format!("{{\"failed\": \"{}\", \"reason\": \"it was tried", entries[0].deployment);
    assert!(note.starts_with(&expected), "{note}");
    assert!(note.contains(&format!("\"booted\": \"{}\"", entries[1].deployment)), "{note}");
}
