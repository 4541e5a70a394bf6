//! What devices tell about themselves, and the committed OpenAPI description.

use serde_json::{Value, json};
use updraft_api::{Device as Shown, Event, EventKind, Page, paths};
use updraft_http::Method;

use crate::device::Device;
use crate::world::World;

#[test]
fn devices_describe_themselves() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let client = device.client(&world);
    let hardware = json!({ "id": "board", "cores": 4 });
    world.send_json(&client, Method::Put, "/system_info", &hardware).expect(200);
    let network = json!({ "hostname": "v1", "local_ipv4": "10.0.0.2", "mac": "00:00" });
    world.send_json(&client, Method::Put, "/system_info/network", &network).expect(200);
    world.send_json(&client, Method::Put, "/core/installed", &json!([])).expect(200);
    for method in [Method::Post, Method::Put] {
        world.send(&client, method, "/system_info/config", "[tls]\nserver = \"x\"\n").expect(204);
    }
    world.send(&client, Method::Put, "/system_info", "not json").expect(400);
    world.send(&client, Method::Put, "/system_info", vec![b' '; 2 << 20]).expect(413);
    let shown: Shown = world.get(&world.operator(), &paths::device("vehicle-1")).read();
    assert_eq!((shown.system_info, shown.network), (Some(hardware), Some(network)));
    let campaigns = world.get(&client, "/campaigner/campaigns").expect(200).json();
    assert_eq!(campaigns, json!({ "campaigns": [] }));
}

#[test]
fn what_a_device_reports_is_its_own() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    Device::new(&world, "vehicle-2");
    let report = json!([{
        "id": "0b2f", "deviceTime": "2026-01-01T00:00:00Z",
        "eventType": { "id": "EcuDownloadStarted", "version": 0 },
        "event": { "ecu": "vehicle-2-primary", "correlationId": "" },
    }]);
    let client = device.client(&world);
    world.send_json(&client, Method::Post, "/events", &report).expect(204);
    world.send_json(&client, Method::Post, "/events", &json!({})).expect(400);
    world.send_json(&client, Method::Post, "/events", &json!([report[0], 1])).expect(400);
    let many: Vec<Value> = vec![json!({}); 1001];
    world.send_json(&client, Method::Post, "/events", &many).expect(413);
    let of = |id: &str| -> Vec<Event> {
        let page: Page<Event> = world.get(&world.operator(), &paths::device_events(id)).read();
        page.items.into_iter().filter(|event| event.kind == EventKind::DeviceReport).collect()
    };
    assert_eq!(of("vehicle-1").len(), 1);
    assert_eq!(of("vehicle-1")[0].actor, "device:vehicle-1");
    // The answer was lost, and the device goes on with what it did not know of. Events without an
    // id cannot be told apart.
    let mut again = report.as_array().expect("a list").clone();
    again.extend([json!({ "id": "0b30" }), json!({ "id": "0b30" }), json!({}), json!({})]);
    world.send_json(&client, Method::Post, "/events", &again).expect(204);
    assert_eq!(of("vehicle-1").len(), 4);
    assert!(of("vehicle-2").is_empty());
}

#[test]
fn the_committed_openapi_description_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/openapi.json");
    let committed = std::fs::read_to_string(path).expect("docs/openapi.json");
    assert!(
        committed == updraft_server_service::http::openapi::json(),
        "docs/openapi.json is old; make it anew with `updraft-server openapi > docs/openapi.json`"
    );
}

#[test]
fn the_description_is_served_and_has_every_route() {
    let world = World::new();
    let description = world.get(&world.client(None, None), paths::OPENAPI).expect(200).json();
    let described: Vec<&String> = description["paths"].as_object().expect("paths").keys().collect();
    for path in [
        paths::STATUS,
        paths::OVERVIEW,
        paths::EVENT_STREAM,
        paths::ROLLOUT_FAILURES,
        paths::DEVICES,
        paths::DEVICE,
        paths::DEVICE_REVOKE,
        paths::DEVICE_EVENTS,
        paths::DEVICE_METRICS,
        paths::DEVICE_METRIC,
        paths::ENCRYPTED_IMAGES,
        paths::CIPHERTEXT,
        paths::GROUPS,
        paths::GROUP,
        paths::GROUP_DEVICES,
        paths::GROUP_DEVICE,
        paths::RELEASES,
        paths::RELEASE,
        paths::ROLLOUTS,
        paths::ROLLOUT_PREVIEW,
        paths::ROLLOUT,
        paths::ROLLOUT_DEVICES,
        paths::ROLLOUT_PAUSE,
        paths::ROLLOUT_RESUME,
        paths::ROLLOUT_STOP,
        paths::EVENTS,
        paths::ONLINE_KEYS,
        paths::IMAGE_ROOT,
        paths::IMAGE_ROOT_VERSION,
        paths::IMAGE_TARGETS,
        paths::IMAGE_DELEGATION,
        paths::IMAGE_CHANGE,
    ] {
        // The router's word for a parameter with slashes is none of OpenAPI's.
        let path = path.replace("{*", "{");
        assert!(described.iter().any(|known| **known == path), "{path}");
    }
}
