//! Answering with content: entity tags, conditions, ranges (RFC 9110), cache headers.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio_util::io::ReaderStream;

use super::{Shared, run};
use crate::error::{Error, Result};

/// Files up to this size are read at once; larger ones are streamed.
const AT_ONCE: u64 = 128 * 1024;
/// The size of one piece of a streamed file.
const PIECE: usize = 128 * 1024;

/// How long others may keep a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// For ever: the name determines the content.
    Immutable,
    /// Only after asking whether it is still current.
    Revalidate,
}

impl Cache {
    fn header(self) -> &'static str {
        match self {
            Self::Immutable => "private, max-age=31536000, immutable",
            Self::Revalidate => "private, no-cache",
        }
    }
}

/// Answers with JSON bytes exactly as they are.
pub(crate) fn metadata(headers: &HeaderMap, bytes: Vec<u8>, cache: Cache) -> Response {
    use sha2::{Digest as _, Sha256};
    let hash = hex::encode(Sha256::digest(&bytes));
    let etag = format!("\"{}\"", hash.get(..32).unwrap_or(&hash));
    let common = [
        (ETAG, etag.clone()),
        (CACHE_CONTROL, cache.header().to_owned()),
        (CONTENT_TYPE, "application/json".to_owned()),
    ];
    if has_current(headers, &etag) {
        // Whose length it says is that of the content, which is not sent (RFC 9110, 8.6).
        let length = [(CONTENT_LENGTH, bytes.len().to_string())];
        return (StatusCode::NOT_MODIFIED, common, length).into_response();
    }
    (common, bytes).into_response()
}

/// Answers with a file, or a range of it. `None` when there is no such file.
pub(crate) async fn file(
    fleet: &Shared,
    path: &Path,
    headers: &HeaderMap,
    cache: Cache,
) -> Result<Option<Response>> {
    let path = path.to_owned();
    let headers = headers.clone();
    run(fleet, move |_| answer(&path, &headers, cache)).await
}

fn answer(path: &Path, headers: &HeaderMap, cache: Cache) -> Result<Option<Response>> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Ok(None);
    }
    let length = facts.len();
    // Files are replaced, never changed in place, so this names one content.
    let etag =
        format!("\"{:x}-{:x}-{:x}-{length:x}\"", facts.ino(), facts.mtime(), facts.mtime_nsec());
    let mut common: Vec<(HeaderName, String)> = vec![
        (ETAG, etag.clone()),
        (CACHE_CONTROL, cache.header().to_owned()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    if has_current(headers, &etag) {
        common.push((CONTENT_LENGTH, length.to_string()));
        return Ok(Some(respond(StatusCode::NOT_MODIFIED, common, Body::empty())));
    }
    common.push((CONTENT_TYPE, "application/octet-stream".to_owned()));
    let (status, start, count) = match range(headers, &etag, length) {
        Wanted::All => (StatusCode::OK, 0, length),
        Wanted::Part { start, count } => {
            let last = start.saturating_add(count).saturating_sub(1);
            common.push((CONTENT_RANGE, format!("bytes {start}-{last}/{length}")));
            (StatusCode::PARTIAL_CONTENT, start, count)
        }
        Wanted::Nothing => {
            common.push((CONTENT_RANGE, format!("bytes */{length}")));
            return Ok(Some(respond(StatusCode::RANGE_NOT_SATISFIABLE, common, Body::empty())));
        }
    };
    common.push((CONTENT_LENGTH, count.to_string()));
    if start > 0 {
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
    }
    let body = if count <= AT_ONCE {
        let mut bytes = Vec::new();
        file.take(count).read_to_end(&mut bytes).map_err(failed)?;
        Body::from(bytes)
    } else {
        let reader = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), count);
        Body::from_stream(ReaderStream::with_capacity(reader, PIECE))
    };
    Ok(Some(respond(status, common, body)))
}

fn respond(status: StatusCode, headers: Vec<(HeaderName, String)>, body: Body) -> Response {
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Whether the caller has this content already.
fn has_current(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Part { start: u64, count: u64 },
    Nothing,
}

/// Which part is wanted. Several ranges at once, and what is not a range, mean everything.
fn range(headers: &HeaderMap, etag: &str, length: u64) -> Wanted {
    let Some(value) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::All;
    };
    if let Some(condition) = headers.get(IF_RANGE)
        && condition.as_bytes() != etag.as_bytes()
    {
        return Wanted::All;
    }
    let Some((first, last)) =
        value.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| text.trim().parse::<u64>();
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Ok(0) => return Wanted::Nothing,
            Ok(count) => (length.saturating_sub(count), length),
            Err(_) => return Wanted::All,
        },
        (first, "") => match number(first) {
            Ok(start) => (start, length),
            Err(_) => return Wanted::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Ok(start), Ok(last)) if start <= last => (start, last.saturating_add(1).min(length)),
            _ => return Wanted::All,
        },
    };
    if start >= end {
        return Wanted::Nothing;
    }
    Wanted::Part { start, count: end.saturating_sub(start) }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, range};
    use axum::http::HeaderMap;
    use axum::http::header::{IF_RANGE, RANGE};

    fn check(value: &str, expect: Wanted) {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, value.parse().expect("header"));
        assert_eq!(range(&headers, "\"e\"", 100), expect, "{value}");
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        check("bytes=0-9", Wanted::Part { start: 0, count: 10 });
        check("bytes=90-", Wanted::Part { start: 90, count: 10 });
        check("bytes=-10", Wanted::Part { start: 90, count: 10 });
        check("bytes=-1000", Wanted::Part { start: 0, count: 100 });
        check("bytes=99-1000", Wanted::Part { start: 99, count: 1 });
        check("bytes=100-", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        check("bytes=5-4", Wanted::All);
        check("bytes=0-1,3-4", Wanted::All);
        check("lines=0-1", Wanted::All);
        check("bytes=99999999999999999999-", Wanted::All);
    }

    #[test]
    fn a_range_of_another_content_is_everything() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=1-".parse().expect("header"));
        headers.insert(IF_RANGE, "\"other\"".parse().expect("header"));
        assert_eq!(range(&headers, "\"e\"", 100), Wanted::All);
        headers.insert(IF_RANGE, "\"e\"".parse().expect("header"));
        assert_eq!(range(&headers, "\"e\"", 100), Wanted::Part { start: 1, count: 99 });
    }
}
