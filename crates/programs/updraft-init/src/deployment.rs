//! Finding the deployment that a link names.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::failure::{During, Failure, Result};
use crate::kernel_arguments::{KernelArguments, Target};

/// A folder `/ostree/deploy/OS/deploy/CSUM.N` on the physical root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// Where it is now.
    pub(crate) path: PathBuf,
    /// The link by which it was found, relative to the physical root.
    pub(crate) link: PathBuf,
}

impl Deployment {
    /// The deployment that the kernel's arguments ask for.
    pub(crate) fn chosen(physical: &Path, arguments: &KernelArguments) -> Result<Self> {
        match arguments.target() {
            Target::Link(link) => Self::at_link(physical, Path::new(&link)),
            Target::Missing => Err(Failure::new("no deployment is named on the command line")
                .way_out(
                    "add ostree=/ostree/boot.B/OS/BOOTCSUM/0 to the kernel's arguments; boot \
                          loader entries that an OSTree system writes have it",
                )),
            Target::UnknownSlot(slot) => {
                Err(Failure::new(format!("androidboot.slot_suffix is `{slot}`"))
                    .way_out("it is _a or _b"))
            }
        }
    }

    /// The deployment of this folder, or behind this link, as a program names it.
    pub(crate) fn at(physical: &Path, path: &Path) -> Result<Self> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let full = physical.join(relative);
        if full.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Ok(Self { path: full, link: relative.to_path_buf() });
        }
        Self::at_link(physical, path)
    }

    /// The deployment behind a link. It must be a link, and lead to a folder of the same root.
    pub(crate) fn at_link(physical: &Path, link: &Path) -> Result<Self> {
        let relative = link.strip_prefix("/").unwrap_or(link);
        let full = physical.join(relative);
        let way_out = "choose another entry in the boot loader's menu, or deploy again";
        let found = full
            .symlink_metadata()
            .during(|| format!("find the deployment's link {}", link.display()))
            .map_err(|failure| failure.way_out(way_out))?;
        if !found.file_type().is_symlink() {
            return Err(Failure::new(format!("{} is not a symbolic link", link.display()))
                .way_out("ostree= names a link below /ostree/boot.0 or /ostree/boot.1"));
        }
        // Absolute links and `..` stay inside the physical root.
        let root = rustix::fs::open(physical, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            .during(|| format!("open {}", physical.display()))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            rustix::fs::openat2(&root, relative, flags, Mode::empty(), ResolveFlags::IN_ROOT)
                .during(|| format!("find the deployment that {} leads to", link.display()))
                .map_err(|failure| failure.way_out(way_out))?;
        let own = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
        let path = fs::read_link(&own).during(|| "find out a folder's name".to_owned())?;
        Ok(Self { path, link: relative.to_path_buf() })
    }

    /// Its name, `CSUM.N`.
    pub(crate) fn name(&self) -> &str {
        self.path.file_name().and_then(OsStr::to_str).unwrap_or_default()
    }

    /// The commit that was deployed, as text.
    pub(crate) fn commit(&self) -> &str {
        self.name().split('.').next().unwrap_or_default()
    }

    /// The folder of the stateroot's `/var`.
    pub(crate) fn var(&self) -> PathBuf {
        let stateroot = self.path.parent().and_then(Path::parent);
        stateroot.unwrap_or(&self.path).join("var")
    }

    /// Its device and inode, by which the running system finds out what it was booted from.
    pub(crate) fn identity(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::statat(CWD, &self.path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .during(|| format!("look at {}", self.path.display()))?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests may")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_followed_inside_the_physical_root_only() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("ostree/deploy/os/deploy/abc.0")).unwrap();
        fs::create_dir_all(root.join("ostree/boot.1.1/os/sum")).unwrap();
        symlink("boot.1.1", root.join("ostree/boot.1")).unwrap();
        let links = root.join("ostree/boot.1.1/os/sum");
        symlink("../../../deploy/os/deploy/abc.0", links.join("0")).unwrap();
        symlink("../../../deploy/os/deploy/gone.0", links.join("1")).unwrap();
        symlink("/ostree/deploy/os/deploy/abc.0", links.join("2")).unwrap();
        symlink("/etc", links.join("3")).unwrap();

        let find =
            |name| Deployment::at_link(&root, &Path::new("/ostree/boot.1/os/sum").join(name));
        let found = find("0").unwrap();
        assert_eq!((found.name(), found.commit()), ("abc.0", "abc"));
        assert_eq!(found.var(), root.join("ostree/deploy/os/var"));
        assert_eq!(find("2").unwrap().path, found.path, "absolute links begin at that root");
        for (name, said) in [
            ("1", "that /ostree/boot.1/os/sum/1 leads to"),
            ("3", "leads to"),
            ("4", "find the deployment's link"),
            ("", "is not a symbolic link"),
        ] {
            let told = find(name).unwrap_err().to_string();
            assert!(told.contains(said) && told.contains("way out"), "{told}");
        }
    }
}
