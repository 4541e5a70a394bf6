//! `updraft slots`, as people and scripts call it: on files in place of partitions, with Android's
//! boot control, killed and cut off.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use updraft_http::testing::{Answer, Server};

const BLOCKS: usize = 2048;
/// What the operations of a full payload replace.
const PIECE: usize = 2 << 20;

/// A device with two slots; slot A works and runs.
struct World {
    folder: tempfile::TempDir,
    new: Vec<u8>,
    payload: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut state = 7_u32;
        let noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let new: Vec<u8> = std::iter::repeat_with(noise).take(BLOCKS * 4096).collect();
        let mut world = Self { folder, new, payload: Vec::new() };
        std::fs::write(world.path("new.img"), &world.new).unwrap();
        world.clear();
        let mut misc = vec![0; 4096];
        // Slot A has the highest priority and works; the checksum is the last number.
        misc[2048..2062].copy_from_slice(&[95, 97, 0, 0, 66, 67, 65, 66, 1, 2, 0, 0, 0x8f, 0]);
        let crc = crc32(&misc[2048..2076]).to_le_bytes();
        misc[2076..2080].copy_from_slice(&crc);
        std::fs::write(world.path("misc"), misc).unwrap();
        for arguments in [
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"][..],
            &["ec", "-in", "key", "-pubout", "-out", "key.pub"],
        ] {
            let mut openssl = Command::new("openssl");
            openssl.args(arguments).current_dir(world.folder.path()).stderr(Stdio::null());
            assert!(openssl.status().unwrap().success());
        }
        let here = world.folder.path().display();
        let config = format!(
            "state = \"{here}/state\"\nkeys = [\"{here}/key.pub\"]\nrunning = \"a\"\n\
             [boot-control.misc]\npath = \"{here}/misc\"\n[partitions]\n\
             system = [\"{here}/system_a\", \"{here}/system_b\"]\n"
        );
        std::fs::write(world.path("slots.toml"), config).unwrap();
        let mut generate = Command::new(env!("CARGO_BIN_EXE_updraft"));
        generate.args([
            "payload",
            "generate",
            "p.bin",
            "--image",
            "system=new.img",
            "--key",
            "key",
        ]);
        let made = generate.current_dir(world.folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        world.payload = std::fs::read(world.path("p.bin")).unwrap();
        world
    }

