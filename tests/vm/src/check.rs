//! What would come up after a power cut.

use std::collections::BTreeMap;
use std::fs;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use harness::Answer;
use sha2::{Digest as _, Sha256};

use crate::rack::{Rules, first_by};
use crate::{DiskFile, Repository};

/// Which release a machine would come up with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selected {
    /// This one, complete.
    Release(String),
    /// None: it does not come up, for this reason.
    Nothing(String),
}

/// What became of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What would come up.
    pub selected: Selected,
    /// Why the next update does not succeed, if it does not.
    pub next_update: Option<String>,
}

/// Knows what complete releases look like.
#[derive(Debug)]
pub struct Checker<'a> {
    repository: &'a Repository,
    releases: BTreeMap<String, Content>,
    folder: PathBuf,
}

/// Hashes of files by their path.
type Content = BTreeMap<PathBuf, [u8; 32]>;

impl<'a> Checker<'a> {
    /// For these releases of a repository. It works in `folder`.
    ///
    /// # Errors
    /// When their trees cannot be read.
    pub fn new(repository: &'a Repository, releases: &[&str], folder: &Path) -> Result<Self> {
        let mut known = BTreeMap::new();
        for release in releases {
            let mut content = Content::new();
            let tree = repository.tree(release);
            for top in ["usr", "sysroot"] {
                hash_tree(&tree, Path::new(top), &mut content)?;
            }
            known.insert((*release).to_owned(), content);
        }
        fs::create_dir_all(folder)?;
        Ok(Self { repository, releases: known, folder: folder.to_path_buf() })
    }

    /// Looks at a disk, which is changed by that: first as a boot loader, which replays no journal;
    /// then as the kernel that it loads; then the next update, to `next`, is tried.
    ///
    /// # Errors
    /// When it cannot be looked at for reasons that have nothing to do with it.
    pub fn check(&self, disk: &DiskFile, next: &str) -> Result<Finding> {
        let selected = self.selected(disk);
        let root = self.folder.join("root");
        let next_update = self.update(disk, &root, next).err().map(|error| format!("{error:#}"));
        Ok(Finding { selected, next_update })
    }

    /// What would come up. The root is changed: its journal is replayed.
    #[must_use]
    pub fn selected(&self, disk: &DiskFile) -> Selected {
        let (boot, root) = (self.folder.join("boot"), self.folder.join("root"));
        let _ = fs::remove_dir_all(&boot);
        match self.select(disk, &boot, &root) {
            Ok(release) => Selected::Release(release),
            Err(error) => Selected::Nothing(format!("{error:#}")),
        }
    }

    fn select(&self, disk: &DiskFile, boot: &Path, root: &Path) -> Result<String> {
        disk.read_as_boot_loader(boot)?;
        let entry = first_by(boot, Rules::on(disk)?)?;
        let options = entry.get("options").context("an entry without options")?;
        let link = options.split_whitespace().find_map(|word| word.strip_prefix("ostree=/"));
        let link = link.context("an entry without ostree=")?;
        disk.mend("root")?;
        let _mounted = disk.mount("root", root)?;
        let tree = root.join(link);
        ensure!(tree.is_dir(), "ostree=/{link} leads nowhere");
        let mut content = Content::new();
        for top in ["usr", "sysroot"] {
            hash_tree(&tree, Path::new(top), &mut content)?;
        }
        let found = self.releases.iter().find(|(_, known)| **known == content);
        let Some((release, known)) = found else {
            bail!("the deployment at ostree=/{link} is no complete release");
        };
        ensure!(tree.join("etc/hostname").is_file(), "the deployment has no /etc");
        // The kernel and the initramfs that the boot loader reads are those of the same release.
        for (key, name) in [("linux", "vmlinuz"), ("initrd", "initramfs.img")] {
            let path = entry.get(key).with_context(|| format!("an entry without {key}"))?;
            let bytes = fs::read(boot.join(path.trim_start_matches('/')))
                .with_context(|| format!("read {path} as a boot loader"))?;
            let hash: [u8; 32] = Sha256::digest(&bytes).into();
            let right = known.iter().any(|(path, known)| path.ends_with(name) && *known == hash);
            ensure!(right, "{path} is not that of {release}");
        }
        Ok(release.clone())
    }

    /// The next update of the same machine, with this disk.
    fn update(&self, disk: &DiskFile, root: &Path, next: &str) -> Result<()> {
        {
            disk.mend("root")?;
            let _root = disk.mount("root", root)?;
            let _boot = disk.mount("boot", &root.join("boot"))?;
            self.repository.deploy_below(root, next)?;
            let mut check = Command::new("ostree");
            check
                .arg("fsck")
                .arg("-q")
                .arg(format!("--repo={}", root.join("ostree/repo").display()));
            Answer::good(&mut check)?;
        }
        let boot = self.folder.join("boot-after");
        let _ = fs::remove_dir_all(&boot);
        let release = self.select(disk, &boot, root)?;
        ensure!(release == next, "after the next update {release} is selected");
        Ok(())
    }
}

/// Hashes of all files and links below a folder.
fn hash_tree(root: &Path, path: &Path, content: &mut Content) -> Result<()> {
    let full = root.join(path);
    let metadata = full.symlink_metadata().with_context(|| full.display().to_string())?;
    if metadata.is_dir() {
        for item in fs::read_dir(&full)? {
            hash_tree(root, &path.join(item?.file_name()), content)?;
        }
        return Ok(());
    }
    let bytes = if metadata.is_symlink() {
        fs::read_link(&full)?.into_os_string().into_encoded_bytes()
    } else {
        fs::read(&full).with_context(|| full.display().to_string())?
    };
    content.insert(path.to_path_buf(), Sha256::digest(&bytes).into());
    Ok(())
}
