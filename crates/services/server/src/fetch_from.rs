//! Where the server may fetch things that operators name: it is inside of networks that they may not
//! see, and must not be asked to look around there.
//!
//! An address is allowed when it has scheme and authority of an entry, and a path below its path.
//! Both are read by the parser with which the request is made; what could be read in two ways is
//! refused. Redirects are not followed.

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

/// The longest address, in bytes.
const MAX_URI: usize = 2048;

/// The beginning of the addresses that may be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FetchFrom(Address);

impl FetchFrom {
    /// Whether this address begins so.
    #[must_use]
    pub fn allows(&self, address: &Address) -> bool {
        let (own, other) = (&self.0.0, &address.0);
        own.scheme() == other.scheme()
            && own.authority() == other.authority()
            && other.path().starts_with(own.path())
    }
}

impl TryFrom<String> for FetchFrom {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address: Address = text.parse()?;
        if !address.0.path().ends_with('/') || address.0.query().is_some() {
            return Err(format!("`{text}` must end with the slash of a path"));
        }
        Ok(Self(address))
    }
}

impl From<FetchFrom> for String {
    fn from(from: FetchFrom) -> Self {
        from.0.to_string()
    }
}

/// An address of HTTP or HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Uri);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("`{}` {what}", text.escape_debug()));
        if text.len() > MAX_URI || text.contains('#') || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return wrong("is too long for an address, or has characters that none has");
        }
        let Ok(uri) = text.parse::<Uri>() else { return wrong("is no address") };
        let Some(authority) = uri.authority() else { return wrong("is no whole address") };
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return wrong("is of neither HTTPS nor HTTP");
        }
        if authority.as_str().contains('@') {
            return wrong("names a user");
        }
        let path = uri.path().to_ascii_lowercase();
        let is_dotted = |part: &str| {
            let part = part.replace("%2e", ".");
            part == "." || part == ".."
        };
        let is_ambiguous = path.contains('\\') || path.contains("%2f") || path.contains("%5c");
        if is_ambiguous || path.split('/').any(is_dotted) {
            return wrong("has a path that may mean another one");
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, FetchFrom};

    fn allowed(from: &str, address: &str) -> Option<bool> {
        let from = FetchFrom::try_from(from.to_owned()).expect("an entry");
        address.parse::<Address>().ok().map(|address| from.allows(&address))
    }

    #[test]
    fn only_what_is_below_an_entry_is_fetched() {
        let from = "https://feeds.example/packages/";
        for address in [
            "https://feeds.example/packages/a.json",
            "HTTPS://FEEDS.example/packages/a/b.json?x=1",
            "https://feeds.example/packages/",
        ] {
            assert_eq!(allowed(from, address), Some(true), "{address}");
        }
        for address in [
            "http://feeds.example/packages/a.json",
            "https://feeds.example:444/packages/a.json",
            "https://feeds.example.evil/packages/a.json",
            "https://feeds.example/packages",
            "https://feeds.example/packages-2/a.json",
            "https://feeds.example/a.json",
            "https://169.254.169.254/packages/a.json",
            "https://[::1]/packages/a.json",
            "https://feeds.example/PACKAGES/a.json",
        ] {
            assert_eq!(allowed(from, address), Some(false), "{address}");
        }
        for address in [
            "",
            "feeds.example",
            "/packages/a.json",
            "file:///etc/passwd",
            "gopher://feeds.example/packages/",
            "https://user@feeds.example/packages/a.json",
            "https://evil.example#@feeds.example/packages/a.json",
            "https://feeds.example/packages/../a.json",
            "https://feeds.example/packages/%2E%2e/a.json",
            "https://feeds.example/packages/..%2fa.json",
            "https://feeds.example/packages/\\a.json",
            "https://feeds.example/packages/a b.json",
            "https://feeds.example/packages/a.json\r\nx: y",
        ] {
            assert_eq!(allowed(from, address), None, "{address}");
        }
    }

    #[test]
    fn entries_end_with_the_slash_of_a_path() {
        for entry in ["https://feeds.example", "https://feeds.example/"] {
            let read = FetchFrom::try_from(entry.to_owned());
            // Without a path it is that of the root.
            assert!(read.is_ok(), "{entry}: {read:?}");
        }
        for entry in ["https://feeds.example/a", "https://feeds.example/?a/", "*", "ftp://a/"] {
            FetchFrom::try_from(entry.to_owned()).expect_err(entry);
        }
    }
}
