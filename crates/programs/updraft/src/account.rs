//! Which server this person works with: `updraft login`, and where its answer is kept.
//!
//! ```toml
//! server = "https://updraft.example:9443"
//! token = "…"
//! ca = "-----BEGIN CERTIFICATE-----…"       # absent: the system's certificates
//! ```
//! The file is `$XDG_CONFIG_HOME/updraft/config.toml`, mode 0600. `UPDRAFT_SERVER`,
//! `UPDRAFT_TOKEN` and `UPDRAFT_CA` (a file) come before what it says.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use updraft_error::Kind;
use updraft_fs::{Dir, atomic_write};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use crate::server::Server;

/// Largest account file and largest certificate file, in bytes.
const FILE_LIMIT: u64 = 256 * 1024;

/// A server and who we are there.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    /// The server's base URL, without a slash at its end.
    pub(crate) server: String,
    /// The operator's token.
    pub(crate) token: String,
    /// The certificates to trust, PEM; absent for the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<String>,
}

impl Account {
    /// The account that the environment and the file give.
    pub(crate) fn load() -> Result<Self> {
        let stored = Self::stored()?;
        let server = variable("UPDRAFT_SERVER").or(stored.as_ref().map(|s| s.server.clone()));
        let token = variable("UPDRAFT_TOKEN").or(stored.as_ref().map(|s| s.token.clone()));
        let (Some(server), Some(token)) = (server, token) else {
            return Err(Failure::new(Kind::NotFound, "no server is known")
                .hint("log in with `updraft login URL --ca ca.pem --token TOKEN`")
                .hint("or set UPDRAFT_SERVER, UPDRAFT_TOKEN and UPDRAFT_CA"));
        };
        let ca = match variable("UPDRAFT_CA") {
            Some(path) => Some(read_certificates(Path::new(&path))?),
            None => stored.and_then(|stored| stored.ca),
        };
        Ok(Self { server: base_url(&server)?, token, ca })
    }

    fn stored() -> Result<Option<Self>> {
        let path = path()?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(
                    Failure::from(error).context(format!("failed to read `{}`", path.display()))
                );
            }
        };
        let account = toml::from_str(&text).map_err(|error| {
            Failure::of(Kind::Invalid, error)
                .context(format!("failed to read `{}`", path.display()))
                .hint("log in again with `updraft login`")
        })?;
        Ok(Some(account))
    }

    fn store(&self) -> Result<PathBuf> {
        let path = path()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let text = toml::to_string(self).map_err(|error| Failure::of(Kind::Bug, error))?;
        let folder = Dir::create_all(folder, 0o700)?;
        // Commit point: from here on the new account counts.
        atomic_write(&folder, "config.toml", text.as_bytes(), 0o600)?;
        Ok(path)
    }
}

/// Log in to a server: check the token and remember both.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  updraft-server token create me --data /srv/updraft | \\
    updraft login https://updates.example:9443 --ca /srv/updraft/tls/ca.pem

The address, the token and the CA are stored in $XDG_CONFIG_HOME/updraft/config.toml, readable by
you only. UPDRAFT_SERVER, UPDRAFT_TOKEN and UPDRAFT_CA (a file) come before what it says.")]
pub(crate) struct Login {
    /// The server's address, such as https://updraft.example:9443.
    url: String,
    /// The certificate of the authority that the server's certificate comes from (PEM); the
    /// server keeps it in `DATA/tls/ca.pem`. Without it the system's certificates count.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The token, as `updraft-server token create` printed it; `-` reads it from stdin.
    #[arg(long, env = "UPDRAFT_TOKEN", hide_env_values = true, default_value = "-")]
    token: String,
}

impl Login {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let token = if self.token == "-" { read_token()? } else { self.token.trim().to_owned() };
        let ca = self.ca.as_deref().map(read_certificates).transpose()?;
        let account = Account { server: base_url(&self.url)?, token, ca };
        let status = Server::new(&account)?.status().context("failed to log in")?;
        let path = account.store()?;
        terminal.show(&status, |status| {
            terminal.say(format!("stored in {}", path.display()));
            terminal.line(format!(
                "logged in to {} (version {}) as `{}`",
                account.server, status.version, status.token
            ))
        })
    }
}

fn read_token() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().take(FILE_LIMIT).read_to_string(&mut text).context("failed to read stdin")?;
    match text.trim() {
        "" => Err(Failure::new(Kind::Invalid, "there is no token on stdin")
            .hint("give it with --token, UPDRAFT_TOKEN or stdin")),
        token => Ok(token.to_owned()),
    }
}

fn read_certificates(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the certificate `{}`", path.display()))
}

fn base_url(url: &str) -> Result<String> {
    if url.starts_with("https://") {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    // The token goes with every request, so it must never be sent where others can read it.
    if url.starts_with("http://") {
        return Err(Failure::new(
            Kind::Invalid,
            format!("`{url}` would send the token unencrypted"),
        )
        .hint("a server is spoken to over https:// only"));
    }
    Err(Failure::new(Kind::Invalid, format!("`{url}` is not the address of a server"))
        .hint("write it with its scheme, such as https://updraft.example:9443"))
}

fn path() -> Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let folder = folder.ok_or_else(|| {
        Failure::new(Kind::NotFound, "neither XDG_CONFIG_HOME nor HOME is set")
            .hint("set one of them, or UPDRAFT_SERVER and UPDRAFT_TOKEN")
    })?;
    Ok(folder.join("updraft/config.toml"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Account, base_url};

    #[test]
    fn a_base_url_has_a_scheme_and_no_slash_at_its_end() {
        assert_eq!(base_url("https://a:1/").unwrap(), "https://a:1");
        assert!(base_url("a:1").is_err());
        assert!(base_url("http://a:1").is_err());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = toml::from_str::<Account>("server = 'x'\ntoken = 'y'\nproxi = 1\n");
        let text = error.err().unwrap().to_string();
        assert!(text.contains("line 3") && text.contains("proxi"), "{text}");
    }
}
