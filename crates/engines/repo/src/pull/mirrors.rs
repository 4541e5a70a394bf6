//! Where a remote really is: one address, a list of mirrors, or what a metalink names.
//!
//! A mirror list is a text with one address a line; empty lines and those that begin with `#` are
//! passed over. The first mirror that counts is the first that serves a `config`; those after it
//! are taken as they are. Each request goes through them in order until one has what is asked for.
//! What can be checked is checked before the search ends: an object or a part of a delta that is
//! not what its name says, or a summary or a commit that is not signed as is demanded, counts as if
//! the mirror had failed.

use updraft_http::Client;
use updraft_task::Context;

use super::error::MirrorAnswer;
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

    /// All of them, for errors about what none has.
    pub(crate) fn names(&self) -> String {
        self.urls.join(" and ")
    }

    /// What the first mirror that has `what` answers; `None` when all say that it is not there.
    /// When none has it and one of them failed, an error with what each of them said. An error that
    /// is no mirror's fault ends the search.
    pub(crate) fn first<T>(
        &self,
        what: &str,
        mut ask: impl FnMut(&str) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let mut answers = Vec::new();
        for url in &self.urls {
            let failure = match ask(url) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => None,
                Err(error) if is_of_mirror(&error) => Some(error),
                Err(error) => return Err(error),
            };
            answers.push(MirrorAnswer { url: url.clone(), failure });
        }
        if answers.iter().all(|answer| answer.failure.is_none()) {
            return Ok(None);
        }
        // A repository at one address has no mirrors to tell of.
        match <[MirrorAnswer; 1]>::try_from(answers) {
            Ok([MirrorAnswer { failure, .. }]) => failure.map_or(Ok(None), Err),
            Err(answers) => Err(Error::Mirrors { what: what.to_owned(), answers }),
        }
    }
}

/// Whether another mirror may do better.
fn is_of_mirror(error: &Error) -> bool {
    use updraft_http::Error as Http;
    match error {
        Error::Http(error) => {
            !matches!(error, Http::Cancelled(_) | Http::Local { .. } | Http::Options { .. })
        }
        Error::BadObject { .. }
        | Error::BadRef { .. }
        | Error::Format { .. }
        | Error::NoRepository { .. }
        | Error::SourceMode { .. }
        | Error::GpgSignature { .. }
        | Error::Signature { .. }
        | Error::Sign(_)
        | Error::Repo(crate::Error::BadDelta { .. }) => true,
        _ => false,
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
    use super::{Error, MAX_MIRRORS, Mirrors, mirror_list};

    #[test]
    fn lists_have_comments_and_addresses() {
        let text = "\n# http://no\n http://a/r/ \nfile:///etc\nhttp://\nhttp://c/ /\nhttps://b\n";
        assert_eq!(mirror_list(text).collect::<Vec<_>>(), ["http://a/r", "https://b"]);
        assert_eq!(mirror_list(&"http://a\n".repeat(100)).count(), MAX_MIRRORS);
    }

    fn broken<T>(url: &str) -> Result<Option<T>, Error> {
        Err(Error::BadRef { name: "main".to_owned(), text: url.to_owned() })
    }

    fn mirrors(urls: &[&str]) -> Mirrors {
        Mirrors { urls: urls.iter().map(|url| (*url).to_owned()).collect(), summary: None }
    }

    #[test]
    fn the_first_that_has_it_answers() {
        let mirrors = mirrors(&["a", "b", "c"]);
        let found = mirrors.first("x", |url| match url {
            "a" => broken(url),
            "b" => Ok(None),
            url => Ok(Some(url.to_owned())),
        });
        assert_eq!(found.unwrap().as_deref(), Some("c"));
        assert!(mirrors.first("x", |_| Ok(None::<()>)).unwrap().is_none());
        let stop = |url: &str| {
            if url == "a" { Err(Error::NothingToPull("no")) } else { Ok(Some(())) }
        };
        assert!(matches!(mirrors.first("x", stop), Err(Error::NothingToPull(_))));
    }

    #[test]
    fn an_error_tells_what_each_said() {
        let none = |url: &str| if url == "a" { Ok(None::<()>) } else { broken(url) };
        let error = mirrors(&["a", "b", "c"]).first("the file", none).unwrap_err().to_string();
        for part in ["the file", "a has none", "Invalid rev b", "Invalid rev c"] {
            assert!(error.contains(part), "{error}");
        }
        let alone = mirrors(&["b"]).first("x", none).unwrap_err();
        assert!(matches!(alone, Error::BadRef { .. }), "{alone}");
    }
}
