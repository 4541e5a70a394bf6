//! Polls, registration and attributes.

use serde_json::{Value, json};

use super::{Hawkbit, links};

#[test]
fn a_new_device_registers_and_is_asked_for_its_attributes() {
    let hawkbit = Hawkbit::new();
    hawkbit.configure("pollingTime", &json!("00:01:00"));
    let answer = hawkbit.poll("d1");
    assert_eq!(answer["config"]["polling"]["sleep"], "00:01:00");
    assert_eq!(links(&answer), ["configData"]);
    let target = hawkbit.target("d1");
    assert_eq!(target["updateStatus"], "registered");
    assert_eq!(target["ipAddress"], "127.0.0.1");
    assert_eq!(target["securityToken"].as_str().map(str::len), Some(32));
    // A target that was made before is known from its first poll on.
    hawkbit.make_target("d2");
    assert_eq!(hawkbit.target("d2")["updateStatus"], "unknown");
    let before = hawkbit.target("d2")["lastModifiedAt"].clone();
    hawkbit.poll("d2");
    let after = hawkbit.target("d2");
    assert_eq!(after["updateStatus"], "registered");
    assert_eq!(after["lastModifiedAt"], before);
    assert!(after["lastControllerRequestAt"].is_i64(), "{after}");
}

#[test]
fn the_entity_tag_changes_with_the_answer() {
    let hawkbit = Hawkbit::new();
    let tag =
        |id: &str| hawkbit.ddi(id, "", &[]).expect(200).header("etag").expect("a tag").to_owned();
    let known =
        |id: &str, tag: &str| hawkbit.ddi(id, "", &["-H", &format!("If-None-Match: {tag}")]).status;
    let first = tag("d1");
    assert_eq!(known("d1", &first), 304);
    assert_eq!(known("d1", &first), 304);
    let (set, _) = hawkbit.make_set("1", b"content");
    let action = hawkbit.assign(set, "d1", &json!({}));
    assert_eq!(known("d1", &first), 200);
    let second = tag("d1");
    assert_eq!(known("d1", &second), 304);
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    assert_eq!(known("d1", &second), 200);
    assert_eq!(links(&hawkbit.poll("d1")), ["configData", "installedBase"]);
    let third = tag("d1");
    assert_eq!(known("d1", &third), 304);
}

#[test]
fn polling_times_are_overridden_by_queries_and_validated() {
    let hawkbit = Hawkbit::new();
    for id in ["d1", "d2", "d3"] {
        hawkbit.make_target(id);
    }
    hawkbit.rest("PUT", "targets/d2", Some(&json!({ "group": "Europe" }))).expect(200);
    hawkbit.configure(
        "pollingTime",
        &json!("00:02:00, controllerid == d1 -> 00:01:00, group == 'Europe' -> 00:05:05"),
    );
    let sleep = |id: &str| hawkbit.poll(id)["config"]["polling"]["sleep"].clone();
    assert_eq!(sleep("d1"), "00:01:00");
    assert_eq!(sleep("d2"), "00:05:05");
    assert_eq!(sleep("d3"), "00:02:00");
    hawkbit.configure("pollingTime", &json!("00:10:00~10%"));
    // The same for one device each time, so that its answer does not change by itself.
    assert_eq!(sleep("d1"), sleep("d1"));
    for wrong in ["00:00:10", "soon", "00:05:00, nothing"] {
        let body = json!({ "value": wrong });
        let answer =
            hawkbit.rest("PUT", "system/configs/pollingTime", Some(&body)).expect(400).json();
        assert_eq!(answer["errorCode"], "hawkbit.server.error.configValueInvalid");
    }
    assert_eq!(hawkbit.rest("GET", "system/configs/odd", None).status, 400);
}

#[test]
fn attributes_are_merged_replaced_removed_and_bounded() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let put = |body: &Value| hawkbit.tell("d1", "PUT", "/configData", body);
    let seen = || hawkbit.rest("GET", "targets/d1/attributes", None);
    assert_eq!(seen().status, 204);
    // As swupdate sends it.
    let odd = json!({ "id": "", "time": "20261122T161107", "status": { "result": { "finished": "success" },
        "execution": "closed", "details": [""] }, "data": { "SN": "123", "hw": "rev1" } });
    put(&odd).expect(200);
    assert_eq!(seen().expect(200).json(), json!({ "SN": "123", "hw": "rev1" }));
    assert!(!links(&hawkbit.poll("d1")).contains(&"configData".to_owned()));
    put(&json!({ "mode": "merge", "data": { "hw": "rev2", "a": "b" } })).expect(200);
    assert_eq!(seen().json(), json!({ "SN": "123", "a": "b", "hw": "rev2" }));
    put(&json!({ "mode": "remove", "data": { "a": null } })).expect(200);
    assert_eq!(seen().json(), json!({ "SN": "123", "hw": "rev2" }));
    put(&json!({ "mode": "replace", "data": { "x": "y" } })).expect(200);
    assert_eq!(seen().json(), json!({ "x": "y" }));
    for wrong in [
        json!({}),
        json!({ "data": {} }),
        json!({ "mode": "odd", "data": { "a": "b" } }),
        json!({ "data": { "k": "v".repeat(129) } }),
        json!({ "data": { ("k".repeat(129)): "v" } }),
    ] {
        put(&wrong).expect(400);
    }
    let many: Value =
        (0..101).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    put(&json!({ "data": many })).expect(429);
    assert_eq!(seen().json(), json!({ "x": "y" }));
    let hal =
        ["-X", "PUT", "-H", "Content-Type: application/hal+json", "-d", "{\"data\":{\"a\":\"b\"}}"];
    assert_eq!(hawkbit.ddi("d1", "/configData", &hal).status, 415);
    assert_eq!(hawkbit.tell("unknown", "PUT", "/configData", &odd).status, 404);
    // They can be asked for.
    let found = hawkbit.rest("GET", "targets?q=attribute.x==y", None).expect(200).json();
    assert_eq!(found["total"], 1);
    assert_eq!(hawkbit.rest("GET", "targets?q=attribute.x==z", None).json()["total"], 0);
}

#[test]
fn cbor_is_spoken_both_ways() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let mut body = Vec::new();
    ciborium::into_writer(&json!({ "data": { "hw": "rev1" } }), &mut body).expect("CBOR");
    let path = hawkbit.world.folder.path().join("attributes.cbor");
    std::fs::write(&path, body).expect("file");
    let data = format!("@{}", path.display());
    let put = ["-X", "PUT", "-H", "Content-Type: application/cbor", "--data-binary", &data];
    hawkbit.ddi("d1", "/configData", &put).expect(200);
    assert_eq!(hawkbit.rest("GET", "targets/d1/attributes", None).json()["hw"], "rev1");
    let (set, _) = hawkbit.make_set("1", b"content");
    let action = hawkbit.assign(set, "d1", &json!({}));
    let cbor = |rest: &str| -> Value {
        let answer = hawkbit.ddi("d1", rest, &["-H", "Accept: application/cbor"]).expect(200);
        ciborium::from_reader(answer.body.as_slice()).expect("CBOR")
    };
    assert!(links(&cbor("")).contains(&"deploymentBase".to_owned()));
    let deployment = cbor(&format!("/deploymentBase/{action}"));
    assert_eq!(deployment["deployment"]["chunks"][0]["artifacts"][0]["size"], 7);
    assert_eq!(cbor("/confirmationBase")["autoConfirm"]["active"], false);
    hawkbit
        .ddi("d1", "/configData", &["-X", "PUT", "-H", "Content-Type: application/cbor", "-d", "x"])
        .expect(400);
}
