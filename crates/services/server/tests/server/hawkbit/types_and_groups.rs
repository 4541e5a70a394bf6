//! Types of devices, which take some distribution sets only, groups of devices, and how often a set is
//! used.

use serde_json::{Value, json};

use super::Hawkbit;

fn ids(list: &Value) -> Vec<String> {
    let content = list["content"].as_array().expect("a list");
    content.iter().map(|one| one["controllerId"].as_str().expect("text").to_owned()).collect()
}

/// A type that takes sets of these types.
fn make_type(hawkbit: &Hawkbit, name: &str, set_types: &[&Value]) -> Value {
    let set_types: Vec<Value> = set_types.iter().map(|id| json!({ "id": id })).collect();
    let new = json!([{ "name": name, "compatibledistributionsettypes": set_types }]);
    hawkbit.rest("POST", "targettypes", Some(&new)).expect(201).json()[0]["id"].clone()
}

/// The number of the type that a set is of.
fn type_of_set(hawkbit: &Hawkbit, set: &Value) -> Value {
    let shown = hawkbit.rest("GET", &format!("distributionsets/{set}"), None).expect(200).json();
    let key = shown["type"].as_str().expect("a key");
    let found = hawkbit.rest("GET", &format!("distributionsettypes?q=key=={key}"), None);
    found.expect(200).json()["content"][0]["id"].clone()
}

#[test]
fn a_device_takes_only_sets_that_its_type_takes() {
    let hawkbit = Hawkbit::new();
    for id in ["good", "bad", "free"] {
        hawkbit.make_target(id);
    }
    let (set, _) = hawkbit.make_set("1", b"one");
    let set_type = type_of_set(&hawkbit, &json!(set));
    let good = make_type(&hawkbit, "takes it", &[&set_type]);
    let bad = make_type(&hawkbit, "takes nothing", &[]);
    let with_type = |device: &str, id: &Value| {
        hawkbit.rest("POST", &format!("targets/{device}/targettype"), Some(&json!({ "id": id })))
    };
    with_type("good", &good).expect(200);
    with_type("bad", &bad).expect(200);
    assert_eq!(with_type("bad", &json!(4711)).status, 404);
    let shown = hawkbit.rest("GET", "targets/bad", None).expect(200).json();
    assert_eq!((&shown["targetType"], &shown["targetTypeName"]), (&bad, &json!("takes nothing")));
    let found = hawkbit.rest("GET", "targets?q=targettype.name==takes*", None).expect(200).json();
    assert_eq!(ids(&found), ["bad", "good"]);

    // One that does not fit has all refused.
    let assign = |ids: &[&str]| {
        let ids: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        let path = format!("distributionsets/{set}/assignedTargets");
        hawkbit.rest("POST", &path, Some(&json!(ids)))
    };
    let refused = assign(&["good", "bad", "free"]).expect(400).json();
    assert_eq!(refused["errorCode"], "hawkbit.server.error.target.type.incompatible");
    assert!(hawkbit.rest("GET", "actions", None).expect(200).json()["total"] == 0);
    // A filter passes over it, and tells the others.
    let new = json!({ "name": "all", "query": "id==*" });
    let filter = hawkbit.rest("POST", "targetfilters", Some(&new)).expect(201).json();
    let path = format!("targetfilters/{}/autoAssignDS", filter["id"]);
    hawkbit.rest("POST", &path, Some(&json!({ "id": set }))).expect(200);
    hawkbit.world.fleet().reconcile().expect("planned");
    let told = hawkbit.rest("GET", &format!("distributionsets/{set}/assignedTargets"), None);
    assert_eq!(ids(&told.expect(200).json()), ["free", "good"]);

    // As soon as its type takes it, it is told, too.
    let compatible = format!("targettypes/{bad}/compatibledistributionsettypes");
    hawkbit.rest("POST", &compatible, Some(&json!([{ "id": set_type }]))).expect(200);
    let listed = hawkbit.rest("GET", &compatible, None).expect(200).json();
    assert_eq!((&listed[0]["id"], listed.as_array().map(Vec::len)), (&set_type, Some(1)));
    hawkbit.world.fleet().reconcile().expect("planned");
    let told = hawkbit.rest("GET", &format!("distributionsets/{set}/assignedTargets"), None);
    assert_eq!(ids(&told.expect(200).json()), ["bad", "free", "good"]);

    // One in use stays.
    let in_use = hawkbit.rest("DELETE", &format!("targettypes/{bad}"), None).expect(409).json();
    assert_eq!(in_use["errorCode"], "hawkbit.server.error.target.type.used");
    hawkbit.rest("DELETE", "targets/bad/targettype", None).expect(204);
    hawkbit.rest("DELETE", &format!("{compatible}/{set_type}"), None).expect(204);
    let change = json!({ "name": "renamed", "colour": "#00ff00" });
    let changed = hawkbit.rest("PUT", &format!("targettypes/{bad}"), Some(&change)).expect(200);
    assert_eq!(changed.json()["name"], "renamed");
    hawkbit.rest("DELETE", &format!("targettypes/{bad}"), None).expect(204);
    assert_eq!(hawkbit.rest("GET", &format!("targettypes/{bad}"), None).status, 404);
    let shown = hawkbit.rest("GET", "targets/bad", None).expect(200).json();
    assert_eq!(shown["targetType"], Value::Null);
}

