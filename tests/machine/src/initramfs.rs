//! An initramfs: files by name, written as an uncompressed cpio archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cpio::{Archive, Head};
use crate::modules::Modules;
use crate::programs;

/// Where the list of modules is that the init loads in order.
const MODULE_LIST: &str = "/etc/updraft-init/modules";

#[derive(Debug, Clone)]
struct Entry {
    head: Head,
    data: Vec<u8>,
}

/// An initramfs that is being put together. Folders above a file come by themselves.
#[derive(Debug, Clone)]
pub struct Initramfs {
    entries: BTreeMap<String, Entry>,
}

impl Default for Initramfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Initramfs {
    /// One with `/dev/console`, without which the kernel gives its init no output, and the empty
    /// folders that an init mounts on.
    #[must_use]
    pub fn new() -> Self {
        let empty = Self { entries: BTreeMap::new() };
        let console = Entry { head: Head { mode: 0o020_600, device: (5, 1) }, data: Vec::new() };
        ["/proc", "/sys", "/run", "/sysroot"]
            .into_iter()
            .fold(empty, Self::directory)
            .entry("/dev/console", console)
    }

    /// Adds an empty folder.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.entry(path, Entry { head: Head { mode: 0o040_755, device: (0, 0) }, data: Vec::new() })
    }

    /// Adds a file with these bytes.
    #[must_use]
    pub fn file(self, path: &str, permissions: u32, bytes: impl Into<Vec<u8>>) -> Self {
        let head = Head { mode: 0o100_000 | permissions, device: (0, 0) };
        self.entry(path, Entry { head, data: bytes.into() })
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        let head = Head { mode: 0o120_777, device: (0, 0) };
        self.entry(path, Entry { head, data: target.as_bytes().to_vec() })
    }

    /// Adds a copy of a file, which may be executed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn copy(self, path: &str, from: &Path) -> Result<Self> {
        let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        Ok(self.file(path, 0o755, bytes))
    }

    /// Adds a program of this machine, under its own name, with the libraries that `ldd` names.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn program(self, program: &Path) -> Result<Self> {
        let said = programs::run(Command::new("ldd").arg(program))?;
        let mut with = self.copy(&program.to_string_lossy(), program)?;
        for word in String::from_utf8_lossy(&said).split_whitespace() {
            if word.starts_with('/') {
                with = with.copy(word, Path::new(word))?;
            }
        }
        Ok(with)
    }

    /// Adds modules with all that they need, and the list for the init to load them by
    /// (`/etc/updraft-init/modules`). A second call adds to the list. A name may have parameters
    /// behind it, such as `softdog soft_margin=30`.
    ///
    /// # Errors
    /// When the kernel has no such module.
    pub fn modules(mut self, modules: &Modules, names: &[&str]) -> Result<Self> {
        let list = self.entries.remove(MODULE_LIST).map(|entry| entry.data).unwrap_or_default();
        let mut list = String::from_utf8(list).context("read the list of modules")?;
        let parameters: BTreeMap<String, &str> = names
            .iter()
            .filter_map(|name| name.split_once(' '))
            .map(|(name, parameters)| (name.replace('-', "_"), parameters))
            .collect();
        let names: Vec<&str> = names.iter().filter_map(|name| name.split(' ').next()).collect();
        for module in modules.needed(&names)? {
            let path = format!("/lib/modules/{}.ko", module.name);
            if !self.entries.contains_key(&path) {
                list.push_str(&path);
                if let Some(parameters) = parameters.get(&module.name) {
                    list.push(' ');
                    list.push_str(parameters);
                }
                list.push('\n');
                self = self.file(&path, 0o644, module.bytes);
            }
        }
        Ok(self.file(MODULE_LIST, 0o644, list))
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn build(&self, output: &Path) -> Result<PathBuf> {
        let mut archive = Archive::default();
        // In the order of their names a folder stands before what is in it.
        for (path, entry) in &self.entries {
            archive.add(path.trim_start_matches('/'), entry.head, &entry.data);
        }
        fs::write(output, archive.finish())
            .with_context(|| format!("write {}", output.display()))?;
        Ok(output.to_path_buf())
    }

    fn entry(mut self, path: &str, entry: Entry) -> Self {
        let above = Path::new(path).parent().and_then(Path::to_str).unwrap_or_default();
        if above.len() > 1 && !self.entries.contains_key(above) {
            self = self.directory(above);
        }
        self.entries.insert(path.to_owned(), entry);
        self
    }
}
