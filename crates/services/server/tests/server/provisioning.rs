//! How devices get in, and who stays out.

use serde_json::json;
use updraft_api::{Device as Shown, DeviceState, paths};
use updraft_http::{Identity, Method};

use crate::device::Device;
use crate::world::World;

#[test]
fn a_device_gets_in_with_a_pkcs12_bundle() {
    let world = World::new();
    let device = Device::provisioned(&world, "vehicle-1");
    world.get(&device.client(&world), "/director/targets.json").expect(200);
    let shown: Shown = world.get(&world.operator(), &paths::device("vehicle-1")).read();
    assert_eq!(shown.state, DeviceState::Registered);
    assert!(shown.last_seen.is_some());
}

#[test]
fn a_device_keeps_its_key_with_a_certificate_request() {
    let world = World::new();
    let bootstrap = world.client(Some(world.bootstrap()), None);
    // The request's own name is not believed.
    let (csr, key) = updraft_crypto::tls::certificate_request("somebody else").expect("request");
    let body = json!({ "deviceId": "vehicle-1", "csr": csr });
    let answer = world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(200).json();
    assert_eq!(answer["ca"].as_str().expect("ca").as_bytes(), world.ca_pem());
    let identity = Identity {
        certificate_pem: answer["certificate"].as_str().expect("certificate").into(),
        private_key_pem: key.into_bytes(),
    };
    let info = updraft_crypto::tls::certificate_info(&identity.certificate_pem).expect("info");
    assert_eq!(info.common_name.as_deref(), Some("vehicle-1"));
    let client = world.client(Some(identity), None);
    world.get(&client, "/director/targets.json").expect(200);

    let body = json!({ "deviceId": "vehicle-2", "csr": "rubbish" });
    world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(400);
}

#[test]
fn an_id_is_given_once() {
    let world = World::new();
    Device::provisioned(&world, "vehicle-1");
    let bootstrap = world.client(Some(world.bootstrap()), None);
    let body = json!({ "deviceId": "vehicle-1", "ttl": 365 });
    let answer = world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(409);
    assert_eq!(answer.code(), "device_already_registered");
}

#[test]
fn a_device_that_did_not_hear_the_answer_may_ask_again_with_the_same_key() {
    let world = World::new();
    let bootstrap = world.client(Some(world.bootstrap()), None);
    let (csr, _) = updraft_crypto::tls::certificate_request("vehicle-1").expect("request");
    let body = json!({ "deviceId": "vehicle-1", "csr": csr });
    let first = world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(200).json();
    let again = world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(200).json();
    assert_eq!(first, again);
    let (other, _) = updraft_crypto::tls::certificate_request("vehicle-1").expect("request");
    let body = json!({ "deviceId": "vehicle-1", "csr": other });
    let answer = world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(409);
    assert_eq!(answer.code(), "device_already_registered");
}

#[test]
fn ids_that_could_climb_are_refused() {
    let world = World::new();
    let bootstrap = world.client(Some(world.bootstrap()), None);
    for id in ["", "..", "../x", "a/b", "a\u{0}b", "a b", &"x".repeat(65)] {
        let body = json!({ "deviceId": id });
        world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(400);
    }
    world.send(&bootstrap, Method::Post, "/devices", "{\"deviceId\": ").expect(400);
}

#[test]
fn mutual_tls_is_demanded_of_devices() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let nobody = world.client(None, None);
    let bootstrap = world.client(Some(world.bootstrap()), None);
    let paths = ["/director/targets.json", "/director/1.root.json", "/repo/root.json"];
    for path in paths {
        world.get(&nobody, path).expect(401);
        world.get(&bootstrap, path).expect(403);
    }
    world.get(&nobody, "/treehub/config").expect(401);
    world.send(&nobody, Method::Put, "/director/manifest", "{}").expect(401);
    world.send(&nobody, Method::Post, "/director/ecus", "{}").expect(401);
    world.send(&nobody, Method::Post, "/events", "[]").expect(401);
    world.send(&nobody, Method::Put, "/system_info", "{}").expect(401);
    // Neither does a device's certificate let anybody register devices, nor a token.
    let body = json!({ "deviceId": "vehicle-2" });
    world.send_json(&device.client(&world), Method::Post, "/devices", &body).expect(403);
    world.send_json(&world.operator(), Method::Post, "/devices", &body).expect(401);
    // A token is not a device either.
    world.get(&world.operator(), "/director/targets.json").expect(401);
}

