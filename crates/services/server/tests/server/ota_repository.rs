//! The Image repository as scripts for ota-tuf's reposerver and keyserver use it.

use serde_json::{Value, json};
use updraft_publish::{ImageRepository, private_key_from_json};
use updraft_tuf::{Dialect, Sign as _};

use crate::curl::{curl, curl_as, send};
use crate::device::{Device, HARDWARE};
use crate::operator::{in_days, key};
use crate::world::World;

/// Makes an Image repository whose keys are on the server; gives its id.
pub(crate) fn create(world: &World) -> String {
    curl(world, "/api/v1/user_repo", &["-X", "POST"]).expect(200).text()
}

/// Uploads a file as a target for the test hardware; gives its SHA-256.
pub(crate) fn upload(world: &World, name: &str, content: &[u8]) -> String {
    let file = world.folder.path().join(format!("upload-{}", name.replace('/', "_")));
    std::fs::write(&file, content).expect("file");
    let path = format!(
        "/api/v1/user_repo/targets/{name}?name=mypkg&version=1.0&hardwareIds={HARDWARE},other"
    );
    let form = format!("file=@{}", file.display());
    let signed = curl(world, &path, &["-X", "PUT", "-F", &form]).expect(200).json();
    let hash = &signed["signed"]["targets"][name]["hashes"]["sha256"];
    hash.as_str().expect("a hash").to_owned()
}

#[test]
fn a_repository_is_made_once_and_answers_as_the_reposerver_does() {
    let world = World::new();
    curl(&world, "/api/v1/user_repo/root.json", &[]).expect(404);
    let id = create(&world);
    assert_eq!(id.len(), 36);
    curl(&world, "/api/v1/user_repo", &["-X", "POST"]).expect(409);
    let root = curl(&world, "/api/v1/user_repo/root.json", &[]).expect(200);
    assert_eq!(root.header("x-ats-tuf-repo-id"), Some(id.as_str()));
    assert_eq!(root.json()["signed"]["_type"], "Root");
    // The same behind the name of the service, and from the keyserver.
    for path in [
        "/reposerver/api/v1/user_repo/1.root.json".to_owned(),
        format!("/api/v1/root/{id}"),
        format!("/keyserver/api/v1/root/{id}/1"),
    ] {
        assert_eq!(curl(&world, &path, &[]).expect(200).body, root.body, "{path}");
    }
    curl(&world, &format!("/api/v1/root/{id}/2"), &[]).expect(404);
    curl(&world, "/api/v1/root/0b5d1d3c-1c1c-4c1c-8c1c-0b5d1d3c1c1c", &[]).expect(404);
    let targets = curl(&world, "/api/v1/user_repo/targets.json", &[]).expect(200);
    assert_eq!(targets.json()["signed"]["targets"], json!({}));
    let checksum = targets.header("x-ats-role-checksum").expect("a checksum").to_owned();
    assert_eq!(checksum, updraft_tuf::sha256_hex(&targets.body));
    assert_eq!(curl_as(&world, "/health", &[]).expect(200).json(), json!({ "status": "OK" }));
    // Nobody gets anything without a token; a password is as good as a bearer.
    curl_as(&world, "/api/v1/user_repo/root.json", &[]).expect(401);
    curl_as(&world, "/api/v1/user_repo/root.json", &["-u", "x:updraft_00"]).expect(401);
    let user = format!("anybody:{}", world.token);
    curl_as(&world, "/api/v1/user_repo/root.json", &["-u", &user]).expect(200);
}

