//! Metalinks: an XML file that says where a repository's `summary` is, how large, and its hashes.
//!
//! Format: Metalink 3.0 (`metalink/files/file[@name='summary']` with `size`,
//! `verification/hash[@type]` and `resources/url`). The addresses are tried in the order of the
//! file; the folder of the first whose summary is what the metalink says is the repository.

use roxmltree::{Document, Node};
use sha2::{Digest as _, Sha256, Sha512};
use updraft_http::Client;
use updraft_task::Context;

use super::Error;

/// The longest metalink that is read.
const MAX_SIZE: u64 = 1 << 20;
/// The largest summary that one may lead to.
const MAX_SUMMARY: u64 = updraft_ostree::MAX_METADATA_SIZE as u64;
/// Addresses that are tried.
const MAX_URLS: usize = 64;
const FILE: &str = "summary";

/// What a metalink says about the summary.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metalink {
    size: u64,
    sha256: Option<String>,
    sha512: Option<String>,
    urls: Vec<String>,
}

/// The repository that the metalink at `address` leads to, and its verified summary.
pub(super) fn resolve(
    ctx: &Context,
    client: &Client,
    address: &str,
) -> Result<(String, Vec<u8>), Error> {
    let bad = |reason: String| Error::Metalink { address: address.to_owned(), reason };
    let bytes = client.get_bytes_with(ctx, address, MAX_SIZE)?;
    let bytes = bytes.ok_or_else(|| bad("it is not there".into()))?;
    let metalink = parse(&bytes).map_err(bad)?;
    let mut last = String::new();
    for url in &metalink.urls {
        ctx.check()?;
        // One byte more than it may have shows that it is too long.
        match client.get_bytes_with(ctx, url, metalink.size.saturating_add(1)) {
            Ok(Some(summary)) => match metalink.verify(&summary) {
                Ok(()) => {
                    let base = url.rsplit_once('/').map_or(url.as_str(), |(base, _)| base);
                    return Ok((base.to_owned(), summary));
                }
                Err(reason) => last = reason,
            },
            Ok(None) => last = format!("{url} is not there"),
            Err(error) => last = error.to_string(),
        }
    }
    let count = metalink.urls.len();
    Err(bad(format!("Exhausted {count} metalink targets, last error: {last}")))
}

impl Metalink {
    fn verify(&self, summary: &[u8]) -> Result<(), String> {
        let actual = summary.len() as u64;
        if actual != self.size {
            let expected = self.size;
            return Err(format!("Expected size is {expected} bytes but content is {actual} bytes"));
        }
        let hashes = [
            (&self.sha256, hex::encode(Sha256::digest(summary))),
            (&self.sha512, hex::encode(Sha512::digest(summary))),
        ];
        for (expected, actual) in hashes {
            if let Some(expected) = expected
                && *expected != actual
            {
                return Err(format!("Expected checksum is {expected} but actual is {actual}"));
            }
        }
        Ok(())
    }

    fn check(self) -> Result<Self, String> {
        for (hash, digits, name) in [(&self.sha256, 64, "sha256"), (&self.sha512, 128, "sha512")] {
            let is_hex = |text: &String| {
                text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            if hash.as_ref().is_some_and(|hash| !is_hex(hash)) {
                return Err(format!("Invalid hash digest for {name}"));
            }
        }
        if self.sha256.is_none() && self.sha512.is_none() {
            return Err("No <verification> hash for sha256 or sha512, the ones with known hash \
                        types"
                .into());
        }
        if self.urls.is_empty() {
            return Err("No <url method='http'> elements found".into());
        }
        Ok(self)
    }
}

fn parse(bytes: &[u8]) -> Result<Metalink, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if !text.trim_start().starts_with('<') {
        return Err("Document must begin with an element (e.g. <book>)".into());
    }
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let root = document.root_element();
    let files = root.children().filter(|node| is(&root, "metalink") && is(node, "files"));
    let mut files = files.flat_map(|files| files.children()).filter(|node| is(node, "file"));
    let file = files.find(|file| file.attribute("name") == Some(FILE));
    let file = file.ok_or_else(|| format!("No <file name='{FILE}'> found"))?;
    let mut found = Metalink::default();
    for node in file.children() {
        match node.tag_name().name() {
            "size" => {
                let size = text_of(&node);
                found.size = size.parse().map_err(|_| format!("Invalid size '{size}'"))?;
                // It bounds what is read from whoever the metalink names.
                if found.size > MAX_SUMMARY {
                    return Err(format!("Size {size} exceeds the limit of {MAX_SUMMARY} bytes"));
                }
            }
            "verification" => {
                for hash in node.children().filter(|node| is(node, "hash")) {
                    let digest = Some(text_of(&hash).to_ascii_lowercase());
                    match hash.attribute("type") {
                        Some("sha256") => found.sha256 = digest,
                        Some("sha512") => found.sha512 = digest,
                        _ => {}
                    }
                }
            }
            "resources" => {
                let urls = node.children().filter(|node| is(node, "url")).map(|url| text_of(&url));
                let web = |url: &&str| url.starts_with("http://") || url.starts_with("https://");
                found.urls.extend(urls.filter(web).take(MAX_URLS).map(str::to_owned));
            }
            _ => {}
        }
    }
    found.check()
}

/// Whether the node is an element of this name, of whatever namespace.
fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn text_of<'a>(node: &Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::{Metalink, parse};

    fn document(file: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><metalink><a><size>9</size></a><files><file name=\"summary\">\
             {file}</file></files></metalink>"
        )
    }

    #[test]
    fn what_is_said_of_the_summary_is_read() {
        let hash = "a".repeat(64);
        let text = document(&format!(
            "<size>3</size><verification><hash type=\"md5\">x</hash><hash type=\"sha256\">{hash}\
             </hash></verification><resources><url>http://a/summary</url><url>ftp://b</url>\
             </resources>"
        ));
        let expected = Metalink {
            size: 3,
            sha256: Some(hash),
            sha512: None,
            urls: vec!["http://a/summary".into()],
        };
        assert_eq!(parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |text: &str, words: &str| {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused("bacon", "Document must begin with an element");
        refused("<metalink></metalink>", "No <file name='summary'> found");
        refused(&document("<size>3</size>"), "No <verification>");
        refused(&document("<size>x</size>"), "Invalid size");
        refused(&document("<size>18446744073709551615</size>"), "exceeds the limit");
        let hash = "<verification><hash type=\"sha512\">bacon</hash></verification>";
        refused(&document(hash), "Invalid hash digest for sha512");
        refused("<metalink>", "root");
    }
}
