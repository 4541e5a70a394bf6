//! `updraft tuf` as a client of a repository on the network.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use jiff::Timestamp as Time;
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_http::testing::{Answer, Server};
use updraft_publish::{Expiries, ImageRepository, RootPlan, TopLevelKeys};
use updraft_tuf::{Dialect, Hashes, Target};

#[path = "tuf/generator.rs"]
mod generator;

const UPDRAFT: &str = env!("CARGO_BIN_EXE_updraft");

fn at(year: i16) -> Time {
    format!("{year}-01-01T00:00:00Z").parse().unwrap()
}

/// A repository with `app/fw.bin`, signed by one key, on the network.
struct Site {
    key: SigningKey,
    repository: ImageRepository,
    files: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
    server: Server,
    folder: tempfile::TempDir,
}

impl Site {
    fn start() -> Self {
        let key = SigningKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let keys = || TopLevelKeys::single(key.public().clone());
        let plan = RootPlan { root: keys(), targets: keys(), snapshot: keys(), timestamp: keys() };
        let mut draft = plan.first_root(Dialect::Tuf, at(2100));
        draft.sign(&[&key]).unwrap();
        let root = draft.finish().unwrap();
        let repository = ImageRepository::new(Dialect::Tuf, &root, at(2024)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("first.json"), &root).unwrap();
        let files: Arc<Mutex<BTreeMap<String, Answer>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (served, log) = (Arc::clone(&files), Arc::clone(&asked));
        let server = Server::start(move |exchange| {
            log.lock().unwrap().push(exchange.path.clone());
            let absent = Answer::Bytes(404, Vec::new());
            served.lock().unwrap().get(&exchange.path).cloned().unwrap_or(absent)
        });
        Self { key, repository, files, asked, server, folder }
    }

    fn publish(&mut self, content: &str) {
        let target = Target::new(content.len() as u64, Hashes::of(content.as_bytes()));
        let mut draft = self.repository.draft_targets(at(2100), Vec::new(), |targets| {
            targets.targets.insert("app/fw.bin".to_owned(), target);
        });
        draft.sign(&[&self.key]).unwrap();
        self.repository.accept_targets(&draft.finish().unwrap(), at(2024)).unwrap();
        let expiries = Expiries { targets: at(2100), snapshot: at(2100), timestamp: at(2100) };
        self.repository.refresh(&[&self.key], expiries, at(2024)).unwrap();
        let names = (1..9).flat_map(|version| {
            ["root", "targets", "snapshot"].map(|role| format!("{version}.{role}.json"))
        });
        for name in names.chain(["timestamp.json".to_owned()]) {
            if let Some(bytes) = self.repository.file(&name) {
                self.serve(&format!("/metadata/{name}"), Answer::Bytes(200, bytes.to_vec()));
            }
        }
        let digest = updraft_tuf::sha256_hex(content.as_bytes());
        let answer = Answer::Bytes(200, content.as_bytes().to_vec());
        self.serve(&format!("/targets/app/{digest}.fw.bin"), answer);
    }

    fn serve(&self, path: &str, answer: Answer) {
        self.files.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The exit code and what was said on stderr.
    fn run(&self, words: &[&str]) -> (i32, String) {
        self.asked.lock().unwrap().clear();
        let folder = self.folder.path();
        let mut command = Command::new(UPDRAFT);
        command.arg("tuf").arg("--metadata-dir").arg(folder.join("trusted"));
        command.arg("--metadata-url").arg(format!("{}/metadata", self.server.url()));
        command.arg("--target-base-url").arg(format!("{}/targets/", self.server.url()));
        command.arg("--target-dir").arg(folder.join("downloads"));
        command.arg("--target-name").arg("app/fw.bin");
        let output = command.args(words).current_dir(folder).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), stderr)
    }

    #[track_caller]
    fn succeeds(&self, words: &[&str]) {
        let (code, stderr) = self.run(words);
        assert_eq!(code, 0, "{stderr}");
    }

    fn downloaded(&self) -> String {
        fs::read_to_string(self.folder.path().join("downloads/app%2Ffw.bin")).unwrap()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_repository_is_followed_from_a_trusted_root() {
    let mut site = Site::start();
    site.publish("one");
    site.succeeds(&["init", "first.json"]);
    assert!(site.asked.lock().unwrap().is_empty());
    assert_eq!(site.run(&["init", "first.json"]).0, 5, "a trusted root is not replaced");
    site.succeeds(&["refresh"]);
    let asked = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"];
    assert_eq!(*site.asked.lock().unwrap(), asked.map(|name| format!("/metadata/{name}")));
    let trusted = names(&site.folder.path().join("trusted"));
    assert_eq!(trusted, ["root.json", "snapshot.json", "targets.json", "timestamp.json"]);
    site.succeeds(&["download"]);
    assert_eq!(site.downloaded(), "one");
    // It is there already.
    site.succeeds(&["download"]);
    assert!(!site.asked.lock().unwrap().iter().any(|path| path.starts_with("/targets")));
    site.publish("two");
    site.succeeds(&["download"]);
    assert_eq!(site.downloaded(), "two");
    // What somebody put there instead, of the same length, is replaced; a link is not followed.
    let place = site.folder.path().join("downloads/app%2Ffw.bin");
    let other = site.folder.path().join("other");
    fs::write(&other, "2wo").unwrap();
    fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink(&other, &place).unwrap();
    site.succeeds(&["download"]);
    assert_eq!(site.downloaded(), "two");
    assert_eq!(fs::read_to_string(&other).unwrap(), "2wo");
}

#[test]
fn lies_and_failures_are_told_apart_and_change_nothing() {
    let mut site = Site::start();
    site.publish("one");
    site.succeeds(&["init", "first.json"]);
    let digest = updraft_tuf::sha256_hex(b"one");
    for lie in [&b"0ne"[..], b"on", b"one and more", &vec![b'x'; 300_000]] {
        let answer = Answer::Bytes(200, lie.to_vec());
        site.serve(&format!("/targets/app/{digest}.fw.bin"), answer);
        assert_eq!(site.run(&["download"]).0, 9);
        assert!(names(&site.folder.path().join("downloads")).is_empty());
    }
    let old = site.repository.file("timestamp.json").unwrap().to_vec();
    site.publish("two");
    site.succeeds(&["refresh"]);
    site.serve("/metadata/timestamp.json", Answer::Bytes(200, old));
    let (code, said) = site.run(&["refresh"]);
    assert!(code == 9 && said.contains("(rollback)"), "{code} {said}");
    site.serve("/metadata/timestamp.json", Answer::Bytes(200, vec![b' '; 1 << 20]));
    let (code, said) = site.run(&["refresh"]);
    assert!(code == 9 && said.contains("(endless-data)"), "{code} {said}");
}

#[test]
fn tuf_5_3_3_a_next_root_that_cannot_be_had_is_an_error_and_no_end_of_the_chain() {
    let mut site = Site::start();
    site.publish("one");
    site.succeeds(&["init", "first.json"]);
    for status in [403, 410, 500] {
        site.serve("/metadata/2.root.json", Answer::Bytes(status, Vec::new()));
        let (code, said) = site.run(&["refresh"]);
        assert!(code != 0 && !said.contains("panicked"), "{status}: {code} {said}");
        assert!(!site.folder.path().join("trusted/timestamp.json").exists());
    }
    site.serve("/metadata/2.root.json", Answer::Bytes(404, Vec::new()));
    site.succeeds(&["refresh"]);
}
