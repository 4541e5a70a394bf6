//! Vehicles of several components: each signs for itself, counts for itself, and gets its own image.

use serde_json::json;
use updraft_api::{Device as Shown, Event, EventKind, Page, paths};
use updraft_crypto::SigningKey;
use updraft_http::Method;
use updraft_tuf::manifest::{EcuVersionReport, InstalledImage, VehicleManifest};
use updraft_tuf::{Dialect, Envelope};

use crate::device::{Device, HARDWARE, image};
use crate::operator::key;
use crate::world::{Answer, World};

/// A vehicle with a second component behind its primary one.
struct Vehicle {
    device: Device,
    second: SigningKey,
}

const SECOND: &str = "vehicle-1-second";

impl Vehicle {
    fn new(world: &World) -> Self {
        let vehicle = Self { device: Device::provisioned(world, "vehicle-1"), second: key() };
        vehicle.register(world, &vehicle.second).expect(201);
        vehicle
    }

    fn register(&self, world: &World, second: &SigningKey) -> Answer {
        let mut registration = self.device.registration();
        registration["ecus"].as_array_mut().expect("a list").push(json!({
            "ecu_serial": SECOND,
            "hardware_identifier": "second-board",
            "clientKey": second.public().to_json(Dialect::Uptane),
        }));
        let client = self.device.client(world);
        world.send_json(&client, Method::Post, "/director/ecus", &registration)
    }

    fn send(&self, world: &World, primary: &EcuVersionReport, second: Envelope) -> Answer {
        let mut manifest = VehicleManifest::new(&self.device.serial);
        let signed = primary.sign(&self.device.key).expect("signed");
        manifest.ecu_version_manifests.insert(self.device.serial.clone(), signed);
        manifest.ecu_version_manifests.insert(SECOND.to_owned(), second);
        self.device.send_manifest(world, manifest.sign(&self.device.key).expect("signed"))
    }

    fn primary(&self, counter: u64) -> EcuVersionReport {
        EcuVersionReport::new(&self.device.serial, self.device.image.clone(), counter)
    }

    fn second(&self, runs: &InstalledImage, counter: Option<u64>) -> Envelope {
        let mut report = EcuVersionReport::new(SECOND, runs.clone(), 0);
        report.report_counter = counter;
        report.sign(&self.second).expect("signed")
    }
}

fn kinds(world: &World) -> Vec<EventKind> {
    let page: Page<Event> = world.get(&world.operator(), &paths::device_events("vehicle-1")).read();
    page.items.into_iter().map(|event| event.kind).collect()
}

#[test]
fn each_component_signs_and_counts_for_itself() {
    let mut world = World::new();
    let vehicle = Vehicle::new(&world);
    let factory = image("factory", &"a".repeat(64));
    // Secondaries of aktualizr do not count.
    vehicle.send(&world, &vehicle.primary(1), vehicle.second(&factory, None)).expect(200);
    // Signed by somebody else: by the primary, or by nobody who is registered.
    let forged = EcuVersionReport::new(SECOND, factory.clone(), 9).sign(&vehicle.device.key);
    let answer = vehicle.send(&world, &vehicle.primary(2), forged.expect("signed"));
    assert_eq!((answer.status, answer.code().as_str()), (403, "bad_signature"));
    let stranger = EcuVersionReport::new(SECOND, factory.clone(), 9).sign(&key()).expect("signed");
    vehicle.send(&world, &vehicle.primary(3), stranger).expect(403);
    // One that counts once always counts. Its primary may quote it again when it is out of reach.
    let five = vehicle.second(&factory, Some(5));
    vehicle.send(&world, &vehicle.primary(4), five.clone()).expect(200);
    vehicle.send(&world, &vehicle.primary(5), five.clone()).expect(200);
    let four = vehicle.second(&image("older", &"b".repeat(64)), Some(4));
    let answer = vehicle.send(&world, &vehicle.primary(6), four);
    assert_eq!((answer.status, answer.code().as_str()), (403, "manifest_replayed"));
    let silent = vehicle.second(&factory, None);
    vehicle.send(&world, &vehicle.primary(7), silent).expect(403);
    // The primary itself is never quoted.
    vehicle.send(&world, &vehicle.primary(5), five.clone()).expect(403);
    world.restart();
    vehicle.send(&world, &vehicle.primary(5), five.clone()).expect(403);
    vehicle.send(&world, &vehicle.primary(8), five).expect(200);
    let shown: Shown = world.get(&world.operator(), &paths::device("vehicle-1")).read();
    let second = shown.components.iter().find(|one| one.serial == SECOND).expect("registered");
    assert_eq!(second.installed.as_ref().expect("reported").filepath, "factory");
    assert_eq!(kinds(&world).iter().filter(|kind| **kind == EventKind::ManifestRefused).count(), 6);
}

#[test]
fn an_image_that_nobody_asked_for_is_told() {
    let world = World::new();
    let vehicle = Vehicle::new(&world);
    let factory = image("factory", &"a".repeat(64));
    vehicle.send(&world, &vehicle.primary(1), vehicle.second(&factory, Some(1))).expect(200);
    assert!(!kinds(&world).contains(&EventKind::ImageUnexpected));
    let strange = image("strange", &"b".repeat(64));
    vehicle.send(&world, &vehicle.primary(2), vehicle.second(&strange, Some(2))).expect(200);
    let told = kinds(&world).into_iter().filter(|kind| *kind == EventKind::ImageUnexpected);
    assert_eq!(told.count(), 1);
}

