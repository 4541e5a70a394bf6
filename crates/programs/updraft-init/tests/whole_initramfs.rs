//! `updraft-init` as the whole initramfs: real boots of a tiny system from real deployments.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may")]

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;

use machine::{Disk, Initramfs, Kernel, Machine, Options, Partition, Sysroot, System};
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_mins(2);
const PART_UUID: &str = "0f4e1c5a-8a10-4e2f-9a43-1b6f0c9b7d11";

const UUID: &str = "7d1f0a3e-93a5-4b53-8f0e-6a2d0c1b5e77";

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
        let root = Partition::ext4("system").label("root").uuid(UUID).part_uuid(PART_UUID);
        Disk::gpt()
            .partition(Partition::ext4("boot").label("boot").mib(8))
            .partition(root.mib(160).folder(self.sysroot.folder()))
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
        let options = options.disk(disk.path()).folder(self.folder.path());
        Machine::start(&options).unwrap()
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

/// Of a write of the superblock only the first sector is there: the number of mounts is another,
/// the checksum is not.
fn tear_superblock(disk: &Disk, partition: usize) {
    let place = disk.start(partition).unwrap() + 1024 + 0x34;
    let file = std::fs::File::options().write(true).open(disk.path()).unwrap();
    file.write_all_at(&[77], place).unwrap();
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
    assert!(tries.contains("reached=system"), "{tries}");

    // Nobody says that it is good.
    machine.tell("sync; reboot -f").unwrap();
    assert!(machine.wait_for("SYSTEM READY", TIMEOUT).unwrap().contains("READY two"));
    machine.tell("sync; reboot -f").unwrap();
    let console = machine.wait_for("SYSTEM READY", TIMEOUT).unwrap();
    assert!(console.contains("was tried 2 times in vain"), "{console}");
    assert!(console.contains("SYSTEM READY one"), "{console}");
    let note = say(&mut machine, "cat /run/updraft/boot-fallback.json");
    let expected =
        format!("{{\"failed\": \"{}\", \"reason\": \"it was tried", entries[0].deployment);
    assert!(note.starts_with(&expected), "{note}");
    assert!(note.contains(&format!("\"booted\": \"{}\"", entries[1].deployment)), "{note}");
    assert!(note.contains("\"tried\": 2, \"reached\": \"system\"}"), "{note}");
}

#[test]
fn what_is_missing_is_told_and_another_deployment_boots() {
    let setup = Setup::new();
    let (initramfs, disk) = (setup.initramfs(), setup.disk());
    tear_superblock(&disk, 2);
    let rest = "quiet ro boot=LABEL=boot updraft.fallback=previous ostree=/ostree/boot.9/os/none/0";
    let mut machine = setup.start(&initramfs, &disk, &format!("root=UUID={UUID} {rest}"));
    let console = machine.wait_for("SYSTEM READY two", TIMEOUT).unwrap();
    assert!(console.contains("cannot find the deployment's link /ostree/boot.9"), "{console}");
    let mended = "the superblock of /dev/vda2 was torn by a power cut; mended";
    assert!(console.contains(mended), "{console}");
    let mounts = say(&mut machine, "cat /proc/mounts");
    assert!(options_at(&mounts, "/").starts_with("ro"), "as the kernel's arguments say");
    assert!(mounts.contains("/dev/vda1 /boot ext4"), "{mounts}");
    let note = say(&mut machine, "cat /run/updraft/boot-fallback.json");
    assert!(note.contains("\"failed\": \"/ostree/boot.9/os/none/0\""), "{note}");
    assert_eq!(say(&mut machine, "ls /sysroot/ostree/updraft 2>/dev/null; true"), "");
    machine.kill();

    let mut machine =
        setup.start(&initramfs, &disk, "root=LABEL=nobody rootwait=1 panic=1 ostree=x");
    let console = machine.wait_for("the machine starts again in 1 seconds", TIMEOUT).unwrap();
    for word in [
        "no device LABEL=nobody within 1 seconds; there are:",
        &format!("/dev/vda2 ext4 UUID={UUID} LABEL=root PARTUUID={PART_UUID} PARTLABEL=system"),
        "way out: correct root=",
    ] {
        assert!(console.contains(word), "{word} is not in\n{console}");
    }
    machine.wait_for("waiting for the device LABEL=nobody", TIMEOUT).unwrap();
}

#[test]
fn without_an_initramfs_it_is_the_kernels_init() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Kernel::cloud().unwrap();
    let sysroot = Sysroot::init(&folder.path().join("sysroot")).unwrap();
    let tree = folder.path().join("tree");
    System::new("one").kernel(&kernel).write(&tree).unwrap();
    std::fs::create_dir_all(tree.join("usr/lib/ostree")).unwrap();
    let program = machine::build_updraft_init().unwrap();
    std::fs::copy(program, tree.join("usr/lib/ostree/ostree-prepare-root")).unwrap();
    sysroot.deploy(&tree, &[]).unwrap();
    // This kernel does not fill /dev by itself.
    for (name, numbers) in [("console", ["5", "1"]), ("null", ["1", "3"])] {
        let mut node = std::process::Command::new("mknod");
        let node = node.arg(sysroot.folder().join("dev").join(name)).arg("c").args(numbers);
        assert!(node.status().unwrap().success());
    }
    let link = &sysroot.entries().unwrap()[0].link;
    let root = Partition::ext4("root").mib(160).folder(sysroot.folder());
    let disk = Disk::bare(&root, &folder.path().join("disk")).unwrap();
    let init = format!("init={link}/usr/lib/ostree/ostree-prepare-root");
    let line = format!("root=/dev/nvme0n1 rootfstype=ext4 rw ostree={link} {init}");
    let drive = format!("if=none,id=nvme,format=raw,file={}", disk.path().display());
    let options = Options::kernel(&kernel, None, &line).folder(folder.path());
    let nvme = ["-drive", &drive, "-device", "nvme,drive=nvme,serial=1"];
    let mut machine = Machine::start(&options.arguments(&nvme)).unwrap();
    machine.wait_for("SYSTEM READY one", TIMEOUT).unwrap();
    let mounts = say(&mut machine, "cat /proc/mounts");
    assert!(options_at(&mounts, "/usr").starts_with("ro"), "{mounts}");
    assert!(mounts.contains(" /sysroot ext4 rw"), "{mounts}");
    assert!(!mounts.contains(" /sysroot/run"), "{mounts}");
    say(&mut machine, "test -e /run/ostree-booted && touch /var/x /etc/x");
}