#[test]
fn targets_are_added_described_and_removed() {
    let world = World::new();
    curl(&world, "/api/v1/user_repo/targets/a?name=a&version=1", &["-T", "/etc/hostname"])
        .expect(412);
    create(&world);
    let content = vec![7_u8; 300_000];
    let sha256 = upload(&world, "fw/app.bin", &content);
    assert_eq!(sha256, updraft_tuf::sha256_hex(&content));
    let url = "/api/v1/user_repo/targets/fw/app.bin";
    assert_eq!(curl(&world, url, &[]).expect(200).body, content);
    assert_eq!(curl(&world, url, &["--head"]).expect(200).status, 200);
    curl(&world, "/api/v1/user_repo/targets/none", &["--head"]).expect(404);
    let shown = curl(&world, "/api/v1/user_repo/targets.json", &[]).json();
    let custom = &shown["signed"]["targets"]["fw/app.bin"]["custom"];
    assert_eq!((&custom["name"], &custom["version"]), (&json!("mypkg"), &json!("1.0")));
    assert_eq!(custom["hardwareIds"], json!([HARDWARE, "other"]));
    assert_eq!(custom["targetFormat"], "BINARY");

    // Without a form, and metadata alone.
    let raw = format!("@{}", world.folder.path().join("upload-fw_app.bin").display());
    let path = "/api/v1/user_repo/targets/raw?name=raw&version=2&targetFormat=BINARY";
    curl(&world, path, &["-X", "PUT", "--data-binary", &raw]).expect(204);
    let commit = "c".repeat(64);
    let os = json!({
        "uri": "https://elsewhere.example/os", "checksum": { "method": "sha256", "hash": commit },
        "targetFormat": "OSTREE", "name": "os", "version": "3", "hardwareIds": [HARDWARE],
        "length": 0,
    });
    let signed = send(&world, "POST", "/api/v1/user_repo/targets/os-3", &os).expect(200).json();
    assert_eq!(signed["signed"]["targets"]["os-3"]["custom"]["targetFormat"], "OSTREE");
    let elsewhere = curl(&world, "/api/v1/user_repo/targets/os-3", &[]).expect(302);
    assert_eq!(elsewhere.header("location"), Some("https://elsewhere.example/os"));
    let mut wrong = os.clone();
    wrong["checksum"]["hash"] = "short".into();
    send(&world, "POST", "/api/v1/user_repo/targets/os-4", &wrong).expect(400);
    send(&world, "POST", "/api/v1/user_repo/targets/%2E%2E%2Fx", &os).expect(400);

    let patch = json!({ "hardwareIds": ["new"], "proprietaryCustom": { "x": 1, "name": "no" } });
    let item = send(&world, "PATCH", url, &patch).expect(200).json();
    assert_eq!(item["custom"]["hardwareIds"], json!(["new"]));
    assert_eq!((&item["custom"]["x"], &item["custom"]["name"]), (&json!(1), &json!("mypkg")));
    let path = "/api/v1/user_repo/proprietary-custom/fw/app.bin";
    send(&world, "PATCH", path, &json!({ "y": 2 })).expect(204);
    let item = curl(&world, "/api/v1/user_repo/target_items/fw/app.bin", &[]).expect(200).json();
    assert_eq!(item["custom"]["y"], 2);
    let items = curl(&world, "/api/v1/user_repo/target_items?nameContains=os", &[]).json();
    assert_eq!((&items["total"], &items["offset"]), (&json!(1), &json!(0)));
    assert_eq!(items["values"][0]["filename"], "os-3");

    send(&world, "PUT", "/api/v1/user_repo/comments/os-3", &json!({ "comment": "good" }))
        .expect(200);
    let comment = curl(&world, "/api/v1/user_repo/comments/os-3", &[]).expect(200).json();
    assert_eq!(comment, json!({ "comment": "good" }));

    curl(&world, url, &["-X", "DELETE"]).expect(204);
    curl(&world, url, &["-X", "DELETE"]).expect(404);
    let left = curl(&world, "/api/v1/user_repo/targets.json", &[]).json();
    assert!(left["signed"]["targets"].get("fw/app.bin").is_none());
    // What the reposerver's interface signs is what devices read.
    let device = Device::new(&world, "vehicle-1");
    let told = world.get(&device.client(&world), "/repo/targets.json").expect(200).json();
    assert_eq!(told, left);
    let time = json!({ "expireAt": "2060-01-01T00:00:00Z" });
    send(&world, "PUT", "/api/v1/user_repo/targets/expire/not-before", &time).expect(204);
    curl(&world, "/api/v1/user_repo/targets/raw", &["-X", "DELETE"]).expect(204);
    let later = curl(&world, "/api/v1/user_repo/targets.json", &[]).json();
    assert_eq!(later["signed"]["expires"], "2060-01-01T00:00:00Z");
}

