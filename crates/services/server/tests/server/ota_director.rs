//! The Director and the device registry as scripts of the OTA world use them.

use serde_json::{Value, json};
use updraft_http::Identity;
use updraft_tuf::Dialect;

use crate::curl::{curl, curl_as, send};
use crate::device::{Device, HARDWARE};
use crate::operator::key;
use crate::ota_repository::{create, upload};
use crate::world::World;

fn update(world: &World, target: &str, sha256: &str, length: u64) -> Value {
    let body = json!({ "targets": { HARDWARE: {
        "to": {
            "target": target, "checksum": { "method": "sha256", "hash": sha256 },
            "targetLength": length, "userDefinedCustom": { "slot": 1 },
        },
        "targetFormat": "BINARY", "generateDiff": false,
    } } });
    send(world, "POST", "/api/v1/multi_target_updates", &body).expect(201).json()
}

fn assign(world: &World, update: &Value, devices: Value) -> (u16, Value) {
    let body = json!({
        "correlationId": format!("urn:here-ota:mtu:{}", update.as_str().expect("id")),
        "devices": devices, "mtuId": update,
    });
    let answer = send(world, "POST", "/api/v1/assignments", &body);
    (answer.status, answer.json())
}

#[test]
fn a_target_reaches_a_vehicle_by_curl_alone() {
    let world = World::new();
    create(&world);
    assert_eq!(curl(&world, "/api/v1/admin/repo", &["-X", "POST"]).expect(201).text().len(), 36);
    let root = curl(&world, "/api/v1/admin/repo/root.json", &[]).expect(200);
    assert_eq!(curl(&world, "/api/v1/admin/repo/1.root.json", &[]).expect(200).body, root.body);
    curl(&world, "/api/v1/admin/repo/2.root.json", &[]).expect(404);
    let content = b"firmware".repeat(1000);
    let sha256 = upload(&world, "mypkg_0.0.2", &content);
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    let update = update(&world, "mypkg_0.0.2", &sha256, content.len() as u64);
    let path = format!("/api/v1/multi_target_updates/{}", update.as_str().expect("id"));
    let shown = curl(&world, &path, &[]).expect(200).json();
    assert_eq!(shown["targets"][HARDWARE]["to"]["targetLength"], content.len());

    // Some devices are not reached, and it is said why.
    Device::provisioned(&world, "vehicle-2");
    let dry = json!({
        "correlationId": "urn:x", "devices": ["vehicle-1", "vehicle-2"], "mtuId": update,
        "dryRun": true,
    });
    let would = send(&world, "POST", "/api/v1/assignments", &dry).expect(200).json();
    assert_eq!(would, json!(["vehicle-1"]));
    let (status, reach) = assign(&world, &update, json!(["vehicle-1", "vehicle-2", "nobody"]));
    assert_eq!((status, &reach["affected"]), (201, &json!(["vehicle-1"])));
    let why = &reach["notAffected"];
    assert_eq!(why["vehicle-2"]["unknown"]["code"], "device_no_compatible_hardware");
    assert_eq!(why["nobody"]["unknown"]["code"], "missing_entity");
    let (status, reach) = assign(&world, &update, json!(["vehicle-1"]));
    assert_eq!(status, 400);
    let code = &reach["notAffected"]["vehicle-1"]["vehicle-1-primary"]["code"];
    assert_eq!(code, "not_affected_running_assignment");

    let queue = curl(&world, "/api/v1/assignments/vehicle-1", &[]).expect(200).json();
    assert_eq!(queue[0]["inFlight"], false);
    let image = &queue[0]["targets"]["vehicle-1-primary"]["image"];
    assert_eq!(image["fileinfo"]["hashes"]["sha256"], sha256.as_str());
    let target = device.install(&world);
    assert_eq!(target.filepath, "mypkg_0.0.2");
    let info = curl(&world, "/api/v1/admin/devices/vehicle-1", &[]).expect(200).json();
    assert_eq!(info[0]["image"]["hash"]["sha256"], sha256.as_str());
    assert_eq!((&info[0]["primary"], &info[0]["hardwareId"]), (&json!(true), &json!(HARDWARE)));
    assert_eq!(curl(&world, "/api/v1/assignments/vehicle-1", &[]).json(), json!([]));
    let body = json!({ "filepaths": ["mypkg_0.0.2", "other"] });
    let counts = send(&world, "POST", "/api/v1/admin/images/installed_count", &body).json();
    assert_eq!(counts, json!({ "mypkg_0.0.2": 1, "other": 0 }));
    // Again, and it has it; from another image, and it has not that.
    let (_, reach) = assign(&world, &update, json!(["vehicle-1"]));
    let code = &reach["notAffected"]["vehicle-1"]["vehicle-1-primary"]["code"];
    assert_eq!(code, "installed_target_is_update");
    let events = curl(&world, "/api/v1/devices/vehicle-1/events", &[]).expect(200).json();
    assert!(events.is_array());
    let lines = curl(&world, "/api/v1/updates/devices/vehicle-1", &[]).expect(200).json();
    assert_eq!(lines["values"][0]["status"], "Completed");
    assert_eq!(lines["values"][0]["packages"][HARDWARE], "mypkg_0.0.2");
}

