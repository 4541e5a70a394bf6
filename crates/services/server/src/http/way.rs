//! How a caller reaches the server: its address, and the origin that a browser sees. A proxy that
//! is trusted tells both in headers.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;

use super::Shared;
use super::callers::Connection;
use crate::error::{Error, Result};

/// How a caller reaches the server.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// Whether the headers are those of a proxy that is trusted.
    pub(crate) is_trusted: bool,
    /// Whether what the caller sees is TLS.
    pub(crate) is_https: bool,
    /// Host and port, as the caller names them.
    pub(crate) host: Option<String>,
    /// From where the caller comes.
    pub(crate) address: Option<IpAddr>,
}

impl Way {
    pub(crate) fn of(parts: &Parts, fleet: &Shared) -> Self {
        let connection = parts.extensions.get::<Connection>().copied();
        let is_trusted = connection.is_some_and(|connection| {
            fleet.config.hawkbit.trusted_proxies.contains(&connection.from.to_canonical())
        });
        let forwarded = |name: &str| {
            let value = header(&parts.headers, name).filter(|_| is_trusted)?;
            value.split(',').next().map(|first| first.trim().to_owned())
        };
        let is_tls = connection.is_none_or(|connection| connection.is_tls);
        let is_https = match forwarded("x-forwarded-proto").as_deref() {
            Some("https") => true,
            Some("http") => false,
            _ => is_tls,
        };
        let host = forwarded("x-forwarded-host")
            .or_else(|| header(&parts.headers, HOST.as_str()).map(str::to_owned))
            .or_else(|| parts.uri.authority().map(ToString::to_string))
            .filter(|host| is_host(host));
        let address = address(parts, fleet);
        Self { is_trusted, is_https, host, address }
    }

    /// From where the caller comes, which only a test without a connection would not know.
    pub(crate) fn address(&self) -> Result<IpAddr> {
        self.address.ok_or_else(|| Error::Internal {
            action: "answer the request",
            reason: "the connection has no address".to_owned(),
        })
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> Option<String> {
        let scheme = if self.is_https { "https" } else { "http" };
        self.host.as_ref().map(|host| format!("{scheme}://{host}"))
    }
}

/// From where the caller comes.
pub(crate) fn address(parts: &Parts, fleet: &Shared) -> Option<IpAddr> {
    let from = parts.extensions.get::<Connection>()?.from;
    let trusted = &fleet.config.hawkbit.trusted_proxies;
    let told = trusted.contains(&from.to_canonical()).then(|| proxied(&parts.headers, trusted));
    told.flatten().or(Some(from))
}

/// From where the caller of a proxy comes: what the last proxy that is trusted has added. What stands
/// before it is the caller's own word.
fn proxied(headers: &HeaderMap, trusted: &[IpAddr]) -> Option<IpAddr> {
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let all: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut found = None;
    for address in all.into_iter().rev() {
        found = Some(address.parse::<IpAddr>().ok()?);
        if found.is_some_and(|address| !trusted.contains(&address.to_canonical())) {
            break;
        }
    }
    found
}

/// The value of a header that is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether this can be a host and port, and nothing else.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 262
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_says_of_itself_does_not_count() {
        let trusted: Vec<IpAddr> = vec!["10.0.0.1".parse().expect("an address")];
        let check = |values: &[&'static str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", value.parse().expect("a value"));
            }
            let found = proxied(&headers, &trusted).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{values:?}");
        };
        check(&["192.0.2.7"], Some("192.0.2.7"));
        check(&["198.51.100.1, 192.0.2.7"], Some("192.0.2.7"));
        check(&["198.51.100.1, 192.0.2.7, 10.0.0.1"], Some("192.0.2.7"));
        check(&["198.51.100.1", "192.0.2.7"], Some("192.0.2.7"));
        check(&["10.0.0.1"], Some("10.0.0.1"));
        check(&["192.0.2.7, unknown"], None);
        check(&[], None);
    }
}
