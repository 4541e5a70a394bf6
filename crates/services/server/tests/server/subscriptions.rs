//! Webhooks and mails, which tell of events.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use updraft_api::{CreatedSubscription, EventKind, Scope, Subscription, paths};
use updraft_crypto::hmac_sha256;
use updraft_http::Method;
use updraft_http::testing::{Answer as Reply, Exchange, Server};

use crate::device::Device;
use crate::world::{Answer, World};

/// More than the server needs to look again, even where much is going on.
const PATIENCE: Duration = Duration::from_mins(1);
const STEP: Duration = Duration::from_millis(50);

fn world_with(text: &str) -> World {
    let mut world = World::stopped();
    world.configure(text);
    world.start();
    world
}

fn subscribe(world: &World, body: &Value) -> Answer {
    world.send_json(&world.operator(), Method::Post, paths::SUBSCRIPTIONS, body)
}

fn subscription(world: &World, name: &str) -> Subscription {
    world.get(&world.operator(), &paths::subscription(name)).read()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(STEP);
    }
}

fn types(exchanges: &[Exchange]) -> Vec<String> {
    let kind = |exchange: &Exchange| {
        let body: Value = serde_json::from_slice(&exchange.body).expect("JSON");
        body["type"].as_str().unwrap_or_default().to_owned()
    };
    exchanges.iter().map(kind).collect()
}

#[test]
fn webhooks_are_told_signed_in_order_and_again_until_they_heard() {
    let status = Arc::new(AtomicU16::new(500));
    let answered = Arc::clone(&status);
    let receiver =
        Server::start(move |_| Reply::Bytes(answered.load(Ordering::SeqCst), Vec::new()));
    let world = world_with(&format!("[notifications]\nwebhooks_to = [\"{}/\"]\n", receiver.url()));
    Device::new(&world, "before");
    let url = format!("{}/hook?team=1", receiver.url());
    let body = json!({
        "name": "hook", "target": { "webhook": { "url": url } },
        "events": ["device_registered", "group_created"],
    });
    let made: CreatedSubscription = subscribe(&world, &body).expect(201).read();
    let secret = made.secret.expect("a secret");
    assert!(!world.get(&world.operator(), paths::SUBSCRIPTIONS).text().contains(&secret));
    subscribe(&world, &body).expect(409);

    // What happened before, and what is not asked for, is not told.
    Device::new(&world, "vehicle-1");
    until("a failure", || subscription(&world, "hook").failures > 0);
    let failed = subscription(&world, "hook");
    assert_eq!(failed.last_error.as_deref(), Some("its server answered HTTP 500"));
    assert!(failed.next_attempt_at.is_some() && failed.told_at.is_none(), "{failed:?}");
    status.store(204, Ordering::SeqCst);
    world.clock.pass(11);
    let group = json!({ "name": "field" });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    until("being told", || {
        let now = subscription(&world, "hook");
        now.failures == 0 && receiver.log().len() >= 3
    });
    let log = receiver.log();
    let first = log.len() - 2;
    assert_eq!(types(&log[first..]), ["device_registered", "group_created"]);
    // The same event, told again, has the same id.
    assert_eq!(log[0].header("webhook-id"), log[first].header("webhook-id"));
    let told = &log[first];
    assert_eq!((told.path.as_str(), told.method.as_str()), ("/hook?team=1", "POST"));
    let part = |name: &str| told.header(name).expect(name).to_owned();
    let signed = [
        part("webhook-id").as_bytes(),
        b".",
        part("webhook-timestamp").as_bytes(),
        b".",
        &told.body,
    ]
    .concat();
    let key = decode(secret.strip_prefix("whsec_").expect("the prefix"));
    assert_eq!(
        decode(part("webhook-signature").strip_prefix("v1,").expect("v1")),
        hmac_sha256(&key, &signed)
    );
    let body: Value = serde_json::from_slice(&told.body).expect("JSON");
    assert_eq!(body["data"]["device"], "vehicle-1");

    world.send(&world.operator(), Method::Delete, &paths::subscription("hook"), "").expect(204);
    world.get(&world.operator(), &paths::subscription("hook")).expect(404);
}

