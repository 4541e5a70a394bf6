//! Campaigns, groups by expression, updates at a time, packages that are followed, and receipts that
//! come on a medium.

use serde_json::{Value, json};
use updraft_http::Method;
use updraft_tuf::manifest::InstallationResult;

use crate::curl::{Answered, curl, send};
use crate::device::{Device, HARDWARE, installation_report};
use crate::ota_repository::{create, upload};
use crate::world::World;

fn targets(target: &str, sha256: &str, length: usize) -> Value {
    json!({ HARDWARE: { "to": {
        "target": target, "checksum": { "method": "sha256", "hash": sha256 },
        "targetLength": length,
    } } })
}

/// A multi-target update of a new target; gives its id.
fn update(world: &World, target: &str, content: &[u8]) -> String {
    let sha256 = upload(world, target, content);
    let body = json!({ "targets": targets(target, &sha256, content.len()) });
    send(world, "POST", "/api/v1/multi_target_updates", &body).expect(201).text()
}

fn group(world: &World, name: &str, expression: &Value) -> Answered {
    let kind = if expression.is_null() { "static" } else { "dynamic" };
    let body = json!({ "name": name, "groupType": kind, "expression": expression });
    send(world, "POST", "/api/v1/device_groups", &body)
}

fn campaign(world: &World, mtu: &str, group: &str, approval: bool) -> String {
    let body = json!({
        "updateSource": { "id": mtu, "sourceType": "multi_target" },
        "name": "upd-01", "description": "an update",
    });
    let update = send(world, "POST", "/api/v2/updates", &body).expect(201).text();
    let shown = curl(world, &format!("/api/v2/updates/{update}"), &[]).expect(200).json();
    assert_eq!(shown["source"]["id"], mtu);
    let body = json!({
        "name": "campaign-01", "update": update, "groups": [group], "approvalNeeded": approval,
        "metadata": [{ "type": "DESCRIPTION", "value": "what is new" }],
    });
    send(world, "POST", "/campaigner/api/v2/campaigns", &body).expect(201).text()
}

#[test]
fn a_campaign_reaches_the_devices_of_a_group_that_an_expression_chooses() {
    let world = World::new();
    create(&world);
    let mut device = Device::new(&world, "blue-1");
    device.report(&world).expect(200);
    let rule = json!("deviceid contains blue and deviceid position(6) is not 9");
    assert_eq!(group(&world, "blues", &rule).expect(201).text(), "blues");
    group(&world, "broken", &json!("deviceid contains")).expect(400);
    let shown = curl(&world, "/api/v1/device_groups/blues", &[]).expect(200).json();
    assert_eq!((&shown["groupType"], &shown["expression"]), (&json!("dynamic"), &rule));
    // Later ones join when they register; nobody is put in or taken out by hand.
    let mut late = Device::new(&world, "blue-2");
    late.report(&world).expect(200);
    Device::new(&world, "blue-9").report(&world).expect(200);
    Device::new(&world, "red-1").report(&world).expect(200);
    let members = curl(&world, "/api/v1/device_groups/blues/devices", &[]).json();
    assert_eq!(members["values"], json!(["blue-1", "blue-2"]));
    let red = "/api/v1/device_groups/blues/devices/red-1";
    assert_eq!(curl(&world, red, &["-X", "POST"]).expect(409).json()["code"], "group_is_dynamic");

    let mtu = update(&world, "fw-1", b"one");
    let id = campaign(&world, &mtu, "blues", false);
    let path = format!("/api/v2/campaigns/{id}");
    let stats = || curl(&world, &format!("{path}/stats"), &[]).expect(200).json();
    assert_eq!(stats()["status"], "prepared");
    let launch = format!("{path}/launch");
    curl(&world, &launch, &["-X", "POST"]).expect(200);
    curl(&world, &launch, &["-X", "POST"]).expect(409);
    assert_eq!((&stats()["status"], &stats()["affected"]), (&json!("launched"), &json!(2)));
    let target = device.install(&world);
    assert_eq!(target.correlation_id, Some(format!("urn:here-ota:campaign:{id}")));
    assert_eq!((&stats()["finished"], &stats()["successful"]), (&json!(1), &json!(1)));
    late.fail(&world);
    let end = stats();
    assert_eq!((&end["status"], &end["failed"]), (&json!("finished"), &json!(1)));
    let of = |words: &str| curl(&world, &format!("{path}/deliveries{words}"), &[]).json();
    let all = of("");
    assert_eq!((&all["total"], &all["values"][0]["deviceId"]), (&json!(2), &json!("blue-1")));
    assert_eq!(all["values"][0]["status"], "successful");
    let failed = of("?status=failed");
    assert_eq!((&failed["total"], &failed["values"][0]["deviceId"]), (&json!(1), &json!("blue-2")));
    assert!(failed["values"][0]["description"].is_string(), "{failed}");
    assert_eq!(of("?offset=1&limit=1")["values"][0]["deviceId"], "blue-2");
    curl(&world, "/api/v2/campaigns/none/deliveries", &[]).expect(404);
    let listed = curl(&world, "/api/v2/campaigns?status=finished", &[]).expect(200).json();
    assert_eq!((&listed["total"], &listed["values"][0]["id"]), (&json!(1), &json!(id)));
    send(&world, "PUT", &path, &json!({ "name": "renamed" })).expect(200);
    assert_eq!(curl(&world, &path, &[]).expect(200).json()["name"], "renamed");
}

