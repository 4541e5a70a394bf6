//! How many bytes a preview counts for commits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use updraft_api::{RolloutPreview, paths};
use updraft_http::Method;

use super::Lab;
use crate::operator::ostree;
use crate::ota_treehub::upload_delta;

fn preview(lab: &Lab) -> RolloutPreview {
    let body = json!({ "name": "second", "release": "v2" });
    let world = &lab.world;
    let answer = world.send_json(&world.operator(), Method::Post, paths::ROLLOUT_PREVIEW, &body);
    answer.expect(200).read()
}

/// The objects of an archive, and what each takes.
fn objects(repo: &Path) -> BTreeMap<PathBuf, u64> {
    let mut objects = BTreeMap::new();
    for folder in std::fs::read_dir(repo.join("objects")).expect("folder") {
        let folder = folder.expect("entry");
        for object in std::fs::read_dir(folder.path()).expect("folder") {
            let object = object.expect("entry");
            let name = Path::new(&folder.file_name()).join(object.file_name());
            objects.insert(name, object.metadata().expect("file").len());
        }
    }
    objects
}

#[test]
fn a_commit_costs_what_the_device_lacks_of_it() {
    let lab = Lab::new(2);
    let repo = |name: &str| lab.world.folder.path().join(format!("repo-{name}"));
    let (old, new) = (objects(&repo("v1")), objects(&repo("v2")));
    let lacking: Vec<u64> = new
        .iter()
        .filter(|(name, _)| !old.contains_key(*name))
        .map(|(_, length)| *length)
        .collect();
    assert!((1..new.len()).contains(&lacking.len()), "they share some, and not all");
    let lacking: u64 = lacking.iter().sum();
    let counted = preview(&lab);
    if lab.world.bucket.is_none() {
        assert_eq!((counted.bytes, counted.bytes_unknown), (2 * lacking, 0));
        assert!(counted.items.iter().all(|one| one.bytes == Some(lacking)));
    } else {
        // Nobody asks a store for every object.
        assert_eq!((counted.bytes, counted.bytes_unknown), (0, 2));
    }

    // With a delta between the two it is that.
    let commit = |name: &str| {
        let release =
            lab.world.get(&lab.world.operator(), &paths::release(name)).expect(200).json();
        release["targets"][0]["sha256"].as_str().expect("a commit").to_owned()
    };
    let (from, to) = (commit("v1"), commit("v2"));
    let at = format!("--repo={}", repo("v2").display());
    ostree(&["pull-local", &at, &repo("v1").display().to_string(), &from]);
    let (from, to) = (format!("--from={from}"), format!("--to={to}"));
    ostree(&["static-delta", "generate", &at, &from, &to]);
    let (_, bytes) = upload_delta(&lab.world, &repo("v2"));
    let counted = preview(&lab);
    assert_eq!((counted.bytes, counted.bytes_unknown), (2 * bytes, 0));
}
