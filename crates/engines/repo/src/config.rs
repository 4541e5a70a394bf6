//! A repository's `config`: the keys that decide how we read and write it.

mod keys;

pub use keys::MAX_BOOT_TRIES;

use std::time::Duration;

use updraft_error::Kind;
use updraft_ostree::{KeyFile, RepoMode};

use crate::{Error, Result};

/// The group of a repository's own settings.
pub(crate) const CORE: &str = "core";

/// What a repository's `config` says, with libostree's defaults for what it leaves out.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "they are the file's own switches")]
pub struct Config {
    file: KeyFile,
    /// How file objects are stored.
    pub mode: RepoMode,
    /// Whether what is written must be durable before refs name it.
    pub fsync: bool,
    /// Whether each object is synced by itself instead of the whole file system at the end.
    pub per_object_fsync: bool,
    /// Whether `.lock` is taken.
    pub locking: bool,
    /// How long to wait for it; `None` is for ever.
    pub lock_timeout: Option<Duration>,
    /// Whether xattrs are neither read nor written.
    pub disable_xattrs: bool,
    /// Compression of new file objects in an archive repository, 1 to 9.
    pub zlib_level: u32,
    /// How much room must stay free.
    pub min_free: MinFree,
    /// The collection that this repository's refs belong to.
    pub collection_id: Option<String>,
    /// Whether a deleted commit leaves a tombstone.
    pub tombstone_commits: bool,
    /// Whether the summary leaves static deltas out; their indexes list them anyway.
    pub no_deltas_in_summary: bool,
    /// Whether objects get fs-verity digests.
    pub fsverity: Wanted,
    /// Whether deployments must boot from composefs images.
    pub composefs: Wanted,
    /// Whether each new ref regenerates the summary.
    pub auto_update_summary: bool,
    /// After how many seconds a temporary file that nobody touched is removed.
    pub tmp_expiry: u64,
    /// How often a new deployment may be tried: 1 to 5, or 0, which is not to count.
    pub boot_counting_tries: u32,
    /// What the boot loader's entries of all deployments but the default one have besides: keys of
    /// the Boot Loader Specification, with their values.
    pub bls_append_except_default: Vec<(String, String)>,
}

/// Whether something is done that not every system can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// It is not.
    #[default]
    No,
    /// Where it can be.
    Maybe,
    /// It must be; else the operation fails.
    Yes,
}

/// How much room a transaction must leave on the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    /// Hundredths of the file system's size.
    Percent(u8),
    /// Bytes.
    Bytes(u64),
}

impl Config {
    /// Understands a key file.
    pub(crate) fn from_key_file(file: KeyFile) -> Result<Self> {
        let version = file.get(CORE, "repo_version").unwrap_or_default();
        if version.trim_end() != "1" {
            let message = format!("Invalid repository version '{version}'");
            return Err(Error::other(Kind::Unsupported, message));
        }
        let mode = file.get(CORE, "mode").unwrap_or_else(|| "bare".to_owned());
        let mode = mode.trim_end().parse().map_err(|_| {
            let message = format!("Invalid mode '{mode}' in repository configuration");
            Error::other(Kind::Unsupported, message)
        })?;
        keys::check(&file)?;
        let composefs = wanted(&file, "composefs")?.unwrap_or_default();
        let flag = |key, default| Ok::<_, Error>(file.get_bool(CORE, key)?.unwrap_or(default));
        Ok(Self {
            mode,
            fsync: flag("fsync", true)?,
            per_object_fsync: flag("per-object-fsync", false)?,
            locking: flag("locking", true)?,
            lock_timeout: lock_timeout(&file)?,
            disable_xattrs: flag("disable-xattrs", false)?,
            zlib_level: zlib_level(&file)?,
            min_free: min_free(&file)?,
            collection_id: file.get(CORE, "collection-id"),
            tombstone_commits: flag("tombstone-commits", false)?,
            no_deltas_in_summary: flag("no-deltas-in-summary", false)?,
            fsverity: fsverity(&file, composefs)?,
            composefs,
            auto_update_summary: flag("auto-update-summary", false)?
                || flag("commit-update-summary", false)?,
            tmp_expiry: keys::tmp_expiry(&file),
            boot_counting_tries: keys::boot_counting_tries(&file)?,
            bls_append_except_default: keys::appended_keys(&file)?,
            file,
        })
    }

    /// The whole file.
    #[must_use]
    pub fn key_file(&self) -> &KeyFile {
        &self.file
    }
}

/// A key of `[ex-integrity]`.
fn wanted(file: &KeyFile, key: &str) -> Result<Option<Wanted>> {
    let Some(text) = file.get("ex-integrity", key) else { return Ok(None) };
    match text.trim_end() {
        "yes" | "true" | "1" => Ok(Some(Wanted::Yes)),
        "no" | "false" | "0" => Ok(Some(Wanted::No)),
        "maybe" => Ok(Some(Wanted::Maybe)),
        // What of the image is verified at boot is not the repository's matter.
        "verity" | "signed" if key == "composefs" => Ok(Some(Wanted::Yes)),
        other => {
            let message = format!("Invalid tri-state value '{other}' of ex-integrity.{key}");
            Err(Error::other(Kind::Invalid, message))
        }
    }
}

