//! Users of a key: name, address, and where newer copies of the key may be found.

use pgp::crypto::hash::HashAlgorithm;

/// A user id, `NAME (COMMENT) <ADDRESS>`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserName {
    /// The name without comment.
    pub name: String,
    /// The e-mail address; empty when there is none.
    pub email: String,
}

impl UserName {
    pub(crate) fn parse(text: &str) -> Self {
        let (before, email) = match text.split_once('<') {
            Some((before, rest)) => (before, rest.split('>').next().unwrap_or_default()),
            None => (text, ""),
        };
        let name = before.split('(').next().unwrap_or_default();
        Self { name: name.trim().to_owned(), email: email.to_owned() }
    }

    /// The address, when the user id has a plain one, in lower case.
    pub(crate) fn address(text: &str) -> Option<String> {
        let parsed = Self::parse(text);
        let address = if text.contains('<') { parsed.email } else { text.to_owned() };
        let (local, domain) = address.split_once('@')?;
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
        };
        (plain(local) && plain(domain)).then(|| address.to_ascii_lowercase())
    }
}

/// Where a Web Key Directory keeps the key of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateUrls {
    /// On a host of its own, `openpgpkey.DOMAIN`.
    pub advanced: String,
    /// On the domain itself.
    pub direct: String,
}

impl UpdateUrls {
    /// For an address in lower case.
    pub(crate) fn of(address: &str) -> Option<Self> {
        let (local, domain) = address.split_once('@')?;
        let hash = zbase32(&HashAlgorithm::Sha1.digest(local.as_bytes()).ok()?);
        let local = escaped(local);
        Some(Self {
            advanced: format!(
                "https://openpgpkey.{domain}/.well-known/openpgpkey/{domain}/hu/{hash}?l={local}"
            ),
            direct: format!("https://{domain}/.well-known/openpgpkey/hu/{hash}?l={local}"),
        })
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.extend(hex_digits(byte));
        }
    }
    escaped
}

/// Two upper-case digits.
pub(crate) fn hex_digits(byte: u8) -> [char; 2] {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase();
    [digit(byte >> 4), digit(byte & 15)]
}

/// Zimmermann's base 32: five bits a letter, the easiest letters first.
fn zbase32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let bits: Vec<u8> = bits.collect();
    bits.chunks(5)
        .map(|chunk| {
            let value = chunk.iter().fold(0, |value, bit| value << 1 | usize::from(*bit));
            char::from(LETTERS[value << (5 - chunk.len()) & 31])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{UpdateUrls, UserName};

    #[test]
    fn user_ids_are_taken_apart() {
        let parse = |text| {
            let UserName { name, email } = UserName::parse(text);
            (name, email)
        };
        let pair = |name: &str, email: &str| (name.to_owned(), email.to_owned());
        assert_eq!(parse("A B <a@b.c>"), pair("A B", "a@b.c"));
        assert_eq!(parse("Sub (c) <S@E.com>"), pair("Sub", "S@E.com"));
        assert_eq!(parse("NoEmail"), pair("NoEmail", ""));
        assert_eq!(UserName::address("Sub (c) <S.K@E.com>").as_deref(), Some("s.k@e.com"));
        assert_eq!(UserName::address("only@example.com").as_deref(), Some("only@example.com"));
        assert_eq!(UserName::address("NoEmail"), None);
    }

    #[test]
    fn a_key_directory_is_named_as_by_gnupg() {
        let urls = UpdateUrls::of("alice@example.com").unwrap();
        let tail = "/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe?l=alice";
        assert_eq!(urls.direct, format!("https://example.com/.well-known/openpgpkey{tail}"));
        assert_eq!(
            urls.advanced,
            format!("https://openpgpkey.example.com/.well-known/openpgpkey/example.com{tail}")
        );
    }
}
