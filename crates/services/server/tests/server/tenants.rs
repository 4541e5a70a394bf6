//! Several tenants of one server: each is reached by its own ways, and by no other's.

use std::process::{Command, Output};

use serde_json::{Value, json};
use updraft_api::{Scope, paths};
use updraft_error::{Classify as _, Kind};
use updraft_server_service::config::TenantConfig;
use updraft_server_service::fleet::operators::{self, TokenOptions};
use updraft_server_service::setup::{self, InitOptions};
use updraft_server_service::storage::Database;
use updraft_server_service::{Config, Layout, Tenants, tenants};

use crate::device::Device;
use crate::world::World;

const HOST: &str = "acme.test";

/// A server with the tenant `acme`, and a token of its administrator.
struct Shared {
    world: World,
    acme: Layout,
    token: String,
}

fn config(name: &str, host: &str) -> TenantConfig {
    TenantConfig { name: name.to_owned(), hostnames: vec![host.to_owned()] }
}

fn add(world: &World, name: &str, host: &str) -> Layout {
    let layout = world.layout.tenant(name);
    let names = vec![host.to_owned()];
    let options = InitOptions { names, tenant: config(name, host), ..InitOptions::default() };
    setup::init(&layout, &options, &world.environment()).expect("a tenant");
    layout
}

impl Shared {
    fn new() -> Self {
        let mut world = World::stopped();
        let acme = add(&world, "acme", HOST);
        let database =
            Database::of(&acme, &Config::load(&acme.config()).expect("configuration").database);
        let options = TokenOptions { scope: Scope::Admin, role: None, days: None };
        let token = operators::create_token(
            &database.expect("database"),
            &world.environment(),
            "admin",
            options,
        )
        .expect("token");
        world.start();
        Self { world, acme, token }
    }

    /// Runs `curl` as a client that knows acme's host and certificate authority.
    fn curl(&self, url: &str, arguments: &[&str]) -> Output {
        let port = self.world.address().port();
        Command::new("curl")
            .args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "-H", "Expect:"])
            .arg("--cacert")
            .arg(self.acme.ca_certificate())
            .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
            .args(arguments)
            .arg(url)
            .output()
            .expect("curl is installed")
    }

    /// Asks for something at acme's host; gives status and body.
    fn ask(&self, path: &str, arguments: &[&str]) -> (u16, String) {
        let port = self.world.address().port();
        answer(&self.curl(&format!("https://{HOST}:{port}{path}"), arguments))
    }

    /// Asks without TLS, where the host is what the request says.
    fn ask_plain(&self, path: &str, arguments: &[&str]) -> (u16, String) {
        answer(&self.curl(&self.world.plain_url(path), arguments))
    }
}

fn answer(output: &Output) -> (u16, String) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.parse().expect("a status"), body.to_owned())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn each_host_has_its_own_operators_and_devices() {
    let shared = Shared::new();
    Device::new(&shared.world, "of-the-default");
    let (own, other) = (bearer(&shared.token), bearer(&shared.world.token));
    let devices = |body: &str| -> Vec<Value> {
        let body: Value = serde_json::from_str(body).expect("JSON");
        body["items"].as_array().expect("a list").clone()
    };
    let (status, body) = shared.ask(paths::DEVICES, &["-H", &own]);
    assert_eq!((status, devices(&body).len()), (200, 0), "{body}");
    let at_default = shared.world.get(&shared.world.operator(), paths::DEVICES).expect(200);
    assert_eq!(devices(&at_default.text()).len(), 1);

    // A token is nothing at another tenant's host, with TLS and without.
    assert_eq!(shared.ask(paths::DEVICES, &["-H", &other]).0, 401);
    let at_acme = format!("Host: {HOST}");
    assert_eq!(shared.ask_plain(paths::DEVICES, &["-H", &at_acme, "-H", &own]).0, 200);
    assert_eq!(shared.ask_plain(paths::DEVICES, &["-H", &at_acme, "-H", &other]).0, 401);
    assert_eq!(shared.ask_plain(paths::DEVICES, &["-H", &own]).0, 401);
    assert_eq!(shared.ask_plain(paths::DEVICES, &["-H", &other]).0, 200);
    // With a port, in capitals, and from where nobody is.
    let odd = "Host: ACME.test.:9443";
    assert_eq!(shared.ask_plain(paths::DEVICES, &["-H", odd, "-H", &own]).0, 200);
    let nobody = "Host: acme.test.example";
    assert_eq!(shared.ask_plain(paths::DEVICES, &["-H", nobody, "-H", &own]).0, 401);
}

#[test]
fn a_devices_certificate_is_nothing_at_another_tenants_host() {
    let shared = Shared::new();
    let device = Device::provisioned(&shared.world, "of-the-default");
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_string_lossy().into_owned()
    };
    let identity = &device.identity;
    let certificate = write("cert.pem", &identity.certificate_pem);
    let key = write("key.pem", &identity.private_key_pem);
    let port = shared.world.address().port();
    let shown = ["--cert", certificate.as_str(), "--key", key.as_str()];
    let url = format!("https://{HOST}:{port}/director/root.json");
    let refused = shared.curl(&url, &shown);
    assert!(!refused.status.success(), "{refused:?}");
    // And a request that is for acme does not get there by the default tenant's connection.
    let ca = shared.world.layout.ca_certificate();
    let through = |host: &str| {
        let mut arguments = shown.to_vec();
        let ca = ca.to_string_lossy();
        let header = format!("Host: {host}");
        arguments.extend(["--cacert", &ca, "-H", &header]);
        answer(&shared.curl(&shared.world.url("/director/root.json"), &arguments)).0
    };
    assert_eq!(through("localhost"), 200);
    assert_eq!(through(HOST), 421);
}

