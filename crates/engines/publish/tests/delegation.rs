//! Delegations as an operator changes them, in words, on disk, and as clients search them.
#![allow(clippy::unwrap_used, reason = "tests")]

use jiff::Timestamp as Time;
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_publish::{
    Delegation, Draft, Error, Expiries, ImageRepository, RootPlan, TopLevelKeys,
};
use updraft_tuf::{Dialect, Hashes, RoleName, Target};

const DIALECT: Dialect = Dialect::Uptane;

fn at(days: i64) -> Time {
    Time::from_second(1_700_000_000 + days * 86_400).unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(KeyAlgorithm::Ed25519).unwrap()
}

struct World {
    targets: SigningKey,
    online: SigningKey,
    repository: ImageRepository,
}

impl World {
    fn new() -> Self {
        let (root, targets, online) = (key(), key(), key());
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
        Self { targets, online, repository }
    }

    /// As a signer elsewhere is told it.
    fn told(&self, draft: &Draft) -> Vec<String> {
        let mut draft = Draft::from_request(&draft.to_request()).unwrap();
        draft.judge(self.repository.file("root.json")).unwrap().lines.split_off(1)
    }

    fn take(&mut self, mut draft: Draft) {
        draft.sign(&[&self.targets]).unwrap();
        self.repository.accept_targets(&draft.finish().unwrap(), at(0)).unwrap();
    }

    /// Delegates and gives the role a first file with these targets.
    fn delegate(&mut self, delegation: &Delegation, key: &SigningKey, paths: &[&str]) {
        let draft = self.repository.draft_delegation(delegation, at(90)).unwrap();
        self.take(draft);
        self.list(&delegation.name, key, paths);
    }

    fn list(&mut self, role: &str, key: &SigningKey, paths: &[&str]) {
        let edit = |targets: &mut updraft_tuf::Targets| {
            for path in paths {
                let target = Target::new(2, Hashes::of(role.as_bytes()));
                targets.targets.insert((*path).to_owned(), target);
            }
        };
        let mut draft = self.repository.draft_delegated(role, at(90), Vec::new(), edit).unwrap();
        draft.sign(&[key]).unwrap();
        self.repository.accept_delegated(role, &draft.finish().unwrap(), at(0)).unwrap();
    }

    fn refresh(&mut self) -> Result<bool, Error> {
        let expiries = Expiries { targets: at(90), snapshot: at(30), timestamp: at(7) };
        self.repository.refresh(&[&self.online], expiries, at(0))
    }

    fn found(&self, path: &str) -> Option<String> {
        self.repository.find_target(path).map(|(role, _)| role.to_string())
    }
}

fn delegation(name: &str, key: &SigningKey, path: &str) -> Delegation {
    Delegation {
        name: name.to_owned(),
        keys: vec![key.public().clone()],
        threshold: 1,
        terminating: false,
        paths: vec![path.to_owned()],
    }
}

#[test]
fn a_change_is_told_in_words() {
    let mut world = World::new();
    let (one, two) = (key(), key());
    let mut team = delegation("team", &one, "team-*");
    let draft = world.repository.draft_delegation(&team, at(90)).unwrap();
    let id = |key: &SigningKey| key.key_id(DIALECT);
    assert_eq!(
        world.told(&draft),
        [
            "delegates team-* to role team".to_owned(),
            format!("team: adds key {} (ed25519)", id(&one)),
            "team: threshold 1".to_owned(),
        ]
    );
    world.take(draft);
    world.take(world.repository.draft_delegation(&delegation("last", &one, "*"), at(90)).unwrap());

    team.keys = vec![two.public().clone()];
    team.terminating = true;
    let draft = world.repository.draft_delegation(&team, at(90)).unwrap();
    assert_eq!(
        world.told(&draft),
        [
            "delegates team-*, terminating to role team".to_owned(),
            "  was team-*".to_owned(),
            format!("team: adds key {} (ed25519)", id(&two)),
            format!("team: removes key {}", id(&one)),
        ]
    );
    let draft = world.repository.draft_revocation("team", at(90)).unwrap();
    assert_eq!(world.told(&draft), ["delegates nothing to role team any more"]);
    world.take(draft);
    let keys = &world.repository.delegations().unwrap().keys;
    assert!(keys.contains_key(&id(&one)) && !keys.contains_key(&id(&two)));
    let draft = world.repository.draft_revocation("last", at(90)).unwrap();
    assert_eq!(world.told(&draft), ["delegates nothing any more"]);
    let absent = world.repository.draft_revocation("team", at(90));
    assert!(matches!(absent, Err(Error::Absent { .. })));
}

