//! Pushing to a server that speaks garage-push's protocol.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use updraft_error::{Classify, Kind};
use updraft_http::testing::{Answer, Exchange, Server};
use updraft_ostree::{Checksum, ObjectName, RepoMode};
use updraft_repo::push::push;
use updraft_repo::{CommitState, Repo};
use updraft_task::Context;

use crate::peer;
use crate::world::{World, client, pull};

/// A treehub in memory: what was posted, by path.
#[derive(Clone, Default)]
struct Treehub(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Treehub {
    fn serve(&self, refuse: &'static str) -> Server {
        let hub = self.clone();
        Server::start(move |exchange: &Exchange| {
            let mut store = hub.0.lock().expect("nobody panics");
            match exchange.method.as_str() {
                "POST" if exchange.path.ends_with(refuse) => Answer::Bytes(507, Vec::new()),
                "POST" => {
                    store.insert(exchange.path.clone(), exchange.body.clone());
                    Answer::Bytes(204, Vec::new())
                }
                _ => match store.get(&exchange.path) {
                    Some(body) => Answer::Resource(body.clone()),
                    None => Answer::Bytes(404, Vec::new()),
                },
            }
        })
    }

    /// The objects, each verified, in a repository the peer checks.
    fn check(&self, world: &World, name: &str, commit: &Checksum) {
        let repo = world.repo(name, RepoMode::Archive);
        for (path, body) in self.0.lock().unwrap().iter() {
            if let Some(path) = path.strip_prefix("/objects/") {
                let object = ObjectName::from_loose_path(path, RepoMode::Archive).unwrap();
                repo.import_archive_object(&Context::silent(), &object, &body[..]).unwrap();
            }
        }
        repo.set_ref(&"pushed".parse().unwrap(), Some(commit)).unwrap();
        peer::fsck(repo.path());
    }
}

fn commit_in(world: &World, mode: &str) -> (Repo, Checksum) {
    let path = world.path(&format!("from-{mode}"));
    peer::init(&path, mode);
    let commit = peer::commit(&path, "main", &world.path("tree"), 1).parse().unwrap();
    (Repo::open(path).unwrap(), commit)
}

#[test]
fn each_mode_is_pushed_in_archive_form_and_the_commit_last() {
    let world = World::new();
    for mode in ["bare", "bare-user", "archive"] {
        let (repo, commit) = commit_in(&world, mode);
        let hub = Treehub::default();
        let server = hub.serve("nothing");
        let stats =
            push(&Context::silent(), &repo, &client(), &server.url(), &commit, Some("os/main"))
                .unwrap();
        hub.check(&world, &format!("pushed-{mode}"), &commit);
        let store = hub.0.lock().unwrap();
        assert_eq!(store["/refs/heads/os/main"], commit.to_string().as_bytes());
        assert_eq!(stats.objects_sent, store.len() as u64 - 1);
        let posts: Vec<_> =
            server.log().into_iter().filter(|exchange| exchange.method == "POST").collect();
        assert!(posts[posts.len() - 1].path.starts_with("/refs/"));
        assert!(posts[posts.len() - 2].path.ends_with(".commit"));
    }
}

#[test]
fn a_second_push_sends_only_what_is_new() {
    let world = World::new();
    let (repo, first) = commit_in(&world, "archive");
    let hub = Treehub::default();
    let server = hub.serve("nothing");
    let send = |commit: &Checksum| {
        push(&Context::silent(), &repo, &client(), &server.url(), commit, None).unwrap()
    };
    send(&first);
    let again = send(&first);
    assert_eq!((again.objects_sent, again.objects_present), (0, 1));
    crate::world::write(&world.path("tree/dir1/new"), b"new");
    let second = peer::commit(repo.path(), "main", &world.path("tree"), 2).parse().unwrap();
    // The file, dir1, the root, the commit.
    assert_eq!(send(&second).objects_sent, 4);
    hub.check(&world, "pushed", &second);
}

#[test]
fn an_interrupted_push_leaves_no_commit_and_goes_on_later() {
    let world = World::new();
    let (repo, commit) = commit_in(&world, "bare");
    let hub = Treehub::default();
    let refusing = hub.serve(".dirtree");
    let error = push(&Context::silent(), &repo, &client(), &refusing.url(), &commit, Some("main"))
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Exhausted, "{error}");
    let has = |end: &str| hub.0.lock().unwrap().keys().any(|path| path.ends_with(end));
    assert!(!has(".commit") && !has("main"));
    let server = hub.serve("nothing");
    push(&Context::silent(), &repo, &client(), &server.url(), &commit, Some("main")).unwrap();
    hub.check(&world, "pushed", &commit);
}

#[test]
fn a_partial_commit_is_not_pushed() {
    let world = World::new();
    let (repo, commit) = commit_in(&world, "bare");
    repo.set_commit_state(&commit, CommitState::Partial).unwrap();
    let hub = Treehub::default();
    let url = hub.serve("nothing").url();
    let error = push(&Context::silent(), &repo, &client(), &url, &commit, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
}

#[test]
fn what_was_pushed_can_be_pulled() {
    let world = World::new();
    let (repo, commit) = commit_in(&world, "bare-user");
    let hub = Treehub::default();
    let server = hub.serve("nothing");
    push(&Context::silent(), &repo, &client(), &server.url(), &commit, Some("main")).unwrap();
    let ours = world.repo("ours", RepoMode::Bare);
    pull(&ours, &crate::world::http(&server.url()), &["main"]).unwrap();
    peer::fsck(ours.path());
}
