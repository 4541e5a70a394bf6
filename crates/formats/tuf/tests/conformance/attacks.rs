//! The attack corpus: each attack on each role of each repository, refused by its name.
//!
//! A client trusts version 2 of everything. The repository publishes version 3, of which an
//! attacker changes one file, or serves version 1 in its place. Afterwards the client must have trusted nothing of what the attacker
//! made, have installed nothing, and take the honest version 2.

mod published;

use crate::common::{Server, ToyKey, World, key, later};
use serde_json::{Value, json};
use updraft_tuf::{Dialect, FileMeta, Key, Repository, RoleName};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    Delegated,
}

use Role::{Delegated, Root, Snapshot, Targets, Timestamp};

const ROLES: [Role; 5] = [Root, Timestamp, Snapshot, Targets, Delegated];

impl Role {
    fn name(self) -> &'static str {
        match self {
            Root => "root",
            Timestamp => "timestamp",
            Snapshot => "snapshot",
            Targets => "targets",
            Delegated => "team",
        }
    }

    fn role_name(self) -> RoleName {
        match self {
            Root => RoleName::Root,
            Timestamp => RoleName::Timestamp,
            Snapshot => RoleName::Snapshot,
            Targets => RoleName::Targets,
            Delegated => RoleName::Delegated("team".to_owned()),
        }
    }
}

/// A repository in an attacker's hands.
struct Attacker<'a> {
    server: &'a mut Server,
    role: Role,
    /// Version 1 of everything.
    old: Server,
}

impl Attacker<'_> {
    /// The file that the client will ask for: version 3, or the next root.
    fn file(&self) -> Value {
        if self.role == Root {
            let mut next = self.server.root.clone();
            next.header.version += 1;
            let bytes = self.server.signed("root", &next);
            return serde_json::from_slice(&bytes).unwrap();
        }
        let name = format!("{}.json", self.role.name());
        let folder = if self.role == Delegated && self.server.dialect == Dialect::Uptane {
            "delegations/"
        } else {
            ""
        };
        serde_json::from_slice(&self.server.file(&format!("{folder}{name}"))).unwrap()
    }

    fn signers(&self) -> Vec<ToyKey> {
        self.server.signers[self.role.name()].clone()
    }

    /// Serves `bytes` for the role, and lists them where a file of version 3 is listed.
    fn serve(&mut self, bytes: Vec<u8>) {
        self.serve_as(3, bytes);
    }

    fn serve_as(&mut self, version: u64, bytes: Vec<u8>) {
        match self.role {
            Root => {
                let name = format!("{}.root.json", self.server.root.header.version + 1);
                self.server.files.insert(name, bytes);
            }
            Timestamp => {
                self.server.files.insert("timestamp.json".to_owned(), bytes);
            }
            Snapshot => {
                self.server.put("snapshot", version, bytes.clone());
                self.server.put_timestamp(FileMeta::of(version, &bytes));
            }
            Targets | Delegated => self.server.put(self.role.name(), version, bytes),
        }
    }

    fn serve_json(&mut self, file: &Value) {
        self.serve(serde_json::to_vec(file).unwrap());
    }

    /// Changes the signed part and signs it with `signers`.
    fn resign(&mut self, signers: &[ToyKey], change: impl FnOnce(&mut Value)) {
        let mut signed = self.file()["signed"].take();
        change(&mut signed);
        let bytes = self.server.sign(signed, signers);
        self.serve(bytes);
    }

    fn change(&mut self, change: impl FnOnce(&mut Value)) {
        let signers = self.signers();
        self.resign(&signers, change);
    }

    fn change_file(&mut self, change: impl FnOnce(&mut Value)) {
        let mut file = self.file();
        change(&mut file);
        self.serve_json(&file);
    }
}

