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
/// The same of a login that a provider of identities is to answer.
const LOGIN: &str = "updraft_login";
const SECURE_LOGIN: &str = "__Host-updraft_login";

/// The session whose cookie a request carries.
pub(crate) fn session(headers: &HeaderMap, is_https: bool) -> Option<SessionId> {
    find(headers, if is_https { SECURE_NAME } else { NAME }).and_then(SessionId::parse)
}

/// The login that has begun in the browser that a request comes from.
pub(crate) fn login(headers: &HeaderMap, is_https: bool) -> Option<String> {
    find(headers, if is_https { SECURE_LOGIN } else { LOGIN }).map(str::to_owned)
}

fn find<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// The cookie of a login that has begun, and for how many seconds; without one, the end of it.
/// Another site sends the browser back with it, which `Strict` would not allow.
pub(crate) fn set_login(begun: Option<(&str, i64)>, is_https: bool) -> Result<HeaderValue> {
    let (name, secure) = if is_https { (SECURE_LOGIN, "; Secure") } else { (LOGIN, "") };
    let (value, age) = begun.unwrap_or_default();
    written(format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age}"))
}

fn written(cookie: String) -> Result<HeaderValue> {
    HeaderValue::try_from(cookie)
        .map_err(|error| Error::Internal { action: "write a cookie", reason: error.to_string() })
}

/// The cookie that begins a session, or, without one, ends it.
pub(crate) fn set(id: Option<&SessionId>, is_https: bool) -> Result<HeaderValue> {
    let (name, secure) = if is_https { (SECURE_NAME, "; Secure") } else { (NAME, "") };
    let value = id.map(SessionId::text).unwrap_or_default();
    // Without an age a browser forgets it when it ends; the server decides sooner.
    let age = if id.is_some() { "" } else { "; Max-Age=0" };
    written(format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}"))
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
