//! `ostree remote add-cookie`, `delete-cookie`, `list-cookies`.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use updraft_error::Kind;
use updraft_http::Cookie;
use updraft_ostree::RemoteName;
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, Terminal};

use crate::ostree::time;

/// How long a cookie is sent: 25 years of 365.25 days, as the peer has it.
const LIFETIME: i64 = 25 * 31_557_600;

/// Which cookie.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The remote.
    #[arg(value_name = "NAME")]
    remote: String,
    /// The host, or with a dot before it a domain.
    #[arg(value_name = "DOMAIN")]
    domain: String,
    /// The beginning of the paths it is for.
    #[arg(value_name = "PATH")]
    path: String,
    /// Its name.
    #[arg(value_name = "COOKIE_NAME")]
    cookie: String,
}

/// Which cookie is to go. Scripts give its value, too.
#[derive(Debug, Args)]
pub(super) struct DeleteCookie {
    #[command(flatten)]
    pub(super) which: Which,
    /// Not looked at.
    #[arg(hide = true)]
    value: Option<String>,
}

/// Add a cookie to a remote.
#[derive(Debug, Args)]
pub(super) struct AddCookie {
    #[command(flatten)]
    which: Which,
    /// Its value.
    #[arg(value_name = "VALUE")]
    value: String,
}

/// What `--json` prints: everything but the value, which is a secret.
#[derive(Serialize)]
struct Listed {
    domain: String,
    path: String,
    name: String,
    secure: bool,
    expires: u64,
}

impl AddCookie {
    pub(super) fn run(&self, repo: &Repo) -> Result {
        let Which { remote, domain, path, cookie } = &self.which;
        let fields = [domain, path, cookie, &self.value];
        if fields.iter().any(|field| field.contains(['\t', '\n', '\r', '\0'])) {
            let message = "a cookie holds neither tabs nor ends of lines";
            return Err(Failure::new(Kind::Invalid, message));
        }
        let expires = Timestamp::now().as_second().saturating_add(LIFETIME);
        let cookie = Cookie {
            domain: domain.clone(),
            path: path.clone(),
            secure: false,
            expires: u64::try_from(expires).unwrap_or(0),
            name: cookie.clone(),
            value: self.value.clone(),
        };
        Ok(repo.add_cookie(&RemoteName::new(remote.as_str())?, cookie)?)
    }
}

pub(super) fn delete(repo: &Repo, which: &Which) -> Result {
    let remote = RemoteName::new(which.remote.as_str())?;
    if repo.delete_cookie(&remote, &which.domain, &which.path, &which.cookie)? {
        return Ok(());
    }
    Err(Failure::new(Kind::NotFound, "Cookie not found in jar"))
}

pub(super) fn list(repo: &Repo, remote: &str, terminal: &Terminal) -> Result {
    let cookies = repo.cookies(&RemoteName::new(remote)?)?;
    let listed: Vec<Listed> = cookies
        .iter()
        .map(|cookie| Listed {
            domain: cookie.domain.clone(),
            path: cookie.path.clone(),
            name: cookie.name.clone(),
            secure: cookie.secure,
            expires: cookie.expires,
        })
        .collect();
    terminal.show(&listed, |_| {
        cookies.iter().try_for_each(|cookie| {
            terminal.line("--")?;
            terminal.line(format!("Domain: {}", cookie.domain))?;
            terminal.line(format!("Path: {}", cookie.path))?;
            terminal.line(format!("Name: {}", cookie.name))?;
            terminal.line(format!("Secure: {}", if cookie.secure { "TRUE" } else { "FALSE" }))?;
            terminal.line(format!("Expires: {}", time::format_utc(cookie.expires)))?;
            terminal.line(format!("Value: {}", cookie.value))
        })
    })
}
