//! The cookies of a remote: `REMOTE.cookies.txt` beside the configuration, in the format of curl.

use updraft_http::Cookie;
use updraft_ostree::RemoteName;

use crate::staging::Durable;
use crate::{Repo, Result};

/// The largest jar that is read, in bytes.
const MAX_JAR: u64 = 1 << 20;
/// Cookies are secrets.
const MODE: u32 = 0o600;

fn file_name(remote: &RemoteName) -> String {
    format!("{remote}.cookies.txt")
}

impl Repo {
    /// The cookies that are sent to a remote; none when it has no jar.
    pub fn cookies(&self, remote: &RemoteName) -> Result<Vec<Cookie>> {
        let Some(bytes) = self.root().try_read(file_name(remote), MAX_JAR)? else {
            return Ok(Vec::new());
        };
        Ok(String::from_utf8_lossy(&bytes).lines().filter_map(Cookie::parse).collect())
    }

    /// Adds a cookie, in the place of one of the same domain, path and name.
    pub fn add_cookie(&self, remote: &RemoteName, cookie: Cookie) -> Result<()> {
        let mut cookies = self.cookies(remote)?;
        cookies.retain(|other| !is_same(other, &cookie.domain, &cookie.path, &cookie.name));
        cookies.push(cookie);
        self.write_cookies(remote, &cookies)
    }

    /// Removes a cookie; `false` when there is no such one.
    pub fn delete_cookie(
        &self,
        remote: &RemoteName,
        domain: &str,
        path: &str,
        name: &str,
    ) -> Result<bool> {
        let mut cookies = self.cookies(remote)?;
        let before = cookies.len();
        cookies.retain(|cookie| !is_same(cookie, domain, path, name));
        if cookies.len() == before {
            return Ok(false);
        }
        self.write_cookies(remote, &cookies)?;
        Ok(true)
    }

    fn write_cookies(&self, remote: &RemoteName, cookies: &[Cookie]) -> Result<()> {
        let text: String = cookies.iter().map(|cookie| cookie.line() + "\n").collect();
        // Commit point: the rename inside.
        self.replace(file_name(remote), text.as_bytes(), (MODE, Durable::Yes))
    }
}

fn is_same(cookie: &Cookie, domain: &str, path: &str, name: &str) -> bool {
    (cookie.domain.as_str(), cookie.path.as_str(), cookie.name.as_str()) == (domain, path, name)
}
