//! Compressed objects that a server sends: what does not hash to its name is refused.
#![no_main]
use std::sync::OnceLock;

use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_repo::Repo;
use updraft_task::Context;

fn repo() -> &'static Repo {
    static REPO: OnceLock<Repo> = OnceLock::new();
    REPO.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mode = "bare-user-only".parse().expect("a mode");
        let repo = Repo::init(folder, mode, &Default::default()).expect("a repository");
        repo.edit_config(|config| config.set("core", "fsync", "false")).expect("a configuration");
        repo
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let transaction = repo().transaction(&Context::silent()).expect("a transaction");
    // No input hashes to the hash of nothing, except for nothing, which is no object.
    let object = ObjectName::new(Checksum::of(b""), ObjectType::File);
    assert!(transaction.import_archive_object(&object, data).is_err());
    transaction.abort().expect("what was staged is removed");
});