#[test]
fn assignments_are_cancelled_and_made_again_under_the_same_name() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    let first = update(&world, "a", &"a".repeat(64), 1);
    let second = update(&world, "b", &"b".repeat(64), 1);
    let body = |update: &Value| json!({ "correlationId": "urn:same", "devices": ["vehicle-1"], "mtuId": update });
    let director = |file: &str| {
        let path = format!("/director/{file}.json");
        world.get(&device.client(&world), &path).expect(200).json()["signed"].clone()
    };
    send(&world, "POST", "/api/v1/assignments", &body(&first)).expect(201);
    let cancelled = send(&world, "PATCH", "/api/v1/assignments", &json!(["vehicle-1", "x"]));
    assert_eq!(cancelled.expect(200).json(), json!(["vehicle-1"]));
    assert_eq!(director("targets")["targets"], json!({}));
    send(&world, "POST", "/api/v1/assignments", &body(&first)).expect(201);
    assert!(director("targets")["targets"].get("a").is_some());
    // In flight: only by force.
    let one = "/api/v1/assignments/vehicle-1";
    assert_eq!(curl(&world, one, &[]).json()[0]["inFlight"], true);
    let answer = curl(&world, one, &["-X", "PATCH"]).expect(409);
    assert_eq!(answer.json()["code"], "assignment_in_flight");
    assert_eq!(
        send(&world, "PATCH", "/api/v1/assignments", &json!(["vehicle-1"])).json(),
        json!([])
    );
    curl(&world, one, &["-X", "PATCH", "-H", "x-trx-force: true"]).expect(204);
    curl(&world, one, &["-X", "PATCH", "-H", "x-trx-force: true"]).expect(404);
    assert_eq!(director("targets")["targets"], json!({}));
    // The same correlation with another content is not mistaken for the first.
    send(&world, "POST", "/api/v1/assignments", &body(&first)).expect(201);
    assert!(director("targets")["targets"].get("a").is_some());
    curl(&world, one, &["-X", "PATCH", "-H", "x-trx-force: true"]).expect(204);
    send(&world, "POST", "/api/v1/assignments", &body(&second)).expect(201);
    assert!(director("targets")["targets"].get("b").is_some());
    assert_eq!(director("targets")["targets"]["b"]["custom"]["userDefinedCustom"]["slot"], 1);
}

#[test]
fn updates_of_single_devices_have_a_life_of_their_own() {
    let world = World::new();
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    let body = json!({ "targets": { HARDWARE: { "to": {
        "target": "a", "checksum": { "method": "sha256", "hash": "a".repeat(64) },
        "targetLength": 1,
    } } } });
    let path = "/api/v1/updates/devices/vehicle-1";
    let id = send(&world, "POST", path, &body).expect(200).text();
    send(&world, "POST", path, &body).expect(400);
    let one = format!("{path}/{id}");
    let status = || curl(&world, &one, &[]).expect(200).json()["status"].clone();
    assert_eq!(status(), "Assigned");
    curl(&world, &one, &["-X", "PATCH"]).expect(204);
    assert_eq!(status(), "Cancelled");
    curl(&world, &one, &["-X", "PATCH"]).expect(409);
    let mut many = body.clone();
    many["devices"] = json!(["vehicle-1", "nobody"]);
    let reach = send(&world, "POST", "/api/v1/updates/devices", &many).expect(200).json();
    assert_eq!(reach["affected"], json!(["vehicle-1"]));
    world.get(&device.client(&world), "/director/targets.json").expect(200);
    let lines = curl(&world, path, &[]).expect(200).json();
    let states: Vec<&str> = lines["values"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|line| line["status"].as_str())
        .collect();
    assert_eq!((lines["total"].as_u64(), states.contains(&"Seen")), (Some(2), true));
    let all = curl(&world, "/api/v1/updates", &[]).expect(200).json();
    assert_eq!(all["total"], 2);
}

