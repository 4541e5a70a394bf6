//! What a request is answered with.

use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

use updraft_http::RequestHead;

use super::Server;

/// What happens to the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    KeepOpen,
    Close,
}

pub(super) struct Answer {
    pub(super) status: u16,
    headers: String,
    body: Body,
}

enum Body {
    Bytes(Vec<u8>),
    /// So many bytes of a file from its present position are promised, and so many are sent.
    File {
        file: File,
        promised: u64,
        sent: u64,
    },
}

pub(super) fn answer(server: &Server, request: &RequestHead) -> Answer {
    if let Some(status) = server.policy.refuses(request) {
        return failure(status);
    }
    if request.method != "GET" && request.method != "HEAD" {
        return failure(405);
    }
    if request.path.split('/').any(|part| part == ".." || part.contains('\0')) {
        return failure(403);
    }
    let path = if request.path.is_empty() { "." } else { request.path.trim_end_matches('/') };
    let opened = server.open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, _)) if metadata.is_dir() => directory(server, request),
        Ok((metadata, file)) => regular(server, request, file, &metadata),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => failure(403),
        Err(_) => failure(404),
    }
}

fn failure(status: u16) -> Answer {
    let mut headers = String::new();
    if status == 401 {
        headers.push_str("WWW-Authenticate: Basic realm=\"auth-test\"\r\n");
    }
    let text = format!("{status} {}\n", reason(status));
    Answer { status, headers, body: Body::Bytes(text.into_bytes()) }
}

/// The list of what is in a directory; its address ends in a slash, so that links below it work.
fn directory(server: &Server, request: &RequestHead) -> Answer {
    if !request.path.is_empty() && !request.path.ends_with('/') {
        let headers = format!("Location: /{}/\r\n", encode(&request.path));
        return Answer { status: 301, headers, body: Body::Bytes(Vec::new()) };
    }
    let entries = std::fs::read_dir(server.folder.join(&request.path));
    let names = entries.map(|entries| entries.filter_map(Result::ok).collect::<Vec<_>>());
    let Ok(entries) = names else { return failure(404) };
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            format!("{}{slash}", entry.file_name().to_string_lossy())
        })
        .collect();
    names.sort();
    let mut page = String::from("<html><body><ul>\n");
    for name in names {
        let shown = name.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(page, "<li><a href=\"{}\">{shown}</a></li>", encode(&name));
    }
    page.push_str("</ul></body></html>\n");
    let headers = "Content-Type: text/html; charset=utf-8\r\n".to_owned();
    Answer { status: 200, headers, body: Body::Bytes(page.into_bytes()) }
}

fn regular(server: &Server, request: &RequestHead, mut file: File, metadata: &Metadata) -> Answer {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let tag = format!("\"{:x}-{:x}-{}\"", metadata.ino(), metadata.len(), time_of(metadata));
    let mut headers = format!(
        "ETag: {tag}\r\nLast-Modified: {}\r\nAccept-Ranges: bytes\r\n\
         Content-Type: application/octet-stream\r\n",
        httpdate::fmt_http_date(modified)
    );
    if is_unchanged(request, &tag, modified) {
        return Answer { status: 304, headers, body: Body::Bytes(Vec::new()) };
    }
    let length = metadata.len();
    let range = request.header("range").map(|text| range(text, length));
    let (status, start, end) = match range {
        Some(Range::Part(start, end)) => {
            let _ = write!(headers, "Content-Range: bytes {start}-{}/{length}\r\n", end - 1);
            (206, start, end)
        }
        Some(Range::Outside) => {
            let headers = format!("Content-Range: bytes */{length}\r\n");
            return Answer { status: 416, headers, body: Body::Bytes(Vec::new()) };
        }
        Some(Range::Ignored) | None => (200, 0, length),
    };
    if start > 0 && file.seek(SeekFrom::Start(start)).is_err() {
        return failure(500);
    }
    let promised = end - start;
    let is_cut =
        server.policy.force_range_requests && status == 200 && request.path.contains("objects/");
    let sent = if is_cut { promised / 2 } else { promised };
    Answer { status, headers, body: Body::File { file, promised, sent } }
}

fn time_of(metadata: &Metadata) -> String {
    format!("{:x}.{:x}", metadata.mtime(), metadata.mtime_nsec())
}

/// Whether the client has this very file (RFC 9110, 13.2.2: the tag goes before the time).
fn is_unchanged(request: &RequestHead, tag: &str, modified: SystemTime) -> bool {
    if let Some(tags) = request.header("if-none-match") {
        return tags.split(',').any(|one| matches!(one.trim(), "*") || one.trim() == tag);
    }
    let since = request.header("if-modified-since");
    let since = since.and_then(|text| httpdate::parse_http_date(text).ok());
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
    };
    since.is_some_and(|since| seconds(modified) <= seconds(since))
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first to before the last.
    Part(u64, u64),
    Outside,
    /// Not understood, or several.
    Ignored,
}

/// One range of bytes (RFC 9110, 14.1.2).
fn range(text: &str, length: u64) -> Range {
    let parts = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let Some((first, last)) = parts else { return Range::Ignored };
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => (first, last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.is_empty() => (first, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Range::Ignored,
    };
    if start >= end { Range::Outside } else { Range::Part(start, end) }
}

impl Answer {
    /// Sends it.
    pub(super) fn send(self, stream: &mut TcpStream, request: &RequestHead) -> io::Result<Then> {
        let Self { status, headers, body } = self;
        let length = match &body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { promised, .. } => *promised,
        };
        let mut head = format!("HTTP/1.1 {status} {}\r\n{headers}", reason(status));
        if status != 304 {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        if !request.keep_alive {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        if request.method == "HEAD" || status == 304 {
            stream.write_all(head.as_bytes())?;
            return Ok(Then::KeepOpen);
        }
        match body {
            Body::Bytes(bytes) => {
                stream.write_all(&[head.as_bytes(), bytes.as_slice()].concat())?;
                Ok(Then::KeepOpen)
            }
            Body::File { file, promised, sent } => {
                stream.write_all(head.as_bytes())?;
                let copied = io::copy(&mut file.take(sent), stream)?;
                Ok(if copied == promised { Then::KeepOpen } else { Then::Close })
            }
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        416 => "Range Not Satisfiable",
        _ => "Internal Server Error",
    }
}

/// Percent-encodes what does not stand for itself in a path; slashes stay.
fn encode(path: &str) -> String {
    path.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        assert_eq!(range("bytes=0-0", 9), Range::Part(0, 1));
        assert_eq!(range("bytes=4-", 9), Range::Part(4, 9));
        assert_eq!(range("bytes=4-99", 9), Range::Part(4, 9));
        assert_eq!(range("bytes=-2", 9), Range::Part(7, 9));
        assert_eq!(range("bytes=9-", 9), Range::Outside);
        assert_eq!(range("bytes=0-1,3-4", 9), Range::Ignored);
        assert_eq!(range("lines=0-1", 9), Range::Ignored);
    }
}