    /// Both slots as they were.
    fn clear(&self) {
        for slot in ["system_a", "system_b"] {
            std::fs::write(self.path(slot), vec![0x11; self.new.len()]).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut updraft = Command::new(env!("CARGO_BIN_EXE_updraft"));
        updraft.args(["slots", "--config", "slots.toml"]).args(arguments);
        updraft.current_dir(self.folder.path());
        updraft
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints; it has to succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn start(&self, url: &str) -> Child {
        let mut command = self.command(&["apply", url]);
        command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    fn is_updated(&self) -> bool {
        std::fs::read(self.path("system_b")).unwrap() == self.new
    }

    /// Waits until what `status` tells is so.
    fn wait_for(&self, what: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.json(&["status"]);
            if what(&status) {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{status:#}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let each = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    };
    !bytes.iter().fold(u32::MAX, each)
}

#[test]
fn an_update_is_applied_shown_taken_back_and_found_well() {
    let world = World::new();
    let status = world.json(&["status"]);
    assert_eq!((&status["status"], &status["active"]), (&"IDLE".into(), &"a".into()));
    world.json(&["apply", "p.bin", "--check"]);
    assert!(!world.is_updated());
    let done = world.json(&["apply", "p.bin", "--header", "SWITCH_SLOT_ON_REBOOT=0"]);
    assert_eq!((&done["code"], &done["name"]), (&52.into(), &"UpdatedButNotActive".into()));
    assert!(world.is_updated());
    world.json(&["switch"]);
    let status = world.json(&["status"]);
    assert_eq!(status["status"], "UPDATED_NEED_REBOOT");
    assert_eq!(status["slots"][1]["tries_left"], 3);
    let again = world.run(&["apply", "p.bin"]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(5), "{said}");
    assert!(said.contains("hint: restart, or take it back: `updraft slots reset`"), "{said}");
    world.json(&["reset"]);
    assert_eq!(world.json(&["status"])["active"], "a");
    world.json(&["set-active", "b"]);
    world.json(&["mark-unbootable", "b"]);
    assert_eq!(world.json(&["mark-successful"])["slot"], "a");

    // Another start of the system, from slot B.
    world.json(&["apply", "p.bin"]);
    let config = std::fs::read_to_string(world.path("slots.toml")).unwrap();
    let config = config.replace("running = \"a\"", "running = \"b\"");
    std::fs::write(world.path("slots.toml"), config).unwrap();
    let status = world.json(&["status", "--boot-id", "next"]);
    assert_eq!(status["status"], "CLEANUP_PREVIOUS_UPDATE");
    world.json(&["mark-successful", "--boot-id", "next"]);
    let status = world.json(&["status", "--boot-id", "next"]);
    assert_eq!((&status["status"], &status["update"]), (&"IDLE".into(), &Value::Null));
    assert_eq!(status["slots"][1]["successful"], true);
}

/// A server that sends some of the payload on each connection, and then nothing.
fn slow_server(payload: &[u8], sent: usize) -> Server {
    let payload = payload.to_vec();
    Server::start(move |exchange| {
        if exchange.number % 2 == 1 {
            // The connection before ended: the next one hangs until somebody gives up.
            return Answer::Stall;
        }
        Answer::Cut(payload.clone(), sent)
    })
}

#[test]
fn an_update_is_suspended_resumed_and_cancelled_by_another_process() {
    let world = World::new();
    let nothing = world.run(&["suspend"]);
    assert_eq!(nothing.status.code(), Some(5));
    let server = slow_server(&world.payload, 5 << 20);
    let mut child = world.start(&format!("{}/p.bin", server.url()));
    world.wait_for(|status| status["status"] == "DOWNLOADING");
    world.json(&["suspend"]);
    let status = world.wait_for(|status| status["suspended"] == true);
    assert_eq!(status["update"]["origin"], format!("{}/p.bin", server.url()));
    let busy = world.run(&["apply", "p.bin"]);
    assert_eq!(busy.status.code(), Some(5), "{}", String::from_utf8_lossy(&busy.stderr));
    world.json(&["resume"]);
    world.wait_for(|status| status["suspended"] == false);
    world.json(&["cancel"]);
    drop(server);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let status = world.json(&["status"]);
    assert_eq!((&status["phase"], &status["last"]["code"]), (&"begun".into(), &48.into()));
    world.json(&["apply", "p.bin"]);
    assert!(world.is_updated());
}

#[test]
fn a_process_that_is_killed_at_any_operation_is_gone_on_from() {
    let world = World::new();
    let operations = world.new.len() / PIECE;
    let head = world.payload.len() - world.new.len();
    for operation in 0..operations {
        world.clear();
        world.json(&["reset"]);
        // The connection ends within this operation, and the process is killed while it waits.
        let sent = head + operation * PIECE + PIECE / 2;
        let server = slow_server(&world.payload, sent);
        let mut child = world.start(&format!("{}/p.bin", server.url()));
        let begun = Instant::now();
        while server.log().len() < 2 && begun.elapsed() < Duration::from_mins(1) {
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(server);
        let status = world.json(&["status"]);
        assert_eq!((&status["phase"], &status["active"]), (&"begun".into(), &"a".into()));
        assert_eq!(status["slots"][1]["bootable"], false);

        let payload = world.payload.clone();
        let server = Server::start(move |_| Answer::Resource(payload.clone()));
        world.json(&["apply", &format!("{}/p.bin", server.url())]);
        assert!(world.is_updated(), "killed at operation {operation}");
        // It goes on at the operation in which it was killed.
        let asked = server.log().iter().find_map(updraft_http::testing::Exchange::range_start);
        let done = sent - PIECE / 2;
        let expected = (operation > 0).then_some(done);
        assert!(asked.is_some() == expected.is_some(), "operation {operation}: {asked:?}");
        assert!(asked.is_none_or(|asked| asked <= sent && sent - asked <= PIECE), "{asked:?}");
        world.json(&["reset"]);
    }
}

#[test]
fn what_is_wrong_ends_with_its_own_exit_code_and_a_way_out() {
    let world = World::new();
    let mut damaged = world.payload.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(world.path("damaged.bin"), &damaged).unwrap();
    let output = world.run(&["apply", "damaged.bin"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains("code 29: DownloadOperationHashMismatch"), "{said}");
    let last = world.json(&["status"])["last"].clone();
    assert_eq!((&last["code"], &last["cure"]), (&29.into(), &"apply again".into()));

    let server = Server::start(|_| Answer::Bytes(404, Vec::new()));
    let output = world.run(&["apply", &format!("{}/p.bin", server.url())]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("2404"), "{said}");

    std::fs::write(world.path("slots.toml"), "state = 'x'\n").unwrap();
    let output = world.run(&["status"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("slots.toml") && said.contains("hint:"), "{said}");
}
