//! Answering with content: entity tags, conditions, ranges (RFC 9110), cache headers.

mod begun;
mod file;

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

pub(super) use begun::Begun;
pub(super) use file::{InFile, Waiting};

use super::{Shared, look, run};
use crate::contents::{Found, Key};
use crate::error::Result;
use crate::fleet::bandwidth::Whose;

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

/// A file of the Image repository. Where servers share that without a folder, it may have to be
/// loaded from the database.
pub(crate) async fn image_file(fleet: &Shared, name: String) -> Result<Option<Vec<u8>>> {
    let found = look(fleet, move |fleet| {
        Ok(fleet.image_repository().and_then(|image| image.file(&name).map(<[u8]>::to_vec)))
    });
    found.await
}

/// The SHA-256 of a target file, looked up in the same way.
pub(crate) async fn target_hash(fleet: &Shared, name: &str) -> Result<Option<String>> {
    let name = name.to_owned();
    look(fleet, move |fleet| Ok(fleet.target_file_hash(&name))).await
}

/// Answers with JSON bytes exactly as they are.
pub(crate) fn metadata(headers: &HeaderMap, bytes: Vec<u8>, cache: Cache) -> Response {
    whole(headers, bytes, cache, "application/json")
}

/// Answers with bytes exactly as they are.
pub(crate) fn document(asked: &Asked, bytes: Vec<u8>, cache: Cache) -> Response {
    whole(&asked.headers, bytes, cache, "application/octet-stream")
}

fn whole(headers: &HeaderMap, bytes: Vec<u8>, cache: Cache, kind: &'static str) -> Response {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(&bytes);
    let etag = format!("\"{}\"", hex::encode(digest.get(..16).unwrap_or(&digest)));
    let common = [
        (CACHE_CONTROL, HeaderValue::from_static(cache.header())),
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
    ];
    let tag = [(ETAG, etag.clone())];
    if has_current(headers, &etag) {
        // Whose length it says is that of the content, which is not sent (RFC 9110, 8.6).
        let length = [(CONTENT_LENGTH, bytes.len().to_string())];
        return (StatusCode::NOT_MODIFIED, tag, common, length).into_response();
    }
    (tag, common, bytes).into_response()
}

/// Who may be sent to where content lies, instead of getting it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// Whoever only reads it: clients of Uptane, TUF and OSTree follow, and verify what comes.
    Readers,
    /// Nobody.
    Nobody,
}

/// What a caller asks of content.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    method: Method,
    headers: HeaderMap,
    /// The device that gets it, where that is known.
    whose: Option<Whose>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let whose = parts.extensions.get().cloned();
        Ok(Self { method: parts.method.clone(), headers: parts.headers.clone(), whose })
    }
}

/// Answers with stored content, or a range of it. `None` when there is no such thing.
pub(crate) async fn stored(
    fleet: &Shared,
    key: Key,
    asked: &Asked,
    cache: Cache,
    redirect: Redirect,
) -> Result<Option<Response>> {
    // The signature of a link is for reading only, so that whoever asks for less is answered here.
    if redirect == Redirect::Readers
        && asked.method == Method::GET
        && let Some(link) = fleet.contents.link(&key)
        // Nobody would slow down what comes from elsewhere.
        && !is_paced(fleet, asked.whose.as_ref()).await
    {
        let headers = [(LOCATION, link), (CACHE_CONTROL, "private, no-store".to_owned())];
        return Ok(Some((StatusCode::FOUND, headers).into_response()));
    }
    let asked = asked.clone();
    let answered = run(fleet, move |fleet| match fleet.contents.find(&key)? {
        Some(found) => answer(&found, &asked, cache).map(Some),
        None => Ok(None),
    });
    Ok(answered.await?.map(|answer| answer.into_response(fleet)))
}

/// Whether a device is in a rollout with a limit. What cannot be found out limits nothing.
async fn is_paced(fleet: &Shared, whose: Option<&Whose>) -> bool {
    let Some(whose) = whose.cloned() else { return false };
    let now = tokio::time::Instant::now();
    let pace = run(fleet, move |fleet| fleet.pace_of(&whose, now)).await;
    pace.is_ok_and(|pace| pace.is_some())
}

/// The head of an answer, and the beginning of its body.
struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Option<Begun>,
}

impl Answer {
    fn into_response(self, fleet: &Shared) -> Response {
        match self.body {
            Some(begun) => begun.into_response(fleet, self.status, self.headers),
            None => respond(self.status, self.headers, Body::empty()),
        }
    }
}

fn answer(found: &Found, asked: &Asked, cache: Cache) -> Result<Answer> {
    let (length, headers) = (found.length, &asked.headers);
    let mut common: Vec<(HeaderName, String)> = vec![
        (ETAG, found.tag.clone()),
        (CACHE_CONTROL, cache.header().to_owned()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    if has_current(headers, &found.tag) {
        common.push((CONTENT_LENGTH, length.to_string()));
        return Ok(Answer { status: StatusCode::NOT_MODIFIED, headers: common, body: None });
    }
    common.push((CONTENT_TYPE, "application/octet-stream".to_owned()));
    let (status, start, count) = match range(headers, &found.tag, length) {
        Wanted::All => (StatusCode::OK, 0, length),
        Wanted::Part { start, count } => {
            let last = start.saturating_add(count).saturating_sub(1);
            common.push((CONTENT_RANGE, format!("bytes {start}-{last}/{length}")));
            (StatusCode::PARTIAL_CONTENT, start, count)
        }
        Wanted::Nothing => {
            common.push((CONTENT_RANGE, format!("bytes */{length}")));
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(Answer { status, headers: common, body: None });
        }
    };
    common.push((CONTENT_LENGTH, count.to_string()));
    let is_wanted = asked.method != Method::HEAD;
    let body = is_wanted.then(|| Begun::read(found, start, count)).transpose()?;
    Ok(Answer { status, headers: common, body })
}

pub(super) fn respond(
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Body,
) -> Response {
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
