//! Reports of many devices at a time, which are stored together.

use std::sync::Barrier;

use serde_json::{Value, json};
use updraft_http::{Client, ClientOptions, Method, Request};

use super::Hawkbit;
use crate::world::{Answer, ask};

/// Devices that report at a time.
const DEVICES: usize = 24;

/// One kept connection for each device.
struct Device<'h> {
    hawkbit: &'h Hawkbit,
    client: Client,
    id: String,
    token: &'static str,
}

impl<'h> Device<'h> {
    fn new(hawkbit: &'h Hawkbit, id: impl Into<String>, token: &'static str) -> Self {
        let options = ClientOptions { retries: 0, ..ClientOptions::default() };
        let client = Client::new(&options).expect("a client");
        Self { hawkbit, client, id: id.into(), token }
    }

    fn tell(&self, action: i64, status: &Value) -> Answer {
        let path = format!("/default/controller/v1/{}/deploymentBase/{action}/feedback", self.id);
        let body = json!({ "status": status }).to_string().into_bytes();
        let request = Request::new(Method::Post, self.hawkbit.world.plain_url(&path))
            .header("Authorization", format!("GatewayToken {}", self.token))
            .header("Content-Type", "application/json")
            .body(body);
        ask(&self.client, request)
    }
}

fn status(execution: &str, finished: &str, details: &[&str]) -> Value {
    json!({ "execution": execution, "result": { "finished": finished }, "details": details })
}

#[test]
fn each_has_its_own_history_and_what_is_refused_changes_nothing() {
    let hawkbit = Hawkbit::new();
    let (set, _) = hawkbit.make_set("1", b"content");
    let actions: Vec<(String, i64)> = (0..DEVICES)
        .map(|number| {
            let id = format!("d{number:02}");
            hawkbit.make_target(&id);
            let action = hawkbit.assign(set, &id, &json!({}));
            (id, action)
        })
        .collect();
    let (victim, victims) = actions.first().expect("a device").clone();
    let begun = Barrier::new(DEVICES + 4);
    std::thread::scope(|scope| {
        for (number, (id, action)) in actions.iter().enumerate() {
            let (hawkbit, begun) = (&hawkbit, &begun);
            scope.spawn(move || {
                let device = Device::new(hawkbit, id, "gateway-secret");
                begun.wait();
                for step in ["1", "2", "2", "3"] {
                    let text = format!("{id} {step}");
                    device.tell(*action, &status("proceeding", "none", &[&text])).expect(200);
                }
                let finished = if number % 3 == 0 { "failure" } else { "success" };
                device.tell(*action, &status("closed", finished, &["the end"])).expect(200);
                device.tell(*action, &status("closed", "success", &[])).expect(410);
            });
        }
        for (id, token, action, expect) in [
            (victim.as_str(), "wrong", victims, 401),
            ("nobody", "gateway-secret", victims, 404),
            (actions[1].0.as_str(), "gateway-secret", victims, 404),
            ("d%00", "gateway-secret", victims, 400),
        ] {
            let (hawkbit, begun) = (&hawkbit, &begun);
            scope.spawn(move || {
                let device = Device::new(hawkbit, id, token);
                begun.wait();
                for _ in 0..8 {
                    let forged = status("closed", "success", &["forged"]);
                    let refused = device.tell(action, &forged).status;
                    // SQLite knows no device with a NUL in its name, PostgreSQL takes no such text.
                    assert!(refused == expect || (expect == 400 && refused == 404), "{refused}");
                }
            });
        }
    });
    for (number, (id, action)) in actions.iter().enumerate() {
        let (end, state) =
            if number % 3 == 0 { ("error", "error") } else { ("finished", "in_sync") };
        let expect = ["running", "running", "running", "running", end];
        assert_eq!(hawkbit.reports(id, *action), expect, "{id}");
        assert_eq!(hawkbit.action(id, *action).2, end, "{id}");
        assert_eq!(hawkbit.target(id)["updateStatus"], state, "{id}");
        let path = format!("targets/{id}/actions/{action}/status?sort=id:ASC");
        let said = hawkbit.rest("GET", &path, None).expect(200).json();
        for (at, step) in [(1, "1"), (2, "2"), (3, "3")] {
            assert_eq!(said["content"][at]["messages"][0], format!("{id} {step}"));
        }
        assert!(!said.to_string().contains("forged"), "{id}");
    }
}

#[test]
fn an_action_that_is_to_be_stopped_stays_so_whatever_else_is_reported() {
    let hawkbit = Hawkbit::new();
    let (set, _) = hawkbit.make_set("1", b"content");
    hawkbit.make_target("d1");
    let action = hawkbit.assign(set, "d1", &json!({}));
    let device = Device::new(&hawkbit, "d1", "gateway-secret");
    hawkbit.ddi("d1", &format!("/deploymentBase/{action}"), &[]).expect(200);
    hawkbit.rest("DELETE", &format!("targets/d1/actions/{action}"), None).expect(204);
    let mut told = status("proceeding", "none", &[]);
    told["code"] = json!(7);
    device.tell(action, &told).expect(200);
    assert_eq!(hawkbit.action("d1", action).2, "canceling");
    let found = hawkbit.rest("GET", &format!("targets/d1/actions/{action}"), None).json();
    assert_eq!(found["lastStatusCode"], 7);
    let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = device.tell(action, &status("proceeding", "none", &many)).expect(429);
    assert_eq!(refused.json()["errorCode"], "hawkbit.server.error.quota.tooManyEntries");
}
