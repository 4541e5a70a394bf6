//! Which tenant a connection and a request are for.
//!
//! A connection over TLS is for the tenant whose host its client named when it began (RFC 6066,
//! section 3): that one's certificate it is shown, and that one's authority its own is held
//! against. A request for another tenant's host does not belong there (RFC 9110, section 15.5.20).
//! Without TLS the request's host decides. Where neither names a tenant, it is the one that every server has; there,
//! devices and scripts of hawkBit name theirs in the path (`/{tenant}/controller/v1`) or before
//! their name (`tenant\user`), as hawkBit has them do.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, HOST};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::server::ServerConfig;
use tokio::sync::watch;

use super::Shared;
use super::callers::Peer;

/// A tenant, and all that answers for it.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) fleet: Shared,
    pub(crate) router: Router,
    pub(crate) tls: Arc<ServerConfig>,
    /// Says so when it is served no longer.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// All tenants of a server at one time; who asks later may find others.
#[derive(Debug)]
pub(crate) struct Hosts {
    tenants: Vec<Tenant>,
    by_host: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
}

/// A request came over a connection that another tenant's certificate was shown for, or one's that is
/// served no longer.
#[derive(Debug)]
pub(crate) struct Misdirected;

impl Hosts {
    /// `tenants`: the one that every server has comes first.
    pub(crate) fn new(tenants: Vec<Tenant>) -> Self {
        let mut hosts =
            Self { tenants: Vec::new(), by_host: HashMap::new(), by_name: HashMap::new() };
        for (number, Tenant { fleet, .. }) in tenants.iter().enumerate() {
            let tenant = &fleet.config.tenant;
            hosts.by_name.insert(tenant.name.to_ascii_lowercase(), number);
            hosts.by_host.extend(tenant.hostnames.iter().map(|host| (host.clone(), number)));
        }
        hosts.tenants = tenants;
        hosts
    }

    /// The tenant whose host a client names before its connection is encrypted.
    pub(crate) fn of_name(&self, name: Option<&str>) -> &Tenant {
        let known = |name: &str| self.by_host.get(&name.to_ascii_lowercase()).copied();
        self.get(name.and_then(known).unwrap_or(0))
    }

    fn get(&self, number: usize) -> &Tenant {
        // Numbers are made here only.
        &self.tenants[number]
    }

    /// The tenant that a request is for. `connection`: whose certificate its connection has shown.
    pub(crate) fn of_request<B>(
        &self,
        request: &mut Request<B>,
        connection: Option<&Shared>,
    ) -> Result<&Tenant, Misdirected> {
        let shown = match connection {
            Some(shown) => Some(self.number_of(shown).ok_or(Misdirected)?),
            None => None,
        };
        if self.tenants.len() == 1 {
            return Ok(self.get(0));
        }
        let named = host(request).and_then(|host| self.by_host.get(&host).copied());
        let number = match (shown, named) {
            (Some(shown), Some(named)) if shown != named => return Err(Misdirected),
            (Some(shown), _) => shown,
            (None, named) => named.unwrap_or(0),
        };
        if number != 0 {
            return Ok(self.get(number));
        }
        let other = self.in_path(request.uri().path()).or_else(|| self.in_user(request));
        if let Some(number) = other.filter(|number| *number != 0) {
            // Another authority's certificate says nothing here.
            request.extensions_mut().insert(Peer(None));
            return Ok(self.get(number));
        }
        Ok(self.get(0))
    }

    fn number_of(&self, fleet: &Shared) -> Option<usize> {
        let is_it = |number: &usize| Arc::ptr_eq(&self.tenants[*number].fleet, fleet);
        Some(0).filter(is_it).or_else(|| {
            let name = fleet.config.tenant.name.to_ascii_lowercase();
            self.by_name.get(&name).copied().filter(is_it)
        })
    }

    fn in_path(&self, path: &str) -> Option<usize> {
        let (name, rest) = path.strip_prefix('/')?.split_once('/')?;
        let is_device = rest == "controller" || rest.starts_with("controller/");
        is_device.then(|| self.by_name.get(&name.to_ascii_lowercase()).copied()).flatten()
    }

    /// The tenant before a script's name, which is taken away there.
    fn in_user<B>(&self, request: &mut Request<B>) -> Option<usize> {
        if !request.uri().path().starts_with("/rest/") {
            return None;
        }
        let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, credentials) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        let (tenant, user) = user.split_once('\\')?;
        let number = self.by_name.get(&tenant.to_ascii_lowercase()).copied()?;
        let mut own = HeaderValue::try_from(format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
        .ok()?;
        own.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, own);
        Some(number)
    }
}

/// The host that a request is for, in lower case and without its port.
fn host<B>(request: &Request<B>) -> Option<String> {
    let host = if let Some(host) = request.uri().host() {
        host
    } else {
        let value = request.headers().get(HOST)?.to_str().ok()?;
        // An address of IPv6 is no tenant's host.
        value.rsplit_once(':').map_or(value, |(host, _)| host)
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}
