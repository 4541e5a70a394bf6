//! `--json` gives programs what is printed for people.

use serde_json::Value;

use super::world::World;

/// What a command gives as JSON.
#[track_caller]
fn json(world: &World, arguments: &[&str]) -> Value {
    let outcome = world.ours(&[&["--json", "--repo=repo"], arguments].concat());
    assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).expect("one JSON value")
}

#[test]
fn what_is_read_is_given_as_json() {
    let world = World::new("archive");
    let commit = world.peer_ok(&["--repo=repo", "rev-parse", "main"]).trim().to_owned();

    let log = json(&world, &["log", "main"]);
    assert_eq!(log.as_array().unwrap().len(), 2);
    assert_eq!(log[0]["commit"], commit);
    assert_eq!(log[1]["version"], "1");
    assert_eq!(log[1]["subject"], "First");
    assert_eq!(log[0]["timestamp"], 1_700_000_000);
    assert_eq!(json(&world, &["show", "main"]), log[0]);

    let entries = json(&world, &["ls", "-R", "main"]);
    let link = entries.as_array().unwrap().iter().find(|e| e["path"] == "/link").unwrap().clone();
    assert_eq!((&link["type"], &link["target"]), (&"symlink".into(), &"hello".into()));

    let refs = json(&world, &["refs"]);
    let alias = refs.as_array().unwrap().iter().find(|r| r["ref"] == "alias").unwrap().clone();
    assert_eq!((&alias["alias_of"], &alias["commit"]), (&"main".into(), &commit.clone().into()));

    let diff = json(&world, &["diff", "--stats", "--fs-diff", "main^", "main"]);
    assert_eq!(diff["changes"]["added"][0], "/more");
    assert!(diff["stats"]["common_objects"].as_u64().unwrap() > 0);

    assert_eq!(json(&world, &["config", "get", "core.mode"])["value"], "archive-z2");
    assert_eq!(json(&world, &["remote", "list"])[1]["name"], "origin");
    assert_eq!(json(&world, &["rev-parse", "main"])[0]["commit"], commit);
    assert_eq!(json(&world, &["fsck"])["clean"], true);
    assert_eq!(json(&world, &["prune", "--no-prune"])["unreachable_objects"], 0);
    assert!(json(&world, &["summary", "-v"])["refs"].as_array().unwrap().len() >= 4);
    let sum = world.ours(&["checksum", "--json", "tree/hello"]).stdout;
    let sum: serde_json::Value = serde_json::from_str(&sum).unwrap();
    assert_eq!(sum["path"], "tree/hello");

    let made = json(&world, &["commit", "-b", "j", "--timestamp=@5", "--tree=dir=tree"]);
    assert_eq!((&made["branch"], &made["changed"]), (&"j".into(), &true.into()));
}
