//! [`RequestHead`]: what a small server of ours reads first. (RFC 9112.)

use std::io::{self, BufRead, Read};

use crate::percent::percent_decode;

/// The longest head that is read.
const MAX_HEAD: usize = 64 << 10;
/// The most headers that are understood.
const MAX_HEADERS: usize = 100;

/// A request without its body.
#[derive(Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// `GET`, `POST`, …
    pub method: String,
    /// Decoded, without its query and the slash before it.
    pub path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// Whether the client wants to use the connection again.
    pub keep_alive: bool,
}

impl RequestHead {
    /// Reads the next one, of 64 KiB at most; `None` when the client is done.
    ///
    /// # Errors
    /// When it is none, or the connection fails.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            let before = head.len();
            // A line without an end is given up where the head is.
            let left = MAX_HEAD.saturating_sub(before) as u64 + 1;
            reader.by_ref().take(left).read_until(b'\n', &mut head)?;
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
            path: percent_decode(target)?.trim_start_matches('/').to_owned(),
            headers,
            keep_alive: parsed.version == Some(1),
        };
        if request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            request.keep_alive = false;
        }
        Some(request)
    }

    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body that follows, of this many bytes at most. None is an empty one.
    ///
    /// # Errors
    /// When it is longer or shorter than it says, or does not say how long it is.
    pub fn read_body(&self, reader: &mut impl BufRead, limit: u64) -> io::Result<Vec<u8>> {
        let invalid = |problem| io::Error::new(io::ErrorKind::InvalidData, problem);
        let lengths = self.headers.iter().filter(|(key, _)| key == "content-length").count();
        let length = self.header("content-length").unwrap_or("0");
        // Where the body ends must not be a matter of opinion (RFC 9112, 6.3).
        if lengths > 1 || self.header("transfer-encoding").is_some() {
            return Err(invalid("give one Content-Length, and no Transfer-Encoding"));
        }
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|length| is_number && *length <= limit);
        let length: u64 = length.ok_or_else(|| invalid("the body is too long"))?;
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Option<RequestHead>> {
        RequestHead::read(&mut text.as_bytes())
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
    #[test]
    fn a_body_is_as_long_as_it_says() {
        let body = |headers: &str, body: &str| {
            let mut all = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n{body}").into_bytes();
            all.extend(b"more");
            let mut all = &all[..];
            let head = RequestHead::read(&mut all).unwrap().unwrap();
            head.read_body(&mut all, 8)
        };
        assert_eq!(body("Content-Length: 3", "abc").unwrap(), b"abc");
        assert_eq!(body("Host: h", "").unwrap(), b"");
        for headers in [
            "Content-Length: 9",
            "Content-Length: 8",
            "Content-Length: +3",
            "Content-Length:",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
        ] {
            assert!(body(headers, "abc").is_err(), "{headers}");
        }
    }
}
