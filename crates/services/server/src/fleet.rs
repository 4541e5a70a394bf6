//! What the server does, free of HTTP and of SQL.
//!
//! [`Fleet`] is one server's state: its database, keys and repositories. Its operations are
//! synchronous and safe to call from many threads. Each operation that changes something does so
//! in one database transaction, its events included.

pub mod alarms;
pub mod alerts;
pub mod audit;
pub(crate) mod bandwidth;
pub mod components;
pub mod delegates;
pub mod device_list;
pub mod device_logs;
pub mod devices;
pub mod director;
pub mod encrypted_images;
mod facts;
mod flood;
pub mod freezes;
pub mod groups;
mod guessing;
pub mod hawkbit;
mod held;
pub mod image;
mod lately;
pub mod manifest;
pub mod mender;
mod meter;
pub mod metrics;
pub mod news;
pub mod oidc;
mod one_time;
pub mod online_keys;
pub mod operators;
pub mod ota;
pub mod overview;
mod passwords;
pub mod pins;
pub mod provision;
pub mod receipts;
pub mod reconcile;
pub mod releases;
pub mod renewal;
pub mod reports;
mod restored;
pub mod rollouts;
pub mod seen;
pub mod sessions;
pub mod status;
pub mod subscriptions;
pub mod target_files;
pub mod treehub;
pub mod tuf;
pub mod users;

use std::hash::Hash;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use updraft_crypto::tls::CertificateAuthority;

use crate::config::Config;
use crate::contents::Contents;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::storage::Database;
use crate::storage::metadata::{DirectorFiles, RootFile};
use image::ImageState;
use lately::Lately;
use online_keys::{DirectorKeys, ImageKeys};
use seen::Seen;
use treehub::Treehub;

/// The largest key or certificate file that is read.
const MAX_KEY_FILE: u64 = 1 << 20;
/// How many pieces of content are waited for at a time.
const READ_AT_A_TIME: usize = 128;

/// One server's state.
#[derive(Debug)]
pub struct Fleet {
    /// Where its files are.
    pub layout: Layout,
    /// How it is configured.
    pub config: Config,
    /// Time and randomness.
    pub environment: Environment,
    /// When it was started.
    pub started_at: Timestamp,
    database: Database,
    /// What tells this process from other servers.
    holder: String,
    authority: CertificateAuthority,
    director_keys: DirectorKeys,
    director_roots: Lately<Option<u64>, Option<RootFile>>,
    signed_lately: Lately<String, DirectorFiles>,
    image_keys: ImageKeys,
    image: ImageState,
    image_turn: Mutex<()>,
    treehub: treehub::Treehub,
    /// Target files, artifacts, and what else is large.
    pub(crate) contents: Contents,
    /// Leave to wait for a piece of content, so that a slow store leaves threads for other work.
    pub(crate) reading: Arc<Semaphore>,
    seen: Seen,
    hawkbit: hawkbit::Hawkbit,
    changed: Notify,
    /// The streams of events.
    pub(crate) news: news::News,
    bandwidth: bandwidth::Bandwidth,
    flood: flood::Flood,
    hashing: Semaphore,
    refusals: audit::Refusals,
    /// Counts requests.
    pub(crate) meter: meter::Meter,
}

impl Fleet {
    /// Opens a data folder that `init` made.
    pub fn open(layout: Layout, config: Config, environment: Environment) -> Result<Self> {
        let database = Database::of(&layout, &config.database)?;
        let authority = CertificateAuthority::from_pem(
            &read_text(&layout.ca_certificate())?,
            &read_text(&layout.ca_key())?,
        )
        .map_err(Error::crypto("read the certificate authority in tls/"))?;
        let director_keys = DirectorKeys::load(&layout.director_keys())?;
        let image_keys = ImageKeys::load(&layout.image_keys())?;
        let limit = config.limits.upload_bytes;
        let contents = Contents::open(&layout, &config.storage, limit, &environment)?;
        let (image, treehub) = if contents.is_bucket() {
            (ImageState::default(), Treehub::in_bucket())
        } else {
            (ImageState::load(&layout)?, Treehub::open(&layout)?)
        };
        let started_at = environment.now();
        let holder = environment.uuid().map_err(Error::random)?.to_string();
        Ok(Self {
            layout,
            config,
            environment,
            started_at,
            database,
            holder,
            authority,
            director_keys,
            // Devices ask for few versions,
            director_roots: Lately::new(16),
            // and so many of them at the same time: 6 MB where each has a few components.
            signed_lately: Lately::new(1024),
            image_keys,
            image,
            image_turn: Mutex::new(()),
            treehub,
            contents,
            reading: Arc::new(Semaphore::new(READ_AT_A_TIME)),
            seen: Seen::default(),
            hawkbit: hawkbit::Hawkbit::default(),
            changed: Notify::new(),
            news: news::News::default(),
            bandwidth: bandwidth::Bandwidth::default(),
            flood: flood::Flood::default(),
            hashing: Semaphore::new(passwords::AT_A_TIME),
            refusals: audit::Refusals::default(),
            meter: meter::Meter::default(),
        })
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What tells this process from other servers.
    fn holder(&self) -> &str {
        &self.holder
    }

    /// Whether content can be stored and read: where it lies in a bucket, an object is, and is
    /// taken away again.
    pub fn check_storage(&self) -> Result<()> {
        self.contents.check_writable(&self.environment)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.environment.now()
    }

    /// Waits for leave to hash a password: each hash takes memory and a core for a while.
    pub async fn hashing(&self) -> Result<SemaphorePermit<'_>> {
        let busy = || Error::Internal { action: "check a password", reason: "ending".to_owned() };
        match tokio::time::timeout(passwords::PATIENCE, self.hashing.acquire()).await {
            Ok(permit) => permit.map_err(|_| busy()),
            Err(_) => Err(Error::TooOften { seconds: passwords::PATIENCE.as_secs() }),
        }
    }

    /// Counts a request from an address.
    pub fn count_address(&self, address: IpAddr) -> Result<()> {
        let limit = self.config.limits.address_requests_per_minute;
        self.flood.check(("address", address.to_canonical()), limit, self.now())
    }

    /// Counts a request of a device, by what it is told apart from others.
    pub fn count_device(&self, device: impl Hash) -> Result<()> {
        let limit = self.config.limits.device_requests_per_minute;
        self.flood.check(("device", device), limit, self.now())
    }

    /// Says that the planner may have something to do.
    pub fn kick(&self) {
        self.changed.notify_one();
    }

    /// Ends when somebody said that the planner may have something to do.
    pub async fn kicked(&self) {
        self.changed.notified().await;
    }
}

/// Reads a small text file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
