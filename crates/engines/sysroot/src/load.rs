//! Reading what the boot loader offers.

use std::path::Path;

use updraft_bootenv::{BootCount, BootEntry, CountedName, KernelArgs};
use updraft_error::Kind;
use updraft_fs::Dir;

use crate::boot_loader::offered;
use crate::entries::{PREPARE_ROOT, below_boot};
use crate::{Deployment, DeploymentId, Error, Origin, Result, Sysroot, esp};

const MAX_ORIGIN: u64 = 1024 * 1024;

/// Which of the two sets of entries, and of boot links, is current: the B of `loader.B` and
/// `boot.B`, and the S of `boot.B.S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootVersion {
    /// B: 0 or 1.
    pub version: u8,
    /// S: 0 or 1.
    pub subversion: u8,
}

impl Sysroot {
    /// The current boot version; 0 and 0 when nothing was deployed yet.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when `boot/loader` or `ostree/boot.B` is not what it must be.
    pub fn boot_version(&self) -> Result<BootVersion> {
        let version = match self.boot_dir()? {
            // There is only one set of entries.
            _ if self.esp()?.is_some() => 0,
            Some(boot) => read_switch(&boot, "loader", "loader.")?.unwrap_or(0),
            None => 0,
        };
        let name = format!("boot.{version}");
        let subversion = read_switch(&self.ostree, &name, &format!("{name}."))?.unwrap_or(0);
        Ok(BootVersion { version, subversion })
    }

    /// All deployments, the default first, in the order in which the boot loader offers them.
    ///
    /// # Errors
    /// [`Error::Entry`], [`Kind::Invalid`] when an entry does not name a deployment that is there.
    pub fn deployments(&self) -> Result<Vec<Deployment>> {
        if let Some(esp) = self.esp()? {
            return self.esp_deployments(&esp);
        }
        let Some(boot) = self.boot_dir()? else { return Ok(Vec::new()) };
        let version = self.boot_version()?.version;
        let folder = format!("loader.{version}/entries");
        let Some(entries) = boot.try_open_dir(&folder)? else { return Ok(Vec::new()) };
        let offered = offered(&entries)?;
        offered.iter().map(|(name, entry)| self.load_entry(name, entry)).collect()
    }

    /// As [`Sysroot::deployments`], after the staged one if there is one: in the order in which
    /// they would be offered after a shutdown, and in which `status` counts them.
    ///
    /// # Errors
    /// As [`Sysroot::deployments`] and [`Sysroot::staged`].
    pub fn all_deployments(&self) -> Result<Vec<Deployment>> {
        let offered = self.deployments()?;
        let staged = self.staged_beside(&offered)?.map(|staged| staged.deployment);
        Ok(staged.into_iter().chain(offered).collect())
    }

    /// The deployment that a kernel command line names by `ostree=`, when there is one.
    ///
    /// The links that it goes through change with every deployment that is made; ask once, early
    /// after the boot, and remember the answer until the next. Where there is a note of what runs,
    /// [`Sysroot::running`] is right at any time.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an `ostree=` that leads nowhere.
    pub fn booted(&self, kernel_cmdline: &str) -> Result<Option<DeploymentId>> {
        match KernelArgs::parse(kernel_cmdline).last_value("ostree") {
            None => Ok(None),
            Some(path) => self.follow_boot_link(path).map(|(id, _, _)| Some(id)),
        }
    }

    /// When a deployment was made, in seconds since 1970: when its origin was written last. `None`:
    /// it has no origin.
    ///
    /// # Errors
    /// [`Error::Fs`].
    pub fn made_at(&self, id: &DeploymentId) -> Result<Option<i64>> {
        let path = format!("{}.origin", id.path().display());
        Ok(self.root.try_metadata(&path)?.map(|found| found.mtime))
    }

    /// The folders of the current entries: one, or where there are images, two.
    pub(crate) fn entry_folders(&self) -> Result<Vec<Dir>> {
        if let Some(esp) = self.esp()? {
            return esp::folders(&esp);
        }
        let version = self.boot_version()?.version;
        Ok(vec![self.root.open_dir("boot")?.open_dir(format!("loader.{version}/entries"))?])
    }

    pub(crate) fn boot_dir(&self) -> Result<Option<Dir>> {
        Ok(self.root.try_open_dir("boot")?)
    }

