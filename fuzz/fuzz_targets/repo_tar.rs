//! Tar streams, with pax records and sparse maps: committed or refused, never a panic.
#![no_main]
use std::io::Cursor;
use std::sync::OnceLock;

use updraft_repo::Repo;
use updraft_repo::commit::{CommitOptions, TreeSource, commit};
use updraft_task::Context;

/// What one input may write at most: a few bytes can describe a very large sparse file.
const ROOM: u64 = 16 << 20;

fn repo() -> &'static Repo {
    static REPO: OnceLock<Repo> = OnceLock::new();
    REPO.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mode = "archive".parse().expect("a mode");
        let repo = Repo::init(folder, mode, &Default::default()).expect("a repository");
        let room = updraft_fs::space::of(repo.root()).expect("the room on the disk");
        let keep = room.available.saturating_sub(ROOM) >> 20;
        repo.edit_config(|config| {
            config.set("core", "fsync", "false");
            config.set("core", "min-free-space-size", &format!("{keep}MB"));
        })
        .expect("a configuration");
        repo
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let source = TreeSource::tar(Cursor::new(data.to_vec()));
    let options = CommitOptions { tar_autocreate_parents: true, ..CommitOptions::default() };
    // Whether it is a tar stream at all is for the parser to say.
    let _ = commit(&Context::silent(), repo(), &[source], &options);
});