#[test]
fn devices_and_scripts_of_hawkbit_name_their_tenant() {
    let shared = Shared::new();
    let rest = |user: &str, token: &str, arguments: &[&str], path: &str| {
        let user = format!("{user}:{token}");
        let mut all = vec!["-u", user.as_str(), "-H", "Content-Type: application/json"];
        all.extend_from_slice(arguments);
        shared.ask_plain(&format!("/rest/v1/{path}"), &all)
    };
    let set = json!({ "value": true }).to_string();
    let target =
        json!([{ "controllerId": "d1", "name": "d1", "securityToken": "s3cret" }]).to_string();
    let of_acme = "acme\\admin";
    let allowed = "system/configs/authentication.targettoken.enabled";
    assert_eq!(rest(of_acme, &shared.token, &["-X", "PUT", "-d", &set], allowed).0, 200);
    assert_eq!(rest(of_acme, &shared.token, &["-d", &target], "targets").0, 201);
    assert_eq!(rest("ACME\\admin", &shared.token, &[], "targets/d1").0, 200);
    assert_eq!(rest(of_acme, &shared.world.token, &[], "targets/d1").0, 401);
    assert_eq!(rest("admin", &shared.token, &[], "targets/d1").0, 401);
    assert_eq!(rest("admin", &shared.world.token, &[], "targets/d1").0, 404);
    assert_eq!(rest("nobody\\admin", &shared.token, &[], "targets/d1").0, 401);
    let (_, user) = rest(of_acme, &shared.token, &[], "userinfo");
    assert!(user.contains("\"acme\""), "{user}");

    let poll = |tenant: &str, host: &[&str]| {
        let mut all = vec!["-H", "Authorization: TargetToken s3cret"];
        all.extend_from_slice(host);
        shared.ask_plain(&format!("/{tenant}/controller/v1/d1"), &all)
    };
    let (status, body) = poll("acme", &[]);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("/acme/controller/v1/d1/configData"), "{body}");
    assert_eq!(poll("Acme", &[]).0, 200);
    assert_eq!(poll("DEFAULT", &[]).0, 401);
    assert_eq!(poll("nobody", &[]).0, 404);
    // At its own host it may say either.
    let own = ["-H", "Host: acme.test"];
    assert_eq!((poll("DEFAULT", &own).0, poll("acme", &own).0), (200, 200));
}

#[test]
fn each_tenants_events_and_audit_log_are_its_own() {
    let shared = Shared::new();
    let own = bearer(&shared.token);
    let group = json!({ "name": "secret-group" }).to_string();
    let arguments = ["-H", &own, "-H", "Content-Type: application/json", "-d", &group];
    assert_eq!(shared.ask(paths::GROUPS, &arguments).0, 201);
    for path in [paths::EVENTS, paths::AUDIT, paths::GROUPS] {
        let (status, body) = shared.ask(path, &["-H", &own]);
        assert!(status == 200 && body.contains("secret-group"), "{path}: {body}");
        let other = shared.world.get(&shared.world.operator(), path).expect(200).text();
        assert!(!other.contains("secret-group"), "{path}: {other}");
    }
}

#[test]
fn tenants_that_cannot_be_told_apart_are_refused() {
    let world = World::stopped();
    add(&world, "acme", HOST);
    let error = tenants::check_new(&world.layout, &config("other", HOST)).expect_err("its host");
    assert!(error.to_string().contains("acme"), "{error}");
    tenants::check_new(&world.layout, &config("other", "other.test")).expect("its own");
    for (name, host) in
        [("other", "Other.test"), ("other", "other.test:443"), ("x/y", "a"), ("-", "a")]
    {
        let error = tenants::check_new(&world.layout, &config(name, host)).expect_err(name);
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
    for name in ["", "default", "Acme", "../x", "a b", "a/b", ".hidden"] {
        assert_eq!(tenants::checked(name).expect_err(name).kind(), Kind::Invalid);
    }
    assert_eq!(tenants::find(&world.layout, "nobody").expect_err("none").kind(), Kind::NotFound);

    // By hand it can be done all the same, and no server starts.
    add(&world, "other", HOST);
    let open = || {
        let config = Config::load(&world.layout.config()).expect("configuration");
        Tenants::open(&world.layout, config, &world.environment())
    };
    let error = open().expect_err("one host of two");
    assert!(error.to_string().contains(HOST), "{error}");
    std::fs::remove_dir_all(world.layout.tenant("other").root()).expect("removed");
    let opened = open().expect("good again");
    // Nobody else serves them meanwhile.
    assert_eq!(open().expect_err("served").kind(), Kind::Conflict);
    drop(opened);
    std::fs::rename(world.layout.tenant("acme").root(), world.layout.tenant("other").root())
        .expect("renamed");
    let error = open().expect_err("another name");
    assert!(error.to_string().contains("tenant.name"), "{error}");
}