#[test]
fn groups_follow_the_tags_of_devices() {
    let world = World::new();
    for id in ["vehicle-1", "vehicle-2", "vehicle-3"] {
        Device::new(&world, id).report(&world).expect(200);
    }
    // As a spreadsheet is sent: unknown devices are passed over.
    let table = world.folder.path().join("tags.csv");
    let text = "DeviceID;Market;line\nvehicle-1;Italy;a\nvehicle-2;\"Ita;ly\";b\nother;x;\n";
    std::fs::write(&table, text).expect("file");
    let form = format!("custom-device-fields=@{}", table.display());
    curl(&world, "/api/v1/device_tags", &["-F", &form]).expect(204);
    let body = "-d{\"DeviceID\";1";
    curl(&world, "/api/v1/device_tags", &["-X", "POST", body]).expect(400);
    let tags = curl(&world, "/api/v1/device_tags", &[]).expect(200).json();
    assert_eq!(tags, json!(["Market", "line"]));
    let own = "/api/v1/devices/vehicle-2/device_tags";
    let expect = json!([["Market", "Ita;ly"], ["line", "b"]]);
    assert_eq!(curl(&world, own, &[]).expect(200).json(), expect);

    let rule = json!("tag(Market) contains ITA and deviceid contains vehicle");
    group(&world, "italy", &rule).expect(201);
    let members =
        || curl(&world, "/api/v1/device_groups/italy/devices", &[]).json()["values"].clone();
    assert_eq!(members(), json!(["vehicle-1", "vehicle-2"]));
    // A device joins and leaves when its tag changes.
    let set = |id: &str, value: &str| {
        let path = format!("/api/v1/devices/{id}/device_tags");
        send(&world, "PATCH", &path, &json!({ "tagId": "Market", "tagValue": value }))
    };
    let now = set("vehicle-3", "Italy").expect(200).json();
    assert_eq!(now, json!([["Market", "Italy"]]));
    set("vehicle-1", "France").expect(200);
    set("nobody", "Italy").expect(404);
    assert_eq!(members(), json!(["vehicle-2", "vehicle-3"]));
    let count = "/api/v1/devices/count?expression=tag(Market)%20contains%20i";
    assert_eq!(curl(&world, count, &[]).expect(200).json(), json!(2));

    // Another name goes into the expression, and what an expression asks for stays.
    let rename =
        |name: &str| send(&world, "PUT", "/api/v1/device_tags/Market", &json!({ "tagId": name }));
    assert_eq!(rename("line").expect(409).json()["code"], "tag_exists");
    rename("a-b").expect(400);
    rename("Home market").expect(200);
    let shown = curl(&world, "/api/v1/device_groups/italy", &[]).json();
    assert_eq!(shown["expression"], "tag(Home market) contains ita and deviceid contains vehicle");
    let delete = |tag: &str| curl(&world, &format!("/api/v1/device_tags/{tag}"), &["-X", "DELETE"]);
    assert_eq!(delete("Home%20market").expect(409).json()["code"], "tag_in_use");
    delete("line").expect(200);
    delete("line").expect(404);
    assert_eq!(members(), json!(["vehicle-2", "vehicle-3"]));
    assert_eq!(curl(&world, own, &[]).json(), json!([["Home market", "Ita;ly"]]));
}

