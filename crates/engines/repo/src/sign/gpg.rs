//! OpenPGP: which keyrings a remote uses, and what is said about signatures.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use updraft_fs::{Dir, FileKind};
use updraft_openpgp::{Keyring, MAX_KEYRING, Report, Standing, verify};
use updraft_ostree::{Metadata, RemoteName};

use super::check::signatures;
use super::{Error, Places};
use crate::Repo;

/// Where the signatures are among a commit's detached metadata.
pub const GPG_SIGNATURES: &str = "ostree.gpgsigs";
/// The end of the name of a remote's keyring.
const REMOTE_KEYRING: &str = ".trustedkeys.gpg";
/// A GnuPG home's own store.
const KEYBOX: &str = "pubring.kbx";
const KEYRING_LIMIT: u64 = MAX_KEYRING as u64;

/// The name of a remote's keyring in its repository.
#[must_use]
pub fn keyring_path(remote: &RemoteName) -> String {
    format!("{remote}{REMOTE_KEYRING}")
}

/// The keys of a remote: its own keyring and `gpgkeypath`; the global keyrings when it has none
/// of its own.
pub fn remote_keyring(repo: &Repo, places: &Places, remote: &RemoteName) -> Result<Keyring, Error> {
    let mut keyring = keys_of_remote(repo, places, remote)?;
    if own_keyring(repo, places, remote)?.is_none() {
        keyring.merge(global_keyring(places)?);
    }
    Ok(keyring)
}

/// The keys that a remote has for itself: its own keyring and `gpgkeypath`.
pub fn keys_of_remote(repo: &Repo, places: &Places, remote: &RemoteName) -> Result<Keyring, Error> {
    let mut keyring = own_keyring(repo, places, remote)?.unwrap_or_default();
    let group = crate::pull::group_name(remote);
    let config = repo.remotes_config()?;
    let text = config.get_raw(&group, "gpgkeypath").unwrap_or_default();
    if text.contains(';') && text.contains(',') {
        let message = "key value list contains more than one separator".to_owned();
        let error = crate::Error::other(updraft_error::Kind::Invalid, message);
        return Err(Error::Repo(Box::new(error)));
    }
    let paths = if text.contains(';') || text.is_empty() {
        config.get_list(&group, "gpgkeypath").unwrap_or_default()
    } else {
        // Commas separate where semicolons do not; one may be at the end.
        let parts = text.strip_suffix(',').unwrap_or(text).split(',');
        parts.map(str::to_owned).collect()
    };
    for path in paths {
        if path.is_empty() {
            let missing = rustix::io::Errno::NOENT.into();
            let error = updraft_fs::Error::new("open", "()", missing);
            return Err(error.into());
        }
        let path = path.as_str();
        keyring.merge(keys_at(Path::new(path))?);
    }
    Ok(keyring)
}

/// All keys that may tell something about a commit of unknown origin: those of all remotes, the
/// global ones, and those of a folder.
pub fn viewing_keyring(
    repo: &Repo,
    places: &Places,
    remote: Option<&RemoteName>,
    home: Option<&Path>,
) -> Result<Keyring, Error> {
    let mut keyring = if let Some(remote) = remote {
        remote_keyring(repo, places, remote)?
    } else {
        let mut keyring = keyrings_in(repo.root())?;
        keyring.merge(global_keyring(places)?);
        keyring
    };
    if let Some(home) = home {
        let dir = Dir::open(home)?;
        keyring.merge(keyrings_in(&dir)?);
        if let Some(bytes) = dir.try_read(KEYBOX, KEYRING_LIMIT)? {
            keyring.merge(Keyring::parse(&bytes)?);
        }
    }
    Ok(keyring)
}

/// The keyring that belongs to the remote alone: in the repository, in the system's folder of
/// remotes, or in the parent repository.
fn own_keyring(
    repo: &Repo,
    places: &Places,
    remote: &RemoteName,
) -> Result<Option<Keyring>, Error> {
    let name = keyring_path(remote);
    if let Some(bytes) = repo.root().try_read(&name, KEYRING_LIMIT)? {
        return Ok(Some(Keyring::parse(&bytes)?));
    }
    let parent = repo.config().key_file().get("core", "parent").filter(|path| !path.is_empty());
    let dirs = [Some(places.remotes_dir.clone()), parent.map(PathBuf::from)];
    for dir in dirs.into_iter().flatten() {
        if let Some(dir) = existing(&dir)?
            && let Some(bytes) = dir.try_read(&name, KEYRING_LIMIT)?
        {
            return Ok(Some(Keyring::parse(&bytes)?));
        }
    }
    Ok(None)
}

/// The keys of a remote without a keyring of its own.
pub fn global_keyring(places: &Places) -> Result<Keyring, Error> {
    existing(&places.gpg_dir)?.map_or_else(|| Ok(Keyring::new()), |dir| keyrings_in(&dir))
}

