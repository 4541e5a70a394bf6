//! The cookie of a session, and what keeps other sites from using it.

use axum::http::header::{COOKIE, HeaderValue, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use updraft_api::CSRF_HEADER;

use super::way::{Way, header};
use crate::error::{Error, Result};
use crate::fleet::sessions::SessionId;

/// The name of the cookie; with the prefix, browsers take it over TLS and of this very host only.
const NAME: &str = "updraft_session";
const SECURE_NAME: &str = "__Host-updraft_session";

/// The session whose cookie a request carries.
pub(crate) fn session(headers: &HeaderMap, is_https: bool) -> Option<SessionId> {
    let wanted = if is_https { SECURE_NAME } else { NAME };
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .and_then(|(_, value)| SessionId::parse(value))
}

/// The cookie that begins a session, or, without one, ends it.
pub(crate) fn set(id: Option<&SessionId>, is_https: bool) -> Result<HeaderValue> {
    let (name, secure) = if is_https { (SECURE_NAME, "; Secure") } else { (NAME, "") };
    let value = id.map(SessionId::text).unwrap_or_default();
    // Without an age a browser forgets it when it ends; the server decides sooner.
    let age = if id.is_some() { "" } else { "; Max-Age=0" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::try_from(cookie)
        .map_err(|error| Error::Internal { action: "write a cookie", reason: error.to_string() })
}

/// Refuses a request that changes something and does not come from our own pages.
pub(crate) fn check_session_request(parts: &Parts, way: &Way, id: &SessionId) -> Result<()> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    refuse_foreign(parts, way)?;
    let sent = header(&parts.headers, CSRF_HEADER).unwrap_or_default();
    if id.is_csrf_token(sent) {
        return Ok(());
    }
    let reason = format!("the header {CSRF_HEADER} does not have the session's `csrf_token`");
    Err(Error::Rejected { code: "wrong_csrf_token", what: "the request", reason })
}

/// Refuses what a browser sends for another site's page.
pub(crate) fn refuse_foreign(parts: &Parts, way: &Way) -> Result<()> {
    let foreign = || Error::Rejected {
        code: "foreign_origin",
        what: "the request",
        reason: "a page of another site sent it".to_owned(),
    };
    if let Some(site) = parts.headers.get("sec-fetch-site")
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return Err(foreign());
    }
    let Some(origin) = parts.headers.get(ORIGIN) else { return Ok(()) };
    // Behind a proxy that does not tell its scheme it is still the host that counts.
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (host, &way.host) {
        (Some((_, sent)), Some(own)) if sent.eq_ignore_ascii_case(own) => Ok(()),
        _ => Err(foreign()),
    }
}