#[test]
fn keys_go_offline_and_signed_targets_come_instead() {
    let world = World::new();
    let id = create(&world);
    upload(&world, "first", b"1");
    let pairs = curl(&world, &format!("/api/v1/root/{id}/keys/targets/pairs"), &[]).expect(200);
    let pair = pairs.json()[0].clone();
    assert_eq!(pair["keytype"], "ED25519");
    let signer = private_key_from_json(&pair).expect("a private key");
    let key_id = signer.public_key().key_id(Dialect::Uptane).to_string();
    let path = format!("/api/v1/user_repo/root/private_keys/{key_id}");
    assert_eq!(curl(&world, &path, &[]).expect(200).json(), pair);
    curl(&world, &path, &["-X", "DELETE"]).expect(204);
    curl(&world, &path, &["-X", "DELETE"]).expect(404);
    curl(&world, &format!("/api/v1/root/{id}/keys/targets/pairs"), &[]).expect(404);
    let refused = curl(&world, "/api/v1/user_repo/targets/first", &["-X", "DELETE"]).expect(412);
    assert_eq!(refused.json()["code"], "role_keys_not_found");

    // What is signed elsewhere must say what it replaces.
    let now = world.environment().now();
    let get = |file: &str| curl(&world, &format!("/api/v1/user_repo/{file}"), &[]).expect(200);
    let mut local =
        ImageRepository::new(Dialect::Uptane, &get("root.json").body, now).expect("root");
    let current = get("targets.json");
    local.accept_targets(&current.body, now).expect("targets");
    let mut draft = local.draft_targets(in_days(&world, 90), Vec::new(), |targets| {
        targets.targets.remove("first");
    });
    draft.sign(&[&signer]).expect("signed");
    // Scripts indent what they send.
    let signed: Value = serde_json::from_slice(&draft.finish().expect("signed")).expect("JSON");
    let body = serde_json::to_string_pretty(&signed).expect("JSON");
    let put = |checksum: Option<&str>| {
        let header = format!("x-ats-role-checksum: {}", checksum.unwrap_or_default());
        let mut arguments = vec!["-X", "PUT", "-d", body.as_str()];
        if checksum.is_some() {
            arguments.extend_from_slice(&["-H", header.as_str()]);
        }
        curl(&world, "/api/v1/user_repo/targets", &arguments)
    };
    put(None).expect(428);
    put(Some(&"0".repeat(64))).expect(412);
    let taken = put(current.header("x-ats-role-checksum")).expect(204);
    let now = get("targets.json");
    assert_eq!(now.json(), signed);
    assert_eq!(taken.header("x-ats-role-checksum"), now.header("x-ats-role-checksum"));
    // Canonical bytes are served, so that raw and canonical hashes are one.
    let snapshot = get("snapshot.json").json();
    let listed = &snapshot["signed"]["meta"]["targets.json"]["hashes"]["sha256"];
    assert_eq!(listed, &updraft_tuf::sha256_hex(&now.body));
}

#[test]
fn a_root_is_rotated_here_or_signed_elsewhere() {
    let world = World::new();
    let id = create(&world);
    upload(&world, "first", b"1");
    let before = curl(&world, "/api/v1/user_repo/root.json", &[]).json();
    curl(&world, "/api/v1/user_repo/root/rotate", &["-X", "PUT"]).expect(200);
    let after = curl(&world, "/api/v1/user_repo/root.json", &[]).json();
    assert_eq!(after["signed"]["version"], 2);
    for role in ["root", "targets"] {
        let keys = |root: &Value| root["signed"]["roles"][role]["keyids"].clone();
        assert_ne!(keys(&before), keys(&after), "{role}");
    }
    // A device that trusts the first root follows, and targets go on being signed.
    let mut device = Device::new(&world, "vehicle-1");
    assert!(device.update(&world).is_none());
    upload(&world, "second", b"2");
    // Old keys are gone, new ones are the only ones there.
    let old = before["signed"]["roles"]["root"]["keyids"][0].as_str().expect("id").to_owned();
    let path = format!("/api/v1/user_repo/root/private_keys/{old}");
    curl(&world, &path, &[]).expect(404);

    // The next root, taken to where the key is, and brought back.
    let unsigned = curl(&world, "/api/v1/user_repo/root", &[]).expect(200).json();
    assert_eq!((&unsigned["_type"], &unsigned["version"]), (&json!("Root"), &json!(3)));
    let root_id = after["signed"]["roles"]["root"]["keyids"][0].as_str().expect("id").to_owned();
    let path = format!("/keyserver/api/v1/root/{id}/keys/{root_id}");
    let signer = private_key_from_json(&curl(&world, &path, &[]).expect(200).json()).expect("key");
    let sign = |signers: &[&dyn updraft_tuf::Sign]| {
        let envelope = updraft_tuf::Envelope::sign(Dialect::Uptane, unsigned.clone(), signers)
            .expect("signed");
        envelope.to_value(Dialect::Uptane)
    };
    let stranger = key();
    let path = format!("/api/v1/root/{id}/unsigned");
    send(&world, "POST", &path, &sign(&[&stranger])).expect(403);
    send(&world, "POST", &path, &sign(&[&signer])).expect(204);
    let newest = curl(&world, "/api/v1/user_repo/3.root.json", &[]).expect(200).json();
    assert_eq!(newest["signed"], unsigned);
}

