//! [`convert`]: from an ordinary root file system to a tree that can be committed and deployed.
//!
//! What a deployment looks like is libostree's "Adapting existing mainstream distributions":
//! everything that is the system's is in `/usr`, defaults of `/etc` in `/usr/etc`, the kernel beside
//! its modules, `/var` is the device's, and whatever else was in the root is a link there.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_fs::Dir;
use updraft_task::{Context, Event, Unit};

use crate::boot_loader::write;
use crate::linked_copy::copy_tree;
use crate::{Error, Result, temporary, tmpfiles};

const PHASE: &str = "converting the tree";

/// Top-level folders that are links into the device's data, and to where.
const LINKS: [(&str, &str); 7] = [
    ("home", "var/home"),
    ("root", "var/roothome"),
    ("opt", "var/opt"),
    ("srv", "var/srv"),
    ("mnt", "var/mnt"),
    ("media", "run/media"),
    ("ostree", "sysroot/ostree"),
];
/// What has no content in a tree: it is mounted over at boot.
const MOUNT_POINTS: [&str; 6] = ["boot", "dev", "proc", "run", "sys", "sysroot"];
/// What is read, moved or written in, and so has to be a folder of the tree itself.
const OWN_FOLDERS: [&str; 11] = [
    "boot",
    "etc",
    "usr",
    "usr/etc",
    "usr/lib",
    "usr/lib/modules",
    "usr/lib/sysimage",
    "usr/lib/tmpfiles.d",
    "lib/modules",
    "var",
    "var/lib",
];
/// Databases of packages in `/var/lib` that describe what is in `/usr`, and where they go.
const DATABASES: [(&str, &str); 2] =
    [("var/lib/dpkg", "usr/lib/sysimage/dpkg"), ("var/lib/rpm", "usr/lib/sysimage/rpm")];

/// What was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversion {
    /// The kernel's release.
    pub kernel: String,
    /// Whether there is an initramfs beside it.
    pub has_initramfs: bool,
    /// What was moved: from where and to where.
    pub moved: Vec<(String, String)>,
    /// What was left out, because it is the device's own.
    pub left_out: Vec<String>,
}

/// Makes a tree at `target`, which must not exist, of the root file system at `source`, which stays
/// as it is. Files are hard links to those of `source` where both are on one file system.
///
/// # Errors
/// [`Kind::NotFound`] for a tree without kernel, [`Kind::Conflict`] when `target` exists or two
/// kernels are there, [`Error::File`] and others. `target` does not exist then.
pub fn convert(ctx: &Context, source: &Path, target: &Path) -> Result<Conversion> {
    if target.symlink_metadata().is_ok() {
        let message = format!("{} exists; remove it or choose another name", target.display());
        return Err(Error::other(Kind::Conflict, message));
    }
    let name = target.file_name().ok_or_else(|| {
        Error::other(Kind::Invalid, format!("{} is no name of a folder", target.display()))
    })?;
    let beside = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.unwrap_or_else(|| Path::new("."));
    let scratch = tempfile::Builder::new()
        .prefix(".updraft-tree-")
        .tempdir_in(beside)
        .map_err(Error::file("make a folder in", beside))?;
    ctx.report(&Event::Started { phase: PHASE, total: None, unit: Unit::Items });
    let tree = scratch.path().join("tree");
    copy_tree(ctx, &Dir::open(source)?, &tree)?;
    let mut done = Conversion::default();
    let tree = Tree { path: tree, done: &mut done };
    tree.arrange()?;
    // Commit point: until here there is nothing at `target`.
    Dir::open(scratch.path())?.rename_new("tree", &Dir::open(beside)?, name)?;
    ctx.report(&Event::Finished { phase: PHASE });
    Ok(done)
}

/// A copy of a tree that is being arranged.
struct Tree<'a> {
    path: PathBuf,
    done: &'a mut Conversion,
}

