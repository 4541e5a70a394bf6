//! A machine with two slots in which each byte is vouched for: the firmware (Secure Boot) starts unified
//! kernel images that are signed and no others, each has the root hash of its root in its command line,
//! and the kernel checks each block of the root by dm-verity.
//!
//! ```text
//! vda1, vda2  boot_a, boot_b      FAT: EFI/BOOT/BOOTX64.EFI, the signed image
//! vda3, vda4  system_a, system_b  ext4, and behind it the hashes that veritysetup made
//! vda5, vda6  data, programs      /var, /opt
//! ```

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use harness::Answer;
use machine::{Disk, Firmware, Initramfs, Kernel, Machine, Partition};
use updraft_bootenv::{UnifiedLayout, UnifiedPart};

use crate::small_system::{DATA, PROGRAMS, SmallSystems};
use crate::starts::{Starts, start_until};
use crate::two_roots::USUAL;
use crate::{DiskFile, Part, Rack};

const MIB: u64 = 1 << 20;
const BOOT: u64 = 24;
/// The file system, and what is behind it.
const ROOT: u64 = 8;
const SYSTEM: u64 = ROOT + 1;
const MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "ext4", "dm_verity", "efivarfs"];
const RC: &str = "mount -t efivarfs efivarfs /sys/firmware/efi/efivars\n";
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// Debian's firmware with Secure Boot, variables with a key of its own, and that key, whose passphrase is
/// no secret.
const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd";
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
/// Such firmware keeps its variables to itself.
const HARDWARE: [&str; 5] = [
    "-no-reboot",
    "-machine",
    "q35,smm=on",
    "-global",
    "driver=cfi.pflash01,property=secure,value=on",
];

/// Releases for such machines.
#[derive(Debug)]
pub struct VerityRoots {
    systems: SmallSystems,
}

impl VerityRoots {
    /// Those of these names, each as a payload, too.
    ///
    /// # Errors
    /// When a part of them is missing on this machine.
    pub fn new(folder: &Path, releases: &[&str]) -> Result<Self> {
        let systems = SmallSystems::new(folder, ["/dev/vda6", "/dev/vda5"], RC)?;
        let made = Self { systems };
        let mut decrypt = Command::new("openssl");
        decrypt.args(["rsa", "-in", KEY, "-passin", "pass:snakeoil", "-out"]);
        Answer::good(decrypt.arg(made.systems.path("secure-boot.key"))).context("install ovmf")?;
        let kernel = Kernel::cloud()?;
        Initramfs::new()
            .copy("/init", &machine::build_updraft_init()?)?
            .modules(&kernel.modules()?, &MODULES)?
            .build(&made.systems.path("initramfs.img"))?;
        for name in releases {
            made.add(name, &kernel)?;
        }
        Ok(made)
    }

    fn image(&self, kind: &str, release: &str) -> PathBuf {
        self.systems.path(&format!("{release}-{kind}.img"))
    }

    fn add(&self, name: &str, kernel: &Kernel) -> Result<()> {
        let (boot, system) = (self.image("boot", name), self.image("system", name));
        let tree = self.systems.tree(name)?;
        let root = Partition::ext4("root").mib(ROOT).folder(&tree).option("-O^has_journal");
        Disk::bare(&root, &system)?;
        fs::File::options().write(true).open(&system)?.set_len(SYSTEM * MIB)?;
        let mut format = Command::new("veritysetup");
        let offset = ROOT * MIB;
        let blocks = offset / 4096;
        format.args(["format", &format!("--hash-offset={offset}")]);
        format.arg(format!("--data-blocks={blocks}")).arg(&system).arg(&system);
        let said = Answer::good(&mut format).context("install cryptsetup-bin")?.out;
        let root_hash = said.lines().find_map(|line| line.strip_prefix("Root hash:"));
        let root_hash = root_hash.context("veritysetup names the root hash")?.trim();
        // Good for either slot: whichever has the root with this hash.
        let line = format!(
            "{USUAL} roothash={root_hash} systemd.verity_root_data=PARTLABEL=system_a \
             systemd.verity_root_data=PARTLABEL=system_b \
             systemd.verity_root_options=hash-offset={offset},panic-on-corruption"
        );
        let folder = self.systems.path(&format!("{name}-esp"));
        fs::create_dir_all(folder.join("EFI/BOOT"))?;
        self.write_image(kernel, &line, &folder.join("EFI/BOOT/BOOTX64.EFI"))?;
        Disk::bare(&Partition::efi().mib(BOOT).folder(&folder), &boot)?;
        self.systems.payload(name, &[("boot", &boot), ("system", &system)])
    }

