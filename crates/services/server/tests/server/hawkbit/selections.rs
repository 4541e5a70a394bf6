//! Tags and filters, and what devices are told because they meet a filter.

use serde_json::{Value, json};

use super::{Hawkbit, links};

fn ids(list: &Value) -> Vec<String> {
    let content = list["content"].as_array().expect("a list");
    content.iter().map(|one| one["controllerId"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn tags_are_given_asked_for_and_taken_away() {
    let hawkbit = Hawkbit::new();
    for id in ["d1", "d2", "d3"] {
        hawkbit.make_target(id);
    }
    let new = json!([{ "name": "beta", "colour": "#ff0000" }, { "name": "old" }]);
    let made = hawkbit.rest("POST", "targettags", Some(&new)).expect(201).json();
    assert_eq!(hawkbit.rest("POST", "targettags", Some(&new)).status, 409);
    let (beta, old) = (made[0]["id"].clone(), made[1]["id"].clone());
    let at = format!("targettags/{beta}/assigned");
    hawkbit.rest("POST", &at, Some(&json!(["d1", "d2"]))).expect(200);
    hawkbit.rest("POST", &format!("targettags/{old}/assigned/d2"), None).expect(200);
    assert_eq!(hawkbit.rest("POST", &at, Some(&json!(["nobody"]))).status, 404);
    let found = |query: &str| {
        ids(&hawkbit.rest("GET", &format!("targets?q={query}"), None).expect(200).json())
    };
    assert_eq!(found("tag==BETA"), ["d1", "d2"]);
    assert_eq!(found("tag==beta;tag!=old"), ["d1"]);
    assert_eq!(found("tag=out=(beta,old)"), ["d3"]);
    assert_eq!(found("tag=is=null"), ["d3"]);
    assert_eq!(ids(&hawkbit.rest("GET", &at, None).expect(200).json()), ["d1", "d2"]);
    let tags = hawkbit.rest("GET", "targets/d2/tags", None).expect(200).json();
    assert_eq!((&tags[0]["name"], &tags[1]["name"]), (&json!("beta"), &json!("old")));
    // A tag changes what a device is told about polling, at once.
    hawkbit.configure("pollingTime", &json!("00:05:00, tag==beta -> 00:01:00"));
    let sleep = || hawkbit.poll("d1")["config"]["polling"]["sleep"].clone();
    assert_eq!(sleep(), "00:01:00");
    hawkbit.rest("DELETE", &format!("targettags/{beta}/assigned/d1"), None).expect(204);
    assert_eq!(sleep(), "00:05:00");
    let renamed =
        hawkbit.rest("PUT", &format!("targettags/{beta}"), Some(&json!({ "name": "gamma" })));
    assert_eq!(renamed.expect(200).json()["colour"], "#ff0000");
    assert_eq!(found("tag==gamma"), ["d2"]);
    hawkbit.rest("DELETE", &format!("targettags/{beta}"), None).expect(204);
    assert_eq!(found("tag==gamma"), Vec::<String>::new());
    // Sets have tags of their own.
    let (set, _) = hawkbit.make_set("1", b"one");
    let made = hawkbit.rest("POST", "distributionsettags", Some(&json!([{ "name": "beta" }])));
    let tag = made.expect(201).json()[0]["id"].clone();
    hawkbit
        .rest("POST", &format!("distributionsettags/{tag}/assigned"), Some(&json!([{ "id": set }])))
        .expect(200);
    let sets = hawkbit.rest("GET", "distributionsets?q=tag==beta", None).expect(200).json();
    assert_eq!(sets["content"][0]["id"], set);
    assert_eq!(hawkbit.rest("GET", &format!("targettags/{tag}"), None).status, 404);
}

#[test]
fn devices_that_meet_a_filter_are_told_once() {
    let hawkbit = Hawkbit::new();
    for id in ["d1", "d2", "other"] {
        hawkbit.make_target(id);
    }
    for wrong in [
        json!({ "name": "x", "query": "odd==1" }),
        json!({ "name": "x", "query": "id=" }),
        json!({ "name": "", "query": "id==*" }),
    ] {
        assert_eq!(hawkbit.rest("POST", "targetfilters", Some(&wrong)).status, 400, "{wrong}");
    }
    let new = json!({ "name": "all d", "query": "controllerId==d*" });
    let made = hawkbit.rest("POST", "targetfilters", Some(&new)).expect(201).json();
    let at = format!("targetfilters/{}/autoAssignDS", made["id"]);
    assert_eq!(hawkbit.rest("GET", &at, None).status, 204);
    let (set, _) = hawkbit.make_set("1", b"one");
    for wrong in [json!({ "id": set, "type": "timeforced" }), json!({ "id": set, "weight": 1001 })]
    {
        assert_eq!(hawkbit.rest("POST", &at, Some(&wrong)).status, 400, "{wrong}");
    }
    assert_eq!(hawkbit.rest("POST", &at, Some(&json!({ "id": 99 }))).status, 404);
    let filter =
        hawkbit.rest("POST", &at, Some(&json!({ "id": set, "type": "soft" }))).expect(200).json();
    assert_eq!(
        (&filter["autoAssignDistributionSet"], &filter["autoAssignActionType"]),
        (&json!(set), &json!("soft"))
    );
    let reconcile = || hawkbit.world.fleet().reconcile().expect("reconciled");
    let actions =
        |id: &str| hawkbit.rest("GET", &format!("targets/{id}/actions"), None).expect(200).json();
    reconcile();
    assert_eq!(actions("d1")["total"], 1);
    assert_eq!(actions("d1")["content"][0]["forceType"], "soft");
    assert_eq!(actions("d2")["total"], 1);
    assert_eq!(actions("other")["total"], 0);
    // Once, whatever came of it.
    let action = actions("d1")["content"][0]["id"].as_i64().expect("a number");
    hawkbit.feedback("d1", action, "closed", "failure").expect(200);
    reconcile();
    assert_eq!(actions("d1")["total"], 1);
    // A device that comes later is told, too.
    hawkbit.poll("d3");
    reconcile();
    assert!(links(&hawkbit.poll("d3")).contains(&"deploymentBase".to_owned()));
    let of_set =
        hawkbit.rest("GET", &format!("distributionsets/{set}/autoAssignTargetFilters"), None);
    assert_eq!(of_set.expect(200).json()["total"], 1);
    hawkbit.rest("DELETE", &at, None).expect(204);
    hawkbit.poll("d4");
    reconcile();
    assert_eq!(actions("d4")["total"], 0);
    // A set that may not be assigned any more ends it as well.
    let (other, _) = hawkbit.make_set("2", b"two");
    hawkbit.rest("POST", &at, Some(&json!({ "id": other }))).expect(200);
    let invalid = json!({ "actionCancelationType": "none" });
    hawkbit
        .rest("POST", &format!("distributionsets/{other}/invalidate"), Some(&invalid))
        .expect(200);
    assert_eq!(hawkbit.rest("GET", &at, None).status, 204);
    hawkbit.rest("DELETE", &format!("targetfilters/{}", made["id"]), None).expect(204);
    assert_eq!(hawkbit.rest("GET", "targetfilters", None).json()["total"], 0);
}
