//! Cookies that are sent with requests, in the Netscape format that curl reads and writes.
//!
//! ```text
//! DOMAIN <TAB> TRUE|FALSE (subdomains, too) <TAB> PATH <TAB> TRUE|FALSE (HTTPS only)
//!        <TAB> EXPIRES (seconds since 1970, 0 for never) <TAB> NAME <TAB> VALUE
//! ```
//!
//! Servers' `Set-Cookie` is ignored: what is sent is what somebody configured.

use ureq::http::Uri;

/// One cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    /// The host it is for; with a dot before it also its subdomains.
    pub domain: String,
    /// The beginning of the paths it is for.
    pub path: String,
    /// Whether it is sent over TLS only.
    pub secure: bool,
    /// Seconds since 1970 after which it is not sent; 0 means never.
    pub expires: u64,
    /// Its name.
    pub name: String,
    /// Its value: a secret.
    pub value: String,
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookie").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Cookie {
    /// Reads one line of a jar; `None` for comments and what is malformed.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
        if line.starts_with('#') {
            return None;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [domain, _, path, secure, expires, name, value] = fields[..] else { return None };
        Some(Self {
            domain: domain.to_owned(),
            path: path.to_owned(),
            secure: secure == "TRUE",
            expires: expires.parse().ok()?,
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    /// The line of a jar.
    #[must_use]
    pub fn line(&self) -> String {
        let flag = |flag| if flag { "TRUE" } else { "FALSE" };
        let Self { domain, path, secure, expires, name, value } = self;
        let (wide, secure) = (flag(domain.starts_with('.')), flag(*secure));
        format!("{domain}\t{wide}\t{path}\t{secure}\t{expires}\t{name}\t{value}")
    }

    /// Whether it is still sent at `now` (seconds since 1970).
    #[must_use]
    pub fn is_valid(&self, now: u64) -> bool {
        self.expires == 0 || self.expires > now
    }

    /// Whether it belongs to a request for `url`.
    fn matches(&self, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default();
        let is_host = match self.domain.strip_prefix('.') {
            Some(domain) => {
                let below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
                below || host.eq_ignore_ascii_case(domain)
            }
            None => host.eq_ignore_ascii_case(&self.domain),
        };
        let rest = url.path().strip_prefix(self.path.as_str());
        let is_path = rest.is_some_and(|rest| {
            self.path.ends_with('/') || matches!(rest.get(..1), None | Some("/"))
        });
        let is_safe = !self.secure || url.scheme_str() == Some("https");
        is_host && is_path && is_safe
    }
}

/// The `Cookie` header of a request for `url`, if any of `cookies` belongs to it.
pub(crate) fn header(cookies: &[Cookie], url: &str) -> Option<String> {
    if cookies.is_empty() {
        return None;
    }
    let url: Uri = url.parse().ok()?;
    let pairs = cookies.iter().filter(|cookie| cookie.matches(&url));
    let pairs: Vec<String> = pairs.map(|one| format!("{}={}", one.name, one.value)).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_written() {
        let line = "example.com\tFALSE\t/\tFALSE\t2584527957\tk\tv w";
        let cookie = Cookie::parse(line).unwrap();
        assert_eq!((cookie.name.as_str(), cookie.value.as_str()), ("k", "v w"));
        assert_eq!(cookie.line(), line);
        assert_eq!(Cookie::parse("# comment"), None);
        assert_eq!(Cookie::parse("too\tshort"), None);
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let jar = |line: &str| vec![Cookie::parse(line).unwrap()];
        let exact = jar("a.com\tFALSE\t/x\tFALSE\t0\tk\tv");
        assert_eq!(header(&exact, "http://a.com/x/y").as_deref(), Some("k=v"));
        assert_eq!(header(&exact, "http://a.com/x").as_deref(), Some("k=v"));
        assert_eq!(header(&exact, "http://a.com/xy"), None);
        assert_eq!(header(&exact, "http://b.a.com/x/"), None);
        let wide = jar(".a.com\tTRUE\t/\tTRUE\t0\tk\tv");
        assert_eq!(header(&wide, "https://b.a.com/").as_deref(), Some("k=v"));
        assert_eq!(header(&wide, "http://b.a.com/"), None);
        assert_eq!(header(&wide, "https://ba.com/"), None);
        assert!(wide[0].is_valid(9));
        assert!(!Cookie::parse("a.com\tFALSE\t/\tFALSE\t1\tk\tv").unwrap().is_valid(1));
    }
}
