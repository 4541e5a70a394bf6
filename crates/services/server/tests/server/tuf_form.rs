//! The Image repository in the form of TUF 1.0: python-tuf follows it, and it stays in step.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use updraft_api::{ImageChange, TufForm, paths};
use updraft_http::Method;
use updraft_publish::{Delegation, Draft};
use updraft_tuf::{Dialect, Envelope};

use crate::curl::{curl, send};
use crate::device::{Device, HARDWARE};
use crate::operator::{Operator, in_days, key, ostree_target};
use crate::ota_repository::{create, upload};
use crate::world::{Answer, World};

/// The same as those of the tests of publishing, whose environment this uses.
const PACKAGES: [&str; 2] = ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0"];
const ENVIRONMENT: &str = "python-tuf-7.0.1";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// The interpreter of an environment with python-tuf.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(ENVIRONMENT);
        let (python, ready) = (folder.join("bin/python3"), folder.join("ready"));
        if !ready.exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            run(Command::new(&python).args(install).args(PACKAGES));
            std::fs::write(&ready, b"").expect("file");
        }
        python
    })
}

/// A client of TUF that trusts the first root it is given.
struct Client(PathBuf);

impl Client {
    fn new(world: &World) -> Self {
        let folder = world.folder.path().join("tuf-client");
        std::fs::create_dir_all(&folder).expect("folder");
        let root = curl(world, "/tuf/root.json", &[]).expect(200).body;
        std::fs::write(folder.join("root.json"), root).expect("root");
        Self(folder)
    }

    /// Updates from the server, and gives the contents of these targets.
    fn update(&self, world: &World, targets: &[&str]) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/tuf_client.py");
        let (url, ca) = (world.url(""), world.layout.ca_certificate());
        let mut command = Command::new(python());
        command.arg(script).arg(url).arg(ca).arg(&world.token).arg(&self.0).args(targets);
        serde_json::from_str(&run(&mut command)).expect("JSON")
    }
}

fn change(world: &World, change: &ImageChange) -> Answer {
    world.send_json(&world.operator(), Method::Post, paths::IMAGE_CHANGE, change)
}

fn version(world: &World, path: &str) -> Value {
    curl(world, path, &[]).expect(200).json()["signed"]["version"].clone()
}

#[test]
fn python_tuf_follows_a_repository_whose_keys_are_on_the_server() {
    let mut world = World::with_folder();
    create(&world);
    upload(&world, "fw/app.bin", b"one");
    curl(&world, "/tuf/root.json", &[]).expect(404);
    let begin = ImageChange { tuf: Some(TufForm::default()), ..ImageChange::default() };
    // Who may only publish does not begin a form for which more has to be signed.
    let token = world.make_token("ci", updraft_api::Scope::Publish);
    let publisher = world.client(None, Some(&token));
    world.send_json(&publisher, Method::Post, paths::IMAGE_CHANGE, &begin).expect(403);
    change(&world, &begin).expect(200);
    let device = Device::new(&world, "vehicle-1");
    world.get(&device.client(&world), "/tuf/timestamp.json").expect(200);
    let client = Client::new(&world);
    let found = client.update(&world, &["fw/app.bin", "other"]);
    assert_eq!(found, json!({ "fw/app.bin": "one", "other": null }));

    // Every change is in both forms, and both become current together.
    upload(&world, "second", b"two");
    assert_eq!(client.update(&world, &["second"]), json!({ "second": "two" }));
    curl(&world, "/api/v1/user_repo/targets/fw/app.bin", &["-X", "DELETE"]).expect(204);
    curl(&world, "/api/v1/user_repo/root/rotate", &["-X", "PUT"]).expect(200);
    let found = client.update(&world, &["fw/app.bin", "second"]);
    assert_eq!(found, json!({ "fw/app.bin": null, "second": "two" }));
    for file in ["root.json", "targets.json", "timestamp.json"] {
        let (uptane, tuf) = (format!("/repo/{file}"), format!("/tuf/{file}"));
        assert_eq!(version(&world, &uptane), version(&world, &tuf), "{file}");
    }
    world.restart();
    world.clock.pass(20 * 24 * 3600);
    world.fleet().renew_image_metadata().expect("renewed");
    assert_eq!(version(&world, "/repo/timestamp.json"), version(&world, "/tuf/timestamp.json"));
    assert_eq!(client.update(&world, &["second"]), json!({ "second": "two" }));

    // The snapshot of the Uptane form lists the root, as servers of that world have it; TUF's not.
    let listed = |path: &str| {
        let snapshot = curl(&world, path, &[]).expect(200).json();
        snapshot["signed"]["meta"].get("root.json").cloned()
    };
    let root = curl(&world, "/repo/root.json", &[]).expect(200).body;
    let about = listed("/repo/snapshot.json").expect("the root is listed");
    assert_eq!(about["version"], 2);
    assert_eq!(about["hashes"]["sha256"], updraft_tuf::sha256_hex(&root));
    assert_eq!(listed("/tuf/snapshot.json"), None);
}

