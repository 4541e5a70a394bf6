//! [`Metalink`]: an XML file that says where a repository's `summary` is, how large, and its hashes.
//!
//! Format: Metalink 3.0 (`metalink/files/file[@name='summary']` with `size`,
//! `verification/hash[@type]` and `resources/url`).

use roxmltree::{Document, Node};
use sha2::{Digest as _, Sha256, Sha512};

/// The largest summary that one may lead to.
const MAX_SUMMARY: u64 = updraft_ostree::MAX_METADATA_SIZE as u64;
/// Addresses that are tried.
const MAX_URLS: usize = 64;
/// Reading XML takes time with the cube of the declarations of namespaces, so that one MiB of them
/// would take hours.
const MAX_NAMESPACES: usize = 64;
/// And with the square of the attributes of an element. Enough for a thousand addresses.
const MAX_ATTRIBUTES: usize = 8192;
const FILE: &str = "summary";

/// What a metalink says about the summary.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Metalink {
    /// Its size in bytes; no metadata of a repository may be larger.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal. One of the two hashes is there.
    pub sha256: Option<String>,
    /// Its SHA-512 in lower-case hexadecimal.
    pub sha512: Option<String>,
    /// Where it is, best first: at least one address of `http` or `https`, at most 64.
    pub urls: Vec<String>,
}

/// Why something is no metalink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidMetalink(String);

impl Metalink {
    /// Reads a metalink.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidMetalink> {
        parse(bytes).and_then(Self::check).map_err(InvalidMetalink)
    }

    /// Whether this is the summary; if not, why.
    pub(super) fn verify(&self, summary: &[u8]) -> Result<(), String> {
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
    for (limit, what, sign) in
        [(MAX_NAMESPACES, "namespaces", "xmlns"), (MAX_ATTRIBUTES, "attributes", "=")]
    {
        if text.matches(sign).nth(limit).is_some() {
            return Err(format!("It has more than {limit} {what}"));
        }
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
                let room = MAX_URLS.saturating_sub(found.urls.len());
                found.urls.extend(urls.filter(web).take(room).map(str::to_owned));
            }
            _ => {}
        }
    }
    Ok(found)
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
    use super::{MAX_ATTRIBUTES, MAX_NAMESPACES, MAX_URLS, Metalink};

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
        assert_eq!(Metalink::parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |text: &str, words: &str| {
            let error = Metalink::parse(text.as_bytes()).unwrap_err().to_string();
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

    #[test]
    fn what_would_take_hours_to_read_is_refused() {
        let refused = |text: &str| {
            let error = Metalink::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("It has more than"), "{error}");
        };
        let open: Vec<_> = (0..20_000).map(|n| format!("<b xmlns:a{n}='b'>")).collect();
        let open = open.concat();
        refused(&format!("<m>{open}{}</m>", "</b>".repeat(20_000)));
        let attributes: Vec<_> = (0..80_000).map(|n| format!(" a{n}='>'")).collect();
        refused(&format!("<m{}/>", attributes.concat()));
        let few = " xmlns:a='b'".repeat(MAX_NAMESPACES + 1);
        refused(&format!("<m{few}/>"));
        refused(&format!("<m>{}</m>", "=".repeat(MAX_ATTRIBUTES + 1)));
    }

    #[test]
    fn more_addresses_than_are_tried_are_not_kept() {
        let resources = "<resources><url>http://a/summary</url></resources>".repeat(100);
        let hash = "a".repeat(128);
        let text = document(&format!(
            "<verification><hash type=\"sha512\">{hash}</hash></verification>{resources}"
        ));
        assert_eq!(Metalink::parse(text.as_bytes()).unwrap().urls.len(), MAX_URLS);
    }
}
