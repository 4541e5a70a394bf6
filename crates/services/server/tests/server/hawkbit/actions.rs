//! What devices are told, report, and are told to stop.

use serde_json::{Value, json};
use updraft_server_service::storage::sql;

use super::{Hawkbit, links};

#[test]
fn an_update_from_assignment_to_success() {
    let hawkbit = Hawkbit::new();
    hawkbit.make_target("d1");
    let (set, module) = hawkbit.make_set("1.0", b"content");
    let note = json!([{ "key": "rev", "value": "abc", "targetVisible": true },
                      { "key": "hidden", "value": "x", "targetVisible": false }]);
    hawkbit.rest("POST", &format!("softwaremodules/{module}/metadata"), Some(&note)).expect(201);
    let action = hawkbit.assign(set, "d1", &json!({ "type": "forced" }));
    assert_eq!(hawkbit.target("d1")["updateStatus"], "pending");
    let poll = hawkbit.poll("d1");
    assert_eq!(links(&poll), ["configData", "deploymentBase"]);
    let href = poll["_links"]["deploymentBase"]["href"].as_str().expect("a link");
    let path = href.split_once("/controller/v1/d1").expect("a path").1;
    assert!(path.starts_with(&format!("/deploymentBase/{action}?c=")), "{path}");
    let told = hawkbit.ddi("d1", path, &[]).expect(200).json();
    assert_eq!(told["id"], action.to_string());
    assert!(told.get("actionHistory").is_none());
    let deployment = &told["deployment"];
    assert_eq!(
        (&deployment["download"], &deployment["update"]),
        (&json!("forced"), &json!("forced"))
    );
    let chunk = &deployment["chunks"][0];
    assert_eq!(chunk["part"], "os");
    assert_eq!(chunk["version"], "1.0");
    assert_eq!(chunk["metadata"], json!([{ "key": "rev", "value": "abc" }]));
    let artifact = &chunk["artifacts"][0];
    assert_eq!(artifact["hashes"]["sha1"], "040f06fd774092478d450774f5ba30c5da78acc8");
    assert_eq!(artifact["hashes"]["md5"], "9a0364b9e99bb480dd25e1f0284c8555");
    assert_eq!(links(artifact), ["download", "download-http", "md5sum", "md5sum-http"]);
    hawkbit.feedback("d1", action, "proceeding", "none").expect(200);
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    assert_eq!(hawkbit.reports("d1", action), ["running", "retrieved", "running", "finished"]);
    assert_eq!(
        hawkbit.action("d1", action),
        ("update".into(), "finished".into(), "finished".into())
    );
    assert_eq!(hawkbit.target("d1")["updateStatus"], "in_sync");
    let installed = hawkbit.rest("GET", "targets/d1/installedDS", None).expect(200).json();
    assert_eq!(installed["id"], set);
    // A second end is one too many, and says nothing.
    assert_eq!(hawkbit.feedback("d1", action, "closed", "failure").status, 410);
    assert_eq!(hawkbit.target("d1")["updateStatus"], "in_sync");
    let history = hawkbit.ddi("d1", &format!("/installedBase/{action}?actionHistory=-1"), &[]);
    let history = history.expect(200).json();
    assert_eq!(history["actionHistory"]["status"], "FINISHED");
    assert_eq!(history["actionHistory"]["messages"].as_array().map(Vec::len), Some(4));
    let two = hawkbit.ddi("d1", &format!("/installedBase/{action}?actionHistory=2"), &[]).json();
    assert_eq!(two["actionHistory"]["messages"].as_array().map(Vec::len), Some(2));
    // The same set again is no news.
    let path = format!("distributionsets/{set}/assignedTargets");
    let again = hawkbit.rest("POST", &path, Some(&json!([{ "id": "d1" }]))).expect(200).json();
    assert_eq!((&again["assigned"], &again["alreadyAssigned"]), (&json!(0), &json!(1)));
}

#[test]
fn a_failure_is_told_and_the_next_order_can_succeed() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let (first, _) = hawkbit.make_set("1", b"one");
    let (second, _) = hawkbit.make_set("2", b"two");
    let action = hawkbit.assign(first, "d1", &json!({}));
    let body = json!({ "status": { "execution": "closed", "result": { "finished": "failure" },
        "code": 42, "details": ["no power"] } });
    hawkbit.tell("d1", "PUT", "/configData", &json!({ "data": { "a": "b" } })).expect(200);
    hawkbit.tell("d1", "POST", &format!("/deploymentBase/{action}/feedback"), &body).expect(200);
    assert_eq!(hawkbit.target("d1")["updateStatus"], "error");
    assert_eq!(links(&hawkbit.poll("d1")), Vec::<String>::new());
    let found = hawkbit.rest("GET", &format!("targets/d1/actions/{action}"), None).json();
    assert_eq!(found["lastStatusCode"], 42);
    let action = hawkbit.assign(second, "d1", &json!({}));
    hawkbit.feedback("d1", action, "closed", "success").expect(200);
    assert_eq!(hawkbit.target("d1")["updateStatus"], "in_sync");
    // What failed may be tried again.
    hawkbit.assign(first, "d1", &json!({}));
}