impl Tree<'_> {
    fn arrange(mut self) -> Result<()> {
        self.check_folders()?;
        self.move_kernel()?;
        self.merge_usr()?;
        for (from, to) in DATABASES {
            self.move_to(from, to)?;
        }
        self.move_etc()?;
        let in_memory = temporary::mount_by_systemd(&Dir::open(&self.path)?)?;
        let tmpfiles = tmpfiles::of(&self.path, in_memory)?;
        self.empty("var")?;
        for name in MOUNT_POINTS {
            self.empty(name)?;
        }
        if in_memory {
            self.empty("tmp")?;
        } else {
            self.link("tmp", "sysroot/tmp")?;
        }
        for (name, to) in LINKS {
            self.link(name, to)?;
        }
        self.link_below("usr/local", "../var/usrlocal")?;
        self.remove_kernel_links()?;
        let path = self.path.join("usr/lib/tmpfiles.d/updraft-tree.conf");
        // One of an earlier conversion is a hard link to the source's.
        remove(&path)?;
        write(&path, tmpfiles.as_bytes())
    }

    /// What is moved and written must not lead out of the tree, into the system of this machine.
    fn check_folders(&self) -> Result<()> {
        match OWN_FOLDERS.iter().find(|path| self.kind(path).is_some_and(|kind| kind.is_symlink()))
        {
            None => Ok(()),
            Some(path) => {
                let message = format!("/{path} of the tree is a link; make it a folder");
                Err(Error::other(Kind::Invalid, message))
            }
        }
    }

    fn kind(&self, path: &str) -> Option<fs::FileType> {
        self.path.join(path).symlink_metadata().ok().map(|metadata| metadata.file_type())
    }

    fn move_to(&mut self, from: &str, to: &str) -> Result<()> {
        if self.kind(from).is_none_or(|kind| kind.is_symlink()) {
            return Ok(());
        }
        let (source, target) = (self.path.join(from), self.path.join(to));
        if target.symlink_metadata().is_ok() {
            let message = format!("the tree has both /{from} and /{to}");
            return Err(Error::other(Kind::Conflict, message));
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        rename(&source, &target)?;
        self.done.moved.push((format!("/{from}"), format!("/{to}")));
        Ok(())
    }

    /// Kernel and initramfs from `/boot`, as Debian and others put them, to their modules.
    fn move_kernel(&mut self) -> Result<()> {
        let modules = self.modules_folder();
        let mut kernels = BTreeSet::new();
        for name in names(&self.path.join("boot"))? {
            let release = ["vmlinuz-", "vmlinux-", "Image-"]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix));
            if let Some(release) = release {
                kernels.insert((release.to_owned(), name.clone()));
            }
        }
        for (release, name) in &kernels {
            self.move_to(&format!("boot/{name}"), &format!("{modules}/{release}/vmlinuz"))?;
            let initramfs = format!("{modules}/{release}/initramfs.img");
            for name in [format!("initrd.img-{release}"), format!("initramfs-{release}.img")] {
                if self.kind(&initramfs).is_none() {
                    self.move_to(&format!("boot/{name}"), &initramfs)?;
                }
            }
        }
        let found: Vec<String> = names(&self.path.join(&modules))?
            .into_iter()
            .filter(|release| self.kind(&format!("{modules}/{release}/vmlinuz")).is_some())
            .collect();
        match &found[..] {
            [release] => {
                let initramfs = format!("{modules}/{release}/initramfs.img");
                self.done.has_initramfs = self.kind(&initramfs).is_some();
                self.done.kernel.clone_from(release);
                Ok(())
            }
            [] => Err(Error::other(
                Kind::NotFound,
                "there is no kernel in the tree, neither /boot/vmlinuz-RELEASE nor \
                 /usr/lib/modules/RELEASE/vmlinuz; install a kernel package in it",
            )),
            several => Err(Error::other(
                Kind::Conflict,
                format!("the tree has several kernels: {}; leave one", several.join(", ")),
            )),
        }
    }

    /// `/vmlinuz` and `/initrd.img`, as Debian has them, lead nowhere any more.
    fn remove_kernel_links(&mut self) -> Result<()> {
        for name in names(&self.path)? {
            let path = self.path.join(&name);
            let target = fs::read_link(&path).unwrap_or_default();
            if target.strip_prefix("/").unwrap_or(&target).starts_with("boot") {
                remove(&path)?;
                self.done.left_out.push(format!("/{name}"));
            }
        }
        Ok(())
    }

    /// Where modules are before `/lib` is merged into `/usr`.
    fn modules_folder(&self) -> String {
        let merged = self.kind("lib").is_none_or(|kind| kind.is_symlink());
        if merged { "usr/lib/modules".to_owned() } else { "lib/modules".to_owned() }
    }

    /// `/bin`, `/sbin` and `/lib*` become links into `/usr`, where they are folders still.
    fn merge_usr(&mut self) -> Result<()> {
        for name in names(&self.path)? {
            let is_old = matches!(name.as_str(), "bin" | "sbin") || name.starts_with("lib");
            if !is_old || !self.kind(&name).is_some_and(|kind| kind.is_dir()) {
                continue;
            }
            let to = self.path.join("usr").join(&name);
            fs::create_dir_all(&to).map_err(Error::file("create", &to))?;
            merge(&self.path.join(&name), &to)?;
            symlink(format!("usr/{name}"), self.path.join(&name))
                .map_err(Error::file("link", self.path.join(&name)))?;
            self.done.moved.push((format!("/{name}"), format!("/usr/{name}")));
        }
        Ok(())
    }

    fn move_etc(&mut self) -> Result<()> {
        let has = |tree: &Self, path: &str| {
            names(&tree.path.join(path)).is_ok_and(|names| !names.is_empty())
        };
        if has(self, "etc") && has(self, "usr/etc") {
            let message = "the tree has files in both /etc and /usr/etc; keep them in /etc";
            return Err(Error::other(Kind::Conflict, message));
        }
        if has(self, "etc") {
            let defaults = self.path.join("usr/etc");
            remove(&defaults)?;
            self.move_to("etc", "usr/etc")?;
        } else {
            remove(&self.path.join("etc"))?;
        }
        Ok(())
    }

    /// Leaves an empty folder.
    fn empty(&mut self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        let content = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => names(&path)?,
            _ => Vec::new(),
        };
        self.done.left_out.extend(content.into_iter().map(|inner| format!("/{name}/{inner}")));
        remove(&path)?;
        fs::create_dir(&path).map_err(Error::file("create", &path))
    }

    /// A link to where the device keeps it; what is in the tree is left out.
    fn link(&mut self, name: &str, to: &str) -> Result<()> {
        let path = self.path.join(name);
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            let inner = names(&path)?;
            self.done.left_out.extend(inner.into_iter().map(|inner| format!("/{name}/{inner}")));
        }
        remove(&path)?;
        symlink(to, &path).map_err(Error::file("create", &path))
    }

    fn link_below(&mut self, path: &str, to: &str) -> Result<()> {
        // Distributions ship empty folders there.
        let folder = self.path.join(path);
        if has_files(&folder)? {
            self.done.left_out.push(format!("/{path}"));
        }
        remove(&folder)?;
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        symlink(to, &folder).map_err(Error::file("create", &folder))
    }
}