fn existing(path: &Path) -> Result<Option<Dir>, Error> {
    match Dir::open(path) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The keys of all files `*.gpg`.
fn keyrings_in(dir: &Dir) -> Result<Keyring, Error> {
    keys_in(dir, |name| name.extension().is_some_and(|end| end == "gpg"))
}

/// Armored or binary keys in a file, or in all files of a folder.
fn keys_at(path: &Path) -> Result<Keyring, Error> {
    if path.is_dir() {
        return keys_in(&Dir::open(path)?, |_| true);
    }
    let name = path.file_name().unwrap_or_default();
    let dir = Dir::open(path.parent().unwrap_or(Path::new("/")))?;
    Ok(Keyring::parse(&dir.read(name, KEYRING_LIMIT)?)?)
}

fn keys_in(dir: &Dir, wanted: impl Fn(&Path) -> bool) -> Result<Keyring, Error> {
    // A GnuPG home has sockets, too.
    let files = dir
        .entries()?
        .into_iter()
        .filter(|entry| matches!(entry.kind, FileKind::Regular | FileKind::Symlink));
    let mut names: Vec<_> = files.map(|entry| entry.name).collect();
    names.sort();
    let mut keyring = Keyring::new();
    for name in names {
        if !wanted(Path::new(&name)) {
            continue;
        }
        let Some(bytes) = dir.try_read(&name, KEYRING_LIMIT)? else { continue };
        match Keyring::parse(&bytes) {
            Ok(keys) => drop(keyring.merge(keys)),
            // A GnuPG home has other files of that name. Fewer keys never trust more.
            Err(error) => {
                tracing::debug!(file = %name.display(), %error, "passed over: no keyring");
            }
        }
    }
    Ok(keyring)
}

/// What is to be thought of each OpenPGP signature beside `data`. `None` when there is none.
pub fn gpg_reports(
    keyring: &Keyring,
    data: &[u8],
    metadata: &Metadata,
    now: u64,
) -> Result<Option<Vec<Report>>, Error> {
    let Some(found) = signatures(metadata, GPG_SIGNATURES).filter(|found| !found.is_empty()) else {
        return Ok(None);
    };
    let mut reports = Vec::new();
    for signature in found {
        match verify(keyring, data, signature, now) {
            Ok(more) => reports.extend(more),
            // One that cannot be read takes nothing from the others.
            Err(updraft_openpgp::Error::NoSignature) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if reports.is_empty() {
        return Err(updraft_openpgp::Error::NoSignature.into());
    }
    Ok(Some(reports))
}

/// One good signature, or why there is none.
pub(super) fn require(reports: &[Report], zone: &TimeZone) -> Result<(), Error> {
    if reports.iter().any(Report::is_good) {
        return Ok(());
    }
    // The newest first, as libostree tells it.
    let texts: Vec<String> =
        reports.iter().rev().map(|report| describe(report, zone).join("\n")).collect();
    Err(Error::BadGpgSignature(texts.join("\n")))
}

/// What people are told about a signature, in lines.
#[must_use]
pub fn describe(report: &Report, zone: &TimeZone) -> Vec<String> {
    let mut lines = Vec::new();
    let algorithm = report.algorithm.unwrap_or("[unknown name]");
    let made = date(report.created, zone);
    lines.push(format!("Signature made {made} using {algorithm} key ID {}", report.key_id));
    let user = report.user.clone().unwrap_or_default();
    let user = format!("\"{} <{}>\"", user.name, user.email);
    lines.push(match report.standing {
        Standing::Good => format!("Good signature from {user}"),
        Standing::Expired => format!("Expired signature from {user}"),
        Standing::KeyRevoked => "Key revoked".to_owned(),
        Standing::KeyMissing => "Can't check signature: public key not found".to_owned(),
        Standing::Bad | Standing::KeyExpired => format!("BAD signature from {user}"),
    });
    if report.standing == Standing::KeyMissing {
        return lines;
    }
    if let Some(primary) = report.primary.as_ref().filter(|_| report.primary != report.fingerprint)
    {
        let short = primary.get(primary.len().saturating_sub(16)..).unwrap_or_default();
        lines.push(format!("Primary key ID {short}"));
    }
    lines.extend(report.expires.map(|time| {
        let verb = if report.standing == Standing::Expired { "expired" } else { "expires" };
        format!("Signature {verb} {}", date(time, zone))
    }));
    let verb = |time: u64| if time <= report.judged { "expired" } else { "expires" };
    lines.extend(report.key_expires.map(|time| format!("Key {} {}", verb(time), date(time, zone))));
    lines.extend(
        report
            .primary_expires
            .map(|time| format!("Primary key {} {}", verb(time), date(time, zone))),
    );
    lines
}

/// A time as GLib's `%c` prints it without a locale.
#[must_use]
pub fn date(seconds: u64, zone: &TimeZone) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let time = time.unwrap_or(Timestamp::MAX).to_zoned_datetime(zone.clone());
    // GLib pads the day with a figure space.
    let pad = if time.day() < 10 { "\u{2007}" } else { "" };
    format!("{} {pad}{} {}", time.strftime("%a %b"), time.day(), time.strftime("%H:%M:%S %Y"))
}