#[test]
fn a_rollout_leaves_out_what_does_not_take_its_set() {
    let hawkbit = Hawkbit::new();
    for id in ["r1", "r2"] {
        hawkbit.make_target(id);
    }
    let (set, _) = hawkbit.make_set("1", b"one");
    let bad = make_type(&hawkbit, "takes nothing", &[]);
    let change = json!({ "targetType": bad });
    hawkbit.rest("PUT", "targets/r2", Some(&change)).expect(200);
    let new = json!({
        "name": "r", "targetFilterQuery": "id==r*", "distributionSetId": set, "amountGroups": 1,
        "successCondition": { "condition": "THRESHOLD", "expression": "100" },
    });
    let made = hawkbit.rest("POST", "rollouts", Some(&new)).expect(201).json();
    hawkbit.rest("POST", &format!("rollouts/{}/start", made["id"]), None).expect(204);
    hawkbit.world.fleet().reconcile().expect("planned");
    let told = hawkbit.rest("GET", &format!("distributionsets/{set}/assignedTargets"), None);
    assert_eq!(ids(&told.expect(200).json()), ["r1"]);

    // Numbers about the set: what there is none of is left out.
    let statistics = |path: &str| {
        let path = format!("distributionsets/{set}/statistics{path}");
        hawkbit.rest("GET", &path, None).expect(200).json()
    };
    let (rollouts, actions) =
        (json!({ "RUNNING": 1, "total": 1 }), json!({ "RUNNING": 1, "total": 1 }));
    assert_eq!(statistics(""), json!({ "rollouts": rollouts, "actions": actions }));
    assert_eq!(statistics("/rollouts"), json!({ "rollouts": rollouts }));
    assert_eq!(statistics("/actions"), json!({ "actions": actions }));
    assert_eq!(statistics("/autoassignments"), json!({}));
    let new = json!({ "name": "one", "query": "id==nobody" });
    let filter = hawkbit.rest("POST", "targetfilters", Some(&new)).expect(201).json();
    let path = format!("targetfilters/{}/autoAssignDS", filter["id"]);
    hawkbit.rest("POST", &path, Some(&json!({ "id": set }))).expect(200);
    assert_eq!(statistics("/autoassignments"), json!({ "totalAutoAssignments": 1 }));
    assert_eq!(hawkbit.rest("GET", "distributionsets/4711/statistics", None).status, 404);
}

#[test]
fn devices_are_in_one_group_whose_name_is_a_path() {
    let hawkbit = Hawkbit::new();
    for id in ["t1", "t2", "t3", "other"] {
        hawkbit.make_target(id);
    }
    let of = |rest: &str| {
        ids(&hawkbit.rest("GET", &format!("targetgroups/{rest}"), None).expect(200).json())
    };
    let put = |rest: &str, named: Value| {
        hawkbit.rest("PUT", &format!("targetgroups/{rest}"), Some(&named))
    };
    put("Europe/assigned", json!(["t1"])).expect(204);
    put("assigned?group=Europe/East", json!(["t2"])).expect(204);
    put("assigned?group=Europe0", json!(["t3"])).expect(204);
    put("assigned?group=Europe%25/West", json!(["other"])).expect(204);
    let groups = hawkbit.rest("GET", "targetgroups", None).expect(200).json();
    assert_eq!(groups, json!(["Europe", "Europe%/West", "Europe/East", "Europe0"]));
    assert_eq!(of("Europe/assigned"), ["t1"]);
    assert_eq!(of("assigned?group=Europe/East"), ["t2"]);
    assert_eq!(of("assigned?group=Europe"), ["t1"]);
    assert_eq!(of("assigned?group=Europe&subgroups=true"), ["t1", "t2"]);
    hawkbit.rest("PUT", "targetgroups/C?q=controllerId==t*", None).expect(204);
    assert_eq!(of("C/assigned"), ["t1", "t2", "t3"]);
    hawkbit.rest("PUT", "targetgroups?group=C/D&q=id==t2", None).expect(204);
    assert_eq!(of("assigned?group=C/D"), ["t2"]);
    hawkbit.rest("DELETE", "targetgroups/assigned", Some(&json!(["t1"]))).expect(204);
    hawkbit.rest("DELETE", "targetgroups?q=id==t2", None).expect(204);
    assert_eq!(of("assigned?group=C&subgroups=true"), ["t3"]);

    for (method, path, body, status) in [
        ("PUT", "targetgroups/C/assigned", Some(json!([])), 400),
        ("PUT", "targetgroups/C?q=", None, 400),
        ("PUT", "targetgroups/C?q=odd==1", None, 400),
        ("DELETE", "targetgroups", None, 400),
        ("PUT", "targetgroups/assigned", Some(json!(["t1"])), 400),
    ] {
        assert_eq!(hawkbit.rest(method, path, body.as_ref()).status, status, "{method} {path}");
    }
    assert_eq!(of("C/assigned"), ["t3"], "nothing was changed");
}
