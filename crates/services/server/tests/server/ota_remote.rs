//! Delegations that the server fetches from elsewhere: what is taken, and from where.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use updraft_crypto::SigningKey;
use updraft_http::testing::{Answer as Reply, Server};
use updraft_tuf::{Dialect, Envelope, Sign as _};

use crate::curl::{Answered, curl, send};
use crate::device::HARDWARE;
use crate::operator::key;
use crate::ota_repository::create;
use crate::world::World;

const PATH: &str = "/api/v1/user_repo/trusted-delegations";

/// A server of packages, and a repository that delegates `feed/*` to its key.
struct Site {
    world: World,
    feed: Server,
    key: SigningKey,
    body: Arc<Mutex<Vec<u8>>>,
}

impl Site {
    fn new() -> Self {
        let body = Arc::new(Mutex::new(Vec::new()));
        let given = Arc::clone(&body);
        let feed = Server::start(move |exchange| {
            match exchange.path.split('?').next().unwrap_or_default() {
                "/feed/gone.json" => Reply::Redirect("/feed/targets.json".to_owned()),
                "/feed/targets.json" => Reply::Bytes(200, given.lock().expect("a body").clone()),
                _ => Reply::Bytes(404, Vec::new()),
            }
        });
        let mut world = World::stopped();
        let text = format!(
            "[limits]\nmetadata_bytes = 100000\n[delegations]\nfetch_from = [\"{}/feed/\"]\n",
            feed.url()
        );
        world.configure(text);
        world.start();
        create(&world);
        let key = key();
        let public = key.public().to_json(Dialect::Uptane);
        send(&world, "PUT", &format!("{PATH}/keys"), &json!([public])).expect(204);
        let delegation = json!([{
            "name": "feed", "keyids": [key.public_key().key_id(Dialect::Uptane).to_string()],
            "paths": ["feed/*"], "threshold": 1, "terminating": false,
        }]);
        send(&world, "PUT", PATH, &delegation).expect(204);
        Self { world, feed, key, body }
    }

    /// What the feed gives from now on.
    fn publish(&self, signer: &SigningKey, version: u64, target: &str, expires: &str) {
        let signed = json!({
            "_type": "Targets", "expires": expires, "version": version,
            "targets": { target: {
                "length": 1, "hashes": { "sha256": updraft_tuf::sha256_hex(b"1") },
                "custom": { "hardwareIds": [HARDWARE], "targetFormat": "BINARY" },
            } },
        });
        let envelope = Envelope::sign(Dialect::Uptane, signed, &[signer]).expect("signed");
        *self.body.lock().expect("a body") = envelope.to_value(Dialect::Uptane).to_string().into();
    }

    fn remote(&self, uri: &str, headers: &Value) -> Answered {
        let body = json!({ "uri": uri, "remoteHeaders": headers, "friendlyName": "the feed" });
        send(&self.world, "PUT", &format!("{PATH}/feed/remote"), &body)
    }

    fn served(&self) -> Option<u64> {
        let file = curl(&self.world, "/api/v1/user_repo/delegations/feed.json", &[]);
        (file.status == 200).then(|| file.json()["signed"]["version"].as_u64()).flatten()
    }
}

const LATER: &str = "2059-01-01T00:00:00Z";

