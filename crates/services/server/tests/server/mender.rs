//! The real `mender` client as a device: it asks to be let in, tells its inventory, downloads,
//! installs and reports.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use updraft_api::{Page, RolloutDevice, RolloutDeviceState, RolloutState, paths};
use updraft_http::Method;

use crate::hawkbit::Hawkbit;
use crate::operator::{create_rollout, rollout};

/// Where the client looks for the script that says who the device is; there is no option for it.
const IDENTITY: &str = "/usr/share/mender/identity/mender-device-identity";
/// The same for what the device runs before its first update.
const RUNS: &str = "/etc/mender/artifact_info";
const PATIENCE: Duration = Duration::from_mins(2);

struct Client {
    child: Child,
    log: PathBuf,
}

impl Client {
    fn start(folder: &Path, url: &str, tenant_token: &str) -> Self {
        let data = folder.join("data");
        std::fs::create_dir_all(&data).expect("folder");
        std::fs::write(data.join("device_type"), "device_type=test\n").expect("file");
        let configuration = folder.join("mender.conf");
        let text = json!({
            "ServerURL": url, "TenantToken": tenant_token, "UpdatePollIntervalSeconds": 2,
            "InventoryPollIntervalSeconds": 3, "RetryPollIntervalSeconds": 1,
            "DeviceTypeFile": data.join("device_type"), "UpdateLogPath": data,
            "ModulesPath": "/usr/share/mender/modules/v3",
            "ModulesWorkPath": data.join("modules-work"), "DBus": { "Enabled": false },
        });
        std::fs::write(&configuration, text.to_string()).expect("configuration");
        let nothing = folder.join("empty.json");
        std::fs::write(&nothing, "{}").expect("file");
        let log = folder.join("mender.log");
        let output = std::fs::File::options().create(true).append(true).open(&log).expect("log");
        let child = Command::new("mender")
            .arg("-c")
            .arg(&configuration)
            .arg("-b")
            .arg(&nothing)
            .arg("-d")
            .arg(&data)
            .args(["--no-syslog", "daemon"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("log"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .expect("mender is installed");
        Self { child, log }
    }

    fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            let log = || {
                String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
            };
            assert!(start.elapsed() < PATIENCE, "{what} did not happen:\n{}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-9", "--", &group]).status());
        drop(self.child.wait());
    }
}

/// Makes what all clients on this machine read, once for all tests.
fn prepare_machine() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        std::fs::create_dir_all(Path::new(IDENTITY).parent().expect("a folder")).expect("folder");
        std::fs::write(IDENTITY, "#!/bin/sh\necho serial=updraft-test\n").expect("script");
        std::fs::set_permissions(IDENTITY, std::fs::Permissions::from_mode(0o755)).expect("mode");
        std::fs::create_dir_all(Path::new(RUNS).parent().expect("a folder")).expect("folder");
        std::fs::write(RUNS, "artifact_name=rel1\n").expect("file");
    });
}

