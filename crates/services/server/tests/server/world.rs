//! A server in a temporary folder, and clients to talk to it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use jiff::{SignedDuration, Timestamp};
use peers::{PostgresDatabase, S3Bucket};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use updraft_api::Scope;
use updraft_http::{Client, ClientOptions, Identity, Method, Request};
use updraft_server_service::config::{DatabaseConfig, StorageConfig};
use updraft_server_service::fleet::operators::{self, TokenOptions};
use updraft_server_service::setup::{self, CredentialsOptions, InitOptions};
use updraft_server_service::storage::Database;
use updraft_server_service::{Clock, Config, Environment, Fleet, Layout, Random, Tenants, http};

/// More than any answer in these tests.
const LIMIT: u64 = 16 << 20;

/// The real time, moved by hand.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        for piece in bytes.chunks_mut(32) {
            let random: [u8; 32] = updraft_crypto::random_bytes().map_err(std::io::Error::other)?;
            piece.copy_from_slice(&random[..piece.len()]);
        }
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) layout: Layout,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) token: String,
    pub(crate) postgres: Option<PostgresDatabase>,
    pub(crate) bucket: Option<S3Bucket>,
    running: Option<Running>,
    other: Option<Running>,
}

struct Running {
    fleet: Arc<Fleet>,
    address: SocketAddr,
    plain_address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<updraft_server_service::Result<()>>,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: updraft_http::Headers,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        assert!((200..300).contains(&self.status), "{self:?}: {}", self.text());
        serde_json::from_slice(&self.body).expect("the answer has the expected shape")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `code` of the gateway's error JSON.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl World {
    /// A new server that runs.
    pub(crate) fn new() -> Self {
        let mut world = Self::stopped();
        world.start();
        world
    }

    /// A new server that runs, with SQLite in any case.
    pub(crate) fn with_sqlite() -> Self {
        let mut world = Self::stopped_with_sqlite();
        world.start();
        world
    }

    /// A new server that runs, with PostgreSQL in any case.
    pub(crate) fn with_postgres() -> Self {
        Self::with_database(PostgresDatabase::new().expect("PostgreSQL"))
    }

    /// The same with this database.
    pub(crate) fn with_database(database: PostgresDatabase) -> Self {
        let mut world = Self::stopped_with(Some(database));
        world.start();
        world
    }

    /// A new data folder without a running server.
    pub(crate) fn stopped() -> Self {
        Self::stopped_with(wants_postgres().then(|| PostgresDatabase::new().expect("PostgreSQL")))
    }

    /// The same with SQLite in any case.
    pub(crate) fn stopped_with_sqlite() -> Self {
        Self::stopped_with(None)
    }

    /// A new server that runs, with its content in its data folder in any case: for who looks there,
    /// and for who moves the clock, which a store does not follow.
    pub(crate) fn with_folder() -> Self {
        let postgres = wants_postgres().then(|| PostgresDatabase::new().expect("PostgreSQL"));
        let mut world = Self::stopped_on(postgres, None);
        world.start();
        world
    }

    /// The same with SQLite in any case.
    pub(crate) fn with_sqlite_and_folder() -> Self {
        let mut world = Self::stopped_on(None, None);
        world.start();
        world
    }

    /// A new server that runs, with its content in a bucket in any case.
    pub(crate) fn with_bucket() -> Self {
        let mut world = Self::stopped_with_bucket();
        world.start();
        world
    }

    /// The same with PostgreSQL in any case.
    pub(crate) fn with_postgres_and_bucket() -> Self {
        let database = PostgresDatabase::new().expect("PostgreSQL");
        let mut world = Self::stopped_on(Some(database), Some(S3Bucket::new().expect("a store")));
        world.start();
        world
    }

    /// A new data folder without a running server, with the content in a bucket.
    pub(crate) fn stopped_with_bucket() -> Self {
        let postgres = wants_postgres().then(|| PostgresDatabase::new().expect("PostgreSQL"));
        Self::stopped_on(postgres, Some(S3Bucket::new().expect("a store")))
    }

    fn stopped_with(postgres: Option<PostgresDatabase>) -> Self {
        Self::stopped_on(postgres, wants_bucket().then(|| S3Bucket::new().expect("a store")))
    }