/// The name of the refusal; `None` where there is no such attack on this role.
type Attack = fn(&mut Attacker<'_>) -> Option<&'static str>;

/// Names, and what the attacker does.
const ATTACKS: &[(&str, Attack)] = &[
    ("an expired file", |a| {
        a.change(|signed| signed["expires"] = json!("2030-05-31T23:59:59Z"));
        Some("expired")
    }),
    ("an old file of lower version", |a| {
        let role = a.role;
        let old = match role {
            Root => a.old.files["1.root.json"].clone(),
            Timestamp => a.old.file("timestamp.json"),
            Snapshot => a.old.file("snapshot.json"),
            Targets | Delegated => {
                if role == Targets {
                    a.server.targets.header.version = 1;
                } else {
                    a.server.delegated.get_mut("team").unwrap().header.version = 1;
                }
                a.server.snapshot_version = 4;
                a.server.timestamp_version = 4;
                a.server.publish();
                return Some("rollback");
            }
        };
        a.serve_as(1, old);
        Some(if role == Root { "root-version" } else { "rollback" })
    }),
    ("a file of another version than is listed", |a| {
        if matches!(a.role, Timestamp) {
            return None;
        }
        a.change(|signed| signed["version"] = json!(7));
        Some(if a.role == Root { "root-version" } else { "mix-and-match" })
    }),
    ("a file of version zero", |a| {
        a.change(|signed| signed["version"] = json!(0));
        Some("malformed")
    }),
    ("no signature", |a| {
        a.change_file(|file| file["signatures"] = json!([]));
        Some("threshold")
    }),
    ("a signature by a stranger", |a| {
        a.resign(&[key(99)], |_| {});
        Some("threshold")
    }),
    ("signatures by another role's key", |a| {
        let other = if a.role == Timestamp { "snapshot" } else { "timestamp" };
        let signers = a.server.signers[other].clone();
        a.resign(&signers, |_| {});
        Some("threshold")
    }),
    ("a right key id with a wrong signature", |a| {
        let forged = a.server.sign(json!({}), &[key(98)]);
        let forged: Value = serde_json::from_slice(&forged).unwrap();
        a.change_file(|file| file["signatures"][0]["sig"] = forged["signatures"][0]["sig"].clone());
        Some("threshold")
    }),
    ("a changed payload under old signatures", |a| {
        a.change_file(|file| file["signed"]["x-evil"] = json!(true));
        Some("threshold")
    }),
    ("one key id twice", |a| {
        a.change_file(|file| {
            let first = file["signatures"][0].clone();
            file["signatures"].as_array_mut().unwrap().push(first);
        });
        Some("malformed")
    }),
    ("one of two needed keys", |a| {
        let (one, two) = (key(71), key(72));
        if a.role == Delegated {
            let dialect = a.server.dialect;
            let delegations = a.server.targets.delegations.as_mut().unwrap();
            for key in [&one, &two] {
                let id = key.0.key_id(dialect);
                delegations.keys.insert(id.clone(), Key::new(dialect, key.0.clone()));
                delegations.roles[0].keys.key_ids.push(id);
            }
            delegations.roles[0].keys.threshold = 2;
        } else {
            let role = a.role.name();
            a.server.rotate(|server| server.set_role(role, &[one.clone(), two], 2));
        }
        a.server.signers.insert(a.role.name().to_owned(), vec![one.clone()]);
        a.server.publish();
        if a.role == Root {
            a.resign(&[one], |_| {});
        }
        Some("threshold")
    }),
    ("one key under two ids", |a| {
        if a.role == Delegated || a.role == Root {
            return None;
        }
        let role = a.role.name();
        let id = a.server.root.roles[role].key_ids[0].clone();
        a.server.rotate(|server| {
            let same = server.root.keys[&id].clone();
            server.root.keys.insert("alias".parse().unwrap(), same);
            let role = server.root.roles.get_mut(role).unwrap();
            role.key_ids.push("alias".parse().unwrap());
            role.threshold = 2;
        });
        a.change_file(|file| {
            let mut again = file["signatures"][0].clone();
            again["keyid"] = json!("alias");
            file["signatures"].as_array_mut().unwrap().push(again);
        });
        Some("threshold")
    }),
    ("a key id without a key", |a| {
        match a.role {
            Root => a.change(|signed| {
                signed["roles"]["targets"]["keyids"].as_array_mut().unwrap().push(json!("00"));
            }),
            Targets if a.server.targets.delegations.is_some() => a.change(|signed| {
                let role = &mut signed["delegations"]["roles"][0];
                role["keyids"].as_array_mut().unwrap().push(json!("00"));
            }),
            _ => return None,
        }
        Some("unknown-key")
    }),
    ("a threshold of zero", |a| {
        match a.role {
            Root => a.change(|signed| signed["roles"]["targets"]["threshold"] = json!(0)),
            Targets if a.server.targets.delegations.is_some() => a.change(|signed| {
                signed["delegations"]["roles"][0]["threshold"] = json!(0);
            }),
            _ => return None,
        }
        Some("malformed")
    }),
    ("a file of another role", |a| {
        let other = match (a.server.dialect, a.role) {
            (Dialect::Tuf, Snapshot) => "timestamp",
            (Dialect::Tuf, _) => "snapshot",
            (Dialect::Uptane, Snapshot) => "Timestamp",
            (Dialect::Uptane, _) => "Snapshot",
        };
        a.change(|signed| signed["_type"] = json!(other));
        Some("wrong-role-type")
    }),
    ("a type in the other dialect's case", |a| {
        let other = match (a.server.dialect, a.role) {
            // aktualizr takes a root in either case.
            (Dialect::Uptane, Root) => return None,
            (Dialect::Uptane, Delegated) => "targets".to_owned(),
            (Dialect::Uptane, role) => role.name().to_owned(),
            (Dialect::Tuf, role) => {
                let name = if role == Delegated { "targets" } else { role.name() };
                format!("{}{}", name[..1].to_uppercase(), &name[1..])
            }
        };
        a.change(|signed| signed["_type"] = json!(other));
        Some("wrong-role-type")
    }),
    ("endless data", |a| {
        let mut bytes = serde_json::to_vec(&a.file()).unwrap();
        bytes.resize(9 << 20, b' ');
        a.serve(bytes);
        Some("endless-data")
    }),
    ("half a file", |a| {
        let mut bytes = serde_json::to_vec(&a.file()).unwrap();
        bytes.truncate(bytes.len() / 2);
        a.serve(bytes);
        Some("malformed")
    }),
    ("no file", |a| {
        // Without a next root there is none; the timestamp ends such a freeze.
        let gone = match a.role {
            Root => return None,
            role => format!("{}.json", role.name()),
        };
        a.server.files.retain(|name, _| !name.ends_with(&gone));
        Some("missing-metadata")
    }),
    ("a member twice", |a| {
        let text = serde_json::to_string(&a.file()).unwrap();
        let text = text.replacen("\"version\":", "\"version\":1,\"version\":", 1);
        a.serve(text.into_bytes());
        Some("malformed")
    }),
    ("deep nesting", |a| {
        let text = serde_json::to_string(&a.file()).unwrap();
        let deep = format!("{{\"x\":{}{},", "[".repeat(5_000), "]".repeat(5_000));
        a.serve(text.replacen('{', &deep, 1).into_bytes());
        Some("malformed")
    }),
    ("an expiry in another form", |a| {
        a.change(|signed| signed["expires"] = json!("2031-01-01T00:00:00+00:00"));
        Some("malformed")
    }),
    ("a changed file behind a listed hash", |a| {
        if matches!(a.role, Root | Timestamp) {
            return None;
        }
        a.server.detailed = true;
        a.server.publish();
        let mut signed = a.file()["signed"].take();
        signed["expires"] = json!("2031-01-01T00:00:01Z");
        let bytes = a.server.sign(signed, &a.signers());
        a.server.put(a.role.name(), 3, bytes);
        Some("wrong-hash")
    }),
    ("a longer file than is listed", |a| {
        if matches!(a.role, Root | Timestamp) {
            return None;
        }
        a.server.detailed = true;
        a.server.publish();
        let mut signed = a.file()["signed"].take();
        signed["x-more"] = json!("text");
        let bytes = a.server.sign(signed, &a.signers());
        a.server.put(a.role.name(), 3, bytes);
        Some("wrong-length")
    }),
    ("a targets file dropped from the snapshot", |a| {
        if !matches!(a.role, Targets | Delegated) {
            return None;
        }
        let gone = format!("{}.json", a.role.name());
        a.role = Snapshot;
        a.change(|signed| {
            signed["meta"].as_object_mut().unwrap().remove(&gone);
        });
        Some("rollback")
    }),
    ("a snapshot that lowers a targets file", |a| {
        if !matches!(a.role, Targets | Delegated) {
            return None;
        }
        let name = format!("{}.json", a.role.name());
        a.role = Snapshot;
        a.change(|signed| signed["meta"][&name]["version"] = json!(0));
        Some("malformed")
    }),
    ("a timestamp that lowers the snapshot", |a| {
        if a.role != Timestamp {
            return None;
        }
        let old = FileMeta::of(1, &a.old.file("snapshot.json"));
        a.server.put_timestamp(old);
        Some("rollback")
    }),
    ("a root that the old keys did not sign", |a| {
        if a.role != Root {
            return None;
        }
        a.server.set_role("root", &[key(91)], 1);
        a.resign(&[key(91)], |_| {});
        Some("threshold")
    }),
    ("a root that the new keys did not sign", |a| {
        if a.role != Root {
            return None;
        }
        let old = a.signers();
        a.server.set_role("root", &[key(91)], 1);
        a.resign(&old, |_| {});
        Some("threshold")
    }),
    ("a root that skips a version", |a| {
        if a.role != Root {
            return None;
        }
        a.change(|signed| signed["version"] = json!(3));
        Some("root-version")
    }),
];

fn base(dialect: Dialect) -> World {
    let mut world = match dialect {
        Dialect::Uptane => World::uptane(),
        Dialect::Tuf => World::tuf(),
    };
    world.delegate_to_team();
    for server in [&mut world.director, &mut world.image] {
        server.detailed = false;
        server.advance();
    }
    assert!(world.run_any().unwrap());
    for server in [&mut world.director, &mut world.image] {
        server.advance();
    }
    world
}

fn attack(base: &World, repository: Repository, role: Role, name: &str, attack: Attack) -> bool {
    let place = format!("{name}: {role:?} of {repository}, {}", base.image.dialect);
    let mut world = base.clone();
    let old = world.server(repository).clone();
    let mut old = old;
    old.targets.header.version = 1;
    for targets in old.delegated.values_mut() {
        targets.header.version = 1;
    }
    (old.snapshot_version, old.timestamp_version) = (1, 1);
    old.publish();
    let honest = world.server(repository).clone();
    let mut attacker = Attacker { server: world.server(repository), role, old };
    let Some(expect) = attack(&mut attacker) else { return false };
    let before = world.store.clone();
    let refusal = world.run_any().expect_err(&place);
    // The timestamp gives a snapshot's length, which bounds what is read of it.
    let longer = role == Role::Snapshot && refusal.name() == "wrong-length";
    assert!(refusal.name() == expect || (expect == "endless-data" && longer), "{place}: {refusal}");
    assert_eq!(refusal.repository, repository, "{place}");
    // The attacked file was not stored, unless it is a root that the attacker could sign.
    let stored =
        |world: &World| world.store.files(repository).get(&role.role_name()).map(<[u8]>::to_vec);
    if !(role == Role::Root && matches!(expect, "expired")) && name != "one of two needed keys" {
        let known = before.files(repository).get(&role.role_name()).map(<[u8]>::to_vec);
        assert_eq!(stored(&world), known, "{place}");
    }
    // What honest people publish next is taken, from the state that the attack left.
    let mut server = honest;
    let root = world.server(repository).root.clone();
    if server.root.roles == root.roles && !(role == Role::Root && expect == "expired") {
        (server.snapshot_version, server.timestamp_version) = (9, 9);
        server.targets.header.version = 9;
        server.delegated.values_mut().for_each(|targets| targets.header.version = 9);
        server.publish();
        *world.server(repository) = server;
        assert!(world.run_any().expect(&place), "{place}");
    }
    true
}

fn all(dialect: Dialect, repository: Repository) {
    let base = base(dialect);
    let mut count = 0;
    for (name, apply) in ATTACKS.iter().chain(published::ATTACKS) {
        for role in ROLES {
            if role == Role::Delegated && repository == Repository::Director {
                continue;
            }
            count += usize::from(attack(&base, repository, role, name, *apply));
        }
    }
    assert!(count > 180, "{count} attacks only");
}

#[test]
fn attacks_on_the_director() {
    all(Dialect::Uptane, Repository::Director);
}

#[test]
fn attacks_on_the_image_repository() {
    all(Dialect::Uptane, Repository::Image);
}

#[test]
fn attacks_on_a_tuf_repository() {
    all(Dialect::Tuf, Repository::Image);
}

#[test]
fn a_freeze_ends_when_the_first_file_expires() {
    for dialect in [Dialect::Uptane, Dialect::Tuf] {
        let mut world = base(dialect);
        assert!(world.run_any().unwrap());
        world.now = later();
        assert_eq!(world.run_any().unwrap_err().name(), "expired");
    }
}

#[test]
fn names_that_try_to_escape_a_directory_do_not() {
    for name in ["../evil", "/etc/passwd", "a/../../b", "..", ".", "a\\..\\b", "\0", "ü/%2e%2e"] {
        let role = RoleName::Delegated(name.to_owned());
        let file_name = role.file_name();
        assert!(!file_name.contains(['/', '\\', '\0']), "{file_name}");
        assert_ne!(file_name, "..");
        let mut world = World::tuf();
        world.delegate_to_team();
        let targets = &mut world.image.targets;
        targets.delegations.as_mut().unwrap().roles[0].name = name.to_owned();
        let team = world.image.delegated.remove("team").unwrap();
        let signers = world.image.signers.remove("team").unwrap();
        world.image.delegated.insert(name.to_owned(), team);
        world.image.signers.insert(name.to_owned(), signers);
        world.image.publish();
        let _ = world.run_tuf(&["fw.bin"]);
        let asked = world.fetched.last().unwrap().strip_prefix("image/").unwrap();
        assert!(!asked.contains(['/', '\\', '\0']), "{asked}");
    }
}
