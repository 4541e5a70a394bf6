//! The server as a device sees it: aktualizr's requests, over mutual TLS.

mod addresses;
mod registration;
mod renewal;

use std::time::Duration;

use serde::Deserialize;
use updraft_crypto::HelperKey;
use updraft_http::{
    Client, ClientOptions, Error as HttpError, LowSpeed, Method, Request, Response, Timeouts,
};
use updraft_task::Context;
use updraft_tuf::Repository;

pub use addresses::Addresses;
pub use registration::{Certificate, NewDevice, RegisteredDevice};
pub(crate) use registration::{RegisteredEcu, register_device};

use crate::config::Settings;
use crate::keys::{Token, token_key};
use crate::store::IdentityRecord;
use crate::{Error, Result};

/// The largest answer to a POST or PUT, in bytes.
const ANSWER_LIMIT: u64 = 64 << 10;
/// The largest list of campaigns, in bytes.
const CAMPAIGNS_LIMIT: u64 = 1 << 20;

/// The server, spoken to as this device.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// For fetching objects.
    pub client: Client,
    /// Where everything is.
    pub addresses: Addresses,
}

/// A metadata file as the server gave it.
#[derive(Debug)]
pub enum File {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// The server says that there is none.
    Absent,
    /// It has more bytes than were allowed.
    TooLarge,
}

impl Gateway {
    /// The gateway for a device with this identity. `key`: its private key, when that is in a
    /// token.
    pub fn new(
        settings: &Settings,
        identity: &IdentityRecord,
        key: Option<HelperKey>,
        addresses: Addresses,
    ) -> Result<Self> {
        let certificate = identity
            .certificate_pem
            .as_ref()
            .ok_or(Error::Damaged { what: "the device's certificate" })?;
        let options = ClientOptions {
            ca_pem: identity.ca_pem.as_ref().map(|pem| pem.as_bytes().to_vec()),
            identity: key.is_none().then(|| updraft_http::Identity {
                certificate_pem: certificate.as_bytes().to_vec(),
                private_key_pem: identity.private_key_pem.as_bytes().to_vec(),
            }),
            token_identity: key.map(|key| updraft_http::TokenIdentity {
                certificate_pem: certificate.as_bytes().to_vec(),
                key: std::sync::Arc::new(key),
            }),
            ..client_options(settings)
        };
        Ok(Self { client: Client::new(&options)?, addresses })
    }

    /// The gateway for a device with this identity, wherever it is.
    pub fn as_identity(settings: &Settings, identity: &IdentityRecord) -> Result<Self> {
        let addresses = Addresses::new(settings, identity.server.as_deref())?;
        let key = token_key(&Token::new(settings), identity)?;
        Self::new(settings, identity, key, addresses)
    }

    /// `GET url`, whose body goes to `out` as it arrives.
    pub fn get(
        &self,
        ctx: &Context,
        url: &str,
        headers: &[(String, String)],
        out: &mut dyn std::io::Write,
    ) -> Result<()> {
        let mut request = Request::new(Method::Get, url);
        request.headers.extend_from_slice(headers);
        let mut response = self.client.send_with(ctx, &request)?.error_for_status()?;
        if response.status != 200 {
            let problem = format!("it answered HTTP {}", response.status);
            return Err(Error::Answer { request: "GET", problem });
        }
        std::io::copy(&mut response.body, out)
            .map(drop)
            .map_err(|source| Error::Fs(updraft_fs::Error::new("copy", url, source)))
    }

