//! Delegations whose metadata the server fetches: packages of others, as they publish them.
//!
//! ```text
//! address allowed → fetched, with a limit and without redirects → signed by the keys that are
//! trusted for the role, newer, not expired, within the delegation's paths → served to devices
//! ```
//! What is fetched is trusted no more than what anybody uploads. Nothing is fetched but what an
//! operator asks for.

use std::collections::BTreeMap;

use updraft_http::{Client, ClientOptions, Method, Request};
use updraft_publish::{Error as PublishError, ImageRepository};
use updraft_tuf::{Envelope, Payload as _, Targets};

use crate::error::{Error, Result, chain};
use crate::fetch_from::Address;
use crate::fleet::Fleet;
use crate::fleet::image::Upload;
use crate::fleet::online_keys::DIALECT;
use crate::fleet::operators::Operator;
use crate::storage::delegation_info::{self, DelegationInfo, Remote};

const WHAT: &str = "the delegation";
const METADATA: &str = "the metadata of the delegation";
/// The most headers that are sent, and the longest name and value of one, in bytes.
const MAX_HEADERS: usize = 20;
const MAX_HEADER: usize = 4096;
/// Longest name for people, in bytes.
const MAX_FRIENDLY_NAME: usize = 200;
/// What says how a request is framed and where it goes is not the caller's to say.
const RESERVED_HEADERS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "expect"];

/// Where to fetch a delegation from, and what it is called.
pub struct NewRemote {
    /// The address.
    pub uri: String,
    /// Sent with the request.
    pub headers: BTreeMap<String, String>,
    /// What people call it.
    pub friendly_name: Option<String>,
}

impl Fleet {
    /// Fetches a delegated role's metadata, takes it, and remembers where it was.
    pub fn fetch_delegation(&self, operator: &Operator, role: &str, new: NewRemote) -> Result<()> {
        check_friendly_name(new.friendly_name.as_deref())?;
        let known = self.delegation_info(role)?;
        let remote = Remote { uri: new.uri, headers: new.headers };
        let info = DelegationInfo {
            friendly_name: new.friendly_name.or(known.friendly_name),
            remote: Some(remote),
            fetched_at: None,
        };
        self.fetch(operator, role, info)
    }

    /// The same from where it was the last time.
    pub fn refresh_delegation(&self, operator: &Operator, role: &str) -> Result<()> {
        let info = self.delegation_info(role)?;
        if info.remote.is_none() {
            return Err(Error::Precondition {
                code: "missing_remote_delegation_uri",
                action: format!("fetch delegation {}", role.escape_default()),
                reason: "it was never fetched; say where it is".to_owned(),
            });
        }
        self.fetch(operator, role, info)
    }

    /// What is known of a delegated role, which somebody must delegate to.
    pub fn delegation_info(&self, role: &str) -> Result<DelegationInfo> {
        self.require_delegation(role)?;
        self.database
            .read("read what is known of a delegation", |reader| delegation_info::get(reader, role))
    }

    /// The same of all roles that the top-level targets delegate to.
    pub fn delegation_infos(&self) -> Result<BTreeMap<String, DelegationInfo>> {
        let names = self.trusted_delegations()?.into_iter().map(|delegation| delegation.name);
        names.map(|name| Ok((name.clone(), self.delegation_info(&name)?))).collect()
    }

    /// Says what people call a delegated role.
    pub fn name_delegation(&self, role: &str, friendly_name: &str) -> Result<()> {
        check_friendly_name(Some(friendly_name))?;
        let mut info = self.delegation_info(role)?;
        info.friendly_name = Some(friendly_name.to_owned());
        self.database.write("store what is known of a delegation", |tx| {
            delegation_info::put(tx, role, &info)
        })
    }

    fn require_delegation(&self, role: &str) -> Result<()> {
        let image = self.image_targets()?;
        let is_trusted = image.delegations().is_some_and(|all| all.role_keys(role).is_some());
        if is_trusted { Ok(()) } else { Err(Error::not_found("delegation", role)) }
    }