fn decode(text: &str) -> Vec<u8> {
    let mut child = Command::new("base64")
        .arg("-d")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("base64");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), text.as_bytes())
        .expect("written");
    child.wait_with_output().expect("decoded").stdout
}

#[test]
fn a_trial_is_told_whatever_is_wanted_and_says_how_it_went() {
    let status = Arc::new(AtomicU16::new(200));
    let answered = Arc::clone(&status);
    let receiver =
        Server::start(move |_| Reply::Bytes(answered.load(Ordering::SeqCst), Vec::new()));
    let world = world_with(&format!("[notifications]\nwebhooks_to = [\"{}/\"]\n", receiver.url()));
    let target = json!({ "webhook": { "url": format!("{}/hook", receiver.url()) } });
    let body = json!({ "name": "hook", "target": target, "events": ["alert_fired"] });
    subscribe(&world, &body).expect(201);
    let path = format!("{}/test", paths::subscription("hook"));
    let test = || world.send(&world.operator(), Method::Post, &path, "").expect(200).json();
    let heard = test();
    assert!(heard["problem"].is_null() && heard["event"].as_u64() > Some(0), "{heard}");
    assert_eq!(types(&receiver.log()), ["subscription_tested"]);
    let before = subscription(&world, "hook");
    status.store(500, Ordering::SeqCst);
    let refused = test();
    assert!(refused["problem"].as_str().is_some_and(|why| why.contains("500")), "{refused}");
    // A trial is no failure of what is told otherwise.
    assert_eq!(subscription(&world, "hook").failures, before.failures);
    world
        .send(&world.operator(), Method::Post, &format!("{}/test", paths::subscription("none")), "")
        .expect(404);
}

#[test]
fn a_receiver_that_redirects_or_is_gone_is_told_of_and_nothing_goes_elsewhere() {
    let elsewhere = Server::start(|_| Reply::Bytes(200, Vec::new()));
    let target = elsewhere.url();
    let receiver = Server::start(move |_| Reply::Redirect(target.clone()));
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let world = world_with(&format!(
        "[notifications]\nwebhooks_to = [\"{}/\", \"http://{gone}/\"]\n",
        receiver.url()
    ));
    for (name, url) in [("redirects", receiver.url()), ("gone", format!("http://{gone}"))] {
        let body = json!({ "name": name, "target": { "webhook": { "url": format!("{url}/x") } } });
        subscribe(&world, &body).expect(201);
    }
    Device::new(&world, "vehicle-1");
    for (name, why) in [
        ("redirects", "its server answered HTTP 302"),
        ("gone", "its server does not answer, or breaks off"),
    ] {
        until("a failure", || subscription(&world, name).failures > 0);
        assert_eq!(subscription(&world, name).last_error.as_deref(), Some(why));
    }
    assert_eq!(elsewhere.log().len(), 0);
}

#[test]
fn webhooks_go_only_where_the_configuration_allows() {
    let world = world_with("[notifications]\nwebhooks_to = [\"https://hooks.example/updraft/\"]\n");
    let subscribe_to = |url: &str| {
        subscribe(&world, &json!({ "name": "hook", "target": { "webhook": { "url": url } } }))
    };
    for url in [
        "http://hooks.example/updraft/a",
        "https://hooks.example/other",
        "https://hooks.example/updraft/../other",
        "https://hooks.example.evil.example/updraft/a",
        "https://user@hooks.example/updraft/a",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:9443/updraft/",
        "file:///etc/passwd",
        "https://hooks.example/updraft/a\r\nx: y",
    ] {
        assert_eq!(subscribe_to(url).status, 400, "{url}");
    }
    let answer = subscribe_to("https://other.example/").expect(400);
    assert!(answer.text().contains("notifications.webhooks_to"), "{}", answer.text());
    subscribe_to("https://hooks.example/updraft/a").expect(201);
    // Without a mail server there are no mails, and unknown kinds of events are no kinds.
    let mail = json!({ "name": "mail", "target": { "email": { "address": "ops@example.com" } } });
    assert!(subscribe(&world, &mail).expect(400).text().contains("notifications.smtp"));
    let target = json!({ "webhook": { "url": "https://hooks.example/updraft/b" } });
    let unknown = json!({ "name": "b", "target": target, "events": ["no_such_event"] });
    subscribe(&world, &unknown).expect(400);
    // Only admins see where events go.
    for scope in [Scope::Read, Scope::Publish, Scope::Operate] {
        let token = world.make_token(scope.name(), scope);
        let client = world.client(None, Some(&token));
        world.get(&client, paths::SUBSCRIPTIONS).expect(403);
        world.get(&client, &paths::subscription("hook")).expect(403);
        world.send(&client, Method::Delete, &paths::subscription("hook"), "").expect(403);
        world.send_json(&client, Method::Post, paths::SUBSCRIPTIONS, &unknown).expect(403);
    }
}

