//! Kernel modules: which files a module needs, in the order in which they are to be loaded.
//!
//! The order comes from the modules themselves (`depends=` and `softdep=pre:` of their `.modinfo`
//! section), since a kernel package that is only unpacked has no `modules.dep`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::programs;

/// The modules of one kernel.
#[derive(Debug, Clone)]
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

/// A module that has to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Its name, with underscores.
    pub name: String,
    /// Its uncompressed bytes.
    pub bytes: Vec<u8>,
}

impl Modules {
    /// The modules below a folder such as `/lib/modules/RELEASE`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        walk(&folder.join("kernel"), &mut files)?;
        let builtin = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
        let builtin = builtin.lines().filter_map(|line| name_of(Path::new(line))).collect();
        Ok(Self { files, builtin })
    }

    /// Whether there is such a module, as a file or built in.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let name = name.replace('-', "_");
        self.files.contains_key(&name) || self.builtin.contains(&name)
    }

    /// The modules to load for `names`, each after those that it needs. What is built into the
    /// kernel is left out.
    ///
    /// # Errors
    /// When one is neither a file nor built in, or cannot be read.
    pub fn needed(&self, names: &[&str]) -> Result<Vec<Needed>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names {
            self.visit(name, true, &mut seen, &mut order)?;
        }
        Ok(order)
    }

    fn visit(
        &self,
        name: &str,
        required: bool,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<Needed>,
    ) -> Result<()> {
        let name = name.replace('-', "_");
        if self.builtin.contains(&name) || !seen.insert(name.clone()) {
            return Ok(());
        }
        let Some(file) = self.files.get(&name) else {
            if required {
                bail!("the kernel has no module {name}");
            }
            return Ok(());
        };
        let bytes = read(file)?;
        for soft in information(&bytes, "softdep=") {
            let before = soft.split_whitespace().skip_while(|word| *word != "pre:").skip(1);
            for other in before.take_while(|word| !word.ends_with(':')) {
                self.visit(other, false, seen, order)?;
            }
        }
        for depends in information(&bytes, "depends=") {
            for other in depends.split(',').filter(|other| !other.is_empty()) {
                self.visit(other, true, seen, order)?;
            }
        }
        order.push(Needed { name, bytes });
        Ok(())
    }
}

fn walk(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else if let Some(name) = name_of(&entry.path()) {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

/// The module's name, when the file is one.
fn name_of(file: &Path) -> Option<String> {
    let (name, end) = file.file_name()?.to_str()?.split_once(".ko")?;
    let known = ["", ".xz", ".zst", ".gz"].contains(&end);
    known.then(|| name.replace('-', "_"))
}

/// The bytes of a module, uncompressed.
fn read(file: &Path) -> Result<Vec<u8>> {
    let program = match file.extension().and_then(|end| end.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(file).with_context(|| format!("read {}", file.display())),
    };
    programs::run(Command::new(program).arg("-dc").arg(file))
}

/// The values of a key in the `.modinfo` section. Its strings stand between NULs, and no other
/// section has strings of this shape.
fn information<'a>(module: &'a [u8], key: &'a str) -> impl Iterator<Item = &'a str> {
    module
        .split(|byte| *byte == 0)
        .filter_map(move |text| std::str::from_utf8(text).ok()?.strip_prefix(key))
}
