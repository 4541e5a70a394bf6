//! A bucket of an S3-compatible store: requests are made and signed here, and done by the one HTTP
//! client, which repeats what may pass.
//!
//! Requests are signed in their address, for a short time, as links for devices are.

mod multipart;
mod piece;
mod reading;
mod sign;
mod trouble;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use updraft_http::{Body, Client, ClientOptions, LowSpeed, Method, Request, Response, Timeouts};
use url::Url;

pub(super) use multipart::Multipart;
pub(super) use piece::Piece;
pub(super) use reading::Reading;
pub use trouble::{BucketError, BucketTrouble};

use sign::{Ask, Signer};

use super::access_key::AccessKey;
use super::{Found, Key};
use crate::config::{Downloads, StorageConfig};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fleet::read_text;
use crate::layout::Layout;

/// How long a request of our own may be on its way, repetitions included.
const SIGNED_FOR: Duration = Duration::from_mins(15);
/// The least bytes of a part; S3 demands 5 MiB of all but the last.
const PART_BYTES: u64 = 16 << 20;
/// The most parts that we make of one upload; S3 allows 10,000.
const MOST_PARTS: u64 = 9000;
/// What is stored and taken away again to find out whether that works.
const CHECK: &str = ".updraft-check";

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    client: Client,
    /// For reading: somebody waits for it, and asks again.
    reading: Client,
    /// For what is asked only to find out whether the store answers.
    impatient: Client,
    signer: Signer,
    prefix: String,
    environment: Environment,
    links: Option<Links>,
    part_bytes: u64,
    spool: PathBuf,
}

/// Where devices are sent.
#[derive(Debug)]
enum Links {
    /// To the bucket, by links that are good for a time.
    Signed(Duration),
    /// To this address.
    Public(Url),
}

impl Bucket {
    /// The bucket that the configuration names, if it does. Uploads have up to `limit` bytes.
    pub(super) fn open(
        layout: &Layout,
        config: &StorageConfig,
        limit: u64,
        environment: &Environment,
    ) -> Result<Option<Self>> {
        let (Some(name), Some(endpoint)) = (&config.bucket, &config.endpoint) else {
            return Ok(None);
        };
        let wrong = |reason: String| Error::Config { path: layout.config(), reason };
        let address = |key: &str, text: &str| {
            Url::parse(text).map_err(|error| wrong(format!("{key} is no address: {error}")))
        };
        let endpoint = address("storage.endpoint", endpoint)?;
        let links = match (config.downloads, &config.public_url) {
            (Downloads::Through, _) => None,
            (Downloads::Redirect, None) => {
                Some(Links::Signed(Duration::from_secs(config.link_sec.into())))
            }
            (Downloads::Redirect, Some(url)) => {
                Some(Links::Public(address("storage.public_url", url)?))
            }
        };
        let key = match &config.credentials_file {
            Some(path) => {
                let path = layout.root().join(path);
                AccessKey::parse(&path, &read_text(&path)?)?
            }
            None => environment.access_key.clone().ok_or_else(|| {
                wrong(
                    "the bucket needs an access key: storage.credentials_file, or \
                     AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
                        .to_owned(),
                )
            })?,
        };
        let signer = Signer::new(&endpoint, (name, config.path_style), &config.region, key)
            .ok_or_else(|| wrong("storage.endpoint has no host".to_owned()))?;
        let ca = config.ca.as_ref().map(|path| read_text(&layout.root().join(path))).transpose()?;
        let options = ClientOptions {
            ca_pem: ca.map(String::into_bytes),
            // What is signed for one host is not for another.
            max_redirects: 0,
            timeouts: Timeouts {
                connect: Duration::from_secs(5),
                response: Duration::from_secs(30),
                read: Duration::from_secs(30),
            },
            // Whoever reads through us may be slow.
            low_speed: LowSpeed { bytes_per_second: 0, ..LowSpeed::default() },
            retries: 4,
            ..ClientOptions::default()
        };
        // A store that says nothing is told of in a quarter of a minute: two attempts at an answer,
        // and as many at going on where an answer broke off.
        let timeouts = Timeouts {
            connect: Duration::from_secs(3),
            response: Duration::from_secs(5),
            read: Duration::from_secs(4),
        };
        let reading = ClientOptions { timeouts, retries: 1, ..options.clone() };
        let timeouts = Timeouts { read: Duration::from_secs(5), ..timeouts };
        let impatient = ClientOptions { timeouts, retries: 0, ..options.clone() };
        let client = |options| Client::new(options).map_err(Error::crypto("reach the bucket"));
        Ok(Some(Self {
            client: client(&options)?,
            reading: client(&reading)?,
            impatient: client(&impatient)?,
            signer,
            prefix: config.prefix.clone(),
            environment: environment.clone(),
            links,
            part_bytes: PART_BYTES.max(limit.div_ceil(MOST_PARTS)),
            spool: layout.incoming(),
        }))
    }