/// A real mail server, which puts mails into a folder.
struct MailServer {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl MailServer {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let process = Command::new("aiosmtpd")
            .args(["-n", "-l", &format!("127.0.0.1:{port}")])
            .args(options)
            .args(["-c", "aiosmtpd.handlers.Mailbox"])
            .arg(folder.path().join("mails"))
            .spawn()
            .expect("aiosmtpd; install python3-aiosmtpd");
        let server = Self { process, port, folder };
        until("a mail server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    fn mails(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("mails/new")) else {
            return Vec::new();
        };
        let read = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path()).ok();
        entries.flatten().filter_map(read).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn smtp(port: u16, more: &str) -> String {
    format!(
        "[notifications.smtp]\nhost = \"localhost\"\nport = {port}\n\
         from = \"Fleet <fleet@example.com>\"\n{more}"
    )
}

fn mail_to(name: &str, address: &str) -> Value {
    json!({ "name": name, "target": { "email": { "address": address } }, "events": ["group_created"] })
}

#[test]
fn people_are_told_by_mail() {
    let server = MailServer::start(&[]);
    let world = world_with(&smtp(server.port, "security = \"none\"\n"));
    subscribe(&world, &mail_to("bad", "no mailbox")).expect(400);
    subscribe(&world, &mail_to("mail", "Ops <ops@example.com>")).expect(201);
    let group = json!({ "name": "field" });
    world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    until("a mail", || !server.mails().is_empty());
    let mail = &server.mails()[0];
    assert!(mail.contains("Subject: Updraft: group field was made"), "{mail}");
    assert!(mail.contains("From: Fleet <fleet@example.com>"), "{mail}");
    assert!(mail.contains("To: Ops <ops@example.com>"), "{mail}");
    until("being told", || subscription(&world, "mail").told_at.is_some());
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn mails_go_over_tls_to_the_right_server_only() {
    let mut world = World::stopped();
    let (certificate, key) = (world.layout.server_certificate(), world.layout.server_key());
    let text = |path: &Path| path.display().to_string();
    let options = ["--tlscert", &text(&certificate), "--tlskey", &text(&key)];
    let server = MailServer::start(&options);
    let authority = format!("ca_file = \"{}\"\n", world.layout.ca_certificate().display());
    world.configure(smtp(server.port, &authority));
    world.start();
    subscribe(&world, &mail_to("mail", "ops@example.com")).expect(201);
    let group = |name: &str| {
        let group = json!({ "name": name });
        world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
    };
    group("field");
    until("a mail", || !server.mails().is_empty());

    // With the system's certificates it is not trusted, and without TLS it takes nothing.
    for more in ["", "security = \"none\"\n"] {
        world.stop();
        world.configure(smtp(server.port, more));
        world.start();
        let name = if more.is_empty() { "untrusted" } else { "plain" };
        let failures = subscription(&world, "mail").failures;
        let group = json!({ "name": name });
        world.send_json(&world.operator(), Method::Post, paths::GROUPS, &group).expect(201);
        world.clock.pass(3601);
        until("a failure", || subscription(&world, "mail").failures > failures);
    }
    assert_eq!(server.mails().len(), 1);
    let events = world.get(&world.operator(), paths::EVENTS).text();
    assert!(events.contains(&serde_json::to_string(&EventKind::GroupCreated).expect("a word")));
}
