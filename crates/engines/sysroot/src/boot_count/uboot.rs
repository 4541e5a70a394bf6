//! U-Boot's counter, in the variables of its own documentation (`README.bootcount`):
//!
//! | variable | meaning |
//! | --- | --- |
//! | `upgrade_available` | 1: the default is on trial, U-Boot counts |
//! | `bootcount` | tries that were made; U-Boot adds one before each |
//! | `bootlimit` | when more were made, `altbootcmd` runs in place of `bootcmd` |
//! | `altbootcmd` | sets `rollback` and boots; written when there is none |
//! | `rollback` | 1: the second entry is booted |
//!
//! `/etc/fw_env.config` says where the environment is: one line for each copy, `FILE OFFSET SIZE`.
//! Of two copies the older one is written, so that a power cut leaves one or the other.

use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use updraft_bootenv::{BootCount, BootVerdict, UbootCopy, UbootEnv, UbootLayout, UbootPlace};
use updraft_error::Kind;
use updraft_fs::Dir;

use super::{DefaultCounter, write_in_place};
use crate::{DeploymentId, Error, Result, Sysroot};

const CONFIG: &str = "/etc/fw_env.config";
const MAX_CONFIG: u64 = 64 * 1024;
const ALTERNATIVE: &str = "setenv rollback 1; setenv upgrade_available 0; saveenv; run bootcmd";

/// The environment that a configuration names.
pub(super) struct UbootCounter {
    config: PathBuf,
    first: UbootPlace,
    second: Option<UbootPlace>,
}

impl UbootCounter {
    pub(super) fn find(sysroot: &Sysroot) -> Result<Option<Self>> {
        let config = match &sysroot.options.uboot_environment {
            Some(config) => config.clone(),
            None if sysroot.path() == Path::new("/") => CONFIG.into(),
            None => return Ok(None),
        };
        let folder = config.parent().unwrap_or(Path::new("/"));
        let name = config.file_name().unwrap_or_default();
        let bytes = match Dir::open(folder) {
            Ok(folder) => folder.try_read(name, MAX_CONFIG)?,
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let parsed = UbootPlace::parse_config(&String::from_utf8_lossy(&bytes));
        let (first, second) =
            parsed.map_err(|source| Error::Entry { path: config.clone(), source })?;
        Ok(Some(Self { config, first, second }))
    }

    /// The environment, its layout, and where to write it with which flag.
    fn read(&self) -> Result<Found<'_>> {
        let first = read(&self.first)?;
        let mut layout = UbootLayout { size: self.first.size, redundant: false, big_endian: false };
        let Some(second_place) = &self.second else {
            let little = UbootEnv::parse(layout, &first);
            let environment = little.or_else(|_| {
                layout.big_endian = true;
                UbootEnv::parse(layout, &first)
            });
            let environment = environment.map_err(|source| self.failed(source))?;
            return Ok(Found { environment, layout, place: &self.first, flag: 0 });
        };
        layout.redundant = true;
        let second = read(second_place)?;
        let little = UbootEnv::choose(layout, &first, &second);
        let found = little.or_else(|_| {
            layout.big_endian = true;
            UbootEnv::choose(layout, &first, &second)
        });
        let found = found.map_err(|source| self.failed(source))?;
        let (copy, flag) = found.next();
        let place = if copy == UbootCopy::First { &self.first } else { second_place };
        Ok(Found { environment: found.environment, layout, place, flag })
    }

    fn change(&self, changes: &[(&str, &str)]) -> Result<()> {
        let mut found = self.read()?;
        for (name, value) in changes {
            found.environment.set(name, value).map_err(|source| self.failed(source))?;
        }
        let bytes = found
            .environment
            .encode(found.layout, found.flag)
            .map_err(|source| self.failed(source))?;
        let folder = Dir::open(found.place.file.parent().unwrap_or(Path::new("/")))?;
        let name = Path::new(found.place.file.file_name().unwrap_or_default());
        // Commit point, where there are two copies: the last byte that makes the checksum right.
        write_in_place(&folder, name, found.place.offset, &bytes)
    }

    fn failed(&self, source: updraft_bootenv::Error) -> Error {
        Error::Entry { path: self.config.clone(), source }
    }
}

struct Found<'a> {
    environment: UbootEnv,
    layout: UbootLayout,
    place: &'a UbootPlace,
    flag: u8,
}

impl DefaultCounter for UbootCounter {
    fn count(&self) -> Result<Option<BootCount>> {
        let environment = self.read()?.environment;
        let number = |name: &str| environment.get(name).and_then(|text| text.parse::<u32>().ok());
        let done = number("bootcount").unwrap_or(0);
        if environment.get("rollback") == Some("1") {
            return Ok(Some(BootCount { left: 0, done: done.max(1) }));
        }
        if environment.get("upgrade_available") != Some("1") {
            return Ok(None);
        }
        let limit = number("bootlimit").unwrap_or(0);
        Ok(Some(BootCount { left: limit.saturating_sub(done), done }))
    }

    fn arm(&self, _default: &DeploymentId, tries: u32) -> Result<()> {
        let tries = tries.to_string();
        let mut changes = vec![
            ("upgrade_available", "1"),
            ("bootcount", "0"),
            ("bootlimit", tries.as_str()),
            ("rollback", "0"),
        ];
        if self.read()?.environment.get("altbootcmd").is_none() {
            changes.push(("altbootcmd", ALTERNATIVE));
        }
        self.change(&changes)
    }

    fn settle(&self, verdict: BootVerdict) -> Result<()> {
        let rollback = if verdict == BootVerdict::Bad { "1" } else { "0" };
        self.change(&[("upgrade_available", "0"), ("bootcount", "0"), ("rollback", rollback)])
    }
}

fn read(place: &UbootPlace) -> Result<Vec<u8>> {
    let failed = |source| Error::Fs(updraft_fs::Error::new("read", place.file.clone(), source));
    let file = std::fs::File::open(&place.file).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    if kind.is_char_device() {
        // Flash has to be erased, block by block, and may have bad blocks.
        let message = format!(
            "write U-Boot's environment on the flash {}: only files and block devices are known",
            place.file.display()
        );
        return Err(Error::other(Kind::Unsupported, message));
    }
    // A size that the format's limits allow; the parser refuses others.
    let mut bytes = vec![0; place.size.min(1 << 24)];
    file.read_exact_at(&mut bytes, place.offset).map_err(failed)?;
    Ok(bytes)
}