    fn fetch(&self, operator: &Operator, role: &str, mut info: DelegationInfo) -> Result<()> {
        let Some(remote) = &info.remote else { return Ok(()) };
        let bytes = canonical(&self.get(remote)?)?;
        let image = self.image_targets()?;
        check_paths(&image, role, &bytes)?;
        self.accept_image_metadata(operator, Upload::Delegated(role), &bytes)?;
        info.fetched_at = Some(self.now());
        // Cut off before this, it is fetched again and is the same.
        self.database.write("store what is known of a delegation", |tx| {
            delegation_info::put(tx, role, &info)
        })
    }

    fn get(&self, remote: &Remote) -> Result<Vec<u8>> {
        let address: Address =
            remote.uri.parse().map_err(|error: String| Error::invalid(WHAT, error))?;
        let allowed = &self.config.delegations.fetch_from;
        if !allowed.iter().any(|from| from.allows(&address)) {
            return Err(Error::Rejected {
                code: "remote_not_allowed",
                what: WHAT,
                reason: "this server may not fetch from its address; it is not below one of \
                         `delegations.fetch_from`"
                    .to_owned(),
            });
        }
        check_headers(&remote.headers)?;
        // It may be a secret, and what the client says has the whole address.
        let failed = |error: &updraft_http::Error| Error::Remote {
            what: METADATA,
            reason: match error.status() {
                Some(status) => format!("its server answered HTTP {status}"),
                None => "its server does not answer, or breaks off".to_owned(),
            },
        };
        let limit = self.config.limits.metadata_bytes;
        let options = ClientOptions { max_redirects: 0, retries: 1, ..ClientOptions::default() };
        let client = Client::new(&options).map_err(|error| failed(&error))?;
        let mut request = Request::new(Method::Get, address.to_string());
        for (name, value) in &remote.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let answer = client.send(request).and_then(updraft_http::Response::error_for_status);
        answer.and_then(|answer| answer.bytes(limit)).map_err(|error| match error {
            updraft_http::Error::TooLarge { .. } => Error::TooLarge { what: METADATA, limit },
            other => failed(&other),
        })
    }
}

fn canonical(bytes: &[u8]) -> Result<Vec<u8>> {
    let malformed = |error| Error::invalid(METADATA, error);
    let envelope = Envelope::parse(DIALECT, bytes, bytes.len()).map_err(malformed)?;
    envelope.to_bytes(DIALECT).map_err(malformed)
}

/// Refuses targets outside of what is delegated. No device would take them, and an operator should
/// hear of it.
fn check_paths(image: &ImageRepository, role: &str, bytes: &[u8]) -> Result<()> {
    let malformed = |error: &dyn std::fmt::Display| Error::invalid(METADATA, error.to_string());
    let envelope =
        Envelope::parse(DIALECT, bytes, bytes.len()).map_err(|error| malformed(&error))?;
    let targets =
        Targets::from_value(DIALECT, envelope.signed).map_err(|error| malformed(&error))?;
    for path in targets.targets.keys() {
        if let Err(error @ PublishError::OutOfReach { .. }) = image.check_reach(role, path) {
            let reason = chain(&error);
            return Err(Error::Rejected { code: "delegation_exceeded", what: METADATA, reason });
        }
    }
    Ok(())
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<()> {
    let fits =
        |text: &str| text.len() <= MAX_HEADER && text.bytes().all(|b| (32..127).contains(&b));
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if headers.len() > MAX_HEADERS
        || !headers.iter().all(|(name, value)| is_name(name) && fits(name) && fits(value))
    {
        return Err(Error::invalid(WHAT, "its headers are too many, too long, or none"));
    }
    let reserved =
        headers.keys().find(|name| RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
    match reserved {
        Some(name) => Err(Error::invalid(WHAT, format!("the header {name} cannot be chosen"))),
        None => Ok(()),
    }
}

fn check_friendly_name(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) if name.is_empty() || name.len() > MAX_FRIENDLY_NAME => {
            let reason = format!("friendlyName must have 1 to {MAX_FRIENDLY_NAME} bytes");
            Err(Error::invalid(WHAT, reason))
        }
        _ => Ok(()),
    }
}