#[test]
fn others_sign_for_some_targets() {
    let world = World::new();
    create(&world);
    let team = key();
    let inner = key();
    let public = |key: &updraft_crypto::SigningKey| key.public().to_json(Dialect::Uptane);
    let id = |key: &updraft_crypto::SigningKey| key.key_id(Dialect::Uptane).to_string();
    let delegation = json!([{
        "name": "team", "keyids": [id(&team)], "paths": ["team-*"], "threshold": 1,
        "terminating": false,
    }]);
    let path = "/api/v1/user_repo/trusted-delegations";
    send(&world, "PUT", path, &delegation).expect(400);
    send(&world, "PUT", &format!("{path}/keys"), &json!([public(&team)])).expect(204);
    send(&world, "PUT", path, &delegation).expect(204);
    assert_eq!(curl(&world, path, &[]).expect(200).json(), delegation);
    assert_eq!(curl(&world, &format!("{path}/keys"), &[]).json(), json!([public(&team)]));

    // The team delegates in turn: two levels.
    let role = |signer: &updraft_crypto::SigningKey, target: &str, further: Value| {
        let mut signed = json!({
            "_type": "Targets", "expires": "2059-01-01T00:00:00Z", "version": 1,
            "targets": { target: {
                "length": 1, "hashes": { "sha256": updraft_tuf::sha256_hex(b"1") },
                "custom": { "hardwareIds": [HARDWARE], "targetFormat": "BINARY" },
            } },
        });
        if !further.is_null() {
            signed["delegations"] = further;
        }
        let envelope =
            updraft_tuf::Envelope::sign(Dialect::Uptane, signed, &[signer]).expect("signed");
        envelope.to_value(Dialect::Uptane)
    };
    let further = json!({
        "keys": { id(&inner): public(&inner) },
        "roles": [{ "name": "inner", "keyids": [id(&inner)], "paths": ["team-inner-*"],
                    "threshold": 1, "terminating": true }],
    });
    let file = |name: &str| format!("/api/v1/user_repo/delegations/{name}.json");
    send(&world, "PUT", &file("inner"), &role(&inner, "team-inner-1", Value::Null)).expect(404);
    send(&world, "PUT", &file("team"), &role(&inner, "team-1", Value::Null)).expect(403);
    send(&world, "PUT", &file("team"), &role(&team, "team-1", further)).expect(204);
    send(&world, "PUT", &file("inner"), &role(&inner, "team-inner-1", Value::Null)).expect(204);
    let shown = curl(&world, &file("inner"), &[]).expect(200).json();
    assert!(shown["signed"]["targets"].get("team-inner-1").is_some());
    let image = world.fleet().image_repository().expect("a repository");
    let (found, _) = image.find_target("team-inner-1").expect("reachable");
    assert_eq!(found.as_str(), "inner");
    let snapshot = curl(&world, "/api/v1/user_repo/snapshot.json", &[]).json();
    assert!(snapshot["signed"]["meta"].get("inner.json").is_some());
    let items = curl(&world, "/api/v1/user_repo/delegations_items", &[]).expect(200).json();
    assert_eq!(items["values"][0]["targetFilename"], "team-1");
    curl(&world, &format!("{path}/team"), &["-X", "DELETE"]).expect(204);
    assert_eq!(curl(&world, path, &[]).json(), json!([]));
}

#[test]
fn metadata_is_renewed_here_and_alarms_tell_of_the_rest() {
    let mut world = World::new();
    create(&world);
    upload(&world, "first", b"1");
    let version = |world: &World, file: &str| {
        let path = format!("/api/v1/user_repo/{file}.json");
        curl(world, &path, &[]).expect(200).json()["signed"]["version"].clone()
    };
    let before = version(&world, "targets");
    // Ten days before the end of the targets' year.
    world.clock.pass(355 * 24 * 3600);
    world.restart();
    world.fleet().renew_image_roles().expect("renewed");
    assert_ne!(version(&world, "targets"), before);
    world.fleet().tell_of_expiries().expect("told");
    let alarms = |world: &World| {
        let page: updraft_api::Page<updraft_api::Event> =
            world.get(&world.operator(), "/api/v1/events?limit=1000").read();
        let kind = updraft_api::EventKind::MetadataExpiring;
        page.items.into_iter().filter(|event| event.kind == kind).collect::<Vec<_>>()
    };
    assert_eq!(alarms(&world).len(), 0);

    let ids = world.fleet().targets_key_pairs().expect("pairs");
    let key = private_key_from_json(&ids[0]).expect("key");
    let id = key.public_key().key_id(Dialect::Uptane);
    let path = format!("/api/v1/user_repo/root/private_keys/{id}");
    curl(&world, &path, &["-X", "DELETE"]).expect(204);
    world.clock.pass(340 * 24 * 3600);
    world.restart();
    for _ in 0..2 {
        world.fleet().renew_image_roles().expect("nothing to renew");
        world.fleet().tell_of_expiries().expect("told");
    }
    let told = alarms(&world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].data.as_ref().expect("data")["role"], "targets");
    assert!(told[0].message.contains("expires at"), "{}", told[0].message);
    world.clock.pass(30 * 24 * 3600);
    world.fleet().tell_of_expiries().expect("told");
    assert!(alarms(&world)[1].message.contains("expired at"));
}
