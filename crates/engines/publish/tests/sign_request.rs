//! What a signer is shown is what the signature covers, whatever a request says about itself.
#![allow(clippy::unwrap_used, reason = "tests")]

use jiff::Timestamp as Time;
use serde_json::{Value, json};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_publish::{Draft, Error, ImageRepository, RootPlan, TopLevelKeys};
use updraft_tuf::{Dialect, Hashes, RoleName, Target};

const DIALECT: Dialect = Dialect::Uptane;

fn at(days: i64) -> Time {
    Time::from_second(1_700_000_000 + days * 86_400).unwrap()
}

struct World {
    root: SigningKey,
    targets: SigningKey,
    repository: ImageRepository,
}

fn world() -> World {
    let make = || SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let (root, targets, online) = (make(), make(), make());
    let single = |key: &SigningKey| TopLevelKeys::single(key.public().clone());
    let plan = RootPlan {
        root: single(&root),
        targets: single(&targets),
        snapshot: single(&online),
        timestamp: single(&online),
    };
    let mut draft = plan.first_root(DIALECT, at(365));
    draft.sign(&[&root]).unwrap();
    let repository = ImageRepository::new(DIALECT, &draft.finish().unwrap(), at(0)).unwrap();
    let mut world = World { root, targets, repository };
    world.publish("old");
    world
}

impl World {
    fn first_root(&self) -> Vec<u8> {
        self.repository.file("1.root.json").unwrap().to_vec()
    }

    fn add(&self, path: &str) -> Draft {
        self.repository.draft_targets(at(90), vec!["adds nothing much".into()], |targets| {
            targets.targets.insert(path.to_owned(), Target::new(2, Hashes::of(path.as_bytes())));
        })
    }

    fn publish(&mut self, path: &str) {
        let mut draft = self.add(path);
        draft.sign(&[&self.targets]).unwrap();
        self.repository.accept_targets(&draft.finish().unwrap(), at(0)).unwrap();
    }

    fn rotate(&mut self, change: impl FnOnce(&mut RootPlan)) -> Draft {
        let mut plan = RootPlan::of(self.repository.root());
        change(&mut plan);
        self.repository.draft_root(&plan, at(365))
    }

    fn rotate_root(&mut self) {
        let next = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let mut draft = self.rotate(|plan| plan.root = TopLevelKeys::single(next.public().clone()));
        draft.sign(&[&self.root, &next]).unwrap();
        self.repository.accept_root(&draft.finish().unwrap(), at(0)).unwrap();
        self.root = next;
    }
}

/// The request of `draft` after somebody on the way changed it.
fn tampered(draft: &Draft, change: impl FnOnce(&mut Value)) -> Result<Draft, Error> {
    let mut request: Value = serde_json::from_slice(&draft.to_request()).unwrap();
    change(&mut request);
    Draft::from_request(&serde_json::to_vec(&request).unwrap())
}

#[test]
fn only_the_difference_is_shown_when_the_signer_trusts_a_root() {
    let mut world = world();
    let first = world.first_root();
    world.rotate_root();
    world.rotate_root();
    let mut draft = Draft::from_request(&world.add("new").to_request()).unwrap();
    let meaning = draft.judge(Some(&first)).unwrap();
    assert!(meaning.compared);
    let digest = updraft_tuf::sha256_hex(b"new");
    assert_eq!(
        meaning.lines,
        [
            "version 1 becomes 2, valid until 2024-02-12T22:13:20Z".to_owned(),
            format!("adds new: sha256 {digest}, 2 bytes"),
        ]
    );
    // The folder learns of the roots between, and needs no server for that.
    assert_eq!(meaning.newest_root.as_deref(), world.repository.file("3.root.json"));

    let whole = draft.judge(None).unwrap();
    assert!(!whole.compared && whole.newest_root.is_none());
    assert!(whole.lines.iter().any(|line| line.starts_with("adds old: sha256")), "{whole:?}");
}

#[test]
fn the_requesters_words_do_not_hide_what_the_payload_says() {
    let world = world();
    let first = world.first_root();
    let mut request = tampered(&world.add("new"), |request| {
        request["changes"] = json!(["adds new"]);
        let targets = &mut request["file"]["signed"]["targets"];
        targets["old"]["hashes"]["sha256"] = json!("66".repeat(32));
        targets["\u{1b}[2Jx"] = targets["new"].clone();
    })
    .unwrap();
    let lines = request.judge(Some(&first)).unwrap().lines.join("\n");
    assert!(lines.contains(&format!("changes old: sha256 {}", "66".repeat(32))), "{lines}");
    assert!(lines.contains("adds \\u{1b}[2Jx"), "{lines}");
    assert!(!lines.contains('\u{1b}'));
}

