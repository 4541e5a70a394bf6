//! The life of an update: applied, suspended, cancelled, killed, refused.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;
use updraft_http::testing::{Answer, Server};

use super::world::{PIECE, World, slow_server};

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
