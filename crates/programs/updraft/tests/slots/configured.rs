//! Updates that are chosen by a configuration of Android's SystemUpdaterSample.

use serde_json::{Value, json};
use updraft_http::testing::{Answer, Exchange, Server};

use super::world::World;

impl World {
    /// An OTA package of the payload.
    pub(crate) fn package(&self) -> Vec<u8> {
        self.good(&["ota", "zip", "p.bin", "ota.zip", "--device", "board"]);
        std::fs::read(self.path("ota.zip")).unwrap()
    }

    fn good(&self, arguments: &[&str]) -> Vec<u8> {
        let mut updraft = std::process::Command::new(env!("CARGO_BIN_EXE_updraft"));
        let done = updraft.args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// The configuration that streams the package from there, as gen_update_config.py makes it.
    pub(crate) fn streaming(&self, url: &str, force_switch_slot: bool) -> Value {
        let shown: Value =
            serde_json::from_slice(&self.good(&["ota", "show", "ota.zip", "--json"])).unwrap();
        let ranges = shown["ranges"].as_array().unwrap();
        let files = ranges.iter().filter(|range| range["list"] == "ota-property-files");
        let files = files.map(|range| {
            json!({"filename": range["name"], "offset": range["offset"], "size": range["size"]})
        });
        json!({
            "__": "*** Generated using tools/gen_update_config.py ***",
            "name": "board 2.1",
            "url": url,
            "ab_install_type": "STREAMING",
            "ab_config": {
                "force_switch_slot": force_switch_slot,
                "verify_payload_metadata": true,
                "authorization": "Basic dXNlcjpwYXNz",
                "property_files": files.collect::<Vec<_>>(),
            },
        })
    }

    /// The configuration of the package in its file.
    pub(crate) fn non_streaming(&self) -> Value {
        json!({
            "name": "board 2.1 from a file",
            "url": format!("file://{}", self.path("ota.zip").display()),
            "ab_install_type": "NON_STREAMING",
            "ab_config": {"force_switch_slot": true, "verify_payload_metadata": true},
        })
    }

    pub(crate) fn put_update(&self, file: &str, config: &Value) {
        let folder = self.path("updates");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), config.to_string()).unwrap();
    }
}

/// Serves the package to whoever has the password.
fn serve(package: Vec<u8>) -> Server {
    Server::start(move |exchange: &Exchange| match exchange.header("authorization") {
        Some("Basic dXNlcjpwYXNz") => Answer::Resource(package.clone()),
        _ => Answer::Bytes(401, Vec::new()),
    })
}

#[test]
fn what_a_configuration_names_is_listed_and_applied() {
    let world = World::new();
    let server = serve(world.package());
    let url = format!("{}/ota.zip", server.url());
    world.put_update("a.json", &world.streaming(&url, false));
    world.put_update("b.json", &world.non_streaming());
    world.put_update("c.json", &json!({"name": "broken"}));
    let listed = world.json(&["updates"]);
    let each = |key: &str| listed.as_array().unwrap().iter().map(|one| one[key].clone()).collect();
    let files: Vec<Value> = each("file");
    assert_eq!(files, ["a.json", "b.json", "c.json"]);
    assert_eq!(listed[0]["install_type"], "STREAMING");
    assert!(listed[2]["problem"].as_str().unwrap().contains("c.json"));

    // Streamed by ranges, and not started before the switch, as the configuration says.
    let done = world.json(&["apply", "--update", "a.json"]);
    assert_eq!(done["code"], 52);
    assert!(world.is_updated());
    let asked: Vec<_> = server.log().iter().filter_map(Exchange::range_start).collect();
    assert!(asked.len() >= 2 && asked.iter().all(|at| *at > 0), "{asked:?}");
    let status = world.json(&["status"]);
    assert_eq!(status["updater"], "SLOT_SWITCH_REQUIRED");
    assert_eq!(status["update"]["origin"], url);
    world.json(&["switch"]);
    assert_eq!(world.json(&["status"])["updater"], "REBOOT_REQUIRED");
    world.json(&["reset"]);

    // From a file, by a path.
    world.clear();
    assert_eq!(world.json(&["apply", "--update", "./updates/b.json"])["code"], 0);
    assert!(world.is_updated());

    // What was done is written down, without the password.
    let log = world.json(&["log"]);
    let events: Vec<_> = log.as_array().unwrap().iter().map(|one| one["event"].clone()).collect();
    assert_eq!(events, ["begun", "applied", "switched", "reset", "begun", "switched", "applied"]);
    assert!(log[0]["time"].as_u64().unwrap() > 1_700_000_000);
    assert!(!log.to_string().contains("dXNlcjpwYXNz"));
}

/// A configuration, and the properties in its package, make nothing trusted.
#[test]
fn a_configuration_is_no_proof() {
    let world = World::new();
    world.package();
    world.put_update("b.json", &world.non_streaming());
    let config = std::fs::read_to_string(world.path("slots.toml")).unwrap();
    let keys = config.lines().find(|line| line.starts_with("keys")).unwrap();
    std::fs::write(world.path("slots.toml"), config.replace(keys, "")).unwrap();
    let refused = world.run(&["apply", "--update", "b.json"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("names no keys"), "{said}");

    // Signed by somebody else.
    let other = World::new();
    std::fs::copy(other.path("key.pub"), world.path("key.pub")).unwrap();
    std::fs::write(world.path("slots.toml"), &config).unwrap();
    let refused = world.run(&["apply", "--update", "b.json"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(9) && said.contains("code 26"), "{said}");
    assert_eq!(std::fs::read(world.path("system_b")).unwrap(), vec![0x11; world.new.len()]);

    // Of a package, also what it says beside the hashes counts.
    world.json(&["reset"]);
    world.good(&[
        "ota",
        "zip",
        "p.bin",
        "ota.zip",
        "--device",
        "board",
        "--property",
        "POWERWASH=1",
    ]);
    let refused = world.run(&["apply", "--update", "b.json"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("POWERWASH"), "{said}");
}