    /// A metadata file of at most `max_length` bytes. Only 404 means that there is none: any
    /// other failure must not end a chain of roots quietly.
    pub fn metadata(
        &self,
        ctx: &Context,
        repository: Repository,
        file_name: &str,
        max_length: u64,
    ) -> Result<File> {
        let base = match repository {
            Repository::Director => &self.addresses.director,
            Repository::Image => &self.addresses.repo,
        };
        let request = Request::new(Method::Get, format!("{base}/{file_name}"));
        let mut attempts = BODY_ATTEMPTS;
        loop {
            let response = self.client.send_with(ctx, &request)?;
            if response.status == 404 {
                return Ok(File::Absent);
            }
            attempts -= 1;
            match response.error_for_status()?.bytes(max_length) {
                Ok(bytes) => return Ok(File::Bytes(bytes)),
                Err(HttpError::TooLarge { .. }) => return Ok(File::TooLarge),
                Err(HttpError::Interrupted { .. } | HttpError::TooSlow { .. }) if attempts > 0 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a signed manifest; gives the number of the log that the server wants, if it does.
    pub fn send_manifest(&self, ctx: &Context, manifest: Vec<u8>) -> Result<Option<u64>> {
        let url = format!("{}/manifest", self.addresses.director);
        let sent = self.send(ctx, Method::Put, &url, "application/json", manifest)?;
        let answer = sent.error_for_status()?;
        Ok(answer.headers.get(WANTED_LOG_HEADER).and_then(|log| log.parse().ok()))
    }

    /// Sends data about the device: `path` below the gateway's address.
    pub fn send_device_data(
        &self,
        ctx: &Context,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<()> {
        let url = format!("{}/{path}", self.addresses.server);
        self.send(ctx, method, &url, content_type, body)?.error_for_status()?;
        Ok(())
    }

    /// Sends what the device measured; gives the status of the answer.
    pub fn send_metrics(&self, ctx: &Context, path: &str, body: Vec<u8>) -> Result<u16> {
        let url = format!("{}/{path}", self.addresses.server);
        Ok(self.send(ctx, Method::Post, &url, "application/json", body)?.status)
    }

    /// What campaigns the server offers. `None`: it knows no campaigns.
    pub fn campaigns<T: serde::de::DeserializeOwned>(&self, ctx: &Context) -> Result<Option<T>> {
        let url = format!("{}/campaigner/campaigns", self.addresses.server);
        let response = self.client.send_with(ctx, &Request::new(Method::Get, url))?;
        if response.status == 404 {
            return Ok(None);
        }
        Ok(Some(response.error_for_status()?.json(CAMPAIGNS_LIMIT)?))
    }

    /// Sends a list of events; gives the status of the answer.
    pub fn send_events(&self, ctx: &Context, body: Vec<u8>) -> Result<u16> {
        let url = format!("{}/events", self.addresses.server);
        Ok(self.send(ctx, Method::Post, &url, "application/json", body)?.status)
    }

    /// All our requests may be repeated: events carry ids, manifests counters.
    fn send(
        &self,
        ctx: &Context,
        method: Method,
        url: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Response> {
        let request =
            Request::new(method, url).header("Content-Type", content_type).body(body).repeatable();
        Ok(self.client.send_with(ctx, &request)?)
    }
}

/// What all clients of the agent have in common.
pub(crate) fn client_options(settings: &Settings) -> ClientOptions {
    let transfer = &settings.transfer;
    let silence = Duration::from_secs(transfer.timeout_sec);
    ClientOptions {
        user_agent: USER_AGENT.to_owned(),
        proxy: (!transfer.proxy.is_empty()).then(|| transfer.proxy.clone()),
        max_bytes_per_second: transfer.max_bytes_per_second,
        retries: transfer.retries,
        timeouts: Timeouts { connect: silence, response: 2 * silence, read: silence },
        low_speed: LowSpeed {
            bytes_per_second: transfer.low_speed_bytes_per_second,
            time: Duration::from_secs(transfer.low_speed_sec),
        },
        ..ClientOptions::default()
    }
}

/// How the agent calls itself.
const USER_AGENT: &str = concat!("updraftd/", env!("CARGO_PKG_VERSION"));
/// With it our server asks for a log.
const WANTED_LOG_HEADER: &str = "updraft-wanted-log";
/// How often a metadata file is begun anew when the connection breaks inside it.
const BODY_ATTEMPTS: u32 = 3;

/// The errors of the aktualizr world, and RFC 9457 problems.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    title: String,
}

impl Refusal {
    /// Reads the body of an answer that is not a success.
    fn of(response: Response) -> Self {
        response
            .bytes(ANSWER_LIMIT)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// The code, with what explains it.
    fn text(&self, status: u16) -> String {
        let texts = [&self.detail, &self.description, &self.title];
        let detail = texts.into_iter().find(|text| !text.is_empty());
        match (self.code.as_str(), detail) {
            ("", None) => format!("HTTP {status}"),
            ("", Some(detail)) => format!("HTTP {status}: {detail}"),
            (code, None) => code.to_owned(),
            (code, Some(detail)) => format!("{code}: {detail}"),
        }
    }
}

/// The kind of a refused registration.
fn kind_of(status: u16) -> updraft_error::Kind {
    use updraft_error::Kind;
    match status {
        401 | 403 => Kind::Rejected,
        409 | 412 => Kind::Conflict,
        404 => Kind::NotFound,
        408 | 429 | 500.. => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}