    /// Writes a unified kernel image, and has `sbsign` sign it.
    fn write_image(&self, kernel: &Kernel, line: &str, path: &Path) -> Result<()> {
        let stub = fs::read(STUB).context("read systemd's stub; install systemd-boot-efi")?;
        let parts = [
            (".cmdline", line.as_bytes().to_vec()),
            (".initrd", fs::read(self.systems.path("initramfs.img"))?),
            (".linux", fs::read(kernel.image())?),
        ];
        let plan = parts.each_ref().map(|(name, bytes)| UnifiedPart {
            name,
            size: bytes.len() as u64,
            memory: 0,
        });
        let layout = UnifiedLayout::plan(&stub, &plan)?;
        let mut image = layout.head;
        for ((_, bytes), padding) in parts.iter().zip(layout.padding) {
            image.extend(bytes);
            image.resize(image.len() + usize::try_from(padding)?, 0);
        }
        let unsigned = self.systems.path("unsigned.efi");
        fs::write(&unsigned, image)?;
        let mut sign = Command::new("sbsign");
        sign.arg("--key").arg(self.systems.path("secure-boot.key")).args(["--cert", CERTIFICATE]);
        Answer::good(sign.arg("--output").arg(path).arg(&unsigned))
            .context("install sbsigntool")?;
        Ok(())
    }

    /// A machine with this release in its first slot.
    ///
    /// # Errors
    /// When a part of it is missing on this machine.
    pub fn board(&self, first: &str) -> Result<VerityBoard> {
        let systems = &self.systems;
        systems.configure(
            "[boot-control.efi]\nnames = [\"Slot A\", \"Slot B\"]",
            1,
            "boot = [\"/dev/vda1\", \"/dev/vda2\"]\n\
             system = [\"/dev/vda3\", \"/dev/vda4\"]",
        )?;
        let data = systems.path("data");
        fs::create_dir_all(&data)?;
        let path = systems.path("disk.img");
        let esp = |name: &str| Partition::empty(name).type_id(machine::EFI_SYSTEM);
        let disk = Disk::gpt()
            .partition(
                Partition::image("boot_a", &self.image("boot", first))
                    .type_id(machine::EFI_SYSTEM)
                    .mib(BOOT),
            )
            .partition(esp("boot_b").mib(BOOT))
            .partition(Partition::image("system_a", &self.image("system", first)).mib(SYSTEM))
            .partition(Partition::empty("system_b").mib(SYSTEM))
            .partition(Partition::ext4("data").mib(DATA).folder(&data))
            .partition(Partition::ext4("programs").mib(PROGRAMS).folder(&systems.opt()))
            .build(&path)?;
        let sizes = [("boot_a", BOOT), ("boot_b", BOOT), ("system_a", SYSTEM)];
        let parts = Part::all(&disk, &sizes)?;
        let rack = systems.path("rack");
        fs::create_dir_all(&rack)?;
        let variables = rack.join("efi-variables");
        fs::copy(VARIABLES, &variables).context("copy EFI variables; install ovmf")?;
        let rack = Rack::new(&rack, DiskFile { path, parts })
            .with_firmware(Firmware::Uefi { code: CODE.into(), variables })
            .with_arguments(&HARDWARE);
        Ok(VerityBoard { rack })
    }
}

/// A machine with two slots that are checked.
#[derive(Debug)]
pub struct VerityBoard {
    rack: Rack,
}

impl Starts for VerityBoard {
    fn start_once(&self) -> Result<Machine> {
        self.rack.start()
    }
}

impl VerityBoard {
    /// Switches it on, again and again, until a release is up: the machine, and what starts that ended in
    /// a panic before said.
    ///
    /// # Errors
    /// With the end of its console.
    pub fn start(&self, release: &str) -> Result<(Machine, Vec<String>)> {
        start_until(self, release)
    }

    /// What the device's maker runs in it once: entries of the firmware. The last one that is made is the
    /// first in the order.
    #[must_use]
    pub fn make_entries(&self) -> String {
        let one = |name: &str, number: u32| {
            format!(
                "efibootmgr --quiet --create --disk /dev/vda --part {number} \
                 --loader '\\EFI\\BOOT\\BOOTX64.EFI' --label 'Slot {name}' && "
            )
        };
        format!("{}{}updraft slots mark-unbootable b", one("B", 2), one("A", 1))
    }

    /// Puts other bytes in the place of these, where they are first in a partition.
    ///
    /// # Errors
    /// When they are not there.
    pub fn change(&self, part: &str, old: &[u8], new: &[u8]) -> Result<()> {
        let part = self.rack.disk.part(part)?;
        let file = fs::File::options().read(true).write(true).open(&self.rack.disk.path)?;
        let mut bytes = vec![0; usize::try_from(part.size)?];
        file.read_exact_at(&mut bytes, part.offset)?;
        let at = bytes.windows(old.len()).position(|window| window == old);
        let at = at.context("what is to be changed is not there")?;
        Ok(file.write_all_at(new, part.offset + at as u64)?)
    }
}