#[test]
fn executions_change_an_action_as_they_should() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let (set, _) = hawkbit.make_set("1", b"one");
    let action = hawkbit.assign(set, "d1", &json!({}));
    for (execution, status) in [
        ("canceled", "running"),
        ("rejected", "running"),
        ("scheduled", "running"),
        ("download", "download"),
        ("downloaded", "downloaded"),
        ("resumed", "running"),
    ] {
        hawkbit.feedback("d1", action, execution, "none").expect(200);
        let (_, pending, detail) = hawkbit.action("d1", action);
        assert_eq!((pending.as_str(), detail.as_str()), ("pending", status), "{execution}");
    }
    let reports = hawkbit.reports("d1", action);
    assert_eq!(
        reports,
        ["running", "canceled", "warning", "running", "download", "downloaded", "running"]
    );
    let at = format!("/deploymentBase/{action}/feedback");
    for wrong in [
        json!({ "id": "1" }),
        json!({ "status": { "execution": "closed" } }),
        json!({ "status": { "execution": "closed", "result": {} } }),
        json!({ "status": { "execution": "odd", "result": { "finished": "none" } } }),
    ] {
        let answer = hawkbit.tell("d1", "POST", &at, &wrong).expect(400).json();
        assert_eq!(answer.as_object().map(serde_json::Map::len), Some(3));
        assert_eq!(answer["errorCode"], "hawkbit.server.error.rest.body.notReadable");
    }
    hawkbit.tell("d1", "POST", "/deploymentBase/x/feedback", &json!({})).expect(400);
    hawkbit
        .tell(
            "d1",
            "POST",
            "/deploymentBase/99/feedback",
            &json!({ "status": { "execution": "closed", "result": { "finished": "none" } } }),
        )
        .expect(404);
}

#[test]
fn reports_are_bounded_and_the_end_always_has_room() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let (set, _) = hawkbit.make_set("1", b"one");
    let action = hawkbit.assign(set, "d1", &json!({}));
    let at = format!("/deploymentBase/{action}/feedback");
    let report = |details: Vec<String>, finished: &str, execution: &str| {
        let body = json!({ "status": { "execution": execution, "result": { "finished": finished }, "details": details } });
        hawkbit.tell("d1", "POST", &at, &body).status
    };
    assert_eq!(report(vec!["x".to_owned(); 51], "none", "proceeding"), 429);
    assert_eq!(report(vec!["x".to_owned(); 50], "none", "proceeding"), 200);
    // Straight into the database, for a thousand requests take their time.
    hawkbit.world.fleet().database().write("fill up", |tx| {
        for number in 0..998 {
            tx.execute(
                "INSERT INTO action_statuses (action, status, messages, reported_at) VALUES (?1, 'running', ?2, 0)",
                [sql::Value::Integer(action), sql::Value::Text(format!("[\"{number}\"]"))],
            ).expect("a row");
        }
        Ok(())
    }).expect("filled");
    assert_eq!(report(vec!["one more".to_owned()], "none", "proceeding"), 429);
    assert_eq!(report(vec!["done".to_owned()], "success", "closed"), 200);
    assert_eq!(hawkbit.target("d1")["updateStatus"], "in_sync");
}