/// Composefs wants fs-verity where it can be had. The keys of `[ex-fsverity]` came before those of
/// `[ex-integrity]` and count when these say no.
fn fsverity(file: &KeyFile, composefs: Wanted) -> Result<Wanted> {
    let default = if composefs == Wanted::No { Wanted::No } else { Wanted::Maybe };
    match wanted(file, "fsverity")?.unwrap_or(default) {
        Wanted::No => {}
        wanted => return Ok(wanted),
    }
    let old = |key| Ok::<_, Error>(file.get_bool("ex-fsverity", key)?.unwrap_or(false));
    Ok(match (old("required")?, old("opportunistic")?) {
        (true, _) => Wanted::Yes,
        (_, true) => Wanted::Maybe,
        _ => Wanted::No,
    })
}

fn lock_timeout(file: &KeyFile) -> Result<Option<Duration>> {
    let Some(text) = file.get(CORE, "lock-timeout-secs") else {
        return Ok(Some(Duration::from_mins(5)));
    };
    let seconds: i64 = text.trim_end().parse().map_err(|_| {
        Error::other(Kind::Invalid, format!("Invalid lock-timeout-secs '{text}': not a number"))
    })?;
    Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
}

/// How hard files are compressed when the configuration does not say it. Libostree's 6 is of another
/// deflate: with ours, 5 takes a fifth less time than 6 and gives 0.2 % more bytes.
const ZLIB_LEVEL: u32 = 5;

fn zlib_level(file: &KeyFile) -> Result<u32> {
    let Some(text) = file.get("archive", "zlib-level") else { return Ok(ZLIB_LEVEL) };
    match text.trim_end().parse() {
        Ok(level @ 1..=9) => Ok(level),
        _ => Err(Error::other(
            Kind::Invalid,
            format!("Invalid zlib-level '{text}': it must be 1 to 9"),
        )),
    }
}

fn min_free(file: &KeyFile) -> Result<MinFree> {
    if let Some(text) = file.get(CORE, "min-free-space-size") {
        return parse_size(text.trim_end()).map(MinFree::Bytes).ok_or_else(|| {
            let message = format!(
                "Invalid min-free-space-size '{text}': It should be of the format '123MB', \
                 '123GB' or '123TB'"
            );
            Error::other(Kind::Invalid, message)
        });
    }
    let Some(text) = file.get(CORE, "min-free-space-percent") else {
        return Ok(MinFree::Percent(3));
    };
    match text.trim_end().parse() {
        Ok(percent @ 0..=99) => Ok(MinFree::Percent(percent)),
        Ok(_) => {
            let message = format!("Invalid min-free-space-percent '{text}'");
            Err(Error::other(Kind::Invalid, message))
        }
        Err(_) => {
            let message = format!("Invalid min-free-space-percent '{text}': must be a number");
            Err(Error::other(Kind::Invalid, message))
        }
    }
}

/// `^[0-9]+[MGT]B$`, in powers of 1024.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('B')?;
    let shift = match digits.as_bytes().last()? {
        b'M' => 20,
        b'G' => 30,
        b'T' => 40,
        _ => return None,
    };
    let number: u64 = digits[..digits.len() - 1].parse().ok()?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::{Config, MinFree, Wanted};
    use updraft_ostree::{KeyFile, RepoMode};

    fn config(extra: &str) -> Result<Config, String> {
        let text = format!("[core]\nrepo_version=1\n{extra}");
        Config::from_key_file(KeyFile::parse(&text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_libostree() {
        let config = config("").unwrap();
        assert_eq!(config.mode, RepoMode::Bare);
        assert!(config.fsync && config.locking && !config.per_object_fsync);
        assert_eq!((config.zlib_level, config.min_free), (5, MinFree::Percent(3)));
    }

    #[test]
    fn composefs_wants_verity() {
        for (text, fsverity) in [
            ("", Wanted::No),
            ("[ex-integrity]\ncomposefs=maybe", Wanted::Maybe),
            ("[ex-integrity]\ncomposefs=true\nfsverity=yes", Wanted::Yes),
            ("[ex-integrity]\ncomposefs=yes\nfsverity=no", Wanted::No),
            ("[ex-fsverity]\nrequired=true", Wanted::Yes),
            ("[ex-fsverity]\nopportunistic=true", Wanted::Maybe),
        ] {
            assert_eq!(config(text).unwrap().fsverity, fsverity, "{text}");
        }
    }

    #[test]
    fn bad_values_are_named() {
        for (text, message) in [
            ("mode=zip", "Invalid mode 'zip'"),
            ("min-free-space-percent=100", "Invalid min-free-space-percent '100'"),
            ("min-free-space-percent=x", "must be a number"),
            ("min-free-space-size=5KB", "'123MB'"),
            ("fsync=perhaps", "perhaps"),
            ("[ex-integrity]\nfsverity=perhaps", "perhaps"),
            ("[archive]\nzlib-level=10", "zlib-level"),
            ("default-repo-finders=config;moon", "Invalid configured repo-finder 'moon'"),
            ("default-repo-finders=", "Invalid empty default-repo-finders"),
            ("add-remotes-config-dir=x", "add-remotes-config-dir"),
            ("[sysroot]\nbootloader=lilo", "Invalid bootloader configuration: 'lilo'"),
            ("[sysroot]\nbootprefix=x", "bootprefix"),
            ("[sysroot]\nboot-counting-tries=6", "“6” is out of bounds [0, 5]"),
            ("[sysroot]\nboot-counting-tries=-1", "“-1” is not an unsigned number"),
            ("[sysroot]\nbls-append-except-default=a=b;c", "key1=value1;key2=value2"),
        ] {
            let error = config(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert_eq!(config("min-free-space-size=2GB").unwrap().min_free, MinFree::Bytes(2 << 30));
    }
}
