//! A repository's life: first root, targets, delegation, rotation, offline signing, and disk.
#![allow(clippy::unwrap_used, reason = "tests")]

use jiff::Timestamp as Time;
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_publish::{
    Assignment, DirectorRepository, Draft, Error, Expiries, ImageRepository, RootPlan, TopLevelKeys,
};
use updraft_tuf::{
    DelegatedPaths, DelegatedRole, Delegations, Dialect, EncryptedImage, Hashes, InstallOrder, Key,
    RoleKeys, RoleName, Sign, Target,
};

const NOW: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

fn at(days: i64) -> Time {
    Time::from_second(NOW + days * DAY).unwrap()
}

fn expiries() -> Expiries {
    Expiries { targets: at(90), snapshot: at(7), timestamp: at(1) }
}

struct Keys {
    root: SigningKey,
    second_root: SigningKey,
    targets: SigningKey,
    online: SigningKey,
}

impl Keys {
    fn new() -> Self {
        let make = || SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        Self { root: make(), second_root: make(), targets: make(), online: make() }
    }

    fn plan(&self) -> RootPlan {
        let single = |key: &SigningKey| TopLevelKeys::single(key.public().clone());
        RootPlan {
            root: TopLevelKeys {
                keys: vec![self.root.public().clone(), self.second_root.public().clone()],
                threshold: 2,
            },
            targets: single(&self.targets),
            snapshot: single(&self.online),
            timestamp: single(&self.online),
        }
    }

    fn repository(&self, dialect: Dialect) -> ImageRepository {
        let mut draft = self.plan().first_root(dialect, at(365));
        draft.sign(&[&self.root, &self.second_root]).unwrap();
        ImageRepository::new(dialect, &draft.finish().unwrap(), at(0)).unwrap()
    }

    fn with_target(&self, dialect: Dialect, path: &str) -> ImageRepository {
        let mut repository = self.repository(dialect);
        let draft = add(&repository, path);
        self.publish(&mut repository, draft);
        repository
    }

    fn publish(&self, repository: &mut ImageRepository, mut draft: Draft) {
        draft.sign(&[&self.targets]).unwrap();
        repository.accept_targets(&draft.finish().unwrap(), at(0)).unwrap();
        repository.refresh(&[&self.online], expiries(), at(0)).unwrap();
    }
}

fn add(repository: &ImageRepository, path: &str) -> Draft {
    repository.draft_targets(at(90), vec![format!("adds {path}")], |targets| {
        targets.targets.insert(path.to_owned(), Target::new(2, Hashes::of(b"hi")));
    })
}

