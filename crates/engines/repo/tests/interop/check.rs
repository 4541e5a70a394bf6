//! What one cell does and what must be true afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use updraft_ostree::delta::DeltaName;
use updraft_repo::pull::Deltas;

use crate::cell::{By, Cell, Side, Signed, Way};
use crate::source::{Source, Sources};
use crate::{ours, peer};

/// Goes the way of this cell.
pub(crate) fn check(cell: &Cell, sources: &Sources) -> Result<(), String> {
    let source = sources.of(cell);
    let folder = tempfile::tempdir_in(sources.path("")).unwrap();
    let path = folder.path().join("repo");
    peer::run(&path, &["init", &format!("--mode={}", cell.to)])?;
    configure(cell, &path, source, sources);
    match cell.by {
        By::Objects => pull(cell, &path, "main", Deltas::Disable)?,
        By::Delta => {
            pull(cell, &path, &format!("main@{}", source.old), Deltas::Disable)?;
            if cell.to == "archive" {
                // No pull uses a delta to fill an archive.
                refused(pull(cell, &path, "main", Deltas::Require))?;
                at_hand(cell, &path, source)?;
            } else if cell.reader == Side::Theirs && cell.from != "archive" {
                // The peer pulls by deltas only from archives.
                at_hand(cell, &path, source)?;
            } else {
                pull(cell, &path, "main", Deltas::Require)?;
            }
        }
    }
    arrived(cell, &path, source)
}

/// Adds the remote, and room on small disks.
fn configure(cell: &Cell, path: &Path, source: &Source, sources: &Sources) {
    let url = match cell.way {
        Way::Http => source.http_url(),
        Way::Local => format!("file://{}", source.path.display()),
    };
    let verify = cell.signed == Signed::Gpg;
    if verify {
        fs::copy(&sources.keys.public, path.join("origin.trustedkeys.gpg")).unwrap();
    }
    let config = path.join("config");
    let text = fs::read_to_string(&config).unwrap();
    let text = format!(
        "{text}min-free-space-size=1MB\nfsync=false\n\n[remote \"origin\"]\nurl={url}\n\
         gpg-verify={verify}\n"
    );
    fs::write(config, text).unwrap();
}

fn pull(cell: &Cell, path: &Path, what: &str, deltas: Deltas) -> Result<(), String> {
    match cell.reader {
        Side::Ours => ours::pull(path, what, deltas),
        Side::Theirs => {
            let how = match deltas {
                Deltas::Require => "--require-static-deltas",
                _ => "--disable-static-deltas",
            };
            peer::run(path, &["pull", how, "origin", what]).map(drop)
        }
    }
}

fn refused(pulled: Result<(), String>) -> Result<(), String> {
    match pulled {
        Ok(()) => Err("a delta was pulled into an archive".to_owned()),
        Err(refusal) if refusal.contains("archive") => Ok(()),
        Err(refusal) => Err(format!("an unclear refusal: {refusal}")),
    }
}

/// Applies the delta that lies in the writer's repository, then pulls the ref, for which the
/// signatures are looked at.
fn at_hand(cell: &Cell, path: &Path, source: &Source) -> Result<(), String> {
    // The peer ends with SIGABRT where a delta wants to read files of an archive.
    let is_from_nothing = cell.reader == Side::Theirs && cell.to == "archive";
    let from = Some(source.old).filter(|_| !is_from_nothing);
    let delta = source.path.join(DeltaName::new(from, source.new).path());
    match cell.reader {
        Side::Ours => ours::apply_offline(path, &delta)?,
        Side::Theirs => {
            let delta = delta.to_str().unwrap();
            peer::run(path, &["static-delta", "apply-offline", delta])?;
        }
    }
    pull(cell, path, "main", Deltas::Disable)
}

fn arrived(cell: &Cell, path: &Path, source: &Source) -> Result<(), String> {
    peer::fsck(path)?;
    ours::fsck(path)?;
    let commit = peer::run(path, &["rev-parse", "origin:main"])?;
    same("the commit", &commit, &source.new.to_string())?;
    same("the tree", &peer::run(path, &["ls", "-RCX", "origin:main"])?, &source.listing)?;
    let metadata = metadata_of(&source.path);
    for (name, bytes) in metadata_of(path) {
        let theirs = metadata.iter().find(|(other, _)| *other == name);
        if theirs.is_none_or(|(_, other)| *other != bytes) {
            return Err(format!("{} differs", name.display()));
        }
    }
    let signatures = format!("{}.commitmeta", &commit[2..]);
    let is_signed = path.join("objects").join(&commit[..2]).join(signatures).exists();
    if is_signed != (cell.signed == Signed::Gpg) {
        return Err(format!("signatures are there: {is_signed}"));
    }
    for folder in ["tmp", "state"] {
        let left: Vec<_> = fs::read_dir(path.join(folder)).unwrap().flatten().collect();
        let left = left.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left: Vec<_> = left.filter(|name| !name.starts_with("cache")).collect();
        if !left.is_empty() {
            return Err(format!("left in {folder}: {left:?}"));
        }
    }
    Ok(())
}

fn same(what: &str, is: &str, should: &str) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what} is {is}, not {should}")) }
}

/// The objects that are the same bytes in every mode.
fn metadata_of(repo: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(repo.join("objects")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let extension = path.extension().unwrap_or_default().to_str();
            if matches!(extension, Some("commit" | "dirtree" | "dirmeta" | "commitmeta")) {
                let name = path.strip_prefix(repo).unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 4);
    found
}