    fn stopped_on(postgres: Option<PostgresDatabase>, bucket: Option<S3Bucket>) -> Self {
        updraft_crypto::install_tls_provider();
        // What callers are not told of the server's own faults, for whoever reads a failed test.
        drop(
            tracing_subscriber::fmt()
                .with_test_writer()
                .with_max_level(tracing::Level::ERROR)
                .try_init(),
        );
        let folder = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(folder.path().join("data"));
        let clock = Arc::new(TestClock::default());
        let environment = environment(&clock);
        let options = InitOptions {
            database: DatabaseConfig {
                url: postgres.as_ref().map(PostgresDatabase::url),
                ..DatabaseConfig::default()
            },
            storage: bucket
                .as_ref()
                .map_or_else(StorageConfig::default, |bucket| storage(folder.path(), bucket)),
            ..InitOptions::default()
        };
        setup::init(&layout, &options, &environment).expect("init");
        let database = open_database(&layout);
        let token =
            operators::create_token(&database, &environment, "admin", for_ever(Scope::Admin))
                .expect("token");
        Self { folder, layout, clock, token, postgres, bucket, running: None, other: None }
    }

    /// The server's database, beside the server.
    pub(crate) fn database(&self) -> Database {
        open_database(&self.layout)
    }

    /// Writes the configuration, which says where the database and the content are in any case.
    pub(crate) fn configure(&self, text: impl AsRef<str>) {
        let mut text = text.as_ref().to_owned();
        if let Some(database) = &self.postgres {
            text = format!("{text}\n[database]\nurl = {:?}\n", database.url());
        }
        if let Some(bucket) = &self.bucket {
            let storage = storage(self.folder.path(), bucket);
            let storage = Config { storage, ..Config::default() }.to_toml();
            let (_, section) = storage.split_once("[storage]").expect("a section");
            let section = section.split("\n\n").next().unwrap_or_default();
            text = format!("{text}\n[storage]{section}\n");
        }
        std::fs::write(self.layout.config(), text).expect("written");
    }

    pub(crate) fn environment(&self) -> Environment {
        environment(&self.clock)
    }

    pub(crate) fn start(&mut self) {
        let config = Config::load(&self.layout.config()).expect("configuration");
        let tenants = if self.layout.tenants().exists() {
            Tenants::open(&self.layout, config, &self.environment()).expect("tenants")
        } else {
            let fleet = Fleet::open(self.layout.clone(), config, self.environment());
            Tenants::from(Arc::new(fleet.expect("fleet")))
        };
        let fleet = Arc::clone(&tenants.default);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("address");
        let plain = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let plain_address = plain.local_addr().expect("address");
        let listeners = http::Listeners { tls: listener, plain: Some(plain) };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(http::serve(tenants, listeners, async {
                let _ = stopped.await;
            }))
        });
        self.running = Some(Running { fleet, address, plain_address, stop, thread });
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            running.thread.join().expect("no panic").expect("an orderly end");
        }
    }

    /// Starts another server beside this one, on the same data.
    pub(crate) fn start_another(&mut self) {
        self.other = self.running.take();
        self.start();
    }

    /// The same with a folder of its own, which has a copy of keys, certificates and configuration.
    pub(crate) fn start_elsewhere(&mut self) {
        let folder = self.folder.path().join("elsewhere");
        std::fs::create_dir(&folder).expect("folder");
        for name in ["server.toml", "tls", "keys"] {
            let mut copy = std::process::Command::new("cp");
            copy.arg("-a").arg(self.layout.root().join(name)).arg(&folder);
            assert!(copy.status().expect("cp").success());
        }
        let own = std::mem::replace(&mut self.layout, Layout::new(folder));
        self.start_another();
        self.layout = own;
    }

    /// Talks to the other server from now on.
    pub(crate) fn turn(&mut self) {
        assert!(self.other.is_some(), "there is another server");
        std::mem::swap(&mut self.running, &mut self.other);
    }

    /// Ends the server and begins another one on the same data.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.running.as_ref().expect("the server runs").fleet
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("the server runs").address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    /// An address for plain HTTP.
    pub(crate) fn plain_url(&self, path: &str) -> String {
        let address = self.running.as_ref().expect("the server runs").plain_address;
        format!("http://{address}{path}")
    }

    pub(crate) fn ca_pem(&self) -> Vec<u8> {
        std::fs::read(self.layout.ca_certificate()).expect("CA")
    }

    pub(crate) fn client(&self, identity: Option<Identity>, token: Option<&str>) -> Client {
        Client::new(&ClientOptions {
            ca_pem: Some(self.ca_pem()),
            identity,
            bearer_token: token.map(str::to_owned),
            retries: 0,
            ..ClientOptions::default()
        })
        .expect("client")
    }

    /// A client with the administrator's token.
    pub(crate) fn operator(&self) -> Client {
        self.client(None, Some(&self.token))
    }

    /// A token of this scope.
    pub(crate) fn make_token(&self, name: &str, scope: Scope) -> String {
        self.make_token_with(name, for_ever(scope))
    }

    pub(crate) fn make_token_with(&self, name: &str, options: TokenOptions) -> String {
        operators::create_token(self.fleet().database(), &self.environment(), name, options)
            .expect("token")
    }

    pub(crate) fn get(&self, client: &Client, path: &str) -> Answer {
        ask(client, Request::new(Method::Get, self.url(path)))
    }

    pub(crate) fn send(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        ask(client, Request::new(method, self.url(path)).body(body.into()))
    }

    pub(crate) fn send_json(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Answer {
        self.send(client, method, path, serde_json::to_vec(body).expect("JSON"))
    }

    /// Writes a credentials file and gives the bootstrap identity in it.
    pub(crate) fn bootstrap(&self) -> Identity {
        let bundle = self.credentials_member("autoprov_credentials.p12");
        identity_of(&bundle)
    }

    /// Writes a credentials file and gives one member of it.
    pub(crate) fn credentials_member(&self, name: &str) -> Vec<u8> {
        use std::io::Read as _;
        let path = self.write_credentials();
        let file = std::fs::File::open(path).expect("credentials");
        let mut archive = zip::ZipArchive::new(file).expect("zip");
        let mut member = archive.by_name(name).expect("member");
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("member");
        bytes
    }

    pub(crate) fn write_credentials(&self) -> PathBuf {
        let path = self.folder.path().join("credentials.zip");
        let options = CredentialsOptions { url: self.url(""), days: 30 };
        let database = self.database();
        setup::write_credentials(&self.layout, &database, &self.environment(), &options, &path)
            .expect("credentials");
        path
    }
}

