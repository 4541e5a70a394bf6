//! `ostree remote gpg-import`, `ostree remote gpg-list-keys`: the OpenPGP keys of a remote.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use updraft_error::Kind;
use updraft_fs::atomic_write;
use updraft_openpgp::{KeyListing, Keyring, MAX_KEYRING, SubkeyListing};
use updraft_ostree::RemoteName;
use updraft_repo::Repo;
use updraft_repo::sign;
use updraft_terminal::{Failure, Result, Terminal};

use super::super::signing;

/// Import OpenPGP keys of a remote.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// Import the keys in this file.
    #[arg(long, short = 'k', value_name = "FILE")]
    keyring: Vec<PathBuf>,
    /// Import the keys on standard input.
    #[arg(long)]
    stdin: bool,
    /// The remote.
    name: Option<String>,
    /// Only these keys.
    #[arg(value_name = "KEY-ID")]
    keys: Vec<String>,
}

impl Import {
    pub(super) fn run(&self, repo: &Repo, terminal: &Terminal) -> Result {
        let invalid = |message: &str| Failure::new(Kind::Invalid, message);
        let name = self.name.as_deref().ok_or_else(|| invalid("NAME must be specified"))?;
        if self.stdin && !self.keyring.is_empty() {
            return Err(invalid("--keyring and --stdin are mutually exclusive"));
        }
        let mut found = Keyring::new();
        if self.stdin {
            let mut bytes = Vec::new();
            let limit = MAX_KEYRING as u64 + 1;
            std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
            found.merge(Keyring::parse(&bytes)?);
        }
        for file in &self.keyring {
            found.merge(read(file)?);
        }
        if self.keyring.is_empty() && !self.stdin {
            return Err(invalid("No keys to import")
                .hint("name a file with --keyring, or give the keys on --stdin"));
        }
        import(repo, &RemoteName::new(name)?, &found, &self.keys, terminal)
    }
}

/// Reads a file with keys.
pub(super) fn read(path: &Path) -> Result<Keyring> {
    let bytes = std::fs::read(path).map_err(|error| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let said = error.to_string();
        // The system's words alone, without its number.
        let said = said.split(" (os error").next().unwrap_or_default();
        let message = format!("Error opening file {}: {said}", path.display());
        Failure::new(updraft_error::Classify::kind(&error), message)
    })?;
    Ok(Keyring::parse(&bytes)?)
}

/// Adds keys to those of a remote, and says how many are new.
pub(super) fn import(
    repo: &Repo,
    name: &RemoteName,
    keys: &Keyring,
    only: &[String],
    terminal: &Terminal,
) -> Result {
    if !repo.config().key_file().has_group(&super::group(name.as_str())) {
        let message = format!("GPG: Remote \"{name}\" not found");
        return Err(Failure::new(Kind::NotFound, message).hint("`remote list` shows the remotes"));
    }
    if keys.is_empty() {
        return Err(updraft_openpgp::Error::NoKeys.into());
    }
    let wanted = if only.is_empty() { keys.clone() } else { keys.selected(only) };
    if let Some(missing) = only.iter().find(|key| keys.selected(&[(*key).clone()]).is_empty()) {
        let message = format!("GPG: Unable to find key \"{missing}\": GPGME: End of file");
        return Err(Failure::new(Kind::NotFound, message));
    }
    let path = sign::keyring_path(name);
    let mut keyring = match repo.root().try_read(&path, MAX_KEYRING as u64)? {
        Some(bytes) => Keyring::parse(&bytes)?,
        None => Keyring::new(),
    };
    let count = keyring.merge(wanted);
    // Commit point: the rename inside.
    atomic_write(repo.root(), &path, &keyring.encode()?, 0o644)?;
    let keys = if count == 1 { "key" } else { "keys" };
    let imported = serde_json::json!({ "remote": name.to_string(), "imported": count });
    terminal.show(&imported, |_| {
        terminal.line(format!("Imported {count} GPG {keys} to remote \"{name}\""))
    })
}

/// Lists the keys of a remote, or the global ones.
pub(super) fn list(repo: &Repo, name: Option<&str>, terminal: &Terminal) -> Result {
    let places = signing::places();
    let keyring = match name {
        Some(name) => {
            let name = RemoteName::new(name)?;
            repo.remote(&name)?;
            // Not the global keys, although they count where a remote has none of its own.
            sign::keys_of_remote(repo, &places, &name)?
        }
        None => sign::global_keyring(&places)?,
    };
    let listed = keyring.list(places.now);
    if terminal.wants_json() {
        let keys: Vec<_> = listed.iter().map(json).collect();
        return terminal.json(&keys);
    }
    listed.iter().try_for_each(|key| print(key, &places.zone, terminal))
}

fn print(listing: &KeyListing, zone: &TimeZone, terminal: &Terminal) -> Result {
    print_key("Key: ", "  ", &listing.key, zone, terminal)?;
    for user in &listing.users {
        let state = state(user.revoked, user.invalid);
        terminal.line(format!("  UID: {}{state}", user.id))?;
        let urls = user.update_urls.as_ref();
        let (advanced, direct) =
            urls.map_or(("", ""), |urls| (urls.advanced.as_str(), urls.direct.as_str()));
        terminal.line(format!("  Advanced update URL: {advanced}"))?;
        terminal.line(format!("  Direct update URL: {direct}"))?;
    }
    let mut subkeys = listing.subkeys.iter();
    subkeys.try_for_each(|subkey| print_key("  Subkey: ", "    ", subkey, zone, terminal))
}

fn print_key(
    title: &str,
    indent: &str,
    key: &SubkeyListing,
    zone: &TimeZone,
    terminal: &Terminal,
) -> Result {
    let state = state(key.revoked, key.invalid);
    terminal.line(format!("{title}{}{state}", key.fingerprint))?;
    terminal.line(format!("{indent}Created: {}", sign::date(key.created, zone)))?;
    match key.expires {
        None => Ok(()),
        Some(time) => {
            let verb = if key.expired { "Expired" } else { "Expires" };
            terminal.line(format!("{indent}{verb}: {}", sign::date(time, zone)))
        }
    }
}

fn state(revoked: bool, invalid: bool) -> &'static str {
    match (revoked, invalid) {
        (true, _) => " (revoked)",
        (_, true) => " (invalid)",
        _ => "",
    }
}

fn json(listing: &KeyListing) -> serde_json::Value {
    let key = |key: &SubkeyListing| {
        let time = |seconds: u64| {
            i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok())
        };
        serde_json::json!({
            "fingerprint": key.fingerprint,
            "created": time(key.created).map(|time| time.to_string()),
            "expires": key.expires.and_then(time).map(|time| time.to_string()),
            "expired": key.expired,
            "revoked": key.revoked,
            "invalid": key.invalid,
        })
    };
    let users = listing.users.iter().map(|user| {
        serde_json::json!({ "id": user.id, "revoked": user.revoked, "invalid": user.invalid })
    });
    let users: Vec<_> = users.collect();
    let subkeys: Vec<_> = listing.subkeys.iter().map(key).collect();
    serde_json::json!({ "key": key(&listing.key), "users": users, "subkeys": subkeys })
}
