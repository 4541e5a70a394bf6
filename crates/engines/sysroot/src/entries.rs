//! Writing boot loader entries, and the kernels that they name.

use std::path::Path;

use updraft_bootenv::{BootEntry, CountedName, EntryName, KernelArgs};
use updraft_fs::{Dir, FileKind, atomic_write};

use crate::boot_tree::{BootFile, BootTree};
use crate::{Deployment, Error, Locked, Result, Sysroot, copy};

/// What is started as the first process where there is no initramfs, below a deployment.
pub(crate) const PREPARE_ROOT: &str = "/usr/lib/ostree/ostree-prepare-root";

const MAX_OS_RELEASE: u64 = 64 * 1024;

impl Locked<'_> {
    /// Copies the kernels that are not in `/boot` yet, and writes `loader.B/entries`.
    pub(crate) fn write_entries(&self, version: u8, list: &[Deployment]) -> Result<()> {
        let boot = self.sysroot.root.ensure_dir("boot", 0o755)?;
        if !boot.exists("boot")? {
            // So that paths with and without a `/boot` before them lead to the same file.
            boot.symlink(".", "boot")?;
        }
        let loader_name = format!("loader.{version}");
        copy::remove(&boot, Path::new(&loader_name))?;
        let loader = boot.ensure_dir(&loader_name, 0o755)?;
        let entries = loader.ensure_dir("entries", 0o755)?;
        let prefix = self.sysroot.entry_prefix()?;
        let several =
            list.iter().any(|one| list.first().map(|f| &f.id.stateroot) != Some(&one.id.stateroot));
        let config = self.sysroot.repo.config();
        for (index, deployment) in list.iter().enumerate() {
            let root = self.sysroot.root.open_dir(deployment.id.path())?;
            let tree = BootTree::find(&root, &self.sysroot.options)?;
            // The checksum of when it was made: its boot links and its entry are named by it.
            let kernels = format!("{}-{}", deployment.id.stateroot, deployment.boot_checksum);
            install_kernel(&boot, &tree, &kernels)?;
            let number = u32::try_from(list.len().saturating_sub(index)).unwrap_or(u32::MAX);
            let appended: &[_] = if index == 0 { &[] } else { &config.bls_append_except_default };
            let place = Place { version, index, number, several, prefix, appended };
            let folder = boot.open_dir("ostree")?.open_dir(&kernels)?;
            let android = self.install_android_image(&folder, &tree, deployment)?;
            let entry = entry(deployment, &root, &tree, &kernels, &place)
                .and_then(|entry| match android {
                    Some(name) => with_android(entry, deployment, &format!("{kernels}/{name}")),
                    None => Ok(entry),
                })
                .map_err(|source| Error::Entry { path: entries.path().to_path_buf(), source })?;
            let older = self.sysroot.options.older_entry_names;
            let stateroot = older.then(|| deployment.id.stateroot.clone());
            let stem = EntryName { number, stateroot }.stem();
            let name = CountedName::with_count(stem, deployment.boot_count).to_string();
            atomic_write(&entries, name, &entry.encode(), 0o644)?;
        }
        entries.sync()?;
        loader.sync()?;
        boot.sync()?;
        Ok(())
    }
}

/// Where an entry stands among the others.
pub(crate) struct Place<'a> {
    pub(crate) version: u8,
    pub(crate) index: usize,
    pub(crate) number: u32,
    pub(crate) several: bool,
    /// What stands before the paths of kernels.
    pub(crate) prefix: &'static str,
    /// Keys with their values that it gets besides its own, or in the place of these.
    pub(crate) appended: &'a [(String, String)],
}

/// What the peer has before the paths of kernels, where it is wanted.
const BOOT: &str = "/boot";

impl Sysroot {
    /// What stands before the paths that entries name. With `bootprefix` in `[sysroot]` of the
    /// repository's configuration they begin at `/`, for boot loaders that read `/boot` as a folder
    /// of the root file system; else at `/boot`.
    fn entry_prefix(&self) -> Result<&'static str> {
        let wanted = self.repo.config().key_file().get_bool("sysroot", "bootprefix");
        let wanted = wanted.map_err(updraft_repo::Error::from)?;
        Ok(if wanted.unwrap_or(false) { BOOT } else { "" })
    }
}