#[test]
fn one_device_is_told_in_the_words_of_older_scripts() {
    let world = World::new();
    create(&world);
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    let mtu = update(&world, "fw-1", b"one");
    let path = |id: &str| format!("/api/v1/admin/devices/{id}/multi_target_update/{mtu}");
    curl(&world, &path("nobody"), &["-X", "PUT"]).expect(400);
    curl(&world, &path("vehicle-1"), &["-X", "PUT"]).expect(200);
    let target = device.install(&world);
    assert_eq!(target.correlation_id, Some(format!("urn:here-ota:mtu:{mtu}")));
    for service in ["", "/director", "/treehub", "/campaigner", "/keyserver", "/reposerver"] {
        curl(&world, &format!("{service}/health/version"), &[]).expect(200);
    }
}

#[test]
fn devices_are_asked_before_a_campaign_that_needs_approval_and_cancelling_takes_it_back() {
    let world = World::new();
    create(&world);
    group(&world, "all", &Value::Null).expect(201);
    let ids = ["vehicle-1", "vehicle-2", "vehicle-3"];
    let mut devices: Vec<Device> = ids.iter().map(|id| Device::new(&world, id)).collect();
    for device in &mut devices {
        device.report(&world).expect(200);
        let path = format!("/api/v1/device_groups/all/devices/{}", device.id);
        curl(&world, &path, &["-X", "POST"]).expect(200);
    }
    let mtu = update(&world, "fw-1", b"one");
    let id = campaign(&world, &mtu, "all", true);
    let asked = |device: &Device| {
        let answer = world.get(&device.client(&world), "/campaigner/campaigns").expect(200);
        answer.json()["campaigns"].clone()
    };
    let answer = |device: &Device, kind: &str| {
        let event = json!([{
            "id": "1", "deviceTime": "2026-01-01T00:00:00Z",
            "eventType": { "id": kind, "version": 0 }, "event": { "campaignId": id },
        }]);
        world.send_json(&device.client(&world), Method::Post, "/events", &event).expect(204);
    };
    let queue = |device: &Device| {
        let path = format!("/api/v1/assignments/{}", device.id);
        curl(&world, &path, &[]).expect(200).json().as_array().map_or(0, Vec::len)
    };
    // An answer to what was not asked does nothing.
    answer(&devices[0], "campaign_accepted");
    assert_eq!((asked(&devices[0]), queue(&devices[0])), (json!([]), 0));
    curl(&world, &format!("/api/v2/campaigns/{id}/launch"), &["-X", "POST"]).expect(200);
    assert_eq!(asked(&devices[0])[0]["metadata"][0]["value"], "what is new");
    assert_eq!(queue(&devices[0]), 0);
    let deliveries = || -> Vec<String> {
        let path = format!("/api/v2/campaigns/{id}/deliveries");
        let all = curl(&world, &path, &[]).expect(200).json();
        let all = all["values"].as_array().expect("a list").iter();
        all.map(|one| one["status"].as_str().expect("a status").to_owned()).collect()
    };
    assert_eq!(deliveries(), ["requested", "requested", "requested"]);
    answer(&devices[0], "campaign_postponed");
    assert_eq!(asked(&devices[0])[0]["id"], id);
    for (device, kind) in devices.iter().zip(["accepted", "declined", "accepted"]) {
        answer(device, &format!("campaign_{kind}"));
        assert_eq!(asked(device), json!([]));
    }
    let queues: Vec<usize> = devices.iter().map(queue).collect();
    assert_eq!(queues, [1, 0, 1]);
    assert_eq!(deliveries(), ["scheduled", "rejected", "scheduled"]);
    devices[0].update(&world).expect("the update");
    curl(&world, &format!("/api/v2/campaigns/{id}/cancel"), &["-X", "POST"]).expect(200);
    assert_eq!(deliveries(), ["accepted", "rejected", "cancelled"]);
    curl(&world, &format!("/api/v2/campaigns/{id}/cancel"), &["-X", "POST"]).expect(409);
    // The first one has fetched it, and goes on.
    assert_eq!((queue(&devices[0]), queue(&devices[2])), (1, 0));
    let stats = curl(&world, &format!("/api/v2/campaigns/{id}/stats"), &[]).expect(200).json();
    assert_eq!((&stats["status"], &stats["cancelled"]), (&json!("cancelled"), &json!(1)));
}

