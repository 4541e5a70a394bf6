//! The repository mapping of TAP 4.

use std::collections::BTreeMap;

use crate::common::{World, image_target};
use serde_json::{Value, json};
use updraft_tuf::{MapStep, RepositoryMap, TufTarget, Verified};

fn target(content: &str) -> Verified<TufTarget> {
    let mut world = World::tuf();
    let target = image_target(content.as_bytes());
    world.image.targets.targets.insert("x".to_owned(), target);
    world.image.publish();
    world.run_tuf(&["x"]).unwrap().wanted["x"].clone().unwrap()
}

fn map() -> Value {
    json!({
        "repositories": { "one": ["https://one/"], "two": ["https://two/", "https://mirror/"],
                          "three": [] },
        "mapping": [
            { "paths": ["*special*"], "repositories": ["one", "two"], "threshold": 2,
              "terminating": true },
            { "paths": ["*django*"], "repositories": ["one", "two", "three"], "threshold": 2 },
            { "paths": ["*"], "repositories": ["three"], "threshold": 1, "terminating": true },
        ],
    })
}

/// What the search finds, and which repositories were asked.
fn search(path: &str, contents: &[(&str, &str)]) -> (Option<Verified<TufTarget>>, Vec<String>) {
    let map = RepositoryMap::from_value(map()).unwrap();
    let contents: BTreeMap<_, _> = contents.iter().copied().collect();
    let mut search = map.search(path);
    let mut asked = Vec::new();
    loop {
        match search.next() {
            MapStep::Ask(name) => {
                asked.push(name.to_owned());
                search.answered(name, contents.get(name).map(|content| target(content)));
            }
            MapStep::Done(found) => return (found, asked),
        }
    }
}

#[test]
fn u_m13_enough_repositories_must_agree() {
    let all = [("one", "a"), ("two", "a"), ("three", "b")];
    let (found, asked) = search("sub/django.tgz", &all);
    assert!(found.unwrap().hashes.verify(b"a"));
    assert_eq!(asked, ["one", "two", "three"]);
    // Which two does not matter; the order in the entry decides between two pairs.
    let (found, _) = search("django", &[("two", "b"), ("three", "b")]);
    assert!(found.unwrap().hashes.verify(b"b"));
    // Nobody agrees, so the next entry decides. It needs nothing that was not asked.
    let (found, asked) = search("django", &[("one", "a"), ("two", "b"), ("three", "c")]);
    assert!(found.unwrap().hashes.verify(b"c"));
    assert_eq!(asked.len(), 3);
}

#[test]
fn u_m13_a_terminating_entry_ends_the_search() {
    let (found, asked) = search("special-django", &[("one", "a"), ("three", "a")]);
    assert_eq!(found, None);
    assert_eq!(asked, ["one", "two"]);
    let (found, asked) = search("else", &[("one", "a"), ("two", "a")]);
    assert_eq!((found, asked), (None, vec!["three".to_owned()]));
}

#[test]
fn u_m13_a_map_reads_back_and_nonsense_is_refused() {
    let read = RepositoryMap::parse(map().to_string().as_bytes()).unwrap();
    assert_eq!(RepositoryMap::from_value(read.to_value()).unwrap(), read);
    let urls = |url: &str| vec![url.to_owned()];
    let uptane = RepositoryMap::uptane(&urls("https://director/"), &urls("https://image/"));
    assert_eq!(RepositoryMap::from_value(uptane.to_value()).unwrap(), uptane);
    let mut search = uptane.search("any/path");
    assert_eq!(search.next(), MapStep::Ask("image"));
    search.answered("image", Some(target("a")));
    assert_eq!(search.next(), MapStep::Ask("director"));
    search.answered("director", None);
    assert_eq!(search.next(), MapStep::Done(None), "the Image repository alone decides nothing");
    let broken = |change: fn(&mut Value)| {
        let mut value = map();
        change(&mut value);
        RepositoryMap::from_value(value).is_err()
    };
    assert!(broken(|map| map["mapping"][0]["threshold"] = json!(0)));
    assert!(broken(|map| map["mapping"][0]["threshold"] = json!(3)));
    assert!(broken(|map| map["mapping"][0]["repositories"] = json!([])));
    assert!(broken(|map| map["mapping"][0]["repositories"] = json!(["one", "one"])));
    assert!(broken(|map| map["mapping"][0]["repositories"] = json!(["nobody"])));
    assert!(broken(|map| map["mapping"][0]["paths"] = json!("*")));
    assert!(broken(|map| map["repositories"]["../evil"] = json!([])));
    assert!(broken(|map| map["repositories"][".hidden"] = json!([])));
    assert!(broken(|map| map["repositories"]["one"] = json!(1)));
    assert!(broken(|map| map["mapping"] = json!({})));
    assert!(RepositoryMap::parse(b"[]").is_err());
}