/// Moves all that is in `from` into `to`, folder by folder, and removes `from`.
fn merge(from: &Path, to: &Path) -> Result<()> {
    for name in names(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if is_dir(&source) && is_dir(&target) {
            merge(&source, &target)?;
        } else if target.symlink_metadata().is_err() {
            rename(&source, &target)?;
        } else if same_link(&source, &target) {
            remove(&source)?;
        } else {
            let message = format!("{} is also in {}; which is meant?", name, to.display());
            return Err(Error::other(Kind::Conflict, message));
        }
    }
    fs::remove_dir(from).map_err(Error::file("remove", from))
}

/// Whether one is only a link to the other, as compatibility links of split systems are.
fn same_link(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(one).is_some_and(|path| Some(path) == real(other))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    let open = |path: &Path| Dir::open(path.parent().unwrap_or_else(|| Path::new(".")));
    let (from_dir, to_dir) = (open(from)?, open(to)?);
    let (Some(from), Some(to)) = (from.file_name(), to.file_name()) else { return Ok(()) };
    Ok(from_dir.rename(from, &to_dir, to)?)
}

fn remove(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file("look at", path)(error)),
        Ok(metadata) if metadata.is_dir() => {
            fs::remove_dir_all(path).map_err(Error::file("remove", path))
        }
        Ok(_) => fs::remove_file(path).map_err(Error::file("remove", path)),
    }
}

/// The names in a folder, in order; none when there is no folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::file("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file("list", folder))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn has_files(folder: &Path) -> Result<bool> {
    for name in names(folder)? {
        let path = folder.join(name);
        let metadata = path.symlink_metadata().map_err(Error::file("look at", &path))?;
        if !metadata.is_dir() || has_files(&path)? {
            return Ok(true);
        }
    }
    Ok(false)
}