#[test]
fn a_delegation_is_fetched_verified_and_refreshed() {
    let site = Site::new();
    let uri = format!("{}/feed/targets.json", site.feed.url());
    let refresh = || curl(&site.world, &format!("{PATH}/feed/remote/refresh"), &["-X", "PUT"]);
    assert_eq!(refresh().expect(412).json()["code"], "missing_remote_delegation_uri");
    site.publish(&site.key, 1, "feed/a", LATER);
    site.remote(&uri, &json!({ "x-token": "s3cret" })).expect(201);
    assert_eq!(site.served(), Some(1));
    let asked = site.feed.log().pop().expect("a request");
    assert_eq!(asked.header("x-token"), Some("s3cret"));
    let file = curl(&site.world, "/api/v1/user_repo/delegations/feed.json", &[]);
    assert!(file.header("x-ats-delegation-last-fetched-at").is_some());
    let info = || curl(&site.world, &format!("{PATH}/feed/info"), &[]).expect(200);
    assert_eq!((info().json()["remoteUri"]).as_str(), Some(uri.as_str()));
    assert_eq!(info().json()["friendlyName"], "the feed");
    assert!(!info().json().to_string().contains("s3cret"), "a header is shown");
    let all = curl(&site.world, &format!("{PATH}/info"), &[]).expect(200).json();
    assert_eq!(all["feed"], info().json());

    // The same again, then something newer.
    site.world.clock.pass(60);
    let before = info().json()["lastFetched"].clone();
    refresh().expect(200);
    assert_ne!(info().json()["lastFetched"], before);
    site.publish(&site.key, 2, "feed/b", LATER);
    refresh().expect(200);
    assert_eq!(site.served(), Some(2));
    let edit = |body: &Value| send(&site.world, "PATCH", &format!("{PATH}/feed/info"), body);
    edit(&json!({ "friendlyName": "ours" })).expect(200);
    edit(&json!({ "remoteUri": "https://evil.example/" })).expect(400);
    edit(&json!({ "friendlyName": "ours", "lastFetched": "2020-01-01T00:00:00Z" })).expect(400);
    assert_eq!(info().json()["friendlyName"], "ours");

    // What may not be taken, and changes nothing.
    let stranger = key();
    for (signer, version, target, expires, says) in [
        (&stranger, 3, "feed/c", LATER, "signature"),
        (&site.key, 1, "feed/a", LATER, "version"),
        (&site.key, 3, "else/c", LATER, "else/c"),
        (&site.key, 3, "feed/c", "2020-01-01T00:00:00Z", "expired"),
    ] {
        site.publish(signer, version, target, expires);
        let answer = refresh().expect(403);
        assert!(answer.json().to_string().contains(says), "{says}: {}", answer.json());
        assert_eq!(site.served(), Some(2), "{says}");
    }
    *site.body.lock().expect("a body") = vec![b' '; 200_000];
    refresh().expect(413);
    *site.body.lock().expect("a body") = b"{".to_vec();
    refresh().expect(400);
    assert_eq!(site.served(), Some(2));
    // Who delegates no more knows nothing of it any more.
    curl(&site.world, &format!("{PATH}/feed"), &["-X", "DELETE"]).expect(204);
    refresh().expect(404);
}

#[test]
fn nothing_is_fetched_but_from_where_the_configuration_allows() {
    let site = Site::new();
    site.publish(&site.key, 1, "feed/a", LATER);
    let base = site.feed.url();
    let none = json!({});
    for (uri, code) in [
        (format!("{base}/targets.json"), "remote_not_allowed"),
        (format!("{base}/feedback/targets.json"), "remote_not_allowed"),
        ("http://127.0.0.1:1/feed/targets.json".to_owned(), "remote_not_allowed"),
        ("http://169.254.169.254/feed/latest".to_owned(), "remote_not_allowed"),
        (format!("{base}/feed/../targets.json"), "invalid_entity"),
        (base.replace("http://", "http://user@"), "invalid_entity"),
        ("file:///etc/passwd".to_owned(), "invalid_entity"),
    ] {
        let answer = site.remote(&uri, &none);
        assert_eq!(answer.json()["code"], code, "{uri}: {}", answer.json());
    }
    assert_eq!(site.feed.log().len(), 0, "something was asked for");
    let uri = format!("{base}/feed/targets.json");
    for headers in [json!({ "Host": "evil" }), json!({ "x": "a\r\nb: c" }), json!({ "x y": "z" })] {
        site.remote(&uri, &headers).expect(400);
    }
    let unknown = json!({ "uri": uri });
    send(&site.world, "PUT", &format!("{PATH}/nobody/remote"), &unknown).expect(404);
    assert_eq!(site.feed.log().len(), 0, "something was asked for");
    // A redirect is no way around it, and a failure says nothing of what is there.
    for (name, status) in [("gone.json?key=s3cret", "302"), ("nothing.json", "404")] {
        let answer = site.remote(&format!("{base}/feed/{name}"), &none).expect(502);
        assert!(
            answer.json().to_string().contains(status)
                && !answer.json().to_string().contains("s3cret")
        );
    }
    assert_eq!(site.served(), None);
}