/// An Artifact that writes a file, for devices of one type.
fn artifact(folder: &Path, name: &str, device_type: &str, module: &str) -> Vec<u8> {
    let path = |file: &str| folder.join(file);
    std::fs::create_dir_all(path("installed")).expect("folder");
    std::fs::write(path("payload.txt"), name).expect("file");
    std::fs::write(path("filename"), "payload.txt").expect("file");
    std::fs::write(path("dest_dir"), path("installed").display().to_string()).expect("file");
    std::fs::write(path("permissions"), "644").expect("file");
    let output = Command::new("mender-artifact")
        .args([
            "write",
            "module-image",
            "-T",
            module,
            "-n",
            name,
            "-t",
            device_type,
            "-o",
            "out.mender",
        ])
        .args(["-f", "payload.txt", "-f", "filename", "-f", "dest_dir", "-f", "permissions"])
        .current_dir(folder)
        .output()
        .expect("mender-artifact is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(path("out.mender")).expect("an Artifact")
}

fn assign(hawkbit: &Hawkbit, id: &str, version: &str, file: &str, content: &[u8]) -> i64 {
    let module = hawkbit.make_module(version, file, content);
    let set = hawkbit.make_set_of(version, module, false);
    hawkbit.assign(set, id, &json!({}))
}

fn waiting(hawkbit: &Hawkbit) -> Vec<Value> {
    let user = format!("admin:{}", hawkbit.world.token);
    let at = "/api/management/v2/devauth/devices?status=pending";
    hawkbit.curl(at, &["-u", &user]).expect(200).json().as_array().expect("a list").clone()
}

#[test]
fn the_real_client_is_let_in_installs_and_reports() {
    let hawkbit = Hawkbit::new();
    let folder = hawkbit.world.folder.path().join("mender");
    std::fs::create_dir_all(&folder).expect("folder");
    prepare_machine();
    let client = Client::start(&folder, &hawkbit.world.plain_url(""), "nobody-knows");

    // It waits until somebody lets it in.
    client.wait_until("the request", || !waiting(&hawkbit).is_empty());
    let device = waiting(&hawkbit).remove(0);
    assert_eq!(device["identity_data"], json!({ "serial": "updraft-test" }));
    let id = device["id"].as_str().expect("an id").to_owned();
    let auth = device["auth_sets"][0]["id"].as_str().expect("an id");
    assert_eq!(hawkbit.rest("GET", &format!("targets/{id}"), None).status, 404);
    let user = format!("admin:{}", hawkbit.world.token);
    let decide = format!("/api/management/v2/devauth/devices/{id}/auth/{auth}/status");
    let accept = "{\"status\":\"accepted\"}";
    assert_eq!(hawkbit.curl(&decide, &["-X", "PUT", "-d", accept]).status, 401);
    hawkbit.curl(&decide, &["-u", &user, "-X", "PUT", "-d", accept]).expect(204);
    assert_eq!(hawkbit.target(&id)["updateStatus"], "registered");

    let attributes = || hawkbit.rest("GET", &format!("targets/{id}/attributes"), None);
    client.wait_until("the inventory", || {
        let found = attributes();
        found.status == 200 && found.json()["device_type"] == "test"
    });

    let good = assign(
        &hawkbit,
        &id,
        "rel2",
        "rel2.mender",
        &artifact(&folder, "rel2", "test", "single-file"),
    );
    client.wait_until("the installation", || hawkbit.action(&id, good).2 == "finished");
    assert_eq!(std::fs::read(folder.join("installed/payload.txt")).expect("file"), b"rel2");
    assert_eq!(hawkbit.target(&id)["updateStatus"], "in_sync");
    let reports = hawkbit.reports(&id, good);
    for kind in ["retrieved", "download", "running", "finished"] {
        assert!(reports.contains(&kind.to_owned()), "{kind}: {reports:?}");
    }

    // It cannot install this one, and says why.
    let broken = assign(
        &hawkbit,
        &id,
        "rel3",
        "rel3.mender",
        &artifact(&folder, "rel3", "test", "no-such-module"),
    );
    client.wait_until("the failure", || hawkbit.action(&id, broken).2 == "error");
    let at = format!("targets/{id}/actions/{broken}/status");
    let reports = || hawkbit.rest("GET", &at, None).expect(200).json().to_string();
    client.wait_until("its log", || reports().contains("no-such-module"));

    // It is not offered what is for others, nor what is no Artifact, nor what it runs.
    let other = assign(
        &hawkbit,
        &id,
        "rel4",
        "rel4.mender",
        &artifact(&folder, "rel4", "other", "single-file"),
    );
    client.wait_until("the refusal", || hawkbit.action(&id, other).2 == "error");
    let odd = assign(&hawkbit, &id, "rel5", "rel5.bin", b"hello");
    client.wait_until("the refusal", || hawkbit.action(&id, odd).2 == "error");
    let same = assign(
        &hawkbit,
        &id,
        "rel2 again",
        "rel2.mender",
        &artifact(&folder, "rel2", "test", "single-file"),
    );
    client.wait_until("what it runs", || hawkbit.action(&id, same).2 == "finished");
    assert!(!hawkbit.reports(&id, same).contains(&"download".to_owned()));

    // What is called off before the device hears of it is over at its next poll.
    let reject = "{\"status\":\"rejected\"}";
    hawkbit.curl(&decide, &["-u", &user, "-X", "PUT", "-d", reject]).expect(204);
    let late = assign(
        &hawkbit,
        &id,
        "rel6",
        "rel6.mender",
        &artifact(&folder, "rel6", "test", "single-file"),
    );
    hawkbit.rest("DELETE", &format!("targets/{id}/actions/{late}"), None).expect(204);
    assert_eq!(hawkbit.action(&id, late).2, "canceling");
    hawkbit.curl(&decide, &["-u", &user, "-X", "PUT", "-d", accept]).expect(204);
    client.wait_until("the cancellation", || hawkbit.action(&id, late).2 == "canceled");
}

/// A release of one Artifact for devices of type `test`.
fn release(hawkbit: &Hawkbit, folder: &Path, name: &str, module: &str) {
    let content = artifact(folder, name, "test", module);
    let module = hawkbit.make_module(name, &format!("{name}.mender"), &content);
    let set = hawkbit.make_set_of(name, module, false);
    let body = json!({ "name": name, "distribution_sets": [{ "id": set }] });
    let world = &hawkbit.world;
    world.send_json(&world.operator(), Method::Post, paths::RELEASES, &body).expect(201);
}

#[test]
fn the_real_client_goes_through_rollouts_and_back() {
    let hawkbit = Hawkbit::new();
    let world = &hawkbit.world;
    let folder = world.folder.path().join("mender");
    std::fs::create_dir_all(&folder).expect("folder");
    prepare_machine();
    let client = Client::start(&folder, &world.plain_url(""), "gateway-secret");
    let targets = || hawkbit.rest("GET", "targets", None).expect(200).json();
    client.wait_until("its first visit", || targets()["total"] == 1);
    let member = |name: &str| -> RolloutDevice {
        let path = paths::rollout_devices(name);
        let page: Page<RolloutDevice> = world.get(&world.operator(), &path).read();
        page.items.into_iter().next().expect("the device")
    };
    let wait = |name: &str, state: RolloutState| {
        client.wait_until(name, || rollout(world, name).state == state);
    };
    let installed = || std::fs::read(folder.join("installed/payload.txt")).unwrap_or_default();

    for name in ["rel2", "rel3"] {
        release(&hawkbit, &folder, name, "single-file");
        let body = json!({ "name": name, "release": name });
        create_rollout(world, &body).expect(201);
        wait(name, RolloutState::Finished);
        assert_eq!(member(name).state, RolloutDeviceState::Succeeded);
        assert_eq!(String::from_utf8_lossy(&installed()), name);
    }
    // It runs that already, so nothing is to be done; and it has no words for anything but "install".
    create_rollout(world, &json!({ "name": "again", "release": "rel3" })).expect(201);
    wait("again", RolloutState::Finished);
    for action in ["consent", "download_only"] {
        let body = json!({ "name": action, "release": "rel2", "action": action });
        create_rollout(world, &body).expect(201);
        rollout(world, action);
        let left_out = member(action);
        assert_eq!(left_out.state, RolloutDeviceState::Skipped);
        assert!(left_out.reason.unwrap_or_default().contains("in this way"));
    }

    // An operator takes it back, and the client installs what it ran before.
    world
        .send(&world.operator(), Method::Post, &paths::rollout_verb("rel3", "rollback"), "")
        .expect(200);
    wait("rel3", RolloutState::RolledBack);
    assert_eq!(member("rel3").state, RolloutDeviceState::RolledBack);
    assert_eq!(installed(), b"rel2");

    // It cannot install this one: the rollout fails with its words.
    release(&hawkbit, &folder, "rel4", "no-such-module");
    create_rollout(world, &json!({ "name": "rel4", "release": "rel4" })).expect(201);
    wait("rel4", RolloutState::Stopped);
    let failed = member("rel4");
    assert_eq!(failed.state, RolloutDeviceState::Failed);
    assert!(failed.reason.is_some_and(|reason| !reason.is_empty()));
    assert_eq!(installed(), b"rel2");
}

#[test]
fn whoever_has_no_key_no_token_or_another_link_is_refused() {
    let hawkbit = Hawkbit::new();
    let folder = hawkbit.world.folder.path().to_owned();
    let run = |script: &str| {
        let output = Command::new("sh")
            .args(["-ec", script])
            .current_dir(&folder)
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let ask = |key: &str, identity: &str, tenant: &str, sign_with: &str| {
        run(&format!(
            "test -e {key}.pem || openssl genpkey -algorithm ed25519 -out {key}.pem 2>/dev/null"
        ));
        run(&format!(
            "test -e {sign_with}.pem || openssl genpkey -algorithm ed25519 -out {sign_with}.pem 2>/dev/null"
        ));
        let public = run(&format!("openssl pkey -in {key}.pem -pubout"));
        let body =
            json!({ "id_data": identity, "pubkey": format!("{public}\n"), "tenant_token": tenant });
        std::fs::write(folder.join("body"), body.to_string()).expect("file");
        let signature = run(&format!(
            "openssl pkeyutl -sign -inkey {sign_with}.pem -rawin -in body | base64 -w0"
        ));
        let header = format!("X-MEN-Signature: {signature}");
        let data = format!("@{}", folder.join("body").display());
        hawkbit.curl(
            "/api/devices/v1/authentication/auth_requests",
            &["-H", &header, "-H", "Content-Type: application/json", "--data-binary", &data],
        )
    };
    let identity = "{\"serial\":\"1\"}";
    assert_eq!(ask("a", identity, "wrong", "b").status, 401);
    assert!(waiting(&hawkbit).is_empty());
    assert_eq!(ask("a", identity, "wrong", "a").status, 401);
    assert_eq!(waiting(&hawkbit).len(), 1);
    for odd in ["", "[]", "{}", "serial"] {
        assert_eq!(ask("a", odd, "gateway-secret", "a").status, 400, "{odd}");
    }
    // The token of the gateway lets a new device in, but none that waits, and no other key.
    assert_eq!(ask("a", identity, "gateway-secret", "a").status, 401);
    let token =
        String::from_utf8(ask("c", "{\"serial\":\"2\"}", "gateway-secret", "c").expect(200).body)
            .expect("text");
    assert_eq!(ask("d", "{\"serial\":\"2\"}", "gateway-secret", "d").status, 401);
    let bearer = format!("Authorization: Bearer {token}");
    let next =
        "/api/devices/v1/deployments/device/deployments/next?artifact_name=a&device_type=test";
    assert_eq!(hawkbit.curl(next, &["-H", &bearer]).status, 204);
    assert_eq!(hawkbit.curl(next, &[]).status, 401);
    assert_eq!(hawkbit.curl(next, &["-H", "Authorization: Bearer x.y.z"]).status, 401);
    let id = hawkbit.rest("GET", "targets", None).json()["content"][0]["controllerId"]
        .as_str()
        .expect("an id")
        .to_owned();
    // It is no device of the other world.
    assert_eq!(hawkbit.ddi(&id, "", &[]).status, 404);
    let work = folder.join("artifact");
    std::fs::create_dir_all(&work).expect("folder");
    let action = assign(
        &hawkbit,
        &id,
        "rel2",
        "rel2.mender",
        &artifact(&work, "rel2", "test", "single-file"),
    );
    let offer = hawkbit.curl(next, &["-H", &bearer]).expect(200).json();
    let deployment = offer["id"].as_str().expect("an id");
    let uri = offer["artifact"]["source"]["uri"].as_str().expect("a link");
    let path = &uri[uri.find("/api/").expect("a path")..];
    assert_eq!(hawkbit.curl(path, &[]).status, 200);
    assert_eq!(hawkbit.curl(path, &["-H", "Range: bytes=0-9"]).expect(206).body.len(), 10);
    assert_eq!(hawkbit.curl(&path.replace("code=", "code=0"), &[]).status, 401);
    assert_eq!(hawkbit.curl(&path.replace("until=", "until=1"), &[]).status, 401);
    // Another device cannot report for it.
    let other =
        String::from_utf8(ask("e", "{\"serial\":\"3\"}", "gateway-secret", "e").expect(200).body)
            .expect("text");
    let other = format!("Authorization: Bearer {other}");
    let status = format!("/api/devices/v1/deployments/device/deployments/{deployment}/status");
    let put = |header: &str, body: &str| {
        hawkbit
            .curl(
                &status,
                &["-X", "PUT", "-H", header, "-H", "Content-Type: application/json", "-d", body],
            )
            .status
    };
    assert_eq!(put(&other, "{\"status\":\"success\"}"), 404);
    assert_eq!(put(&bearer, "{\"status\":\"odd\"}"), 400);
    assert_eq!(put(&bearer, "{\"status\":\"installing\"}"), 204);
    // It is told to stop, and hears of it when it reports.
    hawkbit.rest("DELETE", &format!("targets/{id}/actions/{action}"), None).expect(204);
    assert_eq!(put(&bearer, "{\"status\":\"rebooting\"}"), 409);
    assert_eq!(hawkbit.action(&id, action).2, "canceled");
    // Links and tokens end.
    hawkbit.world.clock.pass(8 * 24 * 3600);
    assert_eq!(hawkbit.curl(path, &[]).status, 401);
    assert_eq!(hawkbit.curl(next, &["-H", &bearer]).status, 401);
}

/// A device whose first answer was late asks again before it comes.
#[test]
fn first_requests_at_a_time_are_one() {
    use updraft_server_service::error::Error;
    let hawkbit = Hawkbit::new();
    let folder = hawkbit.world.folder.path();
    let run = |command: &str| {
        let output = Command::new("sh").current_dir(folder).args(["-ec", command]).output();
        let output = output.expect("a shell");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    run("openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null");
    let public = run("openssl pkey -in key.pem -pubout");
    for number in 0..6 {
        let token = if number % 2 == 0 { "gateway-secret" } else { "" };
        let identity = json!({ "serial": number.to_string() }).to_string();
        let body = json!({ "id_data": identity, "pubkey": public, "tenant_token": token });
        let body = body.to_string().into_bytes();
        std::fs::write(folder.join("body"), &body).expect("file");
        let signature = run("openssl pkeyutl -sign -inkey key.pem -rawin -in body | base64 -w0");
        let begun = std::sync::Barrier::new(8);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let ask = || {
                begun.wait();
                hawkbit.world.fleet().mender_authenticate(&body, &signature)
            };
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        for answer in answers {
            match (token, answer) {
                ("gateway-secret", Ok(_)) | ("", Err(Error::Unauthenticated { .. })) => {}
                (_, other) => panic!("{number}: {other:?}"),
            }
        }
    }
    assert_eq!(waiting(&hawkbit).len(), 3);
    assert_eq!(hawkbit.rest("GET", "targets", None).json()["total"], 3);
}