fn refusal(error: &Error) -> &'static str {
    match error {
        Error::Refused { reason, .. } => reason.name(),
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn files_are_served_by_plain_and_versioned_names() {
    for dialect in [Dialect::Tuf, Dialect::Uptane] {
        let keys = Keys::new();
        let repository = keys.with_target(dialect, "fw.bin");
        for name in ["root.json", "1.root.json", "targets.json", "1.targets.json"] {
            assert!(repository.file(name).is_some(), "{name}");
        }
        for name in ["snapshot.json", "1.snapshot.json", "timestamp.json"] {
            assert!(repository.file(name).is_some(), "{name}");
        }
        for name in ["2.root.json", "2.targets.json", "x", "delegations/none.json", "../root.json"]
        {
            assert!(repository.file(name).is_none(), "{name}");
        }
    }
}

#[test]
fn a_refresh_changes_only_what_must_change() {
    let keys = Keys::new();
    let mut repository = keys.with_target(Dialect::Uptane, "fw.bin");
    let before = repository.clone();
    assert!(!repository.refresh(&[&keys.online], expiries(), at(0)).unwrap());
    assert_eq!(repository, before);
    // The timestamp expires after a day, the snapshot after a week.
    let later = Expiries { timestamp: at(3), ..expiries() };
    assert!(repository.refresh(&[&keys.online], later, at(2)).unwrap());
    assert_eq!(repository.file("snapshot.json"), before.file("snapshot.json"));
    assert_ne!(repository.file("timestamp.json"), before.file("timestamp.json"));
}

#[test]
fn unsigned_old_and_expired_files_are_refused_by_name() {
    let keys = Keys::new();
    let mut repository = keys.with_target(Dialect::Uptane, "a");
    let old = repository.file("targets.json").unwrap().to_vec();
    let mut forged = add(&repository, "b");
    let stranger = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    assert!(matches!(forged.sign(&[&stranger]), Err(Error::NoUsableKey { .. })));
    assert!(matches!(forged.finish(), Err(Error::Unfinished { needed: 1, found: 0, .. })));

    let draft = add(&repository, "b");
    keys.publish(&mut repository, draft);
    let kept = repository.clone();
    assert_eq!(refusal(&repository.accept_targets(&old, at(0)).unwrap_err()), "rollback");
    let mut expired = repository.draft_targets(at(-1), Vec::new(), |_| {});
    expired.sign(&[&keys.targets]).unwrap();
    let bytes = expired.finish().unwrap();
    assert_eq!(refusal(&repository.accept_targets(&bytes, at(0)).unwrap_err()), "expired");
    let root = repository.file("root.json").unwrap().to_vec();
    assert_eq!(refusal(&repository.accept_targets(&root, at(0)).unwrap_err()), "wrong-role-type");
    let other = Keys::new().with_target(Dialect::Uptane, "evil");
    let bytes = other.file("targets.json").unwrap();
    assert_eq!(refusal(&repository.accept_targets(bytes, at(0)).unwrap_err()), "threshold");
    assert_eq!(repository, kept);
}

#[test]
fn a_root_rotates_with_old_and_new_signatures_only() {
    let keys = Keys::new();
    let mut repository = keys.with_target(Dialect::Uptane, "a");
    let fresh = SigningKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let mut plan = RootPlan::of(repository.root());
    plan.role_mut(&RoleName::Root).unwrap().keys[1] = fresh.public().clone();
    let mut draft = repository.draft_root(&plan, at(365));
    assert!(draft.changes().iter().any(|line| line.contains("root: adds key")));
    draft.sign(&[&keys.root, &fresh]).unwrap();
    let missing = draft.shortfalls().unwrap();
    assert_eq!(missing.len(), 1, "the old threshold is not met: {missing:?}");
    draft.sign(&[&keys.second_root]).unwrap();
    repository.accept_root(&draft.finish().unwrap(), at(0)).unwrap();
    assert_eq!(repository.root().header.version, 2);
    assert!(repository.file("1.root.json").is_some() && repository.file("2.root.json").is_some());
    // The same root once more is version 2 where 3 is due.
    let again = repository.file("2.root.json").unwrap().to_vec();
    let error = repository.accept_root(&again, at(0)).unwrap_err();
    assert!(["root-version", "threshold"].contains(&refusal(&error)));
}

#[test]
fn new_targets_keys_make_old_targets_stale_until_they_are_signed_again() {
    let keys = Keys::new();
    let mut repository = keys.with_target(Dialect::Uptane, "a");
    let fresh = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let mut plan = RootPlan::of(repository.root());
    *plan.role_mut(&RoleName::Targets).unwrap() = TopLevelKeys::single(fresh.public().clone());
    let mut draft = repository.draft_root(&plan, at(365));
    draft.sign(&[&keys.root, &keys.second_root]).unwrap();
    repository.accept_root(&draft.finish().unwrap(), at(0)).unwrap();
    let error = repository.refresh(&[&keys.online], expiries(), at(0)).unwrap_err();
    assert_eq!(refusal(&error), "threshold");
    let folder = tempfile::tempdir().unwrap();
    repository.save(folder.path()).unwrap();
    let mut repository = ImageRepository::load(folder.path(), Dialect::Uptane).unwrap();
    let mut draft = repository.draft_targets(at(90), Vec::new(), |_| {});
    draft.sign(&[&fresh]).unwrap();
    repository.accept_targets(&draft.finish().unwrap(), at(0)).unwrap();
    assert!(repository.refresh(&[&keys.online], expiries(), at(0)).unwrap());
}

#[test]
fn an_offline_key_signs_on_another_machine() {
    let keys = Keys::new();
    let mut draft = keys.plan().first_root(Dialect::Uptane, at(365));
    draft.sign(&[&keys.root]).unwrap();
    let request = draft.to_request();
    let text = String::from_utf8(request.clone()).unwrap();
    assert!(!text.contains("PRIVATE"));

    let mut elsewhere = Draft::from_request(&request).unwrap();
    assert_eq!(elsewhere, draft);
    elsewhere.sign(&[&keys.second_root]).unwrap();
    let answer = Draft::from_request(&elsewhere.to_request()).unwrap();
    draft.merge(&answer).unwrap();
    ImageRepository::new(Dialect::Uptane, &draft.finish().unwrap(), at(0)).unwrap();

    // An answer for something else, and a signature that does not verify, change nothing.
    let other = Keys::new().plan().first_root(Dialect::Uptane, at(365));
    assert!(matches!(draft.merge(&other), Err(Error::DifferentPayload { .. })));
    let mut fresh = keys.plan().first_root(Dialect::Uptane, at(365));
    let broken = text.replace(&keys.root.key_id(Dialect::Uptane).to_string(), "00ff");
    if let Ok(broken) = Draft::from_request(broken.as_bytes()) {
        fresh.merge(&broken).ok();
    }
    assert_eq!(fresh.shortfalls().unwrap()[0].found, 0);
    assert!(Draft::from_request(b"{}").is_err());
}

#[test]
fn a_delegated_role_speaks_for_its_paths() {
    let keys = Keys::new();
    let mut repository = keys.with_target(Dialect::Uptane, "a");
    let team = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let id = team.key_id(Dialect::Uptane);
    let draft = repository.draft_targets(at(90), Vec::new(), |targets| {
        let mut delegations = Delegations::empty();
        delegations.keys.insert(id.clone(), Key::new(Dialect::Uptane, team.public().clone()));
        let keys = RoleKeys::new(vec![id.clone()], 1);
        let paths = DelegatedPaths::Patterns(vec!["team-*".to_owned()]);
        delegations.roles.push(DelegatedRole::new("team/../one", keys, paths));
        targets.delegations = Some(delegations);
    });
    keys.publish(&mut repository, draft);
    let name = "team/../one";
    let mut draft = repository.draft_delegated(name, at(90), Vec::new(), |_| {}).unwrap();
    draft.sign(&[&team]).unwrap();
    repository.accept_delegated(name, &draft.finish().unwrap(), at(0)).unwrap();
    repository.refresh(&[&keys.online], expiries(), at(0)).unwrap();
    assert!(repository.file("delegations/team/../one.json").is_some());
    assert!(matches!(
        repository.draft_delegated("nobody", at(90), Vec::new(), |_| {}),
        Err(Error::Absent { .. })
    ));
    let folder = tempfile::tempdir().unwrap();
    repository.save(folder.path()).unwrap();
    assert_eq!(ImageRepository::load(folder.path(), Dialect::Uptane).unwrap(), repository);
}

#[test]
fn a_saved_repository_loads_equal_and_a_cut_before_the_timestamp_keeps_the_old_one() {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    let mut repository = keys.with_target(Dialect::Tuf, "a");
    repository.save(folder.path()).unwrap();
    let old = repository.clone();
    let draft = add(&repository, "b");
    keys.publish(&mut repository, draft);
    repository.save(folder.path()).unwrap();
    assert_eq!(ImageRepository::load(folder.path(), Dialect::Tuf).unwrap(), repository);

    let timestamp = old.file("timestamp.json").unwrap();
    updraft_fs::atomic_write_path(folder.path().join("timestamp.json"), timestamp, 0o644).unwrap();
    assert_eq!(ImageRepository::load(folder.path(), Dialect::Tuf).unwrap(), old);
}

#[test]
fn tampered_roots_do_not_load() {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    keys.with_target(Dialect::Tuf, "a").save(folder.path()).unwrap();
    let path = folder.path().join("1.root.json");
    let text =
        std::fs::read_to_string(&path).unwrap().replace("\"threshold\":2", "\"threshold\":1");
    updraft_fs::atomic_write_path(&path, text.as_bytes(), 0o644).unwrap();
    assert!(ImageRepository::load(folder.path(), Dialect::Tuf).is_err());
}

#[test]
fn the_director_names_the_vehicle_and_refuses_nonsense() {
    let keys = Keys::new();
    let plan = keys.plan();
    let mut draft = plan.first_root(Dialect::Uptane, at(365));
    draft.sign(&[&keys.root, &keys.second_root]).unwrap();
    let root = draft.finish().unwrap();
    let signers: Vec<&dyn Sign> = vec![&keys.targets, &keys.online];
    let director = DirectorRepository::new(Dialect::Uptane, &root, signers).unwrap();
    let assignment = Assignment {
        ecu_serial: "ecu-1".into(),
        hardware_id: "hw".into(),
        filepath: "os-1".into(),
        length: 0,
        hashes: Hashes::of(b"commit"),
        uri: None,
        custom: None,
        encrypted: None,
    };
    let one = std::slice::from_ref(&assignment);
    let files = director.vehicle_files("v1", 3, Some("urn:x"), one, expiries()).unwrap();
    let text = String::from_utf8(files.targets.clone()).unwrap();
    assert!(text.contains("\"vehicleId\":\"v1\"") && text.contains("\"correlationId\":\"urn:x\""));
    assert!(text.contains("\"ecuIdentifiers\":{\"ecu-1\":{\"hardwareId\":\"hw\"}}"));
    assert_eq!(director.vehicle_files("v1", 3, Some("urn:x"), one, expiries()).unwrap(), files);
    assert!(!text.contains("\"installation\""), "it says what no other Director says: {text}");
    let director = director.ordering(InstallOrder::Consent);
    let files = director.vehicle_files("v1", 3, Some("urn:x"), one, expiries()).unwrap();
    let text = String::from_utf8(files.targets).unwrap();
    assert!(text.contains("\"custom\":{\"correlationId\":\"urn:x\",\"installation\":\"consent\","));

    let encrypted = Assignment {
        ecu_serial: "ecu-2".into(),
        encrypted: Some(EncryptedImage {
            filename: "os-1.enc".into(),
            length: 16,
            hashes: Hashes::of(b"ciphertext"),
            uri: None,
            method: "aes256".into(),
            key: "AAAA".into(),
            key_encryption: Some("rsa-oaep-sha256".into()),
            content_encryption: None,
        }),
        ..assignment.clone()
    };
    let both = [assignment.clone(), encrypted];
    let files = director.vehicle_files("v1", 3, None, &both, expiries()).unwrap();
    let files: serde_json::Value = serde_json::from_slice(&files.targets).unwrap();
    let ecus = &files["signed"]["targets"]["os-1"]["custom"]["ecuIdentifiers"];
    assert_eq!(ecus["ecu-1"], serde_json::json!({ "hardwareId": "hw" }));
    assert_eq!(ecus["ecu-2"]["encryptedTarget"]["filename"], "os-1.enc");
    let key = &ecus["ecu-2"]["encryptedSymmetricKey"];
    assert_eq!(key["encryptedSymmetricKeyValue"], "AAAA");

    let twice = [assignment.clone(), assignment.clone()];
    assert!(director.vehicle_files("v1", 3, None, &twice, expiries()).is_err());
    let other = Assignment {
        ecu_serial: "ecu-2".into(),
        hashes: Hashes::of(b"other"),
        ..assignment.clone()
    };
    assert!(director.vehicle_files("v1", 3, None, &[assignment, other], expiries()).is_err());
    let wrong = DirectorRepository::new(Dialect::Uptane, &root, vec![&keys.root]).unwrap();
    assert!(wrong.vehicle_files("v1", 1, None, &[], expiries()).is_err());
}

#[test]
fn a_write_that_fails_anywhere_leaves_the_old_or_the_new_repository() {
    use updraft_fs::fault::{Fault, Injection};
    let keys = Keys::new();
    let old = keys.with_target(Dialect::Uptane, "a");
    let mut new = old.clone();
    let draft = add(&new, "b");
    keys.publish(&mut new, draft);
    for operations in 0.. {
        let folder = tempfile::tempdir().unwrap();
        old.save(folder.path()).unwrap();
        let injection = Injection::after(operations, Fault::Full);
        let result = new.save(folder.path());
        drop(injection);
        let served = std::fs::read(folder.path().join("timestamp.json")).unwrap();
        let is_new = served == new.file("timestamp.json").unwrap();
        assert!(is_new || served == old.file("timestamp.json").unwrap(), "{operations}");
        let loaded = ImageRepository::load(folder.path(), Dialect::Uptane).unwrap();
        // What the timestamp names is there, and a second attempt ends with the new repository.
        let snapshot = if is_new { &new } else { &old };
        assert_eq!(loaded.file("snapshot.json"), snapshot.file("snapshot.json"), "{operations}");
        new.save(folder.path()).unwrap();
        assert_eq!(ImageRepository::load(folder.path(), Dialect::Uptane).unwrap(), new);
        if result.is_ok() {
            assert!(is_new && operations > 3, "{operations}");
            return;
        }
    }
}

#[test]
fn a_key_is_stored_whole_or_not_at_all_and_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    use updraft_fs::fault::{Fault, Injection};
    use updraft_publish::KeyStore;
    for operations in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let store = KeyStore::open(&path, Dialect::Uptane).unwrap();
        let injection = Injection::after(operations, Fault::Full);
        let result = store.generate(KeyAlgorithm::Ed25519);
        drop(injection);
        let found = store.list().unwrap();
        assert!(found.len() <= 1 && (result.is_err() || found.len() == 1), "{operations}");
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path) & 0o777, 0o700);
        for key in found {
            assert_eq!(mode(&key.path) & 0o777, 0o600);
        }
        if result.is_ok() {
            assert!(operations > 1, "{operations}");
            return;
        }
    }
}