#[test]
fn updates_are_told_at_their_time_and_packages_are_followed() {
    let world = World::with_folder();
    create(&world);
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    let hash = upload(&world, "fw-1", b"one");
    let path = "/api/v1/updates/devices/vehicle-1";
    let at = |seconds: i64| {
        (world.environment().now() + jiff::SignedDuration::from_secs(seconds)).to_string()
    };
    let schedule = |seconds: i64| {
        let body = json!({ "targets": targets("fw-1", &hash, 3), "scheduledFor": at(seconds) });
        send(&world, "POST", path, &body)
    };
    schedule(-60).expect(400);
    let (id, other) = (schedule(3600).expect(200).text(), schedule(3600).expect(200).text());
    let line = curl(&world, &format!("{path}/{id}"), &[]).expect(200).json();
    assert_eq!(
        (&line["status"], &line["packages"][HARDWARE]),
        (&json!("Scheduled"), &json!("fw-1"))
    );
    curl(&world, &format!("{path}/{other}"), &["-X", "PATCH"]).expect(204);
    world.fleet().reconcile().expect("nothing is due");
    assert!(device.update(&world).is_none());
    world.clock.pass(3700);
    world.fleet().reconcile().expect("due");
    assert_eq!(device.install(&world).filepath, "fw-1");
    let lines = curl(&world, path, &[]).expect(200).json();
    assert_eq!((&lines["total"], &lines["values"][0]["status"]), (&json!(1), &json!("Completed")));
    // What reaches nothing when it is due is told, and is gone.
    let gone = schedule(60).expect(200).text();
    world.clock.pass(120);
    world.fleet().reconcile().expect("due");
    assert_eq!(curl(&world, &format!("{path}/{gone}"), &[]).status, 404);

    // The package is called mypkg; each version is told once.
    let auto = "/api/v1/admin/devices/vehicle-1/ecus/vehicle-1-primary/auto_update";
    curl(&world, &format!("{auto}/mypkg"), &["-X", "PUT"]).expect(204);
    curl(&world, "/api/v1/admin/devices/vehicle-1/ecus/none/auto_update/mypkg", &["-X", "PUT"])
        .expect(404);
    assert_eq!(curl(&world, auto, &[]).expect(200).json(), json!(["mypkg"]));
    world.fleet().reconcile().expect("nothing is newer");
    assert!(device.update(&world).is_none());
    world.clock.pass(10);
    upload(&world, "fw-2", b"second");
    world.fleet().reconcile().expect("told");
    let told = device.fail(&world);
    assert_eq!(told.filepath, "fw-2");
    assert!(told.correlation_id.as_deref().expect("one").starts_with("urn:here-ota:auto-update:"));
    world.fleet().reconcile().expect("not again");
    assert!(device.update(&world).is_none());
    world.clock.pass(10);
    upload(&world, "fw-3", b"the third");
    world.fleet().reconcile().expect("told");
    assert_eq!(device.install(&world).filepath, "fw-3");
    curl(&world, &format!("{auto}/mypkg"), &["-X", "DELETE"]).expect(204);
    upload(&world, "fw-4", b"the fourth");
    world.fleet().reconcile().expect("nobody follows");
    assert!(device.update(&world).is_none());
}

