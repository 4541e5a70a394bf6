//! `set_metadata`, `set_perm` and what they do to all of a folder.

use std::path::Path;

use updraft_error::Kind;
use updraft_fs::{Dir, FileKind, Metadata, xattr};

use super::Updater;
use super::evaluate::Value;
use super::files::parent_of;
use crate::{Error, Result};

const LABEL: &str = "security.selinux";
const CAPABILITIES: &str = "security.capability";
/// `VFS_CAP_REVISION_2`, and that the capabilities are in effect.
const CAPABILITY_REVISION: u32 = 0x0200_0001;
/// How deep folders may be within others.
const MAX_DEPTH: u32 = 100;

/// Whether what is below a folder is meant as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Itself,
    WithContent,
}

/// What a script sets.
#[derive(Debug, Default)]
struct Attributes {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
    folder_mode: Option<u32>,
    file_mode: Option<u32>,
    label: Option<String>,
    capabilities: Option<u64>,
}

impl Updater<'_> {
    /// `set_metadata(PATH, KEY, VALUE, …)` and `set_metadata_recursive`.
    pub(super) fn set_metadata(&self, arguments: &[String], depth: Depth) -> Result<Value> {
        let Some((path, words)) = arguments.split_first() else { return Ok(Value::new()) };
        let attributes = Attributes::parse(words)?;
        self.set_attributes(path, &attributes, depth)?;
        Ok(Value::new())
    }

    /// `set_perm(UID, GID, MODE, PATH, …)` and `set_perm_recursive(UID, GID, FOLDERS, FILES, PATH, …)`.
    pub(super) fn set_permissions(&self, arguments: &[String], depth: Depth) -> Result<Value> {
        let keys: &[&str] = match depth {
            Depth::Itself => &["uid", "gid", "mode"],
            Depth::WithContent => &["uid", "gid", "dmode", "fmode"],
        };
        let (values, paths) = arguments.split_at(keys.len().min(arguments.len()));
        let pairs = keys.iter().zip(values);
        let words: Vec<String> =
            pairs.flat_map(|(key, value)| [(*key).to_owned(), value.clone()]).collect();
        let attributes = Attributes::parse(&words)?;
        for path in paths {
            self.set_attributes(path, &attributes, depth)?;
        }
        Ok(Value::new())
    }

    fn set_attributes(&self, path: &str, attributes: &Attributes, depth: Depth) -> Result<()> {
        self.touches(path)?;
        let (dir, name) = parent_of(&self.system.path(path))?;
        let left = if depth == Depth::WithContent { MAX_DEPTH } else { 0 };
        attributes.set(&dir, &name, left)
    }
}

impl Attributes {
    fn parse(words: &[String]) -> Result<Self> {
        let mut all = Self::default();
        for pair in words.chunks(2) {
            let [key, value] = pair else {
                return Err(bad("a key of set_metadata has no value"));
            };
            let small = || u32::try_from(number(value)?).map_err(|_| bad("a number is too large"));
            match &key[..] {
                "uid" => all.uid = Some(small()?),
                "gid" => all.gid = Some(small()?),
                "mode" => all.mode = Some(small()?),
                "dmode" => all.folder_mode = Some(small()?),
                "fmode" => all.file_mode = Some(small()?),
                "selabel" => all.label = Some(value.clone()),
                "capabilities" => all.capabilities = Some(number(value)?),
                _ => return Err(bad("set_metadata is given a key that is not known")),
            }
        }
        Ok(all)
    }

    /// Sets them, of what is below as well for as many folders as are `left`.
    fn set(&self, dir: &Dir, name: &Path, left: u32) -> Result<()> {
        let metadata = dir.metadata(name)?;
        if let Some(label) = &self.label {
            // With the zero at its end, as the kernel keeps it.
            xattr::set_at(dir, name, LABEL, format!("{label}\0").as_bytes())?;
        }
        if metadata.kind == FileKind::Symlink {
            return Ok(());
        }
        self.set_owner(dir, name, &metadata)?;
        let own = match metadata.kind {
            FileKind::Directory => self.folder_mode,
            FileKind::Regular => self.file_mode,
            _ => None,
        };
        if let Some(mode) = own.or(self.mode) {
            dir.chmod(name, mode)?;
        }
        if let Some(capabilities) = self.capabilities
            && metadata.kind == FileKind::Regular
        {
            set_capabilities(dir, name, capabilities)?;
        }
        if metadata.kind == FileKind::Directory && left > 0 {
            let folder = dir.open_dir(name)?;
            for entry in folder.entries()? {
                self.set(&folder, Path::new(&entry.name), left - 1)?;
            }
        }
        Ok(())
    }

    fn set_owner(&self, dir: &Dir, name: &Path, metadata: &Metadata) -> Result<()> {
        if self.uid.is_none() && self.gid.is_none() {
            return Ok(());
        }
        let (uid, gid) = (self.uid.unwrap_or(metadata.uid), self.gid.unwrap_or(metadata.gid));
        Ok(dir.chown(name, uid, gid)?)
    }
}

/// Capabilities in the form of revision 2; none at all takes the attribute away.
fn set_capabilities(dir: &Dir, name: &Path, capabilities: u64) -> Result<()> {
    if capabilities == 0 {
        xattr::remove(dir.open_file(name)?, CAPABILITIES)?;
        return Ok(());
    }
    let halves = [capabilities & 0xffff_ffff, capabilities >> 32];
    let mut bytes = CAPABILITY_REVISION.to_le_bytes().to_vec();
    for half in halves {
        // What is permitted; nothing is inherited.
        bytes.extend(half.to_le_bytes().get(..4).unwrap_or_default());
        bytes.extend([0; 4]);
    }
    Ok(xattr::set_at(dir, name, CAPABILITIES, &bytes)?)
}

/// A number as C reads it: `0x…`, `0…` in octal, or decimal.
fn number(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8),
        None => text.parse(),
    };
    parsed.map_err(|_| bad("a number of set_metadata or set_perm is none"))
}

fn bad(problem: &'static str) -> Error {
    Error::entry("updater-script", Kind::Invalid, problem)
}