#[test]
fn a_certificate_of_another_authority_does_not_get_through_tls() {
    let world = World::new();
    let other = World::new();
    let stranger = Device::provisioned(&other, "vehicle-1");
    Device::provisioned(&world, "vehicle-1");
    let client = world.client(Some(stranger.identity), None);
    let request = updraft_http::Request::new(Method::Get, world.url("/director/targets.json"));
    assert!(client.send(request).is_err());
}

#[test]
fn curl_sees_the_same() {
    let world = World::new();
    let device = Device::provisioned(&world, "vehicle-1");
    let folder = world.folder.path();
    std::fs::write(folder.join("device.pem"), &device.identity.certificate_pem).expect("file");
    std::fs::write(folder.join("device.key"), &device.identity.private_key_pem).expect("file");
    let curl = |with_certificate: bool| {
        let mut command = std::process::Command::new("curl");
        command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]);
        command.arg(world.layout.ca_certificate());
        if with_certificate {
            command.arg("--cert").arg(folder.join("device.pem"));
            command.arg("--key").arg(folder.join("device.key"));
        }
        let output = command.arg(world.url("/director/targets.json")).output().expect("curl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(curl(true), "200");
    assert_eq!(curl(false), "401");
}

#[test]
fn a_revoked_or_deleted_device_stays_out_even_when_its_id_is_given_again() {
    let world = World::new();
    let old = Device::new(&world, "vehicle-1");
    let version_before = old_version(&world, &old);
    let revoke = paths::device_revoke("vehicle-1");
    let shown: Shown = world.send(&world.operator(), Method::Post, &revoke, "").read();
    assert_eq!(shown.state, DeviceState::Revoked);
    world.get(&old.client(&world), "/director/targets.json").expect(403);
    world.send(&world.operator(), Method::Delete, &paths::device("vehicle-1"), "").expect(204);
    world.get(&old.client(&world), "/director/targets.json").expect(403);

    let new = Device::new(&world, "vehicle-1");
    world.get(&old.client(&world), "/director/targets.json").expect(403);
    // A device that was wiped must not see versions go down.
    assert!(old_version(&world, &new) > version_before);
}

fn old_version(world: &World, device: &Device) -> u64 {
    let targets = world.get(&device.client(world), "/director/targets.json").expect(200).json();
    targets["signed"]["version"].as_u64().expect("version")
}

#[test]
fn bootstrap_certificates_expire() {
    let world = World::new();
    let bootstrap = world.client(Some(world.bootstrap()), None);
    world.clock.pass(31 * 24 * 3600);
    let body = json!({ "deviceId": "vehicle-1" });
    world.send_json(&bootstrap, Method::Post, "/devices", &body).expect(403);
}

#[test]
fn the_credentials_file_has_what_aktualizr_expects() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let text = |name| String::from_utf8(world.credentials_member(name)).expect("text");
    assert_eq!(text("autoprov.url"), world.url(""));
    assert_eq!(text("tufrepo.url"), world.url("/repo"));
    assert_eq!(text("server_ca.pem").into_bytes(), world.ca_pem());
    let treehub: serde_json::Value =
        serde_json::from_str(&text("treehub.json")).expect("treehub.json");
    assert_eq!(treehub["ostree"]["server"], world.url("/treehub"));
    let mode = std::fs::metadata(world.write_credentials()).expect("file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn u_s2_components_are_registered_once_and_may_be_joined_by_others() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    device.register(&world).expect(200);
    let client = device.client(&world);

    let mut with_secondary = device.registration();
    let secondary = json!({
        "ecu_serial": "secondary-1",
        "hardware_identifier": "sensor",
        "clientKey": device.key.public().to_json(updraft_tuf::Dialect::Uptane),
    });
    with_secondary["ecus"].as_array_mut().expect("array").push(secondary);
    world.send_json(&client, Method::Post, "/director/ecus", &with_secondary).expect(200);
    let shown: Shown = world.get(&world.operator(), &paths::device("vehicle-1")).read();
    assert_eq!(shown.components.len(), 2);
    assert!(shown.components[0].primary);
}

