//! Who calls `/{tenant}/controller/v1`, and how the caller reaches the server.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::Refusal;
use crate::config::tenant::DEFAULT_TENANT;
use crate::error::{Error, Result};
use crate::fleet::hawkbit::access::Presented;
use crate::http::Shared;
use crate::http::way::{Way, header};

/// What is known of a caller before it is known who it is.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// With what it shows who it is.
    pub(crate) presented: Presented,
    /// The address of all devices, as this caller reaches it.
    pub(crate) root: String,
    /// The address of the server, as this caller reaches it.
    pub(crate) origin: String,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Refusal> {
        let way = Way::of(parts, fleet);
        let origin = way
            .origin()
            .ok_or_else(|| Error::invalid("the request", "it does not say for which host it is"))?;
        let Way { address, is_trusted, .. } = way;
        let recognised = header(&parts.headers, "x-controller-id")
            .filter(|_| is_trusted)
            .map(|id| (id.to_owned(), authorities(&parts.headers)));
        let authorization = header(&parts.headers, AUTHORIZATION.as_str()).map(str::to_owned);
        Ok(Self {
            presented: Presented { authorization, recognised, address },
            root: format!("{origin}/{}/controller/v1", fleet.config.tenant.name),
            origin,
        })
    }
}

/// The authorities that a proxy names: in one header, or in numbered ones.
fn authorities(headers: &HeaderMap) -> Vec<String> {
    let named = headers.iter().filter(|(name, _)| {
        let rest = name.as_str().strip_prefix("x-authority");
        rest.is_some_and(|rest| {
            let number = rest.strip_prefix('-').unwrap_or_default();
            rest.is_empty() || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        })
    });
    named
        .filter_map(|(_, value)| value.to_str().ok())
        .flat_map(|value| value.split([';', ',']))
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty())
        .collect()
}

/// Refuses a tenant that there is not.
pub(super) fn check_tenant(fleet: &Shared, tenant: &str) -> Result<()> {
    let names = [fleet.config.tenant.name.as_str(), DEFAULT_TENANT];
    if names.iter().any(|name| tenant.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(Error::not_found("tenant", tenant.chars().take(80).collect::<String>()))
}
