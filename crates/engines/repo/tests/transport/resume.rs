//! Pulls that are killed go on where they stopped.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use updraft_http::testing::{Answer, Exchange, Server};
use updraft_ostree::{Checksum, RepoMode};
use updraft_repo::Repo;
use updraft_repo::pull::PullOptions;
use updraft_task::Context;

use crate::peer;
use crate::world::{World, http, noise, options, pull, write};

const REPO: &str = "UPDRAFT_TEST_CHILD_REPO";
const URL: &str = "UPDRAFT_TEST_CHILD_URL";
const JOBS: &str = "UPDRAFT_TEST_CHILD_JOBS";

/// What the child process runs; nothing when nobody says where to pull.
#[test]
#[allow(clippy::disallowed_methods)]
fn child_process() {
    let (Ok(repo), Ok(url)) = (std::env::var(REPO), std::env::var(URL)) else { return };
    let jobs = std::env::var(JOBS).unwrap().parse().unwrap();
    let options = PullOptions { jobs, ..options(&["main"]) };
    let repo = Repo::open(repo).unwrap();
    updraft_repo::pull::pull(&Context::silent(), &repo, &http(&url), &options).unwrap();
}

fn start_child(repo: &Path, url: &str, jobs: usize) -> Child {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "resume::child_process", "--nocapture"])
        .env(REPO, repo)
        .env(URL, url)
        .env(JOBS, jobs.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this very program")
}

/// A server that stops answering at one request for an object.
struct Stalling {
    server: Server,
    stalled: mpsc::Receiver<()>,
    answered: Arc<Mutex<BTreeSet<String>>>,
}

impl Stalling {
    fn at(root: &Path, stall_at: usize) -> Self {
        let (tell, stalled) = mpsc::channel();
        let answered = Arc::new(Mutex::new(BTreeSet::new()));
        let (root, seen) = (root.to_owned(), Arc::clone(&answered));
        let server = Server::start(move |exchange: &Exchange| {
            if exchange.path.contains("/objects/") {
                let mut seen = seen.lock().expect("nobody panics");
                if seen.len() >= stall_at {
                    let _ = tell.send(());
                    return Answer::Stall;
                }
                seen.insert(exchange.path.clone());
            }
            Answer::file(&root, exchange)
        });
        Self { server, stalled, answered }
    }
}

fn objects_asked(server: &Server) -> BTreeSet<String> {
    server.paths().into_iter().filter(|path| path.contains("/objects/")).collect()
}

#[test]
fn killed_at_any_request_nothing_is_fetched_twice() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    for stall_at in [0, 1, 2, 3, 5, 11, 23, 37, 48] {
        let repo = world.repo(&format!("ours{stall_at}"), RepoMode::Bare);
        let stalling = Stalling::at(&archive, stall_at);
        // With one worker everything that was answered is stored when it waits for more.
        let mut child = start_child(repo.path(), &stalling.server.url(), 1);
        stalling.stalled.recv().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(peer::ok(repo.path(), &["refs"]), "", "a ref after {stall_at}");
        let again = Server::files(archive.clone());
        pull(&repo, &http(&again.url()), &["main"]).unwrap();
        check(&repo, &commit);
        let answered = stalling.answered.lock().unwrap().clone();
        let twice: Vec<_> = objects_asked(&again)
            .intersection(&answered)
            // What is beside a commit may have changed since.
            .filter(|path| !path.ends_with(".commitmeta"))
            .cloned()
            .collect();
        assert!(twice.is_empty(), "after {stall_at}: {twice:?}");
    }
}

#[test]
fn killed_with_many_requests_in_flight_the_store_stays_sound() {
    let world = World::new();
    let (archive, commit) = world.archive("archive");
    for mode in [RepoMode::Bare, RepoMode::BareUser, RepoMode::Archive] {
        let repo = world.repo(&format!("ours-{mode}"), mode);
        for stall_at in [3, 9, 12] {
            let stalling = Stalling::at(&archive, stall_at);
            let mut child = start_child(repo.path(), &stalling.server.url(), 8);
            stalling.stalled.recv().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            // Nothing of it shows, and the peer finds nothing wrong.
            peer::ok(repo.path(), &["fsck"]);
        }
        pull(&repo, &http(&Server::files(archive.clone()).url()), &["main"]).unwrap();
        check(&repo, &commit);
    }
}

fn check(repo: &Repo, commit: &Checksum) {
    assert_eq!(peer::ok(repo.path(), &["rev-parse", "main"]), commit.to_string());
    peer::fsck(repo.path());
    assert!(!repo.commit_state(commit).unwrap().is_partial());
    let left: Vec<_> = std::fs::read_dir(repo.path().join("tmp")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().contains("staging")));
}

#[test]
fn a_large_object_goes_on_in_the_middle_after_a_kill() {
    let world = World::new();
    write(&world.path("tree/large"), &noise(20 << 20));
    let (archive, commit) = world.archive("archive");
    let repo = world.repo("ours", RepoMode::Bare);
    let (tell, told) = mpsc::channel();
    let root = archive.clone();
    // Twelve MiB of the large object arrive, then nothing more.
    let server = Server::start(move |exchange: &Exchange| match Answer::file(&root, exchange) {
        Answer::Resource(bytes) if bytes.len() > 16 << 20 => {
            if exchange.range_start().is_some() {
                let _ = tell.send(());
                return Answer::Stall;
            }
            Answer::Cut(bytes, 12 << 20)
        }
        other => other,
    });
    let mut child = start_child(repo.path(), &server.url(), 8);
    told.recv().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let again = Server::files(archive);
    let stats = pull(&repo, &http(&again.url()), &["main"]).unwrap();
    let starts: Vec<_> = again.log().iter().filter_map(Exchange::range_start).collect();
    assert!(matches!(starts[..], [start] if start >= 12 << 20), "{starts:?}");
    assert!(stats.bytes_transferred < 10 << 20, "{}", stats.bytes_transferred);
    check(&repo, &commit);
}

#[test]
fn a_bad_beginning_of_a_large_object_is_thrown_away() {
    let world = World::new();
    write(&world.path("tree/large"), &noise(17 << 20));
    let (archive, commit) = world.archive("archive");
    let large = crate::world::object_files(&archive)
        .into_iter()
        .find(|file| archive.join("objects").join(file).metadata().unwrap().len() > 16 << 20)
        .unwrap();
    let name = large.replace('/', "").replace(".filez", "");
    let repo = world.repo("ours", RepoMode::Archive);
    write(&repo.path().join(format!("tmp/partial-{name}.filez")), &vec![7; 100_000]);
    pull(&repo, &http(&Server::files(archive).url()), &["main"]).unwrap();
    check(&repo, &commit);
    assert!(!repo.path().join(format!("tmp/partial-{name}.filez")).exists());
}
