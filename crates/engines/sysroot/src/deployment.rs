//! A deployment and its name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use updraft_bootenv::{BootCount, BootVerdict, KernelArgs};
use updraft_error::Kind;
use updraft_ostree::Checksum;

use crate::{Error, Origin};

/// The name of a deployment: `COMMIT.SERIAL` within a stateroot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeploymentId {
    /// The stateroot, also called OS name.
    pub stateroot: String,
    /// The commit.
    pub checksum: Checksum,
    /// Tells deployments of the same commit apart.
    pub deploy_serial: u32,
}

impl DeploymentId {
    /// The directory's name, `COMMIT.SERIAL`.
    #[must_use]
    pub fn dir_name(&self) -> String {
        format!("{}.{}", self.checksum, self.deploy_serial)
    }

    /// The directory, relative to the sysroot.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("ostree/deploy/{}/deploy/{}", self.stateroot, self.dir_name()).into()
    }

    /// The target of a boot link `boot.B.S/OS/BOOTCSUM/SERIAL`.
    pub(crate) fn link_target(&self) -> String {
        format!("../../../deploy/{}/deploy/{}", self.stateroot, self.dir_name())
    }

    /// The deployment that a boot link points to.
    pub(crate) fn of_link_target(target: &str) -> Option<Self> {
        let (stateroot, name) = target.strip_prefix("../../../deploy/")?.split_once("/deploy/")?;
        let (checksum, deploy_serial) = parse_dir_name(name)?;
        Some(Self { stateroot: stateroot.to_owned(), checksum, deploy_serial })
    }
}

/// The parts of `COMMIT.SERIAL`.
pub(crate) fn parse_dir_name(name: &str) -> Option<(Checksum, u32)> {
    let (checksum, serial) = name.split_once('.')?;
    let digits = !serial.is_empty() && serial.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(())?;
    Some((checksum.parse().ok()?, serial.parse().ok()?))
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stateroot, self.dir_name())
    }
}

impl FromStr for DeploymentId {
    type Err = Error;

    /// Reads `STATEROOT COMMIT.SERIAL`, as [`fmt::Display`] writes it.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once(' ').and_then(|(stateroot, name)| {
            let (checksum, deploy_serial) = parse_dir_name(name)?;
            Some(Self { stateroot: stateroot.to_owned(), checksum, deploy_serial })
        });
        parts.ok_or_else(|| {
            let message = format!("Invalid deploy name '{text}', expected CHECKSUM.TREESERIAL");
            Error::other(Kind::Invalid, message)
        })
    }
}

/// A bootable system.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// The hash of its kernel, initramfs and device tree.
    pub boot_checksum: String,
    /// Its number among the deployments with the same `boot_checksum`; given anew at each switch.
    pub boot_serial: u32,
    /// The kernel command line, without `ostree=`.
    pub kernel_args: KernelArgs,
    /// Further initrds, as the entry names them.
    pub overlay_initrds: Vec<String>,
    /// How often its entry may still be tried. `None`: it was found good, or nobody counts.
    pub boot_count: Option<BootCount>,
    /// The commit's version, when it has one.
    pub version: Option<String>,
    /// Where it came from, when it says so.
    pub origin: Option<Origin>,
    /// Whether it is finished, and offered, only when the running system is shut down.
    pub is_staged: bool,
}

impl Deployment {
    /// Whether the deployment is kept whatever comes.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.origin.as_ref().is_some_and(Origin::is_pinned)
    }

    /// Whether it was tried in vain as often as it may be, or was found bad.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        BootVerdict::of(self.boot_count) == BootVerdict::Bad
    }

    /// Whether a boot loader entry for `other` would be the same but for its `ostree=`.
    pub(crate) fn boots_like(&self, other: &Self) -> bool {
        self.id.stateroot == other.id.stateroot
            && self.boot_checksum == other.boot_checksum
            && self.kernel_args == other.kernel_args
            && self.overlay_initrds == other.overlay_initrds
            && self.version == other.version
            && self.boot_count == other.boot_count
    }
}

#[cfg(test)]
mod tests {
    use super::DeploymentId;

    #[test]
    fn link_targets_and_texts_read_back() {
        let text = format!("os {}.12", "ab".repeat(32));
        let id: DeploymentId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(DeploymentId::of_link_target(&id.link_target()), Some(id));
        for bad in ["", "os", "os x.0", "os ab.0"] {
            assert!(bad.parse::<DeploymentId>().is_err(), "{bad}");
        }
        assert!(DeploymentId::of_link_target("../../../../etc").is_none());
    }
}
