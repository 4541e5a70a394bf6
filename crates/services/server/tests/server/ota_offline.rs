//! Lists of updates for vehicles without network.

use serde_json::{Value, json};
use updraft_crypto::Verifier;
use updraft_tuf::{Dialect, Envelope, check_threshold, sha256_hex};

use crate::curl::{curl, send};
use crate::device::{Device, HARDWARE};
use crate::ota_repository::{create, upload};
use crate::world::World;

/// Checks a file's signatures against a role of the Director's newest root.
fn verify(world: &World, bytes: &[u8], role: &str) -> Value {
    let root = curl(world, "/api/v1/admin/repo/root.json", &[]).expect(200).body;
    let root = updraft_publish::read_root(Dialect::Uptane, &root).expect("root");
    let envelope = Envelope::parse(Dialect::Uptane, bytes, bytes.len()).expect("metadata");
    let role = root.roles.get(role).expect("the role is in the root");
    check_threshold(Dialect::Uptane, &root.keys, role, &envelope, &Verifier).expect("signed");
    envelope.signed
}

#[test]
fn offline_updates_are_signed_under_roles_of_the_directors_root() {
    let mut world = World::new();
    create(&world);
    let sha256 = upload(&world, "fw-1", b"firmware");
    let path = "/api/v1/admin/repo/offline-updates/spring";
    curl(&world, &format!("{path}.json"), &[]).expect(404);
    let values = json!({ "fw-1": {
        "length": 8, "hashes": { "sha256": sha256 },
        "custom": { "ecuIdentifiers": {}, "hardwareIds": [HARDWARE] },
    } });
    let body = json!({ "values": values, "expiresAt": "2059-01-01T00:00:00Z" });
    let signed = send(&world, "POST", path, &body).expect(200).body;
    let list = verify(&world, &signed, "offline-updates");
    assert_eq!((&list["_type"], &list["version"]), (&json!("Offline-Updates"), &json!(1)));
    assert_eq!((&list["targets"], &list["expires"]), (&values, &json!("2059-01-01T00:00:00Z")));
    assert_eq!(curl(&world, &format!("{path}.json"), &[]).expect(200).body, signed);

    // The root gained the roles, and vehicles follow it.
    let root = curl(&world, "/api/v1/admin/repo/root.json", &[]).json();
    assert_eq!(root["signed"]["version"], 2);
    let mut device = Device::new(&world, "vehicle-1");
    assert!(device.update(&world).is_none());

    let shot = curl(&world, "/api/v1/admin/repo/offline-snapshot.json", &[]).expect(200).body;
    let snapshot = verify(&world, &shot, "offline-snapshot");
    assert_eq!(snapshot["_type"], "Offline-Snapshot");
    assert_eq!(snapshot["meta"]["spring.json"]["hashes"]["sha256"], sha256_hex(&signed));

    // A second version, and a second list.
    let body = json!({ "values": values });
    send(&world, "POST", path, &body).expect(200);
    send(&world, "POST", "/api/v1/admin/repo/offline-updates/autumn", &body).expect(200);
    let folder = "/api/v1/admin/repo/offline-updates";
    assert_eq!(curl(&world, &format!("{folder}/1.spring.json"), &[]).expect(200).body, signed);
    let second = curl(&world, &format!("{folder}/2.spring.json"), &[]).expect(200).json();
    assert_eq!(second["signed"]["version"], 2);
    curl(&world, &format!("{folder}/3.spring.json"), &[]).expect(404);
    let newest = curl(&world, "/api/v1/admin/repo/offline-snapshot.json", &[]).json();
    assert_eq!(newest["signed"]["version"], 3);
    let meta = newest["signed"]["meta"].as_object().expect("a map");
    assert_eq!(meta.keys().collect::<Vec<_>>(), ["autumn.json", "spring.json"]);
    let first = curl(&world, "/api/v1/admin/repo/1.offline-snapshot.json", &[]).expect(200).body;
    assert_eq!(first, shot);

    for name in ["root", "Targets", "offline-snapshot", "a%2Fb"] {
        send(&world, "POST", &format!("{folder}/{name}"), &body).expect(400);
    }
    send(&world, "POST", path, &json!({ "values": {} })).expect(400);
    let past = json!({ "values": values, "expiresAt": "2001-01-01T00:00:00Z" });
    send(&world, "POST", path, &past).expect(400);

    // Renewing the Director's root keeps the roles.
    world.clock.pass(3600 * 24 * 3600);
    world.restart();
    world.fleet().renew_director_root().expect("renewed");
    let root = curl(&world, "/api/v1/admin/repo/root.json", &[]).json();
    // The server, which runs, may have been faster.
    assert!(root["signed"]["version"].as_u64() >= Some(3), "{root}");
    world.fleet().renew_offline_snapshot().expect("renewed");
    let shot = curl(&world, "/api/v1/admin/repo/offline-snapshot.json", &[]).expect(200).body;
    verify(&world, &shot, "offline-snapshot");
}

#[test]
fn a_directors_root_may_be_signed_elsewhere() {
    let world = World::new();
    let id = curl(&world, "/api/v1/admin/repo", &["-X", "POST"]).expect(201).text();
    let path = format!("/keyserver/api/v1/root/{id}/unsigned");
    let unsigned = curl(&world, &path, &[]).expect(200).json();
    let folder = world.layout.director_keys().join("root");
    let store = updraft_publish::KeyStore::open(folder, Dialect::Uptane).expect("keys");
    let keys = store.load_all().expect("keys");
    let sign = |payload: &Value| {
        Envelope::sign(Dialect::Uptane, payload.clone(), &[&keys[0]])
            .expect("signed")
            .to_value(Dialect::Uptane)
    };
    // One under which the server could not sign for vehicles is refused.
    let mut useless = unsigned.clone();
    useless["roles"]["targets"]["keyids"] = unsigned["roles"]["root"]["keyids"].clone();
    send(&world, "POST", "/api/v1/admin/repo/root", &sign(&useless)).expect(403);
    send(&world, "POST", "/api/v1/admin/repo/root", &sign(&unsigned)).expect(204);
    let root = curl(&world, "/api/v1/admin/repo/2.root.json", &[]).expect(200).json();
    assert_eq!(root["signed"], unsigned);
    let mut device = Device::new(&world, "vehicle-1");
    assert!(device.update(&world).is_none());
    let path = format!("/keyserver/api/v1/root/{id}/rotate");
    curl(&world, &path, &["-X", "PUT"]).expect(409);
}