#[test]
fn a_group_follows_a_package_and_so_do_those_who_join_it() {
    let world = World::new();
    create(&world);
    let mut first = Device::new(&world, "vehicle-1");
    let mut second = Device::new(&world, "vehicle-2");
    for device in [&mut first, &mut second] {
        device.report(&world).expect(200);
    }
    group(&world, "lab", &Value::Null).expect(201);
    let join = |id: &str, method: &str| {
        let path = format!("/api/v1/device_groups/lab/devices/{id}");
        curl(&world, &path, &["-X", method]).expect(200);
    };
    join("vehicle-1", "POST");
    upload(&world, "fw-1", b"one");
    let auto = "/api/v1/device_groups/lab/auto_update";
    curl(&world, &format!("{auto}/mypkg"), &["-X", "PUT"]).expect(204);
    curl(&world, "/api/v1/device_groups/none/auto_update/mypkg", &["-X", "PUT"]).expect(404);
    assert_eq!(curl(&world, auto, &[]).expect(200).json(), json!(["mypkg"]));
    world.fleet().reconcile().expect("told");
    let told = first.fail(&world);
    assert_eq!(told.filepath, "fw-1");
    assert!(told.correlation_id.as_deref().expect("one").starts_with("urn:here-ota:auto-update:"));
    world.fleet().reconcile().expect("not again, and nobody else");
    assert!(first.update(&world).is_none() && second.update(&world).is_none());
    join("vehicle-2", "POST");
    world.fleet().reconcile().expect("told");
    assert_eq!(second.install(&world).filepath, "fw-1");
    world.clock.pass(10);
    upload(&world, "fw-2", b"second");
    world.fleet().reconcile().expect("told");
    assert_eq!(first.install(&world).filepath, "fw-2");
    // Whoever has left follows nothing any more; what it was told stays.
    assert_eq!(second.install(&world).filepath, "fw-2");
    join("vehicle-2", "DELETE");
    world.clock.pass(10);
    upload(&world, "fw-3", b"the third");
    world.fleet().reconcile().expect("told");
    assert_eq!(first.install(&world).filepath, "fw-3");
    assert!(second.update(&world).is_none());
    curl(&world, &format!("{auto}/mypkg"), &["-X", "DELETE"]).expect(204);
    world.clock.pass(10);
    upload(&world, "fw-4", b"the fourth");
    world.fleet().reconcile().expect("nobody follows");
    assert!(first.update(&world).is_none());
}

#[test]
fn receipts_count_as_the_devices_own_reports_and_late_ones_are_kept() {
    let world = World::new();
    create(&world);
    let mut device = Device::new(&world, "vehicle-1");
    device.report(&world).expect(200);
    let bring = |bytes: &[u8], status: u16| {
        let file = world.folder.path().join("receipt.json");
        std::fs::write(&file, bytes).expect("file");
        let data = format!("@{}", file.display());
        let path = "/api/v1/admin/devices/vehicle-1/receipts";
        curl(&world, path, &["-X", "POST", "--data-binary", &data]).expect(status)
    };
    let mtu = update(&world, "fw-1", b"one");
    let body = json!({ "correlationId": "urn:x:1", "devices": ["vehicle-1"], "mtuId": mtu });
    send(&world, "POST", "/api/v1/assignments", &body).expect(201);
    let target = device.update(&world).expect("an update");
    let early = device.manifest(None);
    let report = installation_report(&device.serial, &target, InstallationResult::ok("done"));
    device.image.filepath.clone_from(&target.filepath);
    device.image.length = target.length;
    device.image.hashes = target.hashes.clone();
    let receipt = device.manifest(Some(report));
    let mut forged = receipt.clone();
    let position = forged.windows(4).position(|four| four == b"fw-1").expect("the name");
    forged[position] = b'x';
    assert_eq!(bring(&forged, 403).json()["code"], "bad_signature");
    assert_eq!(bring(&receipt, 200).json(), json!({ "receipt": "taken" }));
    let info = curl(&world, "/api/v1/admin/devices/vehicle-1", &[]).expect(200).json();
    assert_eq!(info[0]["image"]["filepath"], "fw-1");
    let line = curl(&world, "/api/v1/updates/devices/vehicle-1", &[]).json();
    assert_eq!(line["values"][0]["status"], "Completed");
    assert_eq!(bring(&receipt, 200).json(), json!({ "receipt": "known" }));
    assert_eq!(bring(&early, 200).json(), json!({ "receipt": "late" }));
    let nobody = "/api/v1/admin/devices/nobody/receipts";
    curl(&world, nobody, &["-X", "POST", "-d", "{}"]).expect(404);
}
