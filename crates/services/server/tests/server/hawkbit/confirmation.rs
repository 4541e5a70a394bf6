//! Devices that are asked before they install.

use serde_json::json;

use super::{Hawkbit, links};

#[test]
fn a_device_is_asked_first_where_that_is_switched_on() {
    let hawkbit = Hawkbit::new();
    hawkbit.configure("user.confirmation.flow.enabled", &json!(true));
    for id in ["d1", "d2", "d3"] {
        hawkbit.poll(id);
    }
    let (set, _) = hawkbit.make_set("1", b"one");
    let action = hawkbit.assign(set, "d1", &json!({}));
    let answer = |confirmation: &str| {
        let body = json!({ "confirmation": confirmation, "details": ["by hand"] });
        hawkbit.tell("d1", "POST", &format!("/confirmationBase/{action}/feedback"), &body).status
    };
    assert_eq!(links(&hawkbit.poll("d1")), ["configData", "confirmationBase"]);
    assert_eq!(hawkbit.ddi("d1", &format!("/deploymentBase/{action}"), &[]).status, 404);
    let told = hawkbit.ddi("d1", &format!("/confirmationBase/{action}"), &[]).expect(200).json();
    assert_eq!(told["confirmation"]["chunks"][0]["part"], "os");
    assert_eq!(answer("denied"), 200);
    assert_eq!(links(&hawkbit.poll("d1")), ["configData", "confirmationBase"]);
    assert_eq!(answer("confirmed"), 200);
    assert_eq!(links(&hawkbit.poll("d1")), ["configData", "deploymentBase"]);
    assert_eq!(answer("denied"), 404);
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    assert_eq!(answer("confirmed"), 410);
    // Not every order asks.
    let free = hawkbit.assign(set, "d2", &json!({ "confirmationRequired": false }));
    assert_eq!(hawkbit.action("d2", free).2, "running");
    // Whoever agrees to everything agrees to what waits as well.
    let waiting = hawkbit.assign(set, "d3", &json!({}));
    assert_eq!(hawkbit.action("d3", waiting).2, "wait_for_confirmation");
    let base = hawkbit.ddi("d3", "/confirmationBase", &[]).expect(200).json();
    assert_eq!(links(&base), ["activateAutoConfirm", "confirmationBase"]);
    let who = json!({ "initiator": "me", "remark": "why not" });
    hawkbit.tell("d3", "POST", "/confirmationBase/activateAutoConfirm", &who).expect(200);
    assert_eq!(
        hawkbit.tell("d3", "POST", "/confirmationBase/activateAutoConfirm", &who).status,
        409
    );
    assert_eq!(hawkbit.action("d3", waiting).2, "running");
    let base = hawkbit.ddi("d3", "/confirmationBase", &[]).expect(200).json();
    assert_eq!(base["autoConfirm"]["initiator"], "me");
    assert_eq!(links(&base), ["deactivateAutoConfirm"]);
    assert_eq!(hawkbit.rest("GET", "targets/d3/autoConfirm", None).json()["active"], true);
    assert_eq!(hawkbit.target("d3")["autoConfirmActive"], true);
    hawkbit.ddi("d3", "/confirmationBase/deactivateAutoConfirm", &["-X", "POST"]).expect(200);
    hawkbit.ddi("d3", "/confirmationBase/activateAutoConfirm", &["-X", "POST"]).expect(200);
    hawkbit.rest("POST", "targets/d3/autoConfirm/deactivate", None).expect(200);
    assert_eq!(hawkbit.rest("GET", "targets/d3/autoConfirm", None).json()["active"], false);
}

#[test]
fn an_operator_agrees_for_a_device_and_a_cancelled_order_waits_for_nobody() {
    let hawkbit = Hawkbit::new();
    hawkbit.configure("user.confirmation.flow.enabled", &json!(true));
    hawkbit.poll("d1");
    let (set, _) = hawkbit.make_set("1", b"one");
    let (other, _) = hawkbit.make_set("2", b"two");
    let action = hawkbit.assign(set, "d1", &json!({}));
    let path = format!("targets/d1/actions/{action}/confirmation");
    hawkbit.rest("PUT", &path, Some(&json!({ "confirmation": "confirmed" }))).expect(200);
    assert_eq!(hawkbit.action("d1", action).2, "running");
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    let action = hawkbit.assign(other, "d1", &json!({}));
    hawkbit.rest("DELETE", &format!("targets/d1/actions/{action}"), None).expect(204);
    let body = json!({ "confirmation": "denied" });
    let at = format!("/confirmationBase/{action}/feedback");
    assert_eq!(hawkbit.tell("d1", "POST", &at, &body).status, 404);
    assert!(links(&hawkbit.poll("d1")).contains(&"cancelAction".to_owned()));
}
