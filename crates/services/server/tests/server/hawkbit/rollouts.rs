//! Rollouts of the Management API, as scripts make and steer them.

use serde_json::{Value, json};
use updraft_api::Scope;

use super::{Hawkbit, links};

/// A server with six targets and a set.
fn lab() -> (Hawkbit, i64) {
    let hawkbit = Hawkbit::new();
    for number in 0..6 {
        hawkbit.make_target(&format!("t{number}"));
    }
    hawkbit.make_target("other");
    let (set, _) = hawkbit.make_set("1", b"1");
    (hawkbit, set)
}

fn body(set: i64, more: &Value) -> Value {
    let mut body = json!({ "name": "r", "targetFilterQuery": "id==t*", "distributionSetId": set,
        "successCondition": { "condition": "THRESHOLD", "expression": "50" },
        "successAction": { "action": "NEXTGROUP", "expression": "" },
        "errorCondition": { "condition": "THRESHOLD", "expression": "50" },
        "errorAction": { "action": "PAUSE", "expression": "" } });
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

fn make(hawkbit: &Hawkbit, body: &Value) -> i64 {
    let made = hawkbit.rest("POST", "rollouts", Some(body)).expect(201).json();
    made["id"].as_i64().expect("a number")
}

fn show(hawkbit: &Hawkbit, id: i64) -> Value {
    hawkbit.world.fleet().reconcile().expect("reconciled");
    hawkbit.rest("GET", &format!("rollouts/{id}"), None).expect(200).json()
}

fn post(hawkbit: &Hawkbit, id: i64, verb: &str, status: u16) -> Value {
    let answer = hawkbit.rest("POST", &format!("rollouts/{id}/{verb}"), None).expect(status);
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

/// The device does what it is told, and ends like this.
fn end(hawkbit: &Hawkbit, id: &str, finished: &str) {
    let poll = hawkbit.poll(id);
    let href = poll["_links"]["deploymentBase"]["href"].as_str().expect("something to do");
    let rest = href.split_once("/deploymentBase/").expect("a number").1;
    let action: i64 = rest.split('?').next().expect("a number").parse().expect("a number");
    hawkbit.ddi(id, &format!("/deploymentBase/{action}"), &[]).expect(200);
    hawkbit.feedback(id, action, "closed", finished).expect(200);
    hawkbit.world.fleet().reconcile().expect("reconciled");
}

#[test]
fn groups_go_one_after_the_other() {
    let (hawkbit, set) = lab();
    let id = make(&hawkbit, &body(set, &json!({ "amountGroups": 3, "description": "first" })));
    let ready = show(&hawkbit, id);
    assert_eq!((&ready["status"], &ready["totalTargets"]), (&json!("ready"), &json!(6)));
    assert_eq!(ready["totalTargetsPerStatus"]["notstarted"], 6);
    assert_eq!(ready["description"], "first");
    for link in ["start", "approve", "groups", "distributionset", "self"] {
        assert!(links(&ready).contains(&link.to_owned()), "{link}");
    }
    assert!(!links(&hawkbit.poll("t0")).contains(&"deploymentBase".to_owned()));
    post(&hawkbit, id, "resume", 400);
    post(&hawkbit, id, "start", 204);
    let refused = post(&hawkbit, id, "start", 400);
    assert_eq!(refused["errorCode"], "hawkbit.server.error.rollout.illegalstate");
    let running = show(&hawkbit, id);
    assert_eq!(running["status"], "running");
    assert_eq!(
        running["totalTargetsPerStatus"],
        json!({ "running": 2, "scheduled": 4, "notstarted": 0, "finished": 0, "error": 0,
            "cancelled": 0 })
    );
    let groups = hawkbit.rest("GET", &format!("rollouts/{id}/deploygroups"), None).json();
    assert_eq!((&groups["total"], &groups["size"]), (&json!(3), &json!(3)));
    assert_eq!(groups["content"][0]["status"], "running");
    assert_eq!(groups["content"][1]["status"], "scheduled");
    let group = groups["content"][1]["id"].as_i64().expect("a number");
    let path = format!("rollouts/{id}/deploygroups/{group}/targets?limit=1");
    let targets = hawkbit.rest("GET", &path, None).expect(200).json();
    assert_eq!((&targets["total"], &targets["size"]), (&json!(2), &json!(1)));
    assert_eq!(targets["content"][0]["controllerId"], "t2");
    hawkbit.rest("GET", &format!("rollouts/{id}/deploygroups/1"), None).expect(404);
    // Half of a group is enough.
    end(&hawkbit, "t0", "success");
    end(&hawkbit, "t2", "success");
    end(&hawkbit, "t4", "success");
    for id in ["t1", "t3", "t5"] {
        end(&hawkbit, id, "success");
    }
    let finished = show(&hawkbit, id);
    assert_eq!(
        (&finished["status"], &finished["totalTargetsPerStatus"]["finished"]),
        (&json!("finished"), &json!(6))
    );
    let list = hawkbit.rest("GET", "rollouts?q=name==r&sort=id:DESC", None).expect(200).json();
    assert_eq!(list["total"], 1);
    hawkbit.rest("DELETE", &format!("rollouts/{id}"), None).expect(204);
    hawkbit.rest("GET", &format!("rollouts/{id}"), None).expect(404);
    assert_eq!(hawkbit.rest("GET", "rollouts", None).json()["total"], 0);
}

#[test]
fn too_many_errors_pause_and_what_failed_is_retried() {
    let (hawkbit, set) = lab();
    let groups = json!([
        { "name": "canary", "targetFilterQuery": "id=in=(t1,t5)",
          "errorCondition": { "condition": "THRESHOLD", "expression": "0" } },
        { "name": "half", "targetPercentage": 50 }, { "name": "rest" }]);
    let id = make(&hawkbit, &body(set, &json!({ "groups": groups, "startAt": 1, "weight": 7 })));
    let running = show(&hawkbit, id);
    assert_eq!((&running["status"], &running["totalGroups"]), (&json!("running"), &json!(3)));
    let groups = hawkbit.rest("GET", &format!("rollouts/{id}/deploygroups"), None).json();
    let sizes: Vec<i64> = groups["content"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|group| group["totalTargets"].as_i64().expect("a number"))
        .collect();
    assert_eq!(sizes, [2, 2, 2]);
    let action = hawkbit.rest("GET", "targets/t1/actions", None).json();
    assert_eq!(action["content"][0]["weight"], 7);
    end(&hawkbit, "t1", "failure");
    assert_eq!(show(&hawkbit, id)["status"], "paused");
    end(&hawkbit, "t5", "success");
    post(&hawkbit, id, "resume", 204);
    assert_eq!(show(&hawkbit, id)["status"], "running");
    // t0 and t2 are told; the third group is begun by hand.
    post(&hawkbit, id, "triggerNextGroup", 204);
    post(&hawkbit, id, "triggerNextGroup", 400);
    show(&hawkbit, id);
    post(&hawkbit, id, "retry", 400);
    for id in ["t0", "t2", "t3", "t4"] {
        end(&hawkbit, id, "success");
    }
    let finished = show(&hawkbit, id);
    assert_eq!(finished["status"], "finished", "{finished}");
    assert_eq!(finished["totalTargetsPerStatus"]["error"], 1);
    let again = post(&hawkbit, id, "retry", 201);
    assert_eq!((&again["name"], &again["totalTargets"]), (&json!("r_retry"), &json!(1)));
}

#[test]
fn a_rollout_may_need_an_approval() {
    let (hawkbit, set) = lab();
    hawkbit.configure("rollout.approval.enabled", &json!(true));
    let id = make(&hawkbit, &body(set, &json!({ "amountGroups": 1 })));
    assert_eq!(show(&hawkbit, id)["status"], "waiting_for_approval");
    post(&hawkbit, id, "start", 400);
    post(&hawkbit, id, "approve", 403);
    let path = format!("/rest/v1/rollouts/{id}/approve?remark=good");
    let user_with = |name: &str, scope| format!("{name}:{}", hawkbit.world.make_token(name, scope));
    let (mover, other) = (user_with("mover", Scope::Operate), user_with("other", Scope::Approve));
    hawkbit.curl(&path, &["-X", "POST", "-u", &mover]).expect(403);
    hawkbit.curl(&path, &["-X", "POST", "-u", &other]).expect(204);
    let approved = show(&hawkbit, id);
    assert_eq!(
        (&approved["status"], &approved["approvalRemark"]),
        (&json!("ready"), &json!("good"))
    );
    assert_eq!(approved["approveDecidedBy"], "token:other");
    // Never begun: it is gone with all that it was.
    hawkbit.rest("DELETE", &format!("rollouts/{id}"), None).expect(204);
    let id = make(&hawkbit, &body(set, &json!({ "amountGroups": 1 })));
    let path = format!("/rest/v1/rollouts/{id}/deny");
    hawkbit.curl(&path, &["-X", "POST", "-u", &other]).expect(204);
    assert_eq!(show(&hawkbit, id)["status"], "approval_denied");
}

#[test]
fn rollouts_that_cannot_be_are_refused() {
    let (hawkbit, set) = lab();
    let check = |more: Value, status: u16| {
        let answer = hawkbit.rest("POST", "rollouts", Some(&body(set, &more)));
        assert_eq!(answer.status, status, "{more}: {}", answer.json());
        assert!(answer.json()["errorCode"].is_string());
    };
    check(json!({}), 400);
    check(json!({ "amountGroups": 0 }), 400);
    check(json!({ "amountGroups": 101 }), 400);
    check(json!({ "amountGroups": 1, "targetFilterQuery": "id==none*" }), 400);
    check(json!({ "amountGroups": 1, "targetFilterQuery": "id=" }), 400);
    check(json!({ "amountGroups": 1, "name": "" }), 400);
    check(json!({ "amountGroups": 1, "weight": 1001 }), 400);
    check(json!({ "amountGroups": 1, "dynamic": true }), 400);
    check(json!({ "amountGroups": 1, "distributionSetId": 999 }), 404);
    check(
        json!({ "amountGroups": 1,
        "successCondition": { "condition": "THRESHOLD", "expression": "101" } }),
        400,
    );
    check(json!({ "groups": [{ "name": "a", "targetPercentage": 20 }] }), 400);
    check(json!({ "groups": [{ "name": "a", "targetPercentage": 200 }] }), 400);
    make(&hawkbit, &body(set, &json!({ "amountGroups": 1 })));
    check(json!({ "amountGroups": 1 }), 409);
    hawkbit.rest("POST", "rollouts/999/start", None).expect(404);
    hawkbit.rest("POST", "rollouts/x/start", None).expect(400);
}