    pub(crate) fn load_entry(&self, name: &str, entry: &BootEntry) -> Result<Deployment> {
        let mut kernel_args = entry.kernel_args();
        let path = kernel_args.last_value("ostree").map(str::to_owned).ok_or_else(|| {
            let message = format!(
                "read boot/loader/entries/{name}: No ostree= kernel argument found in boot \
                 loader configuration file"
            );
            Error::other(Kind::Invalid, message)
        })?;
        let (id, boot_checksum, boot_serial) = self.follow_boot_link(&path)?;
        kernel_args.set_aside("ostree");
        // Ours as well: it names the same link, and only a tree without initramfs needs it.
        if kernel_args.last_value("init").is_some_and(|init| init.ends_with(PREPARE_ROOT)) {
            kernel_args.remove_key("init");
        }
        let (origin, version) = (self.load_origin(&id)?, self.commit_version(&id)?);
        let overlays = entry.overlay_initrds().iter();
        let overlay_initrds = overlays.map(|path| below_boot(path).to_owned()).collect();
        Ok(Deployment {
            id,
            boot_checksum,
            boot_serial,
            kernel_args,
            overlay_initrds,
            boot_count: count_of(name),
            version,
            origin,
            is_staged: false,
        })
    }

    /// Follows `/ostree/boot.B/OS/BOOTCSUM/SERIAL`.
    fn follow_boot_link(&self, path: &str) -> Result<(DeploymentId, String, u32)> {
        let invalid = || {
            let message = format!(
                "Invalid ostree= argument '{path}', expected \
                 ostree=/ostree/boot.BOOTVERSION/OSNAME/BOOTCSUM/TREESERIAL"
            );
            Error::other(Kind::Invalid, message)
        };
        let parts: Vec<&str> =
            path.strip_prefix("/ostree/boot.").ok_or_else(invalid)?.split('/').collect();
        let [version, stateroot, boot_checksum, serial] = parts.as_slice() else {
            return Err(invalid());
        };
        let numbers = matches!(*version, "0" | "1" | "0.0" | "0.1" | "1.0" | "1.1");
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let serial: u32 = serial.parse().map_err(|_| invalid())?;
        if !numbers || !plain(stateroot) || !plain(boot_checksum) {
            return Err(invalid());
        }
        let folder = format!("boot.{version}/{stateroot}/{boot_checksum}");
        let links = self.ostree.open_dir_follow(&folder)?;
        let target = links.read_link(serial.to_string())?;
        let id = DeploymentId::of_link_target(&target.to_string_lossy()).ok_or_else(invalid)?;
        if !self.root.exists(id.path())? {
            let path = self.path.join(id.path());
            let message = format!("{} is offered to boot, but is not there", path.display());
            return Err(Error::other(Kind::Invalid, message));
        }
        Ok((id, (*boot_checksum).to_owned(), serial))
    }

    pub(crate) fn load_origin(&self, id: &DeploymentId) -> Result<Option<Origin>> {
        let path = format!("{}.origin", id.path().display());
        let Some(bytes) = self.root.try_read(&path, MAX_ORIGIN)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let origin = Origin::parse(&text)
            .map_err(|source| Error::Format { what: format!("read {path}"), source })?;
        Ok(Some(origin))
    }

    /// The commit's version; `None` as well when the commit was removed from the repository.
    pub(crate) fn commit_version(&self, id: &DeploymentId) -> Result<Option<String>> {
        use updraft_error::Classify as _;
        match self.repo.load_commit(&id.checksum) {
            Ok((commit, _)) => Ok(commit.version().map(str::to_owned)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The counter in the name of an entry.
fn count_of(name: &str) -> Option<BootCount> {
    name.parse::<CountedName>().ok().and_then(|name| name.count)
}

/// The digit at the end of the link `name`, which must be `PREFIX` and 0 or 1.
pub(crate) fn read_switch(dir: &Dir, name: &str, prefix: &str) -> Result<Option<u8>> {
    if !dir.exists(name)? {
        return Ok(None);
    }
    let target = dir.read_link(name)?;
    let digit = target.to_str().and_then(|target| target.strip_prefix(prefix));
    match digit {
        Some("0") => Ok(Some(0)),
        Some("1") => Ok(Some(1)),
        _ => {
            let path = dir.path().join(Path::new(name));
            let message = format!("Invalid target '{}' in {}", target.display(), path.display());
            Err(Error::other(Kind::Invalid, message))
        }
    }
}
