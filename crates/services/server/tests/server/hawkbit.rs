//! hawkBit's interfaces: scripts that speak its Management API with `curl`, devices that speak its
//! DDI with `curl` and with the real `swupdate`.

mod access;
mod actions;
mod auto_assignments;
mod confirmation;
mod devices;
pub(crate) mod downloads;
mod in_rollouts;
mod management;
mod many_reports;
mod rollouts;
mod selections;
mod swupdate;
mod types_and_groups;

use std::process::Command;

use serde_json::{Value, json};

use crate::curl::Answered;
use crate::world::World;

/// A server that is ready for devices with tokens.
pub(crate) struct Hawkbit {
    pub(crate) world: World,
}

impl Hawkbit {
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    pub(crate) fn of(world: World) -> Self {
        let this = Self { world };
        this.configure("authentication.targettoken.enabled", &json!(true));
        this.configure("authentication.gatewaytoken.enabled", &json!(true));
        this.configure("authentication.gatewaytoken.key", &json!("gateway-secret"));
        this
    }

    pub(crate) fn configure(&self, key: &str, value: &Value) {
        let path = format!("system/configs/{key}");
        self.rest("PUT", &path, Some(&json!({ "value": value }))).expect(200);
    }

    /// A request of a script, which shows its token as a password.
    pub(crate) fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> Answered {
        let user = format!("admin:{}", self.world.token);
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut arguments = vec!["-X", method, "-u", &user];
        if body.is_some() {
            arguments.extend([
                "-H",
                "Content-Type: application/hal+json;charset=UTF-8",
                "-d",
                &text,
            ]);
        }
        self.curl(&format!("/rest/v1/{path}"), &arguments)
    }

    /// A request of the device with this id, which shows the gateway's token.
    pub(crate) fn ddi(&self, id: &str, rest: &str, arguments: &[&str]) -> Answered {
        let mut all = vec!["-H", "Authorization: GatewayToken gateway-secret"];
        all.extend_from_slice(arguments);
        self.curl(&format!("/default/controller/v1/{id}{rest}"), &all)
    }

    /// What a device that polls is answered.
    pub(crate) fn poll(&self, id: &str) -> Value {
        self.ddi(id, "", &[]).expect(200).json()
    }

    /// A message of a device.
    pub(crate) fn tell(&self, id: &str, method: &str, rest: &str, body: &Value) -> Answered {
        let body = body.to_string();
        self.ddi(id, rest, &["-X", method, "-H", "Content-Type: application/json", "-d", &body])
    }

    /// Feedback of a device on an action.
    pub(crate) fn feedback(
        &self,
        id: &str,
        action: i64,
        execution: &str,
        finished: &str,
    ) -> Answered {
        let body = json!({
            "id": action.to_string(),
            "status": { "execution": execution, "result": { "finished": finished } },
        });
        self.tell(id, "POST", &format!("/deploymentBase/{action}/feedback"), &body)
    }

    pub(crate) fn curl(&self, path: &str, arguments: &[&str]) -> Answered {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--http1.1", "--path-as-is"])
            .args(["-H", "Expect:"])
            .args(arguments)
            .arg(self.world.plain_url(path))
            .output()
            .expect("curl is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "curl {path} {arguments:?}: {error}");
        let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let headers = String::from_utf8_lossy(&output.stdout[..end]).into_owned();
        let status = headers.split(' ').nth(1).expect("a status").parse().expect("a status");
        Answered { status, headers, body: output.stdout[end + 4..].to_vec() }
    }

    pub(crate) fn make_target(&self, id: &str) {
        let body =
            json!([{ "controllerId": id, "name": id, "securityToken": format!("{id}-token") }]);
        self.rest("POST", "targets", Some(&body)).expect(201);
    }

    /// A module of type `os` with one file; gives its number.
    pub(crate) fn make_module(&self, version: &str, file: &str, content: &[u8]) -> i64 {
        let body = json!([{ "name": "firmware", "version": version, "type": "os" }]);
        let made = self.rest("POST", "softwaremodules", Some(&body)).expect(201).json();
        let id = made[0]["id"].as_i64().expect("a number");
        self.upload(id, file, content).expect(201);
        id
    }

    pub(crate) fn upload(&self, module: i64, file: &str, content: &[u8]) -> Answered {
        let path = self.world.folder.path().join(file);
        std::fs::write(&path, content).expect("a file");
        let form = format!("file=@{}", path.display());
        let user = format!("admin:{}", self.world.token);
        let at = format!("/rest/v1/softwaremodules/{module}/artifacts");
        self.curl(&at, &["-u", &user, "-F", &form])
    }

    /// A set of one module with one file; gives its number and that of the module.
    pub(crate) fn make_set(&self, version: &str, content: &[u8]) -> (i64, i64) {
        let module = self.make_module(version, "update.bin", content);
        (self.make_set_of(version, module, false), module)
    }

    pub(crate) fn make_set_of(&self, version: &str, module: i64, required: bool) -> i64 {
        let body = json!([{
            "name": "system", "version": version, "type": "os", "modules": [{ "id": module }],
            "requiredMigrationStep": required,
        }]);
        let made = self.rest("POST", "distributionsets", Some(&body)).expect(201).json();
        made[0]["id"].as_i64().expect("a number")
    }

    /// Tells a device to install a set; gives the number of the action.
    pub(crate) fn assign(&self, set: i64, id: &str, more: &Value) -> i64 {
        let mut one = json!({ "id": id });
        for (key, value) in more.as_object().expect("an object") {
            one[key] = value.clone();
        }
        let path = format!("distributionsets/{set}/assignedTargets");
        let result = self.rest("POST", &path, Some(&json!([one]))).expect(200).json();
        assert_eq!(result["assigned"], 1, "{result}");
        result["assignedActions"][0]["id"].as_i64().expect("a number")
    }

    /// Where an action stands: `type`, `status`, `detailStatus`.
    pub(crate) fn action(&self, id: &str, action: i64) -> (String, String, String) {
        let found = self.rest("GET", &format!("targets/{id}/actions/{action}"), None).expect(200);
        let text = |key: &str| found.json()[key].as_str().unwrap_or_default().to_owned();
        (text("type"), text("status"), text("detailStatus"))
    }

    pub(crate) fn target(&self, id: &str) -> Value {
        self.rest("GET", &format!("targets/{id}"), None).expect(200).json()
    }

    /// What was reported of an action, oldest first.
    pub(crate) fn reports(&self, id: &str, action: i64) -> Vec<String> {
        let path = format!("targets/{id}/actions/{action}/status?limit=500&sort=id:ASC");
        let list = self.rest("GET", &path, None).expect(200).json();
        let content = list["content"].as_array().expect("a list").clone();
        content.iter().map(|one| one["type"].as_str().expect("text").to_owned()).collect()
    }
}

/// The names of the links in an answer.
pub(crate) fn links(answer: &Value) -> Vec<String> {
    let links = answer.get("_links").and_then(Value::as_object);
    links.map(|links| links.keys().cloned().collect()).unwrap_or_default()
}
