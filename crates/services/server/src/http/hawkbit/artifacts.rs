//! Downloads: `…/softwaremodules/{module}/artifacts/{file}`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_MATCH, LAST_MODIFIED, RANGE,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use updraft_hawkbit::management::Artifact;

use super::answer::Form;
use super::ddi::{Answer, number};
use super::device::{Caller, check_tenant};
use super::ranges::{Wanted, wanted};
use crate::contents::{Found, Key};
use crate::error::{Error, Result};
use crate::http::content::{Begun, respond};
use crate::http::{Shared, run};

/// Names the sums of a file.
const SUM: &str = ".MD5SUM";

pub(super) async fn list(
    State(fleet): State<Shared>,
    Path((tenant, id, module)): Path<(String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let form = Form::wanted(&headers)?;
    let module = number(&module)?;
    let files =
        run(&fleet, move |fleet| fleet.ddi_artifacts(&id, &caller.presented, &caller.root, module))
            .await?;
    Ok(form.answer(&files)?)
}

pub(super) async fn file(
    State(fleet): State<Shared>,
    Path((tenant, id, module, name)): Path<(String, String, String, String)>,
    caller: Caller,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let module = number(&module)?;
    let of = name.strip_suffix(SUM).map(str::to_owned);
    let found = {
        let (id, name) = (id.clone(), name.clone());
        run(&fleet, move |fleet| {
            let artifact = fleet.ddi_artifact(&id, &caller.presented, (module, &name));
            match (artifact, of) {
                // A file may be called that; it goes before the sum of another.
                (Err(Error::NotFound { .. }), Some(of)) => fleet
                    .ddi_artifact(&id, &caller.presented, (module, &of))
                    .map(|artifact| (artifact, true)),
                (artifact, _) => artifact.map(|artifact| (artifact, false)),
            }
        })
        .await?
    };
    let (artifact, is_sum) = found;
    if is_sum {
        return Ok(sum(&artifact, &name));
    }
    if method == Method::GET && !headers.contains_key(RANGE) {
        let (id, name) = (id.clone(), name.clone());
        run(&fleet, move |fleet| fleet.ddi_note_download(&id, module, &name)).await?;
    }
    Ok(content(&fleet, &artifact, &headers).await?)
}

fn sum(artifact: &Artifact, name: &str) -> Response {
    let text = format!("{}  {}", artifact.hashes.md5, artifact.provided_filename);
    let headers = [
        (CONTENT_TYPE, "text/plain".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment;filename={}", quoted(name))),
    ];
    (headers, text).into_response()
}

/// A name as it may stand in a header.
fn quoted(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&b);
    if name.bytes().all(plain) {
        return name.to_owned();
    }
    let safe: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '_' })
        .collect();
    format!("\"{safe}\"")
}

/// A file, or parts of it.
pub(crate) async fn content(
    fleet: &Shared,
    artifact: &Artifact,
    headers: &HeaderMap,
) -> Result<Response> {
    let etag = format!("\"{}\"", artifact.hashes.sha1);
    let modified = http_date(artifact.stamp.created_at);
    if let Some(condition) = headers.get(IF_MATCH).and_then(|value| value.to_str().ok()) {
        let sha1 = &artifact.hashes.sha1;
        let fits = |tag: &str| {
            matches!(tag.trim().trim_matches('"'), "*") || tag.trim().trim_matches('"') == sha1
        };
        if !condition.split(',').any(fits) {
            return Ok(StatusCode::PRECONDITION_FAILED.into_response());
        }
    }
    let key = Key::target(&artifact.hashes.sha256);
    let found = run(fleet, move |fleet| fleet.contents.find(&key)).await?;
    let missing = || Error::not_found("the content of artifact", &artifact.provided_filename);
    let found = found.ok_or_else(missing)?;
    let length = artifact.size;
    let mut common: Vec<(HeaderName, String)> = vec![
        (ETAG, etag.clone()),
        (LAST_MODIFIED, modified.clone()),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment;filename={}", quoted(&artifact.provided_filename)),
        ),
    ];
    let octets = (CONTENT_TYPE, "application/octet-stream".to_owned());
    let is_current = |validator: &str| validator == etag || validator == modified;
    match wanted(headers, length, is_current) {
        Wanted::Nothing => {
            common.push((CONTENT_RANGE, format!("bytes */{length}")));
            Ok(respond(StatusCode::RANGE_NOT_SATISFIABLE, common, Body::empty()))
        }
        Wanted::All => {
            common.push(octets);
            common.push((CONTENT_LENGTH, length.to_string()));
            let begun = part(fleet, &found, (0, length)).await?;
            Ok(begun.into_response(fleet, StatusCode::OK, common))
        }
        Wanted::Parts(parts) => {
            if let [(start, count)] = parts.as_slice() {
                common.push(octets);
                common.push((CONTENT_LENGTH, count.to_string()));
                common.push((CONTENT_RANGE, range_of(*start, *count, length)));
                let begun = part(fleet, &found, (*start, *count)).await?;
                return Ok(begun.into_response(fleet, StatusCode::PARTIAL_CONTENT, common));
            }
            // No file holds it: nobody knows the hash before the server says it.
            let boundary = format!("UPDRAFT_{}", artifact.hashes.sha1);
            common.push((CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}")));
            let (size, begun) = several(&found, parts, &boundary);
            common.push((CONTENT_LENGTH, size.to_string()));
            Ok(begun.into_response(fleet, StatusCode::PARTIAL_CONTENT, common))
        }
    }
}

fn range_of(start: u64, count: u64, length: u64) -> String {
    let last = start.saturating_add(count).saturating_sub(1);
    format!("bytes {start}-{last}/{length}")
}

async fn part(fleet: &Shared, found: &Found, (start, count): (u64, u64)) -> Result<Begun> {
    let found = found.clone();
    run(fleet, move |_| Begun::read(&found, start, count)).await
}

/// Several parts in one body (RFC 9110, section 14.6), and its length.
fn several(found: &Found, parts: Vec<(u64, u64)>, boundary: &str) -> (u64, Begun) {
    let end = format!("\r\n--{boundary}--\r\n");
    let mut size = end.len() as u64;
    let parts = parts.into_iter().map(|(start, count)| {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: {}\r\n\r\n",
            range_of(start, count, found.length)
        );
        size = size.saturating_add(count).saturating_add(head.len() as u64);
        (head, (start, count))
    });
    let parts: Vec<_> = parts.collect();
    (size, Begun::several(found, parts, end))
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
