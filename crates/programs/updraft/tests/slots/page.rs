//! `updraft slots serve`: its requests, and whom it answers. What people do with the page is in
//! `web/e2e/slots.test.ts`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{World, slow_server};

/// The program that serves the page.
struct Page {
    child: Child,
    address: String,
    token: String,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Page {
    fn start(world: &World) -> Self {
        let mut command = world.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let token = std::fs::read_to_string(world.path("state/page-token")).unwrap();
        // What is no terminal may be a log.
        assert!(!line.contains(token.trim()), "{line}");
        let address = line.split("//").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { child, address, token: token.trim().to_owned() }
    }

    /// Sends a request as it is, and gives the status, the headers and the body.
    fn send(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, head.to_owned(), body.to_owned())
    }

    fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (address, token, length) = (&self.address, &self.token, body.len());
        let (status, _, body) = self.send(&format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {status} {body}")))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn post(&self, path: &str) -> u16 {
        self.call("POST", path, "").0
    }

    fn apply(&self, file: &str) {
        let (status, body) = self.call("POST", "apply", &json!({"update": file}).to_string());
        assert_eq!(status, 202, "{body}");
    }

    fn wait_for(&self, what: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.get("status");
            if what(&status) {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{status:#}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

#[test]
fn an_update_is_applied_suspended_cancelled_switched_and_reset_by_requests() {
    let world = World::new();
    let package = world.package();
    let server = slow_server(&package, 5 << 20);
    world.put_update("a.json", &world.streaming(&format!("{}/a", server.url()), true));
    world.put_update("b.json", &world.non_streaming());
    let mut later = world.non_streaming();
    later["ab_config"]["force_switch_slot"] = false.into();
    world.put_update("c.json", &later);
    let page = Page::start(&world);
    assert_eq!(page.get("updates").as_array().unwrap().len(), 3);
    let shown = page.get("updates/a.json")["text"].as_str().unwrap().to_owned();
    assert!(shown.contains("gen_update_config.py") && !shown.contains("dXNlcjpwYXNz"), "{shown}");
    assert_eq!(page.post("suspend"), 409);

    // The server answers the properties, and then hangs.
    page.apply("b.json");
    let status = page.wait_for(|status| status["slots"]["updater"] == "REBOOT_REQUIRED");
    assert_eq!(status["problem"], Value::Null);
    assert!(world.is_updated());
    assert_eq!(page.post("switch-back"), 202);
    assert_eq!(page.get("status")["slots"]["updater"], "SLOT_SWITCH_REQUIRED");
    assert_eq!(page.post("switch"), 202);
    page.wait_for(|status| status["slots"]["updater"] == "REBOOT_REQUIRED");
    assert_eq!(page.post("reset"), 202);
    assert_eq!(page.get("status")["slots"]["active"], "a");

    page.apply("c.json");
    page.wait_for(|status| status["slots"]["updater"] == "SLOT_SWITCH_REQUIRED");
    assert_eq!(page.post("reset"), 202);
    let events = page.get("log");
    assert!(events.as_array().unwrap().iter().any(|one| one["event"] == "switched-back"));

    // What is applied by another process is suspended and cancelled here.
    let plain = slow_server(&world.payload, 5 << 20);
    let mut child = world.start(&format!("{}/p.bin", plain.url()));
    page.wait_for(|status| status["slots"]["status"] == "DOWNLOADING");
    assert_eq!(page.post("suspend"), 202);
    page.wait_for(|status| status["slots"]["updater"] == "PAUSED");
    let (status, problem) = page.call("POST", "reset", "");
    assert_eq!((status, &problem["code"]), (409, &65.into()), "{problem}");
    assert_eq!(page.post("resume"), 202);
    page.wait_for(|status| status["slots"]["updater"] == "RUNNING");
    assert_eq!(page.post("cancel"), 202);
    drop(plain);
    child.wait().unwrap();
    let status = page.wait_for(|status| status["slots"]["updater"] == "IDLE");
    assert_eq!(status["slots"]["last"]["code"], 48);
}

#[test]
fn a_failure_is_told_with_its_cause_and_way_out() {
    let world = World::new();
    let package = world.package();
    let mut damaged = package.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(world.path("ota.zip"), &damaged).unwrap();
    world.put_update("b.json", &world.non_streaming());
    world.put_update("bad.json", &json!({"name": "x"}));
    let page = Page::start(&world);
    page.apply("b.json");
    let status = page.wait_for(|status| status["slots"]["updater"] == "ERROR");
    assert_eq!(status["problem"]["code"], 29);
    assert_eq!(status["problem"]["cures"], json!(["apply again"]));
    for (body, expected) in [
        (json!({"update": "bad.json"}), 400),
        (json!({"update": "none.json"}), 404),
        (json!({"update": "../slots.toml"}), 404),
        (json!({"update": "b.json", "url": "http://evil.example"}), 400),
        (json!(["b.json"]), 400),
    ] {
        let (status, problem) = page.call("POST", "apply", &body.to_string());
        assert_eq!(status, expected, "{body}: {problem}");
    }
    let long = json!({"update": "x".repeat(8192)}).to_string();
    assert_eq!(page.call("POST", "apply", &long).0, 400);
    assert_eq!(page.call("GET", "updates/..%2f..%2fslots.toml", "").0, 404);
    assert_eq!(page.call("GET", "nothing", "").0, 404);
    assert_eq!(page.call("DELETE", "status", "").0, 405);
}

/// Nobody else is answered, and nothing is done for them.
#[test]
fn who_has_no_token_or_comes_from_elsewhere_gets_nothing() {
    let world = World::new();
    world.package();
    world.put_update("b.json", &world.non_streaming());
    let page = Page::start(&world);
    let (address, token) = (&page.address, &page.token);
    let own = format!("Host: {address}\r\nAuthorization: Bearer {token}");
    let body = "{\"update\":\"b.json\"}";
    let post = |headers: &str| {
        let length = body.len();
        page.send(&format!(
            "POST /api/v1/apply HTTP/1.1\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .0
    };
    let json = "Content-Type: application/json";
    assert_eq!(post(&format!("Host: {address}\r\n{json}")), 401);
    assert_eq!(
        post(&format!("Host: evil.example\r\nAuthorization: Bearer {token}\r\n{json}")),
        421
    );
    assert_eq!(post(&format!("{own}\r\n{json}\r\nOrigin: http://evil.example")), 403);
    assert_eq!(post(&format!("{own}\r\n{json}\r\nSec-Fetch-Site: cross-site")), 403);
    // What a form of another page can send.
    assert_eq!(post(&format!("{own}\r\nContent-Type: text/plain")), 415);
    assert_eq!(post(&format!("{own}\r\n{json}\r\nTransfer-Encoding: chunked")), 400);
    assert_eq!(world.json(&["status"])["phase"], "idle");

    // The page itself has no secret, and says what browsers must not do with it.
    let (status, head, body) = page.send(&format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    assert_eq!(status, 200);
    assert!(head.contains("default-src 'none'; script-src 'self'"), "{head}");
    assert!(head.contains("frame-ancestors 'none'"), "{head}");
    assert!(!body.contains(token));
    assert_eq!(page.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").0, 421);
    assert_eq!(page.send(&format!("GET /../x HTTP/1.1\r\nHost: {address}\r\n\r\n")).0, 404);

    let outside = world.run(&["serve", "--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&outside.stderr);
    assert_eq!(outside.status.code(), Some(3), "{said}");
    assert!(said.contains("loopback"), "{said}");
}

/// It ends in the middle of an update as one that is cancelled, and another process goes on.
#[test]
fn an_update_outlives_the_page() {
    let world = World::new();
    let package = world.package();
    let whole = slow_server(&package, 5 << 20);
    world.put_update("a.json", &world.streaming(&format!("{}/a", whole.url()), true));
    let mut config = world.streaming("", true);
    config["url"] = format!("{}/a", whole.url()).into();
    drop(whole);
    world.put_update("b.json", &world.non_streaming());
    let plain = slow_server(&world.payload, 5 << 20);
    let mut child = world.start(&format!("{}/p.bin", plain.url()));
    let mut page = Page::start(&world);
    page.wait_for(|status| status["slots"]["status"] == "DOWNLOADING");
    rustix_kill(&page.child);
    assert!(page.child.wait().unwrap().success());
    assert_eq!(world.json(&["status"])["updater"], "RUNNING");
    world.json(&["cancel"]);
    drop(plain);
    child.wait().unwrap();
    assert_eq!(world.json(&["apply", "--update", "b.json"])["code"], 0);
    assert!(world.is_updated());
}

/// Asks it to end, as a service manager does.
fn rustix_kill(child: &Child) {
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}