#[test]
fn a_root_in_the_place_of_targets_is_refused() {
    let mut world = world();
    let root = world.rotate(|_| {});
    let error = tampered(&root, |request| request["role"] = json!("targets")).unwrap_err();
    assert!(error.to_string().contains("its type is \"Root\""), "{error}");
}

#[test]
fn a_stranger_cannot_name_who_signs() {
    let world = world();
    let first = world.first_root();
    // The request claims that the root key signs targets.
    let root_id = world.root.key_id(DIALECT);
    let mut request = tampered(&world.add("new"), |request| {
        let key = world.root.public().to_json(DIALECT);
        request["authorities"][0]["keys"].as_array_mut().unwrap().push(key);
        request["authorities"][0]["keyids"].as_array_mut().unwrap().push(json!(root_id.as_str()));
    })
    .unwrap();
    request.judge(Some(&first)).unwrap();
    assert!(matches!(request.sign(&[&world.root]), Err(Error::NoUsableKey { .. })));
    request.sign(&[&world.targets]).unwrap();
    request.finish().unwrap();
}

#[test]
fn a_new_key_under_an_old_keys_id_is_refused() {
    let mut world = world();
    let mallory = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let id = world.targets.key_id(DIALECT).to_string();
    let draft = world.rotate(|_| {});
    let result = tampered(&draft, |request| {
        request["file"]["signed"]["keys"][&id] = mallory.public().to_json(DIALECT);
    });
    assert!(matches!(result, Err(Error::MisnamedKey { .. })), "{result:?}");
}

#[test]
fn old_skipping_and_foreign_requests_are_refused() {
    let mut world = world();
    let first = world.first_root();
    let stale = world.add("stale");
    world.publish("new");
    let current = String::from_utf8(world.repository.file("targets.json").unwrap().to_vec());
    let mut request =
        tampered(&stale, |request| request["current"] = json!(current.unwrap())).unwrap();
    let error = request.judge(Some(&first)).unwrap_err();
    assert!(matches!(error, Error::Outdated { trusted: 2, offered: 2, .. }), "{error}");

    let skipping = world.rotate(|_| {});
    let mut request =
        tampered(&skipping, |request| request["file"]["signed"]["version"] = json!(3)).unwrap();
    assert!(matches!(request.judge(Some(&first)), Err(Error::Outdated { .. })));

    // Another repository's: its roots do not follow from the trusted one.
    let mut foreign = self::world();
    foreign.rotate_root();
    let mut request = Draft::from_request(&foreign.add("x").to_request()).unwrap();
    assert!(matches!(request.judge(Some(&first)), Err(Error::Refused { .. })));
    let mut request = Draft::from_request(&self::world().add("x").to_request()).unwrap();
    let meaning = request.judge(Some(&first)).unwrap();
    assert!(!meaning.compared);
    assert!(matches!(request.sign(&[&foreign.targets]), Err(Error::NoUsableKey { .. })));
}

#[test]
fn a_root_request_says_which_keys_and_thresholds_change() {
    let mut world = world();
    let first = world.first_root();
    let second = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let mut draft = world.rotate(|plan| {
        plan.root.keys.push(second.public().clone());
        plan.root.threshold = 2;
    });
    let meaning = draft.judge(Some(&first)).unwrap();
    let added = second.key_id(DIALECT);
    assert_eq!(
        meaning.lines[1..],
        [
            format!("root: adds key {added} (ecdsa-sha2-nistp256)"),
            "root: threshold 1 becomes 2".to_owned(),
        ]
    );
    // Both the old and the new threshold count.
    draft.sign(&[&second]).unwrap();
    assert_eq!(draft.shortfalls().unwrap().len(), 2);
    draft.sign(&[&world.root]).unwrap();
    draft.finish().unwrap();
}

#[test]
fn nobody_signs_a_timestamp_by_request() {
    let world = world();
    let mut draft = tampered(&world.add("x"), |request| {
        request["role"] = json!("timestamp");
        request["file"]["signed"] = json!({
            "_type": "Timestamp", "version": 9, "expires": "2040-01-01T00:00:00Z",
            "meta": {"snapshot.json": {
                "version": 9, "length": 1, "hashes": {"sha256": "00".repeat(32)}}},
        });
    })
    .unwrap();
    assert_eq!(*draft.role(), RoleName::Timestamp);
    assert!(matches!(draft.judge(None), Err(Error::Invalid(_))));
}