/// A path as entries name it, from `/boot` on.
pub(crate) fn below_boot(path: &str) -> &str {
    path.strip_prefix(BOOT).filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

pub(crate) fn entry(
    deployment: &Deployment,
    root: &Dir,
    tree: &BootTree,
    kernels: &str,
    place: &Place<'_>,
) -> Result<BootEntry, updraft_bootenv::Error> {
    let stateroot = &deployment.id.stateroot;
    let title = name_and_version(deployment, root);
    let index = place.index;
    let title = if place.several {
        format!("{title} (ostree:{stateroot}:{index})")
    } else {
        format!("{title} (ostree:{index})")
    };
    let options = options(deployment, tree, place.version);
    let prefix = place.prefix;
    let path = |file: &BootFile| format!("{prefix}/ostree/{kernels}/{}", file.name);
    let mut entry = BootEntry::new();
    entry.set("title", &title)?;
    entry.set("version", &place.number.to_string())?;
    entry.set("options", &options.to_string())?;
    if let Some(file) = &tree.device_tree {
        let key = if tree.has_device_tree_folder { "fdtdir" } else { "devicetree" };
        entry.set(key, &path(file))?;
    }
    entry.set("linux", &path(&tree.kernel))?;
    if let Some(file) = &tree.initramfs {
        entry.set("initrd", &path(file))?;
    }
    for overlay in &deployment.overlay_initrds {
        entry.add_overlay_initrd(&format!("{prefix}{overlay}"))?;
    }
    for (key, value) in place.appended {
        entry.set(key, value)?;
    }
    Ok(entry)
}

/// What people know the system by.
pub(crate) fn name_and_version(deployment: &Deployment, root: &Dir) -> String {
    let title = os_name(root).unwrap_or_else(|| deployment.id.stateroot.clone());
    match deployment.version.as_ref().filter(|version| !title.contains(version.as_str())) {
        Some(version) => format!("{title} {version}"),
        None => title,
    }
}

/// The kernel command line, with the link of `boot.{version}` that leads to the deployment.
pub(crate) fn options(deployment: &Deployment, tree: &BootTree, version: u8) -> KernelArgs {
    let mut options = deployment.kernel_args.clone();
    let link = format!(
        "/ostree/boot.{version}/{}/{}/{}",
        deployment.id.stateroot, deployment.boot_checksum, deployment.boot_serial
    );
    if tree.initramfs.is_none() && !tree.kernel_is_unified {
        // Nobody but the kernel itself can find the deployment.
        options.replace(&format!("init={link}{PREPARE_ROOT}"));
    }
    options.put_back(&format!("ostree={link}"));
    options
}

/// The entry with what `aboot-deploy` is told: the image, and the tree's configuration of it.
fn with_android(
    mut entry: BootEntry,
    deployment: &Deployment,
    image: &str,
) -> Result<BootEntry, updraft_bootenv::Error> {
    let config = deployment.id.path().join("usr/lib/ostree-boot/aboot.cfg");
    entry.set("aboot", &format!("/ostree/{image}"))?;
    entry.set("abootcfg", &format!("/{}", config.display()))?;
    Ok(entry)
}

/// The text of os-release.
pub(crate) fn os_release(root: &Dir) -> Option<String> {
    let read = |path: &str| {
        // `etc/os-release` is a link into the deployment; only its usual target is looked at.
        root.try_read(path, MAX_OS_RELEASE).ok().flatten()
    };
    let bytes = read("usr/lib/os-release").or_else(|| read("etc/os-release"))?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `PRETTY_NAME` of os-release, else `ID`.
fn os_name(root: &Dir) -> Option<String> {
    let text = os_release(root)?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        let line = line.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|quote| line.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote)));
        Some(unquoted.unwrap_or(line).replace(['\n', '\r'], " "))
    };
    value("PRETTY_NAME").or_else(|| value("ID")).filter(|name| !name.is_empty())
}

/// Copies kernel, initramfs and device tree to `/boot/ostree/OS-BOOTCSUM`. The name is a hash of
/// the content, so what is complete there is right; each file appears there in one step.
fn install_kernel(boot: &Dir, tree: &BootTree, kernels: &str) -> Result<()> {
    let target = boot.ensure_dir("ostree", 0o755)?.ensure_dir(kernels, 0o755)?;
    for file in tree.files() {
        if target.exists(&file.name)? {
            continue;
        }
        let temporary = format!(".{}.new", file.name);
        copy::remove(&target, Path::new(&temporary))?;
        let is_file = tree.folder.metadata(&file.source)?.kind == FileKind::Regular;
        // A link costs nothing where /boot is on the same file system.
        let linked = is_file && target.link(&tree.folder, &file.source, &temporary).is_ok();
        if !linked {
            copy::tree(&tree.folder, &file.source, &target, Path::new(&temporary))?;
        }
        target.rename(&temporary, &target, &file.name)?;
    }
    target.sync()?;
    Ok(())
}
