//! `curl` as the client that scripts of the OTA world are made of.

use std::process::Command;

use serde_json::Value;

use crate::world::World;

/// What `curl` was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}\n{body}", self.headers);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    /// A JSON string without its quotes, as `jq -r` gives it.
    pub(crate) fn text(&self) -> String {
        self.json().as_str().expect("a JSON string").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Runs `curl` on a path of the server with the administrator's token and a namespace.
pub(crate) fn curl(world: &World, path: &str, arguments: &[&str]) -> Answered {
    let bearer = format!("Authorization: Bearer {}", world.token);
    let mut all = vec!["-H", bearer.as_str(), "-H", "x-ats-namespace: default"];
    all.extend_from_slice(arguments);
    curl_as(world, path, &all)
}

/// Runs `curl` without any header but those given.
pub(crate) fn curl_as(world: &World, path: &str, arguments: &[&str]) -> Answered {
    let ca = world.layout.ca_certificate();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--http1.1", "-H", "Expect:", "--cacert"])
        .arg(ca)
        .args(arguments)
        .arg(world.url(path))
        .output()
        .expect("curl is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {path} {arguments:?}: {error}");
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let headers = String::from_utf8_lossy(&output.stdout[..end]).into_owned();
    let status = headers.split(' ').nth(1).expect("a status").parse().expect("a status");
    Answered { status, headers, body: output.stdout[end + 4..].to_vec() }
}

/// The same with a JSON body.
pub(crate) fn send(world: &World, method: &str, path: &str, body: &Value) -> Answered {
    let body = body.to_string();
    let arguments = ["-X", method, "-H", "Content-Type: application/json", "-d", body.as_str()];
    curl(world, path, &arguments)
}
