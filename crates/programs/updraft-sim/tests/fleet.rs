//! A real server and simulated fleets of both protocols, in one rollout to its end: both sides must
//! count the same.

#![allow(clippy::disallowed_methods, reason = "a test may be told how large it is to be")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use updraft_http::{Client, ClientOptions, Method, Request};

const DDI: u32 = 200;
const UPTANE: u32 = 12;
const GATEWAY: &str = "gateway-secret";
const LIMIT: u64 = 4 << 20;

/// A server with one release for devices of both protocols.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
    address: String,
    url: String,
    operator: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server's program, which is built beside ours.
fn server_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_updraft-sim")).with_file_name("updraft-server");
    assert!(program.is_file(), "build updraft-server, too: {}", program.display());
    program
}

/// What a program that has to succeed prints.
fn output(command: &mut Command) -> String {
    let output = command.env("NO_COLOR", "1").output().expect("it starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the server; gives the address that it listens on.
fn run(folder: &tempfile::TempDir, listen: &str) -> (Child, String) {
    let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log"));
    let mut process = Command::new(server_program())
        .args(["run", "--listen", listen, "--json", "--data"])
        .arg(folder.path().join("data"))
        .stdout(Stdio::piped())
        .stderr(log.expect("a log"))
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let said = process.stdout.as_mut().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line).expect("a line");
    let told: Value = serde_json::from_str(&line).expect("JSON");
    let address = told["listening"].as_str().expect("an address").to_owned();
    (process, address)
}

impl Server {
    /// Kills it, and starts it again at the same address.
    fn restart(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
        (self.process, _) = run(&self.folder, &self.address);
    }

    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let server = |arguments: &[&str]| {
            let mut command = Command::new(server_program());
            command.args(arguments).arg("--data").arg(&data);
            command
        };
        output(&mut server(&["init", "--name", "localhost", "--name", "127.0.0.1"]));
        let token = output(&mut server(&["token", "create", "operator", "--scope", "admin"]));
        let token = token.split_whitespace().last().expect("a token").to_owned();
        let (process, address) = run(&folder, "127.0.0.1:0");
        let url = format!("https://{address}");
        let options = ClientOptions {
            ca_pem: Some(std::fs::read(data.join("tls/ca.pem")).expect("the authority")),
            bearer_token: Some(token),
            ..ClientOptions::default()
        };
        let operator = Client::new(&options).expect("a client");
        Self { folder, process, address, url, operator }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn ask(&self, method: Method, path: &str, body: (&str, Vec<u8>)) -> Value {
        let url = format!("{}{path}", self.url);
        let mut request = Request::new(method, url);
        if method != Method::Get {
            request = request.header("Content-Type", body.0).body(body.1);
        }
        let answer = self.operator.send(request).expect("an answer");
        let status = answer.status;
        let bytes = answer.bytes(LIMIT).expect("a body");
        assert!(status < 300, "{path}: {status} {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        self.ask(method, path, ("application/json", body.to_string().into_bytes()))
    }

    fn get(&self, path: &str) -> Value {
        self.ask(Method::Get, path, ("", Vec::new()))
    }

    /// The distribution set that DDI devices get.
    fn make_set(&self) -> i64 {
        let id = |made: &Value| made[0]["id"].as_i64().expect("a number");
        let module = json!([{ "name": "firmware", "version": "1", "type": "os" }]);
        let module = id(&self.send(Method::Post, "/rest/v1/softwaremodules", &module));
        let form = "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\ncontent\r\n--line--\r\n";
        let path = format!("/rest/v1/softwaremodules/{module}/artifacts");
        self.ask(Method::Post, &path, ("multipart/form-data; boundary=line", form.into()));
        let set = json!([{ "name": "system", "version": "1", "type": "os",
            "modules": [{ "id": module }] }]);
        id(&self.send(Method::Post, "/rest/v1/distributionsets", &set))
    }

    fn allow_gateway(&self) {
        for (key, value) in [("enabled", json!(true)), ("key", json!(GATEWAY))] {
            let path = format!("/rest/v1/system/configs/authentication.gatewaytoken.{key}");
            self.send(Method::Put, &path, &json!({ "value": value }));
        }
    }
}

/// Plays a fleet for so long at most; what the summary says.
fn play(time: &str, arguments: &[&str]) -> Value {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_updraft-sim"));
    sim.args(arguments).args(["--json", "--for", time, "--ramp", "1s", "--interval", "500ms"]);
    let summary = output(sim.args(["--install", "100ms", "--allow-errors", "0%"]));
    serde_json::from_str(&summary).expect("JSON")
}

#[test]
fn a_rollout_goes_through_simulated_fleets_of_both_protocols() {
    let server = Server::start();
    server.allow_gateway();
    let set = server.make_set();
    server.ask(Method::Post, "/api/v1/user_repo", ("application/json", Vec::new()));
    let target = "/api/v1/user_repo/targets/fw.bin?name=fw&version=1&targetFormat=BINARY\
                  &hardwareIds=simulated";
    server.ask(Method::Put, target, ("application/octet-stream", b"firmware".to_vec()));
    let signed = server.get("/api/v1/user_repo/targets.json");
    let sha256 = &signed["signed"]["targets"]["fw.bin"]["hashes"]["sha256"];
    let target = json!({ "filepath": "fw.bin", "hardware_ids": ["simulated"], "format": "BINARY",
        "sha256": sha256, "length": 8, "version": "1" });
    let release =
        json!({ "name": "v1", "targets": [target], "distribution_sets": [{ "id": set }] });
    server.send(Method::Post, "/api/v1/releases", &release);
    let credentials = server.path("credentials.zip");
    let data = server.path("data");
    output(Command::new(server_program()).args(["credentials", "--data", &data]).args([
        "--out",
        &credentials,
        "--url",
        &server.url,
    ]));
    let (state, authority) = (server.path("state"), server.path("data/tls/ca.pem"));
    let (ddi, uptane) = (DDI.to_string(), UPTANE.to_string());
    let of_ddi = ["ddi", "--url", &server.url, "--ca", &authority, "--gateway-token", GATEWAY];
    let of_ddi: Vec<_> = of_ddi.into_iter().chain(["--devices", &ddi]).collect();
    let of_uptane = ["uptane", "--credentials", &credentials, "--state", &state];
    let of_uptane: Vec<_> = of_uptane.into_iter().chain(["--devices", &uptane]).collect();

    // The devices become known; there is nothing for them yet.
    for arguments in [&of_ddi, &of_uptane] {
        let known = play("5s", arguments);
        assert_eq!(known["totals"]["actions"]["begun"], 0, "{known}");
    }
    let rollout = json!({ "name": "r", "release": "v1", "failure_threshold": { "percent": 100 } });
    server.send(Method::Post, "/api/v1/rollouts", &rollout);

    let failing: Vec<_> = of_ddi.iter().copied().chain(["--failures", "10%"]).collect();
    let (of_ddi, of_uptane) = std::thread::scope(|scope| {
        let one = scope.spawn(|| play("300s", &[&failing[..], &["--actions", "1"]].concat()));
        let other = play("300s", &[&of_uptane[..], &["--actions", "1"]].concat());
        (one.join().expect("no panic"), other)
    });
    let count = |summary: &Value, what: &str| {
        summary["totals"]["actions"][what].as_u64().unwrap_or_else(|| panic!("{what}: {summary}"))
    };
    assert_eq!(count(&of_ddi, "finished") + count(&of_ddi, "failed"), u64::from(DDI), "{of_ddi}");
    assert!((5..40).contains(&count(&of_ddi, "failed")), "{of_ddi}");
    assert_eq!(count(&of_uptane, "finished"), u64::from(UPTANE), "{of_uptane}");
    assert_eq!(of_ddi["totals"]["devices"]["wrong_content"], 0, "{of_ddi}");

    let counts = server.get("/api/v1/rollouts/r")["counts"].clone();
    let both = count(&of_ddi, "finished") + count(&of_uptane, "finished");
    assert_eq!(counts["succeeded"], both, "{counts}");
    assert_eq!(counts["failed"], count(&of_ddi, "failed"), "{counts}");
}

#[test]
fn a_restart_of_the_server_causes_no_stampede() {
    let devices: u32 = std::env::var("UPDRAFT_SIM_DEVICES")
        .map_or(3000, |devices| devices.parse().expect("UPDRAFT_SIM_DEVICES is a number"));
    let mut server = Server::start();
    server.allow_gateway();
    let seconds = if devices > 10_000 { 600 } else { 30 };
    let polling = json!({ "value": format!("PT{seconds}S~10%") });
    server.send(Method::Put, "/rest/v1/system/configs/pollingTime", &polling);
    let (authority, count) = (server.path("data/tls/ca.pem"), devices.to_string());
    let (time, ramp) = (format!("{}s", seconds * 5 / 2), format!("{seconds}s"));
    let url = server.url.clone();
    let summary = std::thread::scope(|scope| {
        let sim = scope.spawn(|| {
            let mut sim = Command::new(env!("CARGO_BIN_EXE_updraft-sim"));
            sim.args(["ddi", "--url", &url, "--ca", &authority, "--gateway-token", GATEWAY]);
            sim.args(["--devices", &count, "--for", &time, "--ramp", &ramp, "--json"]);
            // Who polls while the server is away has to come again.
            output(sim.args(["--allow-errors", "20%"]))
        });
        std::thread::sleep(std::time::Duration::from_secs(seconds + seconds / 3));
        server.restart();
        sim.join().expect("no panic")
    });
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    let totals = &summary["totals"];
    let even = u64::from(devices) / seconds;
    let peak = totals["peak_visits_per_second"].as_u64().expect("a number");
    assert!(peak < even * 3, "{peak} polls in one second, evenly spread {even}: {summary}");
    // Each came back.
    let polls = totals["kinds"]["poll"]["count"].as_u64().expect("a number");
    assert!(polls >= 2 * u64::from(devices), "{summary}");
    let answers = &totals["kinds"]["poll"]["statuses"];
    assert!(answers.get("429").is_none() && answers.get("503").is_none(), "{summary}");
}