    /// The folder of files that are on their way.
    pub(super) fn spool(&self) -> &PathBuf {
        &self.spool
    }

    /// How many bytes make a part.
    pub(super) fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{}", self.prefix, key.as_str())
    }

    /// A request that is signed for now.
    fn request(&self, ask: Ask<'_>) -> Request {
        let url = self.signer.sign(ask, self.environment.now(), SIGNED_FOR);
        let request = Request::new(ask.method, url);
        match ask.md5 {
            Some(md5) => request.header("content-md5", md5),
            None => request,
        }
    }

    fn send(&self, action: &'static str, request: &Request) -> Result<Response> {
        self.send_by(&self.client, action, request)
    }

    fn send_by(
        &self,
        client: &Client,
        action: &'static str,
        request: &Request,
    ) -> Result<Response> {
        let silent = updraft_task::Context::silent();
        client.send_with(&silent, request).map_err(|error| self.failed(action, &error))
    }

    pub(super) fn find(self: &Arc<Self>, key: &Key) -> Result<Option<Found>> {
        const ACTION: &str = "look for content";
        let name = self.name(key);
        let Some((length, tag)) = self.head(ACTION, &name)? else { return Ok(None) };
        Ok(Some(Found::in_bucket(self, name, length, tag)))
    }

    /// The length and entity tag of an object.
    fn head(&self, action: &'static str, name: &str) -> Result<Option<(u64, String)>> {
        let head = self.request(Ask::new(Method::Head, name));
        let response = self.send_by(&self.reading, action, &head)?;
        if response.status == 404 {
            return Ok(None);
        }
        if !response.is_success() {
            return Err(self.refused(action, response));
        }
        let length = response.headers.get("content-length").and_then(|text| text.parse().ok());
        let tag = response.headers.get("etag").map(str::to_owned);
        match (length, tag) {
            (Some(length), Some(tag)) => Ok(Some((length, tag))),
            _ => Err(self.trouble(action, BucketTrouble::Other, "it tells no length or ETag")),
        }
    }

    pub(super) fn put(&self, key: &Key, piece: &Piece) -> Result<()> {
        self.put_named(&self.name(key), &piece.md5()?, piece.body())
    }

    fn put_named(&self, name: &str, md5: &str, body: Body) -> Result<()> {
        const ACTION: &str = "store content";
        let put = Ask { md5: Some(md5), ..Ask::new(Method::Put, name) };
        let response = self.send(ACTION, &self.request(put).body(body))?;
        if response.is_success() { Ok(()) } else { Err(self.refused(ACTION, response)) }
    }

    pub(super) fn link(&self, key: &Key) -> Option<String> {
        let name = self.name(key);
        match self.links.as_ref()? {
            Links::Signed(life) => {
                let get = Ask::new(Method::Get, &name);
                Some(self.signer.sign(get, self.environment.now(), *life))
            }
            Links::Public(base) => {
                let mut url = base.clone();
                url.path_segments_mut().ok()?.pop_if_empty().extend(name.split('/'));
                Some(url.into())
            }
        }
    }

    /// Asks for what is not there, which must be answered with just that.
    pub(super) fn check_reachable(&self) -> Result<()> {
        const ACTION: &str = "reach the store";
        let name = format!("{}{CHECK}-absent", self.prefix);
        let get = self.request(Ask::new(Method::Get, &name));
        let response = self.send_by(&self.impatient, ACTION, &get)?;
        match response.status {
            200..300 => Ok(()),
            404 => match self.refused(ACTION, response) {
                error @ Error::Bucket { trouble: BucketTrouble::NoBucket, .. } => Err(error),
                _ => Ok(()),
            },
            _ => Err(self.refused(ACTION, response)),
        }
    }

    pub(super) fn check_writable(self: &Arc<Self>, content: &[u8]) -> Result<()> {
        const ACTION: &str = "store and read a trial object";
        self.check_reachable()?;
        let name = format!("{}{CHECK}-{}", self.prefix, String::from_utf8_lossy(content));
        self.put_named(&name, &piece::md5_of(content), content.to_vec().into())?;
        let read = || -> Result<Vec<u8>> {
            let response = self.send(ACTION, &self.request(Ask::new(Method::Get, &name)))?;
            if !response.is_success() {
                return Err(self.refused(ACTION, response));
            }
            response.bytes(1 << 10).map_err(|error| self.failed(ACTION, &error))
        };
        let found = read();
        let deleted = self.send(ACTION, &self.request(Ask::new(Method::Delete, &name)));
        if found? != content {
            let reason = "what comes back is not what was stored";
            return Err(self.trouble(ACTION, BucketTrouble::Other, reason));
        }
        match deleted? {
            response if response.is_success() || response.status == 404 => Ok(()),
            response => Err(self.refused("take the trial object away", response)),
        }
    }
}
