//! The head of a request.

use std::io::{self, BufRead};

/// The longest head that is read.
const MAX_HEAD: usize = 64 << 10;
/// The most headers that are understood.
const MAX_HEADERS: usize = 100;

/// A request without its body: the server only gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Decoded, without its query and the slash before it.
    pub(super) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) keep_alive: bool,
}

impl Request {
    /// Reads the next one; `None` when the client is done.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            let before = head.len();
            reader.read_until(b'\n', &mut head)?;
            if head.len() == before {
                return Ok(None);
            }
            if head.len() > MAX_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Self::parse(&head).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        if !parsed.parse(head).ok()?.is_complete() {
            return None;
        }
        let target = parsed.path?.split('?').next().unwrap_or_default();
        let headers: Vec<_> = parsed
            .headers
            .iter()
            .map(|header| {
                let value = String::from_utf8_lossy(header.value).into_owned();
                (header.name.to_ascii_lowercase(), value)
            })
            .collect();
        let mut request = Self {
            method: parsed.method?.to_owned(),
            path: decode(target)?.trim_start_matches('/').to_owned(),
            headers,
            keep_alive: parsed.version == Some(1),
        };
        if request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            request.keep_alive = false;
        }
        Some(request)
    }

    /// The first header of that (lower-case) name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Option<Request>> {
        Request::read(&mut text.as_bytes())
    }

    #[test]
    fn a_head_is_understood() {
        let request = read("GET /a%20b?x HTTP/1.1\r\nHost: h\r\nRange: bytes=1-\r\n\r\n");
        let request = request.unwrap().unwrap();
        assert_eq!((request.path.as_str(), request.header("range")), ("a b", Some("bytes=1-")));
        assert!(request.keep_alive);
        assert!(!read("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().keep_alive);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(read("nonsense\r\n\r\n").is_err());
        assert!(read("GET /%zz HTTP/1.1\r\n\r\n").is_err());
        assert_eq!(read("").unwrap(), None);
        assert!(read(&"x".repeat(MAX_HEAD + 2)).is_err());
    }
}
