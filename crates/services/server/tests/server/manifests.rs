//! Judging manifests.

use serde_json::Value;
use updraft_api::{Device as Shown, Event, EventKind, Page, paths};
use updraft_http::Method;
use updraft_tuf::manifest::{EcuVersionReport, VehicleManifest};

use crate::device::{Device, image};
use crate::operator::key;
use crate::world::World;

#[test]
fn a_good_manifest_says_what_runs() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    device.image = image("os-v1", &"a".repeat(64));
    device.report(&world).expect(200);
    let shown: Shown = world.get(&world.operator(), &paths::device("vehicle-1")).read();
    let installed = shown.components[0].installed.as_ref().expect("reported");
    assert_eq!(
        (installed.filepath.as_str(), installed.sha256.as_str()),
        ("os-v1", &*"a".repeat(64))
    );
}

#[test]
fn u_s3_a_replayed_manifest_is_refused() {
    let mut world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    let old = device.manifest(None);
    device.send_manifest(&world, old.clone()).expect(200);
    let answer = device.send_manifest(&world, old.clone());
    assert_eq!(answer.code(), "manifest_replayed");
    answer.expect(403);
    device.image = image("os-v2", &"b".repeat(64));
    device.report(&world).expect(200);
    device.send_manifest(&world, old.clone()).expect(403);
    // The server knows after a restart too, even though most counters are only flushed at times.
    let unchanged = device.manifest(None);
    device.send_manifest(&world, unchanged.clone()).expect(200);
    world.restart();
    device.send_manifest(&world, unchanged).expect(403);
    device.report(&world).expect(200);
    let refused: Vec<EventKind> = events(&world).into_iter().map(|event| event.kind).collect();
    let count = refused.iter().filter(|kind| **kind == EventKind::ManifestRefused).count();
    assert_eq!(count, 3);
}

#[test]
fn one_manifest_sent_twice_at_once_passes_once() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    let manifest = device.manifest(None);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let send = || device.send_manifest(&world, manifest.clone()).status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

#[test]
fn u_s3_forged_manifests_are_refused() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    let mut other = Device::new(&world, "vehicle-2");
    let check = |manifest: Vec<u8>, status: u16, code: &str| {
        let answer = device.send_manifest(&world, manifest);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
    };
    // Another device's manifest.
    check(other.manifest(None), 403, "wrong_ecu");
    // Signed by a key that is not registered.
    let wrong_key = key();
    let report = EcuVersionReport::new(&device.serial, device.image.clone(), 1);
    let mut manifest = VehicleManifest::new(&device.serial);
    let inner = report.sign(&wrong_key).expect("signed");
    manifest.ecu_version_manifests.insert(device.serial.clone(), inner.clone());
    check(manifest.sign(&wrong_key).expect("signed"), 403, "bad_signature");
    // The outside is right, the inside is not.
    check(manifest.sign(&device.key).expect("signed"), 403, "bad_signature");
    // A report for an ECU that is not the device's.
    let mut manifest = VehicleManifest::new(&device.serial);
    let foreign = EcuVersionReport::new("elsewhere", device.image.clone(), 1);
    manifest
        .ecu_version_manifests
        .insert("elsewhere".to_owned(), foreign.sign(&device.key).expect("signed"));
    check(manifest.sign(&device.key).expect("signed"), 403, "wrong_ecu");
    // No report of the primary at all.
    let manifest = VehicleManifest::new(&device.serial);
    check(manifest.sign(&device.key).expect("signed"), 403, "wrong_ecu");
    // Changed after signing.
    let mut changed: Value =
        serde_json::from_slice(&device.manifest_with_counter(1, None)).expect("JSON");
    changed["signed"]["primary_ecu_serial"] = "x".into();
    check(serde_json::to_vec(&changed).expect("JSON"), 403, "wrong_ecu");
    // Rubbish.
    for body in [&b"{}"[..], b"[]", b"", b"\xff\xfe", b"{\"signed\":{},\"signatures\":[]}"] {
        let answer = device.send_manifest(&world, body.to_vec());
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_entity"));
    }
    // None of this spoils the device's own next one.
    device.report(&world).expect(200);
}

#[test]
fn a_device_without_components_cannot_report() {
    let world = World::new();
    let mut device = Device::provisioned(&world, "vehicle-1");
    let answer = device.report(&world);
    assert_eq!(answer.code(), "missing_ecu");
    answer.expect(403);
}

#[test]
fn an_unchanged_manifest_writes_nothing() {
    let world = World::with_sqlite();
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    world.get(&device.client(&world), "/director/targets.json").expect(200);
    world.fleet().flush().expect("flushed");
    let connection = rusqlite::Connection::open(world.layout.database()).expect("database");
    let version = || -> i64 {
        connection.query_row("PRAGMA data_version", [], |row| row.get(0)).expect("pragma")
    };
    // `data_version` changes when any other connection commits.
    let before = version();
    for _ in 0..3 {
        device.report(&world).expect(200);
        for file in ["1.root", "timestamp", "snapshot", "targets"] {
            let path = format!("/director/{file}.json");
            world.get(&device.client(&world), &path).expect(200);
        }
    }
    let after = version();
    // The background flush may fall in between; it is the only one allowed to write.
    assert!(after - before <= 1, "{} commits", after - before);
}

#[test]
fn a_manifest_that_is_too_large_is_refused() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let client = device.client(&world);
    let body = vec![b' '; (1 << 20) + 1];
    let answer = world.send(&client, Method::Put, "/director/manifest", body);
    assert_eq!(answer.code(), "content_too_large");
    answer.expect(413);
}

#[test]
fn an_attack_that_a_device_saw_becomes_an_event() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let mut report = EcuVersionReport::new(&device.serial, device.image.clone(), 1);
    report.attacks_detected = "rollback of targets".to_owned();
    let mut manifest = VehicleManifest::new(&device.serial);
    manifest
        .ecu_version_manifests
        .insert(device.serial.clone(), report.sign(&device.key).expect("signed"));
    device.send_manifest(&world, manifest.sign(&device.key).expect("signed")).expect(200);
    let found = events(&world).into_iter().find(|event| event.kind == EventKind::AttackReported);
    let data = found.expect("an event").data.expect("data");
    assert_eq!(data["attacks"], "rollback of targets");
}

fn events(world: &World) -> Vec<Event> {
    let page: Page<Event> = world.get(&world.operator(), &paths::device_events("vehicle-1")).read();
    page.items
}
