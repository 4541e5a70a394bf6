//! Where a remote really is: one address, a list of mirrors, or what a metalink names.
//!
//! A mirror list is a text with one address a line; empty lines and those that begin with `#` are
//! passed over. The first mirror that counts is the first that serves a `config`; those after it
//! are taken as they are. Each request goes through them in order until one has what is asked for;
//! an object that is not what its name says counts as if the mirror had failed.

use updraft_http::Client;
use updraft_task::Context;

use super::{Error, metalink};

const MIRROR_LIST: &str = "mirrorlist=";
/// How addresses of metalinks are marked within the program.
pub(crate) const METALINK: &str = "metalink=";
/// The longest list that is read.
const MAX_LIST: u64 = 1 << 20;
/// Mirrors that are kept.
const MAX_MIRRORS: usize = 64;

/// The addresses of a repository, best first, and its summary where that was needed to find them.
#[derive(Debug)]
pub(crate) struct Mirrors {
    /// Without a slash at the end; at least one.
    pub(crate) urls: Vec<String>,
    /// The summary that a metalink vouches for.
    pub(crate) summary: Option<Vec<u8>>,
}

impl Mirrors {
    /// Finds out what `url` stands for.
    pub(crate) fn find(ctx: &Context, client: &Client, url: &str) -> Result<Self, Error> {
        if let Some(list) = url.strip_prefix(MIRROR_LIST) {
            return Ok(Self { urls: listed(ctx, client, list)?, summary: None });
        }
        if let Some(address) = url.strip_prefix(METALINK) {
            let (url, summary) = metalink::resolve(ctx, client, address)?;
            return Ok(Self { urls: vec![url], summary: Some(summary) });
        }
        Ok(Self { urls: vec![url.trim_end_matches('/').to_owned()], summary: None })
    }

    /// The first one, by which people know the repository.
    pub(crate) fn name(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// What the first mirror that has it answers; `None` when all say that it is not there, the
    /// first error when none has it and one of them failed. An error that is no mirror's fault ends
    /// the search.
    pub(crate) fn first<T, E: MirrorError>(
        &self,
        mut ask: impl FnMut(&str) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut failed = None;
        for url in &self.urls {
            match ask(url) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) if error.is_of_mirror() => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

/// An error of asking a mirror.
pub(crate) trait MirrorError {
    /// Whether another mirror may do better.
    fn is_of_mirror(&self) -> bool;
}

impl MirrorError for updraft_http::Error {
    fn is_of_mirror(&self) -> bool {
        !matches!(self, Self::Cancelled(_) | Self::Local { .. } | Self::Options { .. })
    }
}

impl MirrorError for Error {
    fn is_of_mirror(&self) -> bool {
        match self {
            Self::Http(error) => error.is_of_mirror(),
            Self::BadObject { .. } => true,
            _ => false,
        }
    }
}

fn listed(ctx: &Context, client: &Client, list: &str) -> Result<Vec<String>, Error> {
    let none = || Error::NoMirrors { list: list.to_owned() };
    let text = client.get_bytes_with(ctx, list, MAX_LIST)?.ok_or_else(none)?;
    let text = String::from_utf8_lossy(&text);
    let mut urls = Vec::new();
    for url in mirror_list(&text) {
        // One that is not there would make every request slower.
        if urls.is_empty() {
            let config = client.get_bytes_with(ctx, &format!("{url}/config"), MAX_LIST);
            if !matches!(config, Ok(Some(_))) {
                ctx.check()?;
                continue;
            }
        }
        urls.push(url.to_owned());
    }
    if urls.is_empty() { Err(none()) } else { Ok(urls) }
}

/// The addresses of `http` and `https` in a mirror list, without a slash at the end; at most 64.
pub fn mirror_list(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let urls = lines.map(|line| line.trim_end_matches('/')).filter(|line| {
        let host = line.strip_prefix("http://").or_else(|| line.strip_prefix("https://"));
        let in_no_address = |c: char| c.is_whitespace() || c.is_control();
        host.is_some_and(|host| !host.is_empty() && !host.contains(in_no_address))
    });
    urls.take(MAX_MIRRORS)
}

#[cfg(test)]
mod tests {
    use super::{MAX_MIRRORS, MirrorError, Mirrors, mirror_list};

    #[test]
    fn lists_have_comments_and_addresses() {
        let text = "\n# http://no\n http://a/r/ \nfile:///etc\nhttp://\nhttp://c/ /\nhttps://b\n";
        assert_eq!(mirror_list(text).collect::<Vec<_>>(), ["http://a/r", "https://b"]);
        assert_eq!(mirror_list(&"http://a\n".repeat(100)).count(), MAX_MIRRORS);
    }

    /// What is said of a mirror.
    #[derive(Debug, PartialEq, Eq)]
    enum Said {
        Broken(String),
        DiskFull,
    }

    impl MirrorError for Said {
        fn is_of_mirror(&self) -> bool {
            *self != Self::DiskFull
        }
    }

    fn broken<T>(url: &str) -> Result<Option<T>, Said> {
        Err(Said::Broken(url.to_owned()))
    }

    #[test]
    fn the_first_that_has_it_answers() {
        let mirrors = Mirrors { urls: vec!["a".into(), "b".into(), "c".into()], summary: None };
        let found = mirrors.first(|url| match url {
            "a" => broken(url),
            "b" => Ok(None),
            url => Ok(Some(url.to_owned())),
        });
        assert_eq!(found, Ok(Some("c".to_owned())));
        let none = |url: &str| if url == "a" { Ok(None::<()>) } else { broken(url) };
        assert_eq!(mirrors.first(none), broken("b"));
        assert_eq!(mirrors.first(|_| Ok::<Option<()>, Said>(None)), Ok(None));
        let full = |url: &str| if url == "a" { Err(Said::DiskFull) } else { Ok(Some(())) };
        assert_eq!(mirrors.first(full), Err(Said::DiskFull));
    }
}