#[test]
fn a_device_whose_certificate_a_script_made_is_entered_and_connects() {
    let world = World::new();
    let folder = world.folder.path();
    let id = "2c1f5c38-9b3c-4a3e-8c43-66f0f4ac8f0e";
    let openssl = |arguments: &[&str]| {
        let output = std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(folder)
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    // As gen-device.sh does it, with the server's authority.
    let subject = format!("/CN={id}");
    openssl(&["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "ec.pem"]);
    openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", "ec.pem", "-out", "pkey.pem"]);
    openssl(&["req", "-new", "-key", "pkey.pem", "-subj", &subject, "-out", "d.csr"]);
    std::fs::write(folder.join("ext"), "keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n")
        .expect("file");
    let ca = world.layout.ca_certificate().display().to_string();
    let ca_key = world.layout.ca_key().display().to_string();
    openssl(&[
        "x509",
        "-req",
        "-days",
        "365",
        "-in",
        "d.csr",
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-extfile",
        "ext",
        "-out",
        "client.pem",
    ]);
    let credentials = std::fs::read_to_string(folder.join("client.pem")).expect("certificate");
    let body = json!({
        "credentials": credentials, "deviceId": id, "deviceName": "my car",
        "deviceType": "Other", "uuid": id,
    });
    let mut wrong = body.clone();
    wrong["uuid"] = "another".into();
    wrong["deviceId"] = "another".into();
    send(&world, "PUT", "/api/v1/devices", &wrong).expect(400);
    assert_eq!(send(&world, "PUT", "/api/v1/devices", &body).expect(201).text(), id);
    send(&world, "PUT", "/api/v1/devices", &body).expect(201);

    let identity = Identity {
        certificate_pem: credentials.into_bytes(),
        private_key_pem: std::fs::read(folder.join("pkey.pem")).expect("key"),
    };
    let client = world.client(Some(identity), None);
    let ecus = json!({ "primary_ecu_serial": "e1", "ecus": [{
        "ecu_serial": "e1", "hardware_identifier": "ota-ce-device",
        "clientKey": key().public().to_json(Dialect::Uptane),
    }] });
    world.send_json(&client, updraft_http::Method::Post, "/director/ecus", &ecus).expect(201);
    let list = curl(&world, "/api/v1/devices", &[]).expect(200).json();
    assert_eq!((&list["total"], &list["values"][0]["deviceName"]), (&json!(1), &json!("my car")));
    let one = curl(&world, &format!("/api/v1/devices/{id}"), &[]).expect(200).json();
    assert_eq!((&one["uuid"], &one["deviceId"]), (&json!(id), &json!(id)));
    // Without a sign of that world the same path speaks this server's own language.
    let bearer = format!("Authorization: Bearer {}", world.token);
    let own = curl_as(&world, "/api/v1/devices", &["-H", &bearer]).expect(200).json();
    assert_eq!(own["items"][0]["id"], id);
    let host = ["-H", &bearer, "-H", "Host: deviceregistry.ota.ce"];
    assert_eq!(curl_as(&world, "/api/v1/devices", &host).expect(200).json()["total"], 1);
    let prefixed = curl_as(&world, "/deviceregistry/api/v1/devices", &["-H", &bearer]);
    assert_eq!(prefixed.expect(200).json()["total"], 1);
    assert_eq!(curl(&world, "/api/v1/devices?nameContains=none", &[]).json()["total"], 0);
    let label = json!({ "deviceName": "your car", "notes": "blue" });
    send(&world, "PUT", &format!("/api/v1/devices/{id}"), &label).expect(200);
    let found = curl(&world, "/api/v1/devices?nameContains=your", &[]).expect(200).json();
    assert_eq!(found["values"][0]["notes"], "blue");

    let hardware = curl(&world, "/api/v1/admin/devices/hardware_identifiers", &[]).json();
    assert_eq!(hardware["values"], json!(["ota-ce-device"]));
    let by = "/api/v1/admin/devices?primaryHardwareId=ota-ce-device";
    assert_eq!(curl(&world, by, &[]).json()["values"][0]["primaryEcu"], "e1");
    assert_eq!(curl(&world, "/api/v1/admin/devices", &[]).json()["values"], json!([id]));
    let all = curl(&world, "/api/v1/admin/devices/ecus", &[]).expect(200).json();
    assert_eq!(all["values"][0][id][0]["id"], "e1");
    let public = format!("/api/v1/admin/devices/{id}/ecus/e1/public_key");
    assert_eq!(curl(&world, &public, &[]).expect(200).json()["keytype"], "ED25519");
    let asked = format!("/api/v1/admin/devices/{id}/ecus/public_key?ecu_serial=e1");
    assert_eq!(curl(&world, &asked, &[]).expect(200).json()["keytype"], "ED25519");

    let group = json!({ "name": "esc-dev-group", "groupType": "static", "expression": null });
    let group = send(&world, "POST", "/api/v1/device_groups", &group).expect(201).text();
    curl(&world, &format!("/api/v1/device_groups/{group}/devices/{id}"), &["-X", "POST"])
        .expect(200);
    curl(&world, &format!("/api/v1/device_groups/{group}/{id}"), &["-X", "POST"]).expect(200);
    let members = curl(&world, &format!("/api/v1/device_groups/{group}/devices"), &[]).json();
    assert_eq!(members["values"], json!([id]));
    let groups = curl(&world, "/api/v1/device_groups", &[]).expect(200).json();
    assert_eq!(groups["values"][0]["groupName"], "esc-dev-group");

    let registered = json!({ "deviceId": "bench-1", "primary_ecu_serial": "b1", "ecus": [{
        "ecu_serial": "b1", "hardware_identifier": "bench",
        "clientKey": key().public().to_json(Dialect::Uptane),
    }] });
    send(&world, "POST", "/api/v1/admin/devices", &registered).expect(201);
    send(&world, "POST", "/api/v1/admin/devices", &registered).expect(200);
    curl(&world, &format!("/api/v1/devices/{id}"), &["-X", "DELETE"]).expect(202);
    world.get(&client, "/director/targets.json").expect(403);
}