#[test]
fn a_component_belongs_to_one_device_and_keeps_its_key() {
    let world = World::new();
    let first = Device::new(&world, "vehicle-1");
    let mut second = Device::provisioned(&world, "vehicle-2");
    second.serial.clone_from(&first.serial);
    let answer = second.register(&world).expect(409);
    assert_eq!(answer.code(), "ecu_already_registered");

    let mut other_key = first.registration();
    other_key["ecus"][0]["clientKey"] = second.key.public().to_json(updraft_tuf::Dialect::Uptane);
    let client = first.client(&world);
    let answer = world.send_json(&client, Method::Post, "/director/ecus", &other_key).expect(409);
    assert_eq!(answer.code(), "ecu_already_registered");
}

#[test]
fn senseless_registrations_are_refused() {
    let world = World::new();
    let device = Device::provisioned(&world, "vehicle-1");
    let client = device.client(&world);
    let good = device.registration();
    let mut wrong = vec![json!({}), json!([]), json!({ "primary_ecu_serial": "x", "ecus": [] })];
    for (pointer, value) in [
        ("/primary_ecu_serial", json!("other")),
        ("/ecus/0/ecu_serial", json!("")),
        ("/ecus/0/ecu_serial", json!("x".repeat(65))),
        ("/ecus/0/hardware_identifier", json!("x".repeat(201))),
        ("/ecus/0/clientKey/keyval/public", json!("no hex")),
        ("/ecus/0/clientKey/keytype", json!("MD5")),
    ] {
        let mut body = good.clone();
        *body.pointer_mut(pointer).expect("pointer") = value;
        wrong.push(body);
    }
    for body in wrong {
        let answer = world.send_json(&client, Method::Post, "/director/ecus", &body);
        assert_eq!(answer.status, 400, "{body} {}", answer.text());
    }
    world.send_json(&client, Method::Post, "/director/ecus", &good).expect(201);
}

/// Asks for a certificate for a new key over the present one.
fn renewed(world: &World, present: &Identity) -> Identity {
    let client = world.client(Some(present.clone()), None);
    let (csr, key) = updraft_crypto::tls::certificate_request("somebody else").expect("request");
    // As RFC 7030 has it: DER in base64, with line breaks.
    let lines: Vec<_> = csr.lines().filter(|line| !line.starts_with("-----")).collect();
    let path = "/.well-known/est/simplereenroll";
    let answer = world.send(&client, Method::Post, path, lines.join("\r\n")).expect(200);
    let media_type = answer.headers.get("content-type").expect("a type").to_owned();
    assert!(media_type.starts_with("application/pkcs7-mime"), "{media_type}");
    Identity {
        certificate_pem: est_certificates(&answer.text()).into_bytes(),
        private_key_pem: key.into_bytes(),
    }
}

fn est_certificates(text: &str) -> String {
    use base64::Engine as _;
    let list = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    updraft_crypto::cms::certificates_of_list(&list).expect("certificates").concat()
}

#[test]
fn a_certificate_is_renewed_and_the_old_one_is_good_until_the_new_one_was_shown() {
    let world = World::new();
    let device = Device::new(&world, "vehicle-1");
    let old = device.client(&world);
    let path = "/director/targets.json";
    // The answer may be lost: whoever asks again gets another one, and the last one counts.
    let lost = renewed(&world, &device.identity);
    let new = renewed(&world, &device.identity);
    let info = updraft_crypto::tls::certificate_info(&new.certificate_pem).expect("info");
    assert_eq!(info.common_name.as_deref(), Some("vehicle-1"));
    world.get(&old, path).expect(200);
    world.get(&world.client(Some(lost), None), path).expect(403);
    world.get(&old, path).expect(200);
    world.get(&world.client(Some(new), None), path).expect(200);
    world.get(&old, path).expect(403);
}

#[test]
fn only_devices_renew_certificates() {
    let world = World::new();
    let path = "/.well-known/est/simplereenroll";
    for (identity, status) in [(None, 401), (Some(world.bootstrap()), 403)] {
        let client = world.client(identity, None);
        world.send(&client, Method::Post, path, "").expect(status);
        let answer = world.get(&client, "/.well-known/est/cacerts").expect(200);
        let listed = est_certificates(&answer.text());
        assert_eq!(listed.trim().as_bytes(), world.ca_pem().trim_ascii());
    }
    let device = Device::new(&world, "vehicle-1");
    let client = device.client(&world);
    for body in ["", "rubbish", "AAAA", "!"] {
        world.send(&client, Method::Post, path, body).expect(400);
    }
}
