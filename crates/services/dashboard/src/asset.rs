//! Files by their path.

use std::collections::HashMap;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};

use crate::Encoding;

static FILES: Dir<'_> = include_dir!("$UPDRAFT_DASHBOARD");
/// Tags are made of this many bytes of SHA-256.
const TAG_BYTES: usize = 16;

static TAGS: LazyLock<HashMap<&str, String>> = LazyLock::new(|| tags(&FILES));

/// One file of the dashboard.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    file: &'static include_dir::File<'static>,
    path: &'static str,
}

/// The file of this path, relative to the dashboard's prefix.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    // What is compressed is another form of a file, not a file.
    if Encoding::ALL.iter().any(|encoding| path.ends_with(encoding.suffix())) {
        return None;
    }
    let file = FILES.get_file(path)?;
    Some(Asset { file, path: file.path().to_str()? })
}

/// The page that all of the dashboard's addresses show, when the program has a dashboard.
#[must_use]
pub fn page() -> Option<Asset> {
    asset("index.html")
}

impl Asset {
    /// The content in the smallest form that the client takes.
    #[must_use]
    pub fn content(&self, accept_encoding: &str) -> (Option<Encoding>, &'static [u8]) {
        for encoding in Encoding::ALL {
            if encoding.is_accepted(accept_encoding)
                && let Some(file) = FILES.get_file(format!("{}{}", self.path, encoding.suffix()))
            {
                return (Some(encoding), file.contents());
            }
        }
        (None, self.file.contents())
    }

    /// An `ETag` of one form of it.
    #[must_use]
    pub fn etag(&self, encoding: Option<Encoding>) -> String {
        let tag = TAGS.get(self.path).map_or("", String::as_str);
        match encoding {
            Some(encoding) => format!("\"{tag}-{}\"", encoding.name()),
            None => format!("\"{tag}\""),
        }
    }

    /// Whether its name changes with its content.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.path.starts_with("assets/")
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map_or("", |(_, end)| end) {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "json" => "application/json",
            "woff2" => "font/woff2",
            "txt" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }
}

fn tags(folder: &'static Dir<'static>) -> HashMap<&'static str, String> {
    let mut tags = HashMap::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            if let Some(path) = file.path().to_str() {
                let digest = Sha256::digest(file.contents());
                tags.insert(path, hex::encode(&digest[..TAG_BYTES]));
            }
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::{Encoding, FILES, asset, page};

    #[test]
    fn nothing_outside_of_the_dashboard_can_be_named() {
        for path in ["", "/", "..", "../index.html", "/etc/passwd", "assets", "index.html.br"] {
            assert!(asset(path).is_none(), "{path}");
        }
    }

    #[test]
    fn what_was_built_is_there_in_all_forms() {
        let Some(page) = page() else {
            assert!(FILES.files().next().is_none(), "without a page there is nothing");
            return;
        };
        assert!(!page.is_immutable());
        let (plain, text) = page.content("");
        let (brotli, small) = page.content("gzip, br");
        assert_eq!((plain, brotli), (None, Some(Encoding::Brotli)));
        assert!(small.len() < text.len());
        assert_ne!(page.etag(plain), page.etag(brotli));
        let text = std::str::from_utf8(text).expect("a page is text");
        let script = text.split("src=\"/ui/").nth(1).and_then(|rest| rest.split('"').next());
        let script = asset(script.expect("the page names a script")).expect("it is there");
        assert!(script.is_immutable());
        assert_eq!(script.media_type(), "text/javascript; charset=utf-8");
    }
}
