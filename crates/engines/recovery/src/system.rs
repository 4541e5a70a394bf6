//! [`System`]: where things of a script are on this device.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use updraft_error::Kind;

use crate::logical::{self, MAPPED};
use crate::{BlockDevice, Error, FileDevice, Result};

/// Where the kernel tells of block devices.
const BLOCKS: &str = "sys/class/block";
/// What names another partition than `super`.
const SUPER_PROPERTY: &str = "ro.boot.super_partition";
/// The longest file of properties that is read, in bytes.
const MAX_PROPERTIES: u64 = 1 << 20;

/// The device on which recovery works.
#[derive(Debug, Clone, Default)]
pub struct System {
    /// Below which all paths of packages are; `/` but in tests.
    pub root: PathBuf,
    /// What `getprop` says.
    pub properties: BTreeMap<String, String>,
    /// The partition that logical ones lie on. `None`: the one that `ro.boot.super_partition` names, or
    /// `super`.
    pub super_partition: Option<String>,
}

impl System {
    /// Adds the properties of a file as `build.prop`: lines `name=value`, and comments.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add_properties(&mut self, path: &Path) -> Result<()> {
        use std::io::Read as _;
        let mut text = String::new();
        let file = fs::File::open(path).map_err(Error::file("open", path))?;
        file.take(MAX_PROPERTIES).read_to_string(&mut text).map_err(Error::file("read", path))?;
        self.properties.extend(parse_properties(&text));
        Ok(())
    }

    /// Where a path of a package is.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The path of the partition that logical ones lie on.
    #[must_use]
    pub fn super_partition(&self) -> String {
        let named = self.properties.get(SUPER_PROPERTY).filter(|name| !name.is_empty());
        let by_name = || format!("/dev/block/by-name/{}", named.map_or("super", String::as_str));
        self.super_partition.clone().unwrap_or_else(by_name)
    }

    /// The node of the device with this path; or, as `/dev/block/by-name/system` is not there on every
    /// system, of the partition with the last part of it as its name.
    ///
    /// # Errors
    /// When there is none.
    pub fn node(&self, path: &str) -> Result<PathBuf> {
        let own = self.path(path);
        if !path.is_empty() && own.exists() {
            return Ok(own);
        }
        if path.starts_with(MAPPED) {
            let problem = format!(
                "nobody mapped {path}: its blocks can be written, but it cannot be mounted, formatted or \
                 given to a program"
            );
            return Err(Error::logical(&self.super_partition(), Kind::Unsupported, problem));
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let blocks = self.root.join(BLOCKS);
        let devices = fs::read_dir(&blocks).map_err(Error::file("look for devices in", &blocks))?;
        for device in devices.flatten() {
            let text = fs::read_to_string(device.path().join("uevent")).unwrap_or_default();
            let about = parse_properties(&text);
            if about.get("PARTNAME").is_some_and(|own| own == name)
                && let Some(node) = about.get("DEVNAME")
            {
                return Ok(self.root.join("dev").join(node));
            }
        }
        Err(Error::file("open", path)(std::io::ErrorKind::NotFound.into()))
    }

    /// The device at [`node`](Self::node), or the logical partition that a script knows by this path.
    ///
    /// # Errors
    /// When there is none.
    pub fn device(&self, path: &str) -> Result<Box<dyn BlockDevice>> {
        if let Some(name) = path.strip_prefix(MAPPED)
            && !self.path(path).exists()
        {
            return logical::open(self, name);
        }
        Ok(Box::new(FileDevice::open(&self.node(path)?)?))
    }
}

/// Names and values of lines; of two with the same name the first one counts.
pub(crate) fn parse_properties(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            values.entry(name.trim().to_owned()).or_insert_with(|| value.trim().to_owned());
        }
    }
    values
}