#[test]
fn a_cancellation_is_acknowledged_rejected_or_overruled() {
    let hawkbit = Hawkbit::new();
    let (set, _) = hawkbit.make_set("1", b"one");
    let (other, _) = hawkbit.make_set("2", b"two");
    let cancel = |id: &str, action: i64, query: &str| {
        hawkbit.rest("DELETE", &format!("targets/{id}/actions/{action}{query}"), None).status
    };
    let answer = |id: &str, action: i64, execution: &str, finished: &str| {
        let body =
            json!({ "status": { "execution": execution, "result": { "finished": finished } } });
        hawkbit.tell(id, "POST", &format!("/cancelAction/{action}/feedback"), &body).status
    };
    for id in ["d1", "d2", "d3", "d4"] {
        hawkbit.poll(id);
    }
    let action = hawkbit.assign(set, "d1", &json!({}));
    assert_eq!(answer("d1", action, "closed", "success"), 405);
    assert_eq!(cancel("d1", action, "?force=true"), 405);
    assert_eq!(cancel("d1", action, ""), 204);
    assert_eq!(cancel("d1", action, ""), 405);
    assert!(links(&hawkbit.poll("d1")).contains(&"cancelAction".to_owned()));
    assert_eq!(hawkbit.ddi("d1", &format!("/deploymentBase/{action}"), &[]).status, 404);
    let told = hawkbit.ddi("d1", &format!("/cancelAction/{action}"), &[]).expect(200).json();
    let id = action.to_string();
    assert_eq!(told, json!({ "id": id, "cancelAction": { "stopId": id } }));
    assert_eq!(answer("d1", action, "closed", "success"), 200);
    assert_eq!(
        hawkbit.action("d1", action),
        ("cancel".into(), "finished".into(), "canceled".into())
    );
    assert_eq!(hawkbit.target("d1")["updateStatus"], "in_sync");
    assert_eq!(hawkbit.ddi("d1", &format!("/cancelAction/{action}"), &[]).status, 404);
    // It does not want to.
    let action = hawkbit.assign(set, "d2", &json!({}));
    assert_eq!(cancel("d2", action, ""), 204);
    assert_eq!(answer("d2", action, "rejected", "none"), 200);
    assert_eq!(hawkbit.action("d2", action).2, "running");
    assert!(links(&hawkbit.poll("d2")).contains(&"deploymentBase".to_owned()));
    // It is done before it hears of it, and that counts.
    assert_eq!(cancel("d2", action, ""), 204);
    hawkbit.feedback("d2", action, "closed", "success").expect(200);
    assert_eq!(hawkbit.target("d2")["updateStatus"], "in_sync");
    // It never answers.
    let action = hawkbit.assign(set, "d3", &json!({}));
    assert_eq!(cancel("d3", action, ""), 204);
    assert_eq!(cancel("d3", action, "?force=true"), 204);
    assert_eq!(hawkbit.action("d3", action).2, "canceled");
    // A newer order: the device stops the old one, then hears of the new one.
    let old = hawkbit.assign(set, "d4", &json!({}));
    let new = hawkbit.assign(other, "d4", &json!({}));
    let poll = hawkbit.poll("d4");
    assert!(
        poll["_links"]["cancelAction"]["href"]
            .as_str()
            .is_some_and(|href| href.ends_with(&format!("/{old}")))
    );
    assert!(poll["_links"].get("deploymentBase").is_none());
    assert_eq!(answer("d4", old, "closed", "success"), 200);
    let poll = hawkbit.poll("d4");
    assert!(
        poll["_links"]["deploymentBase"]["href"]
            .as_str()
            .is_some_and(|href| href.contains(&format!("/{new}?")))
    );
    assert_eq!(hawkbit.rest("GET", "targets/d4/assignedDS", None).json()["id"], other);
}

#[test]
fn what_must_be_passed_through_stays_first() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let module = hawkbit.make_module("1", "update.bin", b"one");
    let step = hawkbit.make_set_of("step", module, true);
    let (last, _) = hawkbit.make_set("2", b"two");
    let first = hawkbit.assign(step, "d1", &json!({}));
    let second = hawkbit.assign(last, "d1", &json!({}));
    let told = |action: i64| {
        let poll = hawkbit.poll("d1");
        poll["_links"]["deploymentBase"]["href"]
            .as_str()
            .is_some_and(|href| href.contains(&format!("/{action}?")))
    };
    assert!(told(first));
    hawkbit.feedback("d1", first, "closed", "success").expect(200);
    assert_eq!(hawkbit.target("d1")["updateStatus"], "pending");
    assert!(told(second));
    hawkbit.feedback("d1", second, "closed", "success").expect(200);
    assert_eq!(hawkbit.target("d1")["updateStatus"], "in_sync");
    // With autoclose the old order ends without a word to the device.
    hawkbit.configure("repository.actions.autoclose.enabled", &json!(true));
    let (old, _) = hawkbit.make_set("3", b"three");
    let (new, _) = hawkbit.make_set("4", b"four");
    let old = hawkbit.assign(old, "d1", &json!({}));
    let new = hawkbit.assign(new, "d1", &json!({}));
    assert_eq!(hawkbit.action("d1", old).2, "canceled");
    assert!(told(new));
}