/// Sends a request and reads the whole answer.
pub(crate) fn ask(client: &Client, request: Request) -> Answer {
    let response = client.send(request).expect("an answer");
    let (status, headers) = (response.status, response.headers.clone());
    let body = response.bytes(LIMIT).expect("a whole answer");
    Answer { status, headers, body }
}

impl Drop for World {
    fn drop(&mut self) {
        for running in [self.running.take(), self.other.take()].into_iter().flatten() {
            let _ = running.stop.send(());
            let _ = running.thread.join();
        }
    }
}

fn for_ever(scope: Scope) -> TokenOptions {
    TokenOptions { scope, role: None, days: None }
}

/// The identity in a PKCS#12 bundle with an empty password.
pub(crate) fn identity_of(bundle: &[u8]) -> Identity {
    let contents = updraft_crypto::pkcs12::decode(bundle, "").expect("PKCS#12");
    Identity {
        certificate_pem: contents.identity.certificate_pem.into_bytes(),
        private_key_pem: contents.identity.private_key_pem.into_bytes(),
    }
}

fn environment(clock: &Arc<TestClock>) -> Environment {
    Environment {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        random: Arc::new(SystemRandom),
        access_key: None,
    }
}

/// What is to be configured for a bucket; the access key is in the folder.
pub(crate) fn storage(folder: &Path, bucket: &S3Bucket) -> StorageConfig {
    let key = folder.join("access-key");
    std::fs::write(&key, bucket.credentials()).expect("written");
    StorageConfig {
        bucket: Some(bucket.name.clone()),
        endpoint: Some(bucket.endpoint()),
        region: bucket.region().to_owned(),
        prefix: "fleet/".to_owned(),
        credentials_file: Some(key),
        ..StorageConfig::default()
    }
}

/// Whether the tests are to use a bucket.
pub(crate) fn wants_bucket() -> bool {
    std::env::var_os("UPDRAFT_TEST_STORAGE").is_some_and(|storage| storage == "bucket")
}

/// Whether the tests are to use PostgreSQL.
pub(crate) fn wants_postgres() -> bool {
    std::env::var_os("UPDRAFT_TEST_DATABASE").is_some_and(|database| database == "postgresql")
}

fn open_database(layout: &Layout) -> Database {
    let config = Config::load(&layout.config()).expect("configuration");
    Database::of(layout, &config.database).expect("database")
}