#[test]
fn a_target_is_found_where_a_client_finds_it() {
    let mut world = World::new();
    let key = key();
    let first = Delegation { terminating: true, ..delegation("first", &key, "a-*") };
    world.delegate(&first, &key, &["a-1", "b-1"]);
    world.delegate(&delegation("second", &key, "*"), &key, &["a-1", "a-2", "b-1", "c"]);
    let draft = world.repository.draft_targets(at(90), Vec::new(), |targets| {
        targets.targets.insert("c".to_owned(), Target::new(2, Hashes::of(b"c")));
    });
    world.take(draft);
    let expected = [
        ("a-1", Some("first")),
        ("a-2", None),
        ("b-1", Some("second")),
        ("c", Some("targets")),
        ("d", None),
    ];
    for (path, role) in expected {
        assert_eq!(world.found(path).as_deref(), role, "{path}");
    }
    let reach = |role: &str, path: &str| world.repository.check_reach(role, path);
    assert!(reach("first", "a-9").is_ok() && reach("second", "b-1").is_ok());
    assert!(matches!(reach("first", "b-1"), Err(Error::OutOfReach { .. })));
    for path in ["a-1", "a-9", "c"] {
        assert!(matches!(reach("second", path), Err(Error::Hidden { .. })), "{path}");
    }
    assert!(matches!(reach("third", "x"), Err(Error::Absent { .. })));
    // A role without a file keeps clients from what lies behind it.
    let new = delegation("third", &key, "*");
    world.take(world.repository.draft_delegation(&new, at(90)).unwrap());
    assert_eq!(world.found("b-1").as_deref(), Some("second"));
    assert_eq!(world.found("d"), None);
}

#[test]
fn a_role_that_was_revoked_stays_listed_and_may_come_back() {
    let mut world = World::new();
    let (one, two) = (key(), key());
    let folder = tempfile::tempdir().unwrap();
    let load = || ImageRepository::load(folder.path(), DIALECT).unwrap();
    world.delegate(&delegation("team", &one, "*"), &one, &["old"]);
    for _ in 0..3 {
        world.list("team", &one, &["older"]);
        world.refresh().unwrap();
        world.repository.save(folder.path()).unwrap();
    }
    world.take(world.repository.draft_revocation("team", at(90)).unwrap());
    world.refresh().unwrap();
    world.repository.save(folder.path()).unwrap();
    // Clients would take a snapshot that lists it no more for a rollback.
    let snapshot: serde_json::Value =
        serde_json::from_slice(world.repository.file("snapshot.json").unwrap()).unwrap();
    assert_eq!(snapshot["signed"]["meta"]["team.json"]["version"], 4);
    assert_eq!(world.found("old"), None);
    assert_eq!(load(), world.repository);

    world.take(world.repository.draft_delegation(&delegation("team", &two, "*"), at(90)).unwrap());
    world.list("team", &two, &["new"]);
    assert_eq!(world.repository.delegated("team").unwrap().payload.header.version, 5);
    world.refresh().unwrap();
    world.repository.save(folder.path()).unwrap();
    assert_eq!(load(), world.repository);
    assert_eq!(world.found("new").as_deref(), Some("team"));
    // What was written after the commit point of the last change does not count.
    let before = world.repository.clone();
    world.take(world.repository.draft_revocation("team", at(90)).unwrap());
    let bytes = world.repository.file("targets.json").unwrap();
    let version = world.repository.targets().unwrap().payload.header.version;
    let path = folder.path().join(format!("{version}.targets.json"));
    updraft_fs::atomic_write_path(path, bytes, 0o644).unwrap();
    assert_eq!(load(), before);
}

#[test]
fn other_keys_need_targets_signed_anew() {
    let mut world = World::new();
    let (one, two) = (key(), key());
    world.delegate(&delegation("team", &one, "*"), &one, &["a"]);
    world.refresh().unwrap();
    let draft = world.repository.draft_delegation(&delegation("team", &two, "*"), at(90)).unwrap();
    let next = world.repository.assuming(&draft).unwrap();
    assert!(world.repository.has_valid_delegated("team") && !next.has_valid_delegated("team"));
    let mut again = next.draft_delegated("team", at(90), Vec::new(), |_| {}).unwrap();
    assert_eq!(*again.role(), RoleName::Delegated("team".to_owned()));
    assert!(again.sign(&[&one]).is_err());
    again.sign(&[&two]).unwrap();
    world.take(draft);
    assert!(matches!(world.refresh(), Err(Error::Refused { .. })));
    world.repository.accept_delegated("team", &again.finish().unwrap(), at(0)).unwrap();
    world.refresh().unwrap();
    assert_eq!(world.found("a").as_deref(), Some("team"));
}

#[test]
fn a_delegation_makes_sense_or_is_refused() {
    let world = World::new();
    let key = key();
    let good = delegation("team", &key, "*");
    let bad = [
        Delegation { name: "snapshot".into(), ..good.clone() },
        Delegation { threshold: 0, ..good.clone() },
        Delegation { threshold: 2, ..good.clone() },
        Delegation { paths: Vec::new(), ..good.clone() },
        Delegation { paths: vec![String::new()], ..good.clone() },
        Delegation { keys: vec![world.targets.public().clone()], ..good.clone() },
    ];
    for bad in bad {
        let refused = world.repository.draft_delegation(&bad, at(90));
        assert!(matches!(refused, Err(Error::Invalid(_))), "{bad:?}");
    }
    assert!(world.repository.draft_delegation(&good, at(90)).is_ok());
}
