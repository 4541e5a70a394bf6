//! `/rest/v1/autoassignments`, as hawkBit has it since version 1.1.

use jiff::Timestamp;
use serde_json::{Value, json};
use updraft_api::Scope;

use super::Hawkbit;

const ROOT: &str = "autoassignments";

fn lab() -> (Hawkbit, i64) {
    let hawkbit = Hawkbit::new();
    for id in ["d1", "d2", "other"] {
        hawkbit.make_target(id);
    }
    let (set, _) = hawkbit.make_set("1", b"one");
    (hawkbit, set)
}

fn show(hawkbit: &Hawkbit, id: i64) -> Value {
    hawkbit.rest("GET", &format!("{ROOT}/{id}"), None).expect(200).json()
}

fn post(hawkbit: &Hawkbit, id: i64, verb: &str, status: u16) {
    let answer = hawkbit.rest("POST", &format!("{ROOT}/{id}/{verb}"), None);
    assert_eq!(answer.status, status, "{verb}: {}", String::from_utf8_lossy(&answer.body));
}

fn actions(hawkbit: &Hawkbit, device: &str) -> Value {
    hawkbit.rest("GET", &format!("targets/{device}/actions"), None).expect(200).json()
}

fn reconcile(hawkbit: &Hawkbit) {
    hawkbit.world.fleet().reconcile().expect("reconciled");
}

fn links(auto: &Value) -> Vec<String> {
    auto["_links"].as_object().expect("links").keys().cloned().collect()
}