/// Both forms of these drafts, as an operator sends them.
fn both(drafts: &[&Draft]) -> ImageChange {
    let mut change = ImageChange::default();
    let tuf = change.tuf.get_or_insert_default();
    for draft in drafts {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let uptane = text(draft.finish().expect("signed"));
        let other = text(draft.finish_tuf().expect("signed").expect("both forms"));
        match draft.role().as_str() {
            "root" => (change.root, tuf.root) = (Some(uptane), Some(other)),
            "targets" => (change.targets, tuf.targets) = (Some(uptane), Some(other)),
            name => {
                change.delegations.insert(name.to_owned(), uptane);
                tuf.delegations.insert(name.to_owned(), other);
            }
        }
    }
    change
}

#[test]
fn what_is_signed_elsewhere_comes_in_both_forms_or_not_at_all() {
    let mut world = World::with_folder();
    let mut operator = Operator::new(&world);
    let commit = "a".repeat(64);
    operator.add_target(&world, "first", &commit);
    let refused = change(&world, &both(&[])).expect(412);
    assert!(refused.text().contains("TUF's form"), "{}", refused.text());
    let mut drafts = operator.repository.drafts_in_both_forms().expect("drafts");
    for draft in &mut drafts {
        draft.sign(&[&operator.root_key, &operator.targets_key]).expect("signed");
    }
    change(&world, &both(&drafts.iter().collect::<Vec<_>>())).expect(200);
    let client = Client::new(&world);
    assert_eq!(client.update(&world, &["first"]), json!({ "first": commit }));

    // One form alone is refused, and so is one that says something else than the other.
    let next = operator.draft_targets(&world, |targets| {
        targets.targets.insert("second".to_owned(), ostree_target(&commit, &[HARDWARE]));
    });
    let refused = operator.upload_targets(&world, &next).expect(412);
    assert!(refused.text().contains("TUF's form"), "{}", refused.text());
    assert_eq!(version(&world, "/repo/targets.json"), 1);
    let team = key();
    let delegation = Delegation {
        name: "team".to_owned(),
        keys: vec![team.public().clone()],
        threshold: 1,
        terminating: true,
        paths: vec!["team-*".to_owned()],
    };
    let expires = in_days(&world, 90);
    let targets = operator.repository.draft_delegation(&delegation, expires).expect("draft");
    let assumed = operator.repository.assuming(&targets).expect("repository");
    let mut targets = targets.in_both_forms().expect("both forms");
    let first = assumed.draft_delegated("team", expires, vec![], |targets| {
        targets.targets.insert("team-1".to_owned(), ostree_target(&commit, &[HARDWARE]));
    });
    let mut first = first.and_then(Draft::in_both_forms).expect("draft");
    // A sign request carries both forms to where the key is.
    let mut request = Draft::from_request(&first.to_request()).expect("a request");
    request.sign(&[&team]).expect("signed");
    first.merge(&request).expect("merged");
    targets.sign(&[&operator.targets_key]).expect("signed");
    let good = both(&[&targets, &first]);
    let mut lie = good.clone();
    let other = drafts[1].finish_tuf().expect("signed");
    let tuf = lie.tuf.as_mut().expect("both forms");
    tuf.targets = other.map(|bytes| String::from_utf8(bytes).expect("text"));
    change(&world, &lie).expect(400);
    assert_eq!(version(&world, "/repo/targets.json"), 1);
    change(&world, &good).expect(200);
    assert_eq!(client.update(&world, &["team-1"]), json!({ "team-1": commit }));

    // What a power cut leaves of a change that did not become current does not count.
    let bytes = curl(&world, "/tuf/2.targets.json", &[]).expect(200).body;
    let signed = Envelope::parse(Dialect::Tuf, &bytes, bytes.len()).expect("metadata").signed;
    assert_eq!(signed["delegations"]["roles"][0]["name"], "team");
    let stray = world.layout.image().join("tuf/99.targets.json");
    std::fs::write(&stray, bytes).expect("file");
    std::fs::write(world.layout.image().join("tuf/99.timestamp.json"), "{").expect("file");
    world.restart();
    assert_eq!(version(&world, "/tuf/targets.json"), 2);
    assert_eq!(client.update(&world, &["team-1"]), json!({ "team-1": commit }));
    send(&world, "POST", "/api/v1/image-repository/change", &json!({ "tuf": {} })).expect(200);
}