#[test]
fn every_component_gets_its_own_image_and_all_must_run_it() {
    let world = World::new();
    let mut vehicle = Vehicle::new(&world);
    let factory = image("factory", &"a".repeat(64));
    vehicle.device.image = factory.clone();
    vehicle.send(&world, &vehicle.primary(1), vehicle.second(&factory, Some(1))).expect(200);
    let to = |target: &str, digit: &str| {
        json!({ "to": {
            "target": target, "checksum": { "method": "sha256", "hash": digit.repeat(64) },
            "targetLength": 10,
        } })
    };
    let body = json!({ "targets": {
        HARDWARE: to("first-2", "c"), "second-board": to("second-2", "d"),
        "other-board": to("third-2", "e"),
    } });
    let operator = world.operator();
    let update: String =
        world.send_json(&operator, Method::Post, "/api/v1/multi_target_updates", &body).read();
    let assignment = json!({
        "correlationId": "urn:here-ota:campaign:1", "devices": ["vehicle-1"], "mtuId": update,
    });
    world.send_json(&operator, Method::Post, "/api/v1/assignments", &assignment).expect(201);
    let client = vehicle.device.client(&world);
    let targets = world.get(&client, "/director/targets.json").expect(200).json();
    let signed = &targets["signed"];
    assert_eq!(signed["custom"]["correlationId"], "urn:here-ota:campaign:1");
    let ecus = |name: &str| signed["targets"][name]["custom"]["ecuIdentifiers"].clone();
    assert_eq!(
        ecus("first-2"),
        json!({ (vehicle.device.serial.clone()): { "hardwareId": HARDWARE } })
    );
    assert_eq!(ecus("second-2"), json!({ SECOND: { "hardwareId": "second-board" } }));
    assert!(signed["targets"].get("third-2").is_none());

    // The primary alone is not enough.
    let mut first = image("first-2", &"c".repeat(64));
    first.length = 10;
    vehicle.device.image = first;
    vehicle.send(&world, &vehicle.primary(2), vehicle.second(&factory, Some(2))).expect(200);
    assert!(!kinds(&world).contains(&EventKind::AssignmentSucceeded));
    let mut second = image("second-2", &"d".repeat(64));
    second.length = 10;
    vehicle.send(&world, &vehicle.primary(3), vehicle.second(&second, Some(3))).expect(200);
    assert!(kinds(&world).contains(&EventKind::AssignmentSucceeded));
    assert!(!kinds(&world).contains(&EventKind::ImageUnexpected));
}

#[test]
fn older_clients_tell_how_it_went_in_their_own_way() {
    let world = World::new();
    let vehicle = Vehicle::new(&world);
    let factory = image("factory", &"a".repeat(64));
    vehicle.send(&world, &vehicle.primary(1), vehicle.second(&factory, Some(1))).expect(200);
    let operator = world.operator();
    let assign = |name: &str| {
        let hash = updraft_tuf::sha256_hex(name.as_bytes());
        let body = json!({ "targets": { "second-board": { "to": {
            "target": name, "checksum": { "method": "sha256", "hash": hash }, "targetLength": 1,
        } } } });
        let update: String =
            world.send_json(&operator, Method::Post, "/api/v1/multi_target_updates", &body).read();
        let body = json!({
            "correlationId": format!("urn:here-ota:mtu:{update}"), "devices": ["vehicle-1"],
            "mtuId": update,
        });
        world.send_json(&operator, Method::Post, "/api/v1/assignments", &body).expect(201);
    };
    assign("one");
    // A result in the component's own report.
    let mut report = vehicle.second(&factory, Some(2)).signed;
    report["custom"] = json!({
        "operation_result": { "id": "7", "result_code": 4, "result_text": "no room" },
    });
    let second = Envelope::sign(Dialect::Uptane, report, &[&vehicle.second]).expect("signed");
    vehicle.send(&world, &vehicle.primary(2), second).expect(200);
    assert!(kinds(&world).contains(&EventKind::AssignmentFailed));
    let reports = world
        .get(&operator, "/api/v1/devices/vehicle-1/installation_reports?offset=0")
        .expect(200)
        .json();
    assert_eq!(reports["values"][0]["report"]["result"]["code"], "second-board:4");

    // A report in words that nobody knows ends the assignment: the device thinks it has told.
    assign("two");
    let list = json!({
        "primary_ecu_serial": vehicle.device.serial,
        "ecu_version_manifest": [
            vehicle.primary(3).sign(&vehicle.device.key).expect("signed").to_value(Dialect::Uptane),
            vehicle.second(&factory, Some(3)).to_value(Dialect::Uptane),
        ],
        "installation_report": { "content_type": "text/plain", "report": "fine" },
    });
    let manifest = Envelope::sign(Dialect::Uptane, list, &[&vehicle.device.key]).expect("signed");
    let bytes = manifest.to_bytes(Dialect::Uptane).expect("bytes");
    vehicle.device.send_manifest(&world, bytes).expect(200);
    assert!(kinds(&world).contains(&EventKind::ReportUnreadable));
    let queue = world.get(&operator, "/api/v1/assignments/vehicle-1").expect(200).json();
    assert_eq!(queue, json!([]));
}
