//! A device of each kind, as its maker leaves it: slot A works and is active.

use std::path::{Path, PathBuf};

use updraft_bootenv::{Gpt, GptPartition, GrubEnv, Guid, UbootEnv, UbootLayout, efi_variable};
use updraft_slots::boot_control::{
    BootControl, EfiEntries, EntryNames, GptAttributes, GrubVariables, Misc, UbootScheme,
    UbootVariables,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Misc,
    Gpt,
    Rauc,
    Mender,
    Grub,
    Entries,
    Efi,
}

pub(crate) const KINDS: [Kind; 7] =
    [Kind::Misc, Kind::Gpt, Kind::Rauc, Kind::Mender, Kind::Grub, Kind::Entries, Kind::Efi];

pub(crate) const LAYOUT: UbootLayout =
    UbootLayout { size: 0x1000, redundant: true, big_endian: false };
const CHROMEOS_KERNEL: Guid = Guid::from_u128(0xfe3a_2a5d_4f32_41a7_b725_accc_3285_a309);

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) kind: Kind,
}

fn names(a: &str, b: &str) -> [String; 2] {
    [a.to_owned(), b.to_owned()]
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), kind };
        match kind {
            Kind::Misc => world.make_misc(),
            Kind::Gpt => world.make_gpt(),
            Kind::Rauc => {
                let left = [("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "0")];
                world.make_uboot(&left);
            }
            Kind::Mender => {
                let boot = [("mender_boot_part", "2"), ("mender_boot_part_hex", "2")];
                world.make_uboot(&[&boot[..], &[("upgrade_available", "0")]].concat());
            }
            Kind::Grub => {
                let mut block = GrubEnv::default();
                let variables = [
                    ("ORDER", "A B"),
                    ("A_OK", "1"),
                    ("A_TRY", "0"),
                    ("B_OK", "0"),
                    ("B_TRY", "0"),
                ];
                for (name, value) in variables {
                    block.set(name, value).unwrap();
                }
                std::fs::write(world.path("grubenv"), block.encode().unwrap()).unwrap();
            }
            Kind::Entries => {
                std::fs::create_dir_all(world.path("loader/entries")).unwrap();
                for (name, version) in [("os-a", 2), ("os-b+0-1", 1)] {
                    let path = world.path(&format!("loader/entries/{name}.conf"));
                    let slot = &name[..4];
                    let entry = format!(
                        "title {slot}\nversion {version}\noptions root=/dev/x\nlinux /{slot}\n"
                    );
                    std::fs::write(path, entry).unwrap();
                }
            }
            Kind::Efi => world.make_efi(),
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn control(&self) -> Box<dyn BootControl> {
        let config = self.path("fw_env.config");
        match self.kind {
            Kind::Misc => Box::new(Misc::new(self.path("misc"))),
            Kind::Gpt => Box::new(GptAttributes::new(self.path("disk"), names("KERN-A", "KERN-B"))),
            Kind::Rauc => {
                let scheme = UbootScheme::Rauc { names: names("A", "B"), default_tries: 3 };
                Box::new(UbootVariables::new(config, scheme))
            }
            Kind::Mender => {
                let scheme = UbootScheme::Mender { partitions: [2, 3] };
                Box::new(UbootVariables::new(config, scheme))
            }
            Kind::Grub => Box::new(GrubVariables::new(self.path("grubenv"), names("A", "B"))),
            Kind::Entries => {
                Box::new(EntryNames::new(self.path("loader/entries"), names("os-a", "os-b")))
            }
            Kind::Efi => Box::new(EfiEntries::new(self.folder(), names("System A", "System B"))),
        }
    }

    fn make_misc(&self) {
        // What Android's own test has, but for slot B, which is never to be started.
        let mut bytes = vec![0; 4096];
        let control = [
            0x5f, 0x61, 0, 0, 0x42, 0x43, 0x41, 0x42, 1, 0x7a, 1, 0, 0xef, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0,
        ];
        bytes[2048..2076].copy_from_slice(&control);
        bytes[2076..2080].copy_from_slice(&crc32(&control).to_le_bytes());
        std::fs::write(self.path("misc"), bytes).unwrap();
    }

    fn make_gpt(&self) {
        let partition = |number: u8, name: &str, attributes| GptPartition {
            type_guid: CHROMEOS_KERNEL,
            guid: Guid([number; 16]),
            first_sector: 64 * u64::from(number),
            last_sector: 64 * u64::from(number) + 7,
            attributes,
            name: name.to_owned(),
        };
        let partitions = vec![
            partition(1, "STATE", 0),
            partition(2, "KERN-A", 0x10f << 48),
            partition(3, "KERN-B", GptPartition::LEGACY_BOOTABLE),
        ];
        let table = Gpt { disk_guid: Guid([9; 16]), disk_sectors: 4096, partitions };
        let image = table.encode().unwrap();
        let mut disk = vec![0; 4096 * 512];
        let end = disk.len() - image.back.len();
        disk[..image.front.len()].copy_from_slice(&image.front);
        disk[end..].copy_from_slice(&image.back);
        std::fs::write(self.path("disk"), disk).unwrap();
    }

    fn make_uboot(&self, variables: &[(&str, &str)]) {
        let mut environment = UbootEnv::default();
        environment.set("bootcmd", "run distro_bootcmd").unwrap();
        for (name, value) in variables {
            environment.set(name, value).unwrap();
        }
        let copies = [1, 0].map(|flag| environment.encode(LAYOUT, flag).unwrap());
        std::fs::write(self.path("env"), copies.concat()).unwrap();
        let env = self.path("env");
        let env = env.display();
        std::fs::write(
            self.path("fw_env.config"),
            format!("{env} 0 0x1000\n{env} 0x1000 0x1000\n"),
        )
        .unwrap();
    }

    fn make_efi(&self) {
        for (number, name) in [(1, "Setup"), (2, "System A"), (5, "System B")] {
            // A path that names a disk partition and a file, so that efibootmgr has one to show.
            let mut path = vec![4, 4, 10, 0];
            path.extend("\\a\0".encode_utf16().flat_map(u16::to_le_bytes));
            path.extend([0x7f, 0xff, 4, 0]);
            let mut file = vec![7, 0, 0, 0, 1, 0, 0, 0];
            file.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
            file.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
            file.extend(path);
            std::fs::write(self.path(&efi_variable(&format!("Boot{number:04X}"))), file).unwrap();
        }
        std::fs::write(self.path(&efi_variable("BootOrder")), [7, 0, 0, 0, 2, 0, 1, 0]).unwrap();
    }
}

/// The checksum as it is defined, bit by bit.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let each = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    };
    !bytes.iter().fold(u32::MAX, each)
}