#[test]
fn kinds_weights_and_windows() {
    let hawkbit = Hawkbit::new();
    for id in ["d1", "d2", "d3", "d4"] {
        hawkbit.poll(id);
    }
    let (set, _) = hawkbit.make_set("1", b"one");
    let orders = |id: &str, action: i64| {
        let told = hawkbit.ddi(id, &format!("/deploymentBase/{action}"), &[]).expect(200).json();
        let of = &told["deployment"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&of["download"]), text(&of["update"]), text(&of["maintenanceWindow"]))
    };
    let all = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let soft = hawkbit.assign(set, "d1", &json!({ "type": "soft" }));
    assert_eq!(orders("d1", soft), all("attempt", "attempt", ""));
    let number = |id: &str| hawkbit.poll(id)["_links"]["deploymentBase"]["href"].clone();
    let before = number("d1");
    let forced = json!({ "forceType": "forced" });
    hawkbit.rest("PUT", &format!("targets/d1/actions/{soft}"), Some(&forced)).expect(200);
    assert_eq!(orders("d1", soft), all("forced", "forced", ""));
    assert_ne!(number("d1"), before);
    // What is to be forced later changes by itself.
    let later = hawkbit.world.environment().now().as_millisecond() + 60_000;
    let timed = hawkbit.assign(set, "d2", &json!({ "type": "timeforced", "forcetime": later }));
    let before = number("d2");
    assert_eq!(orders("d2", timed), all("attempt", "attempt", ""));
    hawkbit.world.clock.pass(61);
    assert_eq!(orders("d2", timed), all("forced", "forced", ""));
    assert_ne!(number("d2"), before);
    // Only to be downloaded: that is its end, and nothing is installed.
    let only = hawkbit.assign(set, "d3", &json!({ "type": "downloadonly" }));
    assert_eq!(orders("d3", only), all("forced", "skip", ""));
    hawkbit.feedback("d3", only, "downloaded", "success").expect(200);
    assert_eq!(hawkbit.action("d3", only).1, "finished");
    assert_eq!(hawkbit.rest("GET", "targets/d3/installedDS", None).status, 204);
    assert!(!links(&hawkbit.poll("d3")).contains(&"installedBase".to_owned()));
    // A window that is closed, whatever the device makes of it.
    let hour = |later: i64| {
        let time = hawkbit.world.environment().now() + jiff::SignedDuration::from_mins(later);
        time.strftime("%-S %-M %-H %-d %-m ? %Y").to_string()
    };
    let window = json!({ "schedule": hour(16), "duration": "00:10:00", "timezone": "+00:00" });
    let windowed = hawkbit.assign(set, "d4", &json!({ "maintenanceWindow": window }));
    assert_eq!(orders("d4", windowed), all("forced", "skip", "unavailable"));
    let sleep = hawkbit.poll("d4")["config"]["polling"]["sleep"].clone();
    let sleep = sleep.as_str().expect("a time");
    assert!(("00:04:30".."00:05:30").contains(&sleep), "{sleep}");
    hawkbit.feedback("d4", windowed, "closed", "success").expect(200);
    assert_eq!(
        hawkbit.action("d4", windowed),
        ("update".into(), "pending".into(), "downloaded".into())
    );
    assert_eq!(hawkbit.target("d4")["updateStatus"], "pending");
    hawkbit.world.clock.pass(12 * 60);
    let sleep = hawkbit.poll("d4")["config"]["polling"]["sleep"].as_str().expect("text").to_owned();
    assert!(sleep.as_str() < "00:02:00" && sleep.as_str() >= "00:00:30", "{sleep}");
    hawkbit.world.clock.pass(5 * 60);
    assert_eq!(orders("d4", windowed), all("forced", "forced", "available"));
    // It is over, and does not come again.
    hawkbit.world.clock.pass(10 * 60);
    assert_eq!(links(&hawkbit.poll("d4")), ["configData"]);
    assert_eq!(hawkbit.action("d4", windowed).2, "canceled");
    for (wrong, code) in [
        (
            json!({ "maintenanceWindow": { "schedule": "x", "duration": "00:10:00", "timezone": "+00:00" } }),
            400,
        ),
        (
            json!({ "maintenanceWindow": { "schedule": "0 0 0 1 1 ? 2020", "duration": "00:10:00", "timezone": "+00:00" } }),
            400,
        ),
        (json!({ "weight": 1001 }), 400),
    ] {
        let mut body = wrong;
        body["id"] = json!("d4");
        let path = format!("distributionsets/{set}/assignedTargets");
        assert_eq!(hawkbit.rest("POST", &path, Some(&json!([body]))).status, code);
    }
}

#[test]
fn what_a_device_found_installed_counts() {
    let hawkbit = Hawkbit::new();
    hawkbit.poll("d1");
    let (set, _) = hawkbit.make_set("7", b"seven");
    let found = |version: &str| {
        let body = json!({ "name": "system", "version": version });
        hawkbit.tell("d1", "PUT", "/installedBase", &body).status
    };
    assert_eq!(found("8"), 404);
    assert_eq!(found("7"), 201);
    assert_eq!(found("7"), 200);
    assert_eq!(hawkbit.rest("GET", "targets/d1/installedDS", None).json()["id"], set);
    assert_eq!(hawkbit.target("d1")["updateStatus"], "in_sync");
}
