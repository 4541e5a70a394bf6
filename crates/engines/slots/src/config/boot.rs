//! [`BootControlConfig`]: where the boot loader keeps which slot is started.

use std::path::PathBuf;

use serde::Deserialize;

use crate::boot_control::{
    BootControl, EfiEntries, EntryNames, GptAttributes, GrubVariables, Misc, UbootScheme,
    UbootVariables,
};

/// Where the boot loader keeps which slot is started; see [`crate::boot_control`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum BootControlConfig {
    /// Android's `misc`.
    Misc {
        /// The partition.
        path: PathBuf,
    },
    /// Attributes of GPT partitions.
    Gpt {
        /// The disk.
        disk: PathBuf,
        /// The labels of the slots' partitions.
        partitions: [String; 2],
    },
    /// U-Boot's environment with RAUC's variables.
    UbootRauc {
        /// Where the environment is.
        #[serde(default = "fw_env_config")]
        config: PathBuf,
        /// The slots' names in the variables.
        #[serde(default = "letters")]
        names: [String; 2],
        /// How often a slot that works may be started until it is marked successful again.
        #[serde(default = "default_tries")]
        default_tries: u32,
    },
    /// U-Boot's environment with Mender's variables.
    UbootMender {
        /// Where the environment is.
        #[serde(default = "fw_env_config")]
        config: PathBuf,
        /// The numbers of the slots' partitions.
        partitions: [u32; 2],
    },
    /// GRUB's environment block with RAUC's variables.
    Grub {
        /// The block.
        path: PathBuf,
        /// The slots' names in the variables.
        #[serde(default = "letters")]
        names: [String; 2],
    },
    /// Names of boot loader entries.
    Entries {
        /// Their folder.
        folder: PathBuf,
        /// The names of the slots' entries, without counters and `.conf`.
        names: [String; 2],
    },
    /// EFI's boot entries.
    Efi {
        /// The folder of the firmware's variables.
        #[serde(default = "efivars")]
        folder: PathBuf,
        /// The names of the slots' entries, as `efibootmgr` shows them.
        names: [String; 2],
    },
}

fn fw_env_config() -> PathBuf {
    "/etc/fw_env.config".into()
}

fn efivars() -> PathBuf {
    "/sys/firmware/efi/efivars".into()
}

fn letters() -> [String; 2] {
    ["A".to_owned(), "B".to_owned()]
}

fn default_tries() -> u32 {
    super::DEFAULT_TRIES
}

impl BootControlConfig {
    /// What does it.
    #[must_use]
    pub fn open(&self) -> Box<dyn BootControl> {
        match self.clone() {
            Self::Misc { path } => Box::new(Misc::new(path)),
            Self::Gpt { disk, partitions } => Box::new(GptAttributes::new(disk, partitions)),
            Self::UbootRauc { config, names, default_tries } => {
                let scheme = UbootScheme::Rauc { names, default_tries };
                Box::new(UbootVariables::new(config, scheme))
            }
            Self::UbootMender { config, partitions } => {
                Box::new(UbootVariables::new(config, UbootScheme::Mender { partitions }))
            }
            Self::Grub { path, names } => Box::new(GrubVariables::new(path, names)),
            Self::Entries { folder, names } => Box::new(EntryNames::new(folder, names)),
            Self::Efi { folder, names } => Box::new(EfiEntries::new(folder, names)),
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Misc { .. } => "misc",
            Self::Gpt { .. } => "gpt",
            Self::UbootRauc { .. } => "uboot-rauc",
            Self::UbootMender { .. } => "uboot-mender",
            Self::Grub { .. } => "grub",
            Self::Entries { .. } => "entries",
            Self::Efi { .. } => "efi",
        }
    }
}
