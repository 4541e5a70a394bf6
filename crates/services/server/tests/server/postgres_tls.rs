//! A PostgreSQL on the other side of a network: TLS with a certificate that is checked.

use std::path::Path;

use jiff::Timestamp;
use peers::PostgresDatabase;
use serde_json::json;
use updraft_api::paths;
use updraft_crypto::tls::{CertificateAuthority, Validity};
use updraft_error::{Classify as _, Kind};
use updraft_http::Method;
use updraft_server_service::config::DatabaseConfig;
use updraft_server_service::error::{Error, chain};
use updraft_server_service::setup::{self, InitOptions};
use updraft_server_service::storage::Database;
use updraft_server_service::{Config, Layout};

use crate::world::World;

struct Lab {
    folder: tempfile::TempDir,
    database: PostgresDatabase,
}

impl Lab {
    /// A PostgreSQL whose certificate says that it is `localhost`.
    fn new() -> Self {
        updraft_crypto::install_tls_provider();
        let validity = Validity::days(Timestamp::now(), 30);
        let authority = CertificateAuthority::create("the database's CA", validity).expect("a CA");
        let other = CertificateAuthority::create("somebody else", validity).expect("a CA");
        let names = ["localhost".to_owned()];
        let identity = authority.issue_server(&names, validity).expect("a certificate");
        let text = |pem: &[u8]| String::from_utf8(pem.to_vec()).expect("PEM");
        let (certificate, key) =
            (text(identity.certificate_pem.as_ref()), text(identity.private_key_pem.as_ref()));
        let database = PostgresDatabase::with_tls(&certificate, &key).expect("PostgreSQL");
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("ca.pem"), authority.certificate_pem()).expect("written");
        std::fs::write(folder.path().join("other.pem"), other.certificate_pem()).expect("written");
        Self { folder, database }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn open(&self, url: &str, ca: Option<&str>) -> Result<Database, Error> {
        let config = DatabaseConfig {
            url: Some(url.to_owned()),
            ca: ca.map(|name| self.path(name).into()),
            ..DatabaseConfig::default()
        };
        Database::of(&Layout::new(self.folder.path()), &config)
    }
}

#[test]
fn a_server_works_through_tls_only() {
    let lab = Lab::new();
    let url = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        lab.database.tls_url("localhost"),
        lab.path("ca.pem")
    );
    let mut world = World::stopped_with_sqlite();
    let layout = Layout::new(world.folder.path().join("by-network"));
    let options = InitOptions {
        database: DatabaseConfig { url: Some(url), ..DatabaseConfig::default() },
        ..InitOptions::default()
    };
    setup::init(&layout, &options, &world.environment()).expect("init");
    world.layout = layout;
    world.token = {
        let options = updraft_server_service::fleet::operators::TokenOptions {
            scope: updraft_api::Scope::Admin,
            role: None,
            days: None,
        };
        let environment = world.environment();
        updraft_server_service::fleet::operators::create_token(
            &world.database(),
            &environment,
            "admin",
            options,
        )
        .expect("a token")
    };
    world.start();
    let group = json!({ "name": "lab" });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    // All of its connections are encrypted, the one that listens too.
    let begun = std::time::Instant::now();
    let connections = loop {
        let found = lab.database.run(
            "SELECT application_name || ' ' || coalesce(s.ssl::text, '?') || ' ' || s.version
             FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid)
             WHERE application_name LIKE 'updraft-server%' ORDER BY 1",
        );
        let found = found.expect("connections");
        if found.contains("listener") || begun.elapsed() > std::time::Duration::from_secs(20) {
            break found;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(connections.contains("updraft-server listener true TLSv1.3"), "{connections}");
    let of_server = connections.lines().filter(|line| !line.contains("listener"));
    assert!(of_server.clone().count() > 1, "{connections}");
    assert!(of_server.clone().all(|line| line == "updraft-server true TLSv1.3"), "{connections}");
}

#[test]
fn a_certificate_that_is_not_right_is_refused() {
    let lab = Lab::new();
    let at = |host: &str| lab.database.tls_url(host);
    let refused = |url: &str, ca: Option<&str>| {
        let error = lab.open(url, ca).expect_err(url);
        (error.kind(), chain(&error))
    };
    // Whose certificate it is, not that of this authority.
    let (kind, said) = refused(&at("localhost"), Some("other.pem"));
    assert!(kind == Kind::Unavailable && said.contains("UnknownIssuer"), "{kind}: {said}");
    // Of another host.
    let (_, said) = refused(&at("127.0.0.1"), Some("ca.pem"));
    assert!(said.contains("not valid for name"), "{said}");
    // With libpq's words, which ask for no less here.
    for mode in ["require", "verify-ca", "verify-full", "prefer"] {
        let other = lab.path("other.pem");
        let url = format!("{}?sslmode={mode}&sslrootcert={other}", at("localhost"));
        let (_, said) = refused(&url, None);
        assert!(said.contains("UnknownIssuer"), "{mode}: {said}");
    }
    // Without any protection PostgreSQL itself refuses; and a file that is not there is named.
    let (_, said) = refused(&format!("{}?sslmode=disable", at("localhost")), None);
    assert!(said.contains("no encryption"), "{said}");
    let (kind, said) = refused(&format!("{}?sslrootcert=absent.pem", at("localhost")), None);
    assert!(said.contains("absent.pem"), "{kind}: {said}");
    let twice = format!("{}?sslrootcert=ca.pem", at("localhost"));
    assert_eq!(refused(&twice, Some("ca.pem")).0, Kind::Invalid);
    // The right one is let in; there is no server's data yet.
    let (_, said) = refused(&at("localhost"), Some("ca.pem"));
    assert!(said.contains("init --database"), "{said}");
}

#[test]
fn what_init_wrote_is_read_again() {
    let lab = Lab::new();
    let layout = Layout::new(lab.folder.path().join("data"));
    let world = World::stopped_with_sqlite();
    let url = lab.database.tls_url("localhost");
    let ca = Path::new(&lab.path("ca.pem")).to_owned();
    let database = DatabaseConfig { url: Some(url), ca: Some(ca), ..DatabaseConfig::default() };
    let options = InitOptions { database: database.clone(), ..InitOptions::default() };
    setup::init(&layout, &options, &world.environment()).expect("init");
    let config = Config::load(&layout.config()).expect("configuration");
    assert_eq!(config.database, database);
    assert!(Database::of(&layout, &config.database).expect("a database").is_shared());
}