#[test]
fn what_meets_a_query_is_told_until_it_is_paused() {
    let (hawkbit, set) = lab();
    let new = json!({ "name": "all d", "description": "the lab", "targetFilterQuery": "id==d*",
        "distributionSetId": set, "actionType": "soft", "weight": 100,
        "confirmationRequired": false });
    let made = hawkbit.rest("POST", ROOT, Some(&new)).expect(201).json();
    let id = made["id"].as_i64().expect("a number");
    for (key, value) in [
        ("name", json!("all d")),
        ("description", json!("the lab")),
        ("targetFilterQuery", json!("id==d*")),
        ("distributionSetId", json!(set)),
        ("actionType", json!("soft")),
        ("weight", json!(100)),
        ("confirmationRequired", json!(false)),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    reconcile(&hawkbit);
    assert_eq!(show(&hawkbit, id)["status"], "running");
    assert_eq!(links(&show(&hawkbit, id)), ["distributionset", "pause", "self"]);
    assert_eq!(actions(&hawkbit, "d1")["content"][0]["forceType"], "soft");
    assert_eq!(actions(&hawkbit, "other")["total"], 0);
    post(&hawkbit, id, "start", 409);
    post(&hawkbit, id, "pause", 204);
    assert_eq!(links(&show(&hawkbit, id)), ["distributionset", "resume", "self"]);
    hawkbit.poll("d3");
    reconcile(&hawkbit);
    assert_eq!(actions(&hawkbit, "d3")["total"], 0);
    post(&hawkbit, id, "resume", 204);
    reconcile(&hawkbit);
    assert_eq!(actions(&hawkbit, "d3")["total"], 1);
    // It is no filter of anybody's, and listed where it belongs.
    assert_eq!(hawkbit.rest("GET", "targetfilters", None).json()["total"], 0);
    assert_eq!(hawkbit.rest("GET", &format!("targetfilters/{id}"), None).status, 404);
    for path in [
        ROOT.to_owned(),
        format!("{ROOT}?q=status==running;distributionSetId=={set}&sort=name:DESC"),
        format!("distributionsets/{set}/autoAssignments"),
    ] {
        let found = hawkbit.rest("GET", &path, None).expect(200).json();
        assert_eq!((&found["total"], &found["content"][0]["id"]), (&json!(1), &json!(id)));
    }
    let none = hawkbit.rest("GET", &format!("{ROOT}?q=status==paused"), None).expect(200);
    assert_eq!(none.json()["total"], 0);
    let change = json!({ "name": "the d", "description": "more" });
    let at = format!("{ROOT}/{id}");
    let changed = hawkbit.rest("PUT", &at, Some(&change)).expect(200).json();
    assert_eq!((&changed["name"], &changed["weight"]), (&json!("the d"), &json!(100)));
    hawkbit.rest("DELETE", &at, None).expect(204);
    for (method, path) in [("GET", at.clone()), ("DELETE", at.clone()), ("POST", at + "/start")] {
        assert_eq!(hawkbit.rest(method, &path, None).status, 404, "{method} {path}");
    }
    hawkbit.poll("d4");
    reconcile(&hawkbit);
    assert_eq!(actions(&hawkbit, "d4")["total"], 0);
}

#[test]
fn one_begins_at_its_time_or_when_it_is_started() {
    let (hawkbit, set) = lab();
    let later = Timestamp::now().as_millisecond() + 3_600_000;
    let make = |name: &str, query: &str| {
        let new = json!({ "name": name, "targetFilterQuery": query, "distributionSetId": set,
            "startAt": later });
        let made = hawkbit.rest("POST", ROOT, Some(&new)).expect(201).json();
        assert_eq!(
            (&made["startAt"], &made["actionType"], &made["weight"]),
            (&json!(later), &json!("forced"), &json!(1000))
        );
        made["id"].as_i64().expect("a number")
    };
    let (by_time, by_hand) = (make("by time", "id==d1"), make("by hand", "id==d2"));
    reconcile(&hawkbit);
    assert_eq!(show(&hawkbit, by_time)["status"], "ready");
    assert_eq!(links(&show(&hawkbit, by_time)), ["distributionset", "self", "start"]);
    post(&hawkbit, by_hand, "start", 204);
    reconcile(&hawkbit);
    assert_eq!(
        (&actions(&hawkbit, "d1")["total"], &actions(&hawkbit, "d2")["total"]),
        (&json!(0), &json!(1))
    );
    hawkbit.world.clock.pass(3601);
    reconcile(&hawkbit);
    assert_eq!(show(&hawkbit, by_time)["status"], "running");
    assert_eq!(actions(&hawkbit, "d1")["total"], 1);
}

#[test]
fn one_may_need_somebody_elses_approval() {
    let (hawkbit, set) = lab();
    hawkbit.configure("auto.assignment.approval.enabled", &json!(true));
    let filter = json!({ "name": "all d", "query": "id==d*" });
    let filter = hawkbit.rest("POST", "targetfilters", Some(&filter)).expect(201).json();
    // As hawkBit took it at first: by the number of a filter, which stays when it goes.
    let new = json!({ "targetFilterQueryId": filter["id"], "distributionSetId": set });
    let made = hawkbit.rest("POST", ROOT, Some(&new)).expect(201).json();
    let id = made["id"].as_i64().expect("a number");
    assert_eq!((&made["status"], &made["name"]), (&json!("waiting_for_approval"), &json!("all d")));
    assert_eq!(links(&made), ["approve", "deny", "distributionset", "self"]);
    reconcile(&hawkbit);
    assert_eq!(actions(&hawkbit, "d1")["total"], 0);
    post(&hawkbit, id, "start", 409);
    // Neither who made it nor who may only operate.
    post(&hawkbit, id, "approve", 403);
    let user_with = |name: &str, scope| format!("{name}:{}", hawkbit.world.make_token(name, scope));
    let (mover, other) = (user_with("mover", Scope::Operate), user_with("other", Scope::Approve));
    let decide = |user: &str, what: &str| {
        let path = format!("/rest/v1/{ROOT}/{id}/{what}");
        hawkbit.curl(&path, &["-X", "POST", "-u", user])
    };
    decide(&mover, "approve").expect(403);
    decide(&other, "approve?remark=good").expect(204);
    decide(&other, "approve").expect(409);
    let approved = show(&hawkbit, id);
    assert_eq!(
        (&approved["approvalDecidedBy"], &approved["approvalRemark"]),
        (&json!("token:other"), &json!("good"))
    );
    // It has no time to wait for, so that it may have begun meanwhile.
    assert!(approved["status"] == "ready" || approved["status"] == "running", "{approved}");
    reconcile(&hawkbit);
    assert_eq!(actions(&hawkbit, "d1")["total"], 1);
    // What was approved was this query, and no other.
    let at = format!("targetfilters/{id}");
    hawkbit.rest("PUT", &at, Some(&json!({ "query": "id==*" }))).expect(200);
    assert_eq!(show(&hawkbit, id)["status"], "waiting_for_approval");
    reconcile(&hawkbit);
    assert_eq!(actions(&hawkbit, "other")["total"], 0);
    decide(&other, "deny?remark=too%20many").expect(204);
    assert_eq!(show(&hawkbit, id)["status"], "approval_denied");
    assert_eq!(links(&show(&hawkbit, id)), ["distributionset", "self"]);
    hawkbit.rest("DELETE", &format!("{ROOT}/{id}"), None).expect(204);
    hawkbit.rest("GET", &at, None).expect(200);
}

#[test]
fn assignments_that_cannot_be_are_refused() {
    let (hawkbit, set) = lab();
    for (body, status) in [
        (json!({ "name": "x", "targetFilterQuery": "id==*" }), 400),
        (json!({ "name": "x", "distributionSetId": set }), 400),
        (json!({ "targetFilterQuery": "id==*", "distributionSetId": set }), 400),
        (json!({ "name": "", "targetFilterQuery": "id==*", "distributionSetId": set }), 400),
        (json!({ "name": "x", "targetFilterQuery": "odd==1", "distributionSetId": set }), 400),
        (json!({ "name": "x", "targetFilterQuery": "id=", "distributionSetId": set }), 400),
        (json!({ "name": "x", "targetFilterQuery": "id==*", "distributionSetId": 999 }), 404),
        (json!({ "targetFilterQueryId": 999, "distributionSetId": set }), 404),
        (
            json!({ "name": "x", "targetFilterQuery": "id==*", "distributionSetId": set,
                "weight": 1001 }),
            400,
        ),
        (
            json!({ "name": "x", "targetFilterQuery": "id==*", "distributionSetId": set,
                "actionType": "timeforced" }),
            400,
        ),
    ] {
        let answer = hawkbit.rest("POST", ROOT, Some(&body));
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.json()["errorCode"].is_string(), "{body}");
    }
    let good = json!({ "name": "x", "targetFilterQuery": "id==*", "distributionSetId": set });
    hawkbit.rest("POST", ROOT, Some(&good)).expect(201);
    hawkbit.rest("POST", ROOT, Some(&good)).expect(409);
    let reader = format!("reader:{}", hawkbit.world.make_token("reader", Scope::Read));
    let path = format!("/rest/v1/{ROOT}");
    hawkbit.curl(&path, &["-u", &reader]).expect(200);
    let header = "Content-Type: application/json";
    hawkbit.curl(&path, &["-u", &reader, "-H", header, "-d", &good.to_string()]).expect(403);
    // A set that may not be assigned any more ends it.
    let invalid = json!({ "actionCancelationType": "none" });
    hawkbit.rest("POST", &format!("distributionsets/{set}/invalidate"), Some(&invalid)).expect(200);
    assert_eq!(hawkbit.rest("GET", ROOT, None).json()["total"], 0);
}
