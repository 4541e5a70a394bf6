//! Keys of the configuration that only a part of all commands heeds. A repository with a wrong
//! value of one is not opened all the same, as by libostree: whoever wrote it hears of it at once.

use updraft_error::Kind;
use updraft_ostree::KeyFile;

use super::CORE;
use crate::{Error, Result};

/// The finders that `find-remotes` can ask.
const FINDERS: [&str; 3] = ["config", "lan", "mount"];
/// Boot loaders by the names that `sysroot.bootloader` may have. The last three are ours alone.
const BOOT_LOADERS: [&str; 10] = [
    "auto",
    "none",
    "grub2",
    "syslinux",
    "uboot",
    "zipl",
    "aboot",
    "extlinux",
    "systemd-boot",
    "uki",
];
/// The most tries that `sysroot.boot-counting-tries` may give a deployment, as in libostree.
pub const MAX_BOOT_TRIES: u32 = 5;
/// How long temporary files stay, in seconds: a day.
const TMP_EXPIRY: u64 = 86_400;

/// Holds all of them to their rules.
pub(super) fn check(file: &KeyFile) -> Result<()> {
    let switches = [
        (CORE, "add-remotes-config-dir"),
        (CORE, "enable-uncompressed-cache"),
        ("sysroot", "readonly"),
        ("sysroot", "bootprefix"),
    ];
    for (group, key) in switches {
        file.get_bool(group, key)?;
    }
    check_finders(file)?;
    if let Some(name) = file.get("sysroot", "bootloader")
        && !BOOT_LOADERS.contains(&name.trim_end())
    {
        return Err(invalid(format!("Invalid bootloader configuration: '{name}'")));
    }
    Ok(())
}

fn check_finders(file: &KeyFile) -> Result<()> {
    let Some(finders) = file.get_list(CORE, "default-repo-finders") else { return Ok(()) };
    if finders.is_empty() {
        return Err(invalid("Invalid empty default-repo-finders configuration".to_owned()));
    }
    match finders.iter().find(|finder| !FINDERS.contains(&finder.as_str())) {
        None => Ok(()),
        Some(other) => Err(invalid(format!("Invalid configured repo-finder '{other}'"))),
    }
}

/// `sysroot.boot-counting-tries`: how often a new deployment may be tried; 0 when it says nothing.
pub(super) fn boot_counting_tries(file: &KeyFile) -> Result<u32> {
    let key = "sysroot.boot-counting-tries";
    let Some(text) = file.get("sysroot", "boot-counting-tries") else { return Ok(0) };
    match text.trim_end().parse() {
        Ok(tries) if tries <= MAX_BOOT_TRIES => Ok(tries),
        Ok(_) => {
            let bounds = format!("Number “{text}” is out of bounds [0, {MAX_BOOT_TRIES}]");
            Err(invalid(format!("Parsing {key}: {bounds}")))
        }
        Err(_) => Err(invalid(format!("Parsing {key}: “{text}” is not an unsigned number"))),
    }
}

/// `sysroot.bls-append-except-default`: keys with values that the entries of all deployments but the
/// default one get.
pub(super) fn appended_keys(file: &KeyFile) -> Result<Vec<(String, String)>> {
    let key = "bls-append-except-default";
    let Some(pairs) = file.get_list("sysroot", key) else { return Ok(Vec::new()) };
    let pair = |text: String| {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            invalid(format!("{key} key must be of the form \"key1=value1;key2=value2...\""))
        })?;
        Ok((name.to_owned(), value.to_owned()))
    };
    pairs.into_iter().map(pair).collect()
}

/// `core.tmp-expiry-secs`; what is no number is passed over.
pub(super) fn tmp_expiry(file: &KeyFile) -> u64 {
    let text = file.get(CORE, "tmp-expiry-secs");
    text.and_then(|text| text.trim_end().parse().ok()).unwrap_or(TMP_EXPIRY)
}

fn invalid(message: String) -> Error {
    Error::other(Kind::Invalid, message)
}
