//! Static deltas: their superblocks and parts, damaged as files, and a superblock that is damaged
//! before its digest is made.

use std::fs;
use std::path::{Path, PathBuf};

use updraft_http::testing::Server;
use updraft_ostree::delta::{DeltaFormat, DeltaName};
use updraft_repo::Repo;
use updraft_repo::delta::{ApplyOptions, GenerateOptions, Location, apply_offline, generate};
use updraft_repo::pull::Deltas;
use updraft_repo::summary::{self, SummaryOptions};
use updraft_task::Context;

use crate::damage::{Damage, Damaged};
use crate::ops;
use crate::tree::World;

/// The archive with the delta from the old commit to the new one, another from nothing, and a
/// summary.
pub(crate) struct Deltaed {
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) name: DeltaName,
}

impl Deltaed {
    pub(crate) fn new() -> Self {
        Self::in_format(DeltaFormat::Ostree)
    }

    pub(crate) fn in_format(format: DeltaFormat) -> Self {
        let world = World::new("archive");
        let server = Server::files(world.source.path());
        let name = DeltaName::new(Some(world.old), world.new).in_format(format);
        for name in [name, DeltaName::new(None, world.old).in_format(format)] {
            let options = GenerateOptions::default();
            generate(&Context::silent(), &world.source, &name, 0, &options).unwrap();
        }
        let deltaed = Self { world, server, name };
        deltaed.publish();
        deltaed
    }

    /// Makes indexes and summary say what is there.
    fn publish(&self) {
        let (ctx, options) = (Context::silent(), SummaryOptions::default());
        summary::update(&ctx, &self.world.source, 0, &options).unwrap();
    }

    /// A file of the delta, or of the other one.
    fn file(&self, name: &DeltaName, file: &str) -> PathBuf {
        self.world.source.path().join(name.path()).join(file)
    }

    /// A repository with the old commit.
    pub(crate) fn receiver(&self, name: &str) -> Repo {
        let path = self.world.path(name);
        drop(fs::remove_dir_all(&path));
        let repo = ops::init(&path, "bare-user");
        let old = format!("main@{}", self.world.old);
        ops::pull(&repo, &ops::local(&self.world.source), &old, Deltas::Disable).unwrap();
        repo
    }

    pub(crate) fn apply(&self, repo: &Repo) -> Result<(), String> {
        let path = self.world.source.path().join(self.name.path());
        apply(repo, &path)
    }

    /// What is true of a repository whose delta was refused: the old commit is whole, and the new
    /// one comes as soon as it may.
    pub(crate) fn refused(&self, what: &str, repo: &Repo) {
        ops::untouched(what, repo, 1);
        ops::whole(what, repo, &self.world.old);
        assert!(repo.load_commit(&self.world.new).is_err(), "{what}: the commit is there");
    }
}

pub(crate) fn apply(repo: &Repo, path: &Path) -> Result<(), String> {
    let location = Location::Path(path.to_owned());
    let options = ApplyOptions::default();
    ops::calm("apply", || apply_offline(&Context::silent(), repo, &location, &options)).map(drop)
}

/// Whether a text says which delta, or which file of it, is meant.
fn is_named(name: &DeltaName, said: &str) -> bool {
    let words = ["delta part 0", "superblock", "delta superblock"];
    said.contains(&name.path())
        || words.iter().any(|word| said.contains(word))
        || said.contains(&name.to.to_string())
}

/// How a delta comes to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Offline,
    Local,
    Http,
    /// Where objects may come instead.
    HttpOrObjects,
}

impl Way {
    const ALL: [Self; 4] = [Self::Offline, Self::Local, Self::Http, Self::HttpOrObjects];

    fn go(self, deltaed: &Deltaed, repo: &Repo) -> Result<(), String> {
        let (local, http) = (ops::local(&deltaed.world.source), ops::http(&deltaed.server.url()));
        match self {
            Self::Offline => deltaed.apply(repo),
            Self::Local => ops::pull(repo, &local, "main", Deltas::Require),
            Self::Http => ops::pull(repo, &http, "main", Deltas::Require),
            Self::HttpOrObjects => ops::pull(repo, &http, "main", Deltas::Prefer),
        }
    }

    /// Whether all may be well although the file is damaged like that.
    fn may_work(self, file: &str, damage: Damage) -> bool {
        match damage {
            Damage::Attributes => true,
            // A server follows links.
            Damage::Link => matches!(self, Self::Http | Self::HttpOrObjects),
            // Without its digest nobody knows that a superblock is another.
            Damage::FlippedFirst | Damage::Flipped | Damage::Other if file == "superblock" => {
                matches!(self, Self::Offline | Self::Local)
            }
            Damage::Missing | Damage::Directory | Damage::Fifo => self == Self::HttpOrObjects,
            _ => false,
        }
    }
}

/// One row of the table.
fn damaged_file(deltaed: &Deltaed, file: &str, damage: Damage) {
    let Deltaed { world, name, .. } = deltaed;
    let other = deltaed.file(&DeltaName::new(None, world.old).in_format(name.format), file);
    let wrong = world.source.path().join("config");
    let files = (other.as_path(), wrong.as_path());
    let damaged = Damaged::new(damage, &deltaed.file(name, file), files, world.path("aside"));
    for way in Way::ALL {
        let what = format!("{file} {damage:?} {way:?}");
        let repo = deltaed.receiver("receiver");
        match way.go(deltaed, &repo) {
            Ok(()) => {
                assert!(way.may_work(file, damage), "{what}: nobody minds");
                assert_eq!(ops::fsck(&repo), Ok(vec![]), "{what}");
                if way != Way::Offline {
                    ops::whole(&what, &repo, &world.new);
                }
            }
            Err(said) => {
                assert!(is_named(name, &said), "{what}: {said}");
                deltaed.refused(&what, &repo);
            }
        }
    }
    drop(damaged);
}

#[test]
fn a_damaged_file_of_a_static_delta_is_named_and_changes_nothing() {
    damaged_files(&Deltaed::in_format(DeltaFormat::Ostree));
}

#[test]
fn a_damaged_file_of_a_delta_of_our_own_is_named_and_changes_nothing() {
    damaged_files(&Deltaed::in_format(DeltaFormat::Updraft));
}

fn damaged_files(deltaed: &Deltaed) {
    let mut failures = Vec::new();
    for file in ["superblock", "0"] {
        for damage in Damage::ALL {
            failures.extend(ops::attempt(|| damaged_file(deltaed, file, damage)).err());
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    let repo = deltaed.receiver("at the end");
    ops::pull(&repo, &ops::http(&deltaed.server.url()), "main", Deltas::Require).unwrap();
    ops::whole("at the end", &repo, &deltaed.world.new);
    ops::peer_fsck("at the end", &repo);
}

#[test]
fn a_bad_digest_of_a_superblock_is_refused_before_any_part_is_fetched() {
    for format in DeltaFormat::ALL {
        bad_digest(&Deltaed::in_format(format));
    }
}

fn bad_digest(deltaed: &Deltaed) {
    let path = deltaed.file(&deltaed.name, "superblock");
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 20) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        let repo = deltaed.receiver("receiver");
        let before = deltaed.server.log().len();
        let from = ops::http(&deltaed.server.url());
        let said = ops::pull(&repo, &from, "main", Deltas::Require).unwrap_err();
        assert!(said.contains("Invalid checksum for static delta"), "{at}: {said}");
        let asked = deltaed.server.paths().split_off(before);
        let part = deltaed.name.part_path(0);
        assert!(!asked.iter().any(|path| path.ends_with(&part)), "{at}: {asked:?}");
        deltaed.refused(&format!("byte {at}"), &repo);
    }
}

#[test]
fn a_superblock_with_any_bit_flipped_and_a_fitting_digest_does_no_harm() {
    for format in DeltaFormat::ALL {
        flipped_superblock(&Deltaed::in_format(format));
    }
}

fn flipped_superblock(deltaed: &Deltaed) {
    let path = deltaed.file(&deltaed.name, "superblock");
    let bytes = fs::read(&path).unwrap();
    let mut repo = deltaed.receiver("receiver");
    for at in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, damaged).unwrap();
        let what = format!("byte {at} of {}", bytes.len());
        if deltaed.apply(&repo).is_ok() {
            // What was flipped only told something.
            assert!(repo.load_commit(&deltaed.world.new).is_ok(), "{what}");
            assert_eq!(ops::fsck(&repo), Ok(vec![]), "{what}");
            repo = deltaed.receiver("receiver");
        } else {
            deltaed.refused(&what, &repo);
        }
        if at % 30 == 0 {
            deltaed.publish();
            let repo = deltaed.receiver("puller");
            let from = ops::http(&deltaed.server.url());
            match ops::pull(&repo, &from, "main", Deltas::Require) {
                Ok(()) => ops::whole(&what, &repo, &deltaed.world.new),
                Err(_) => deltaed.refused(&what, &repo),
            }
        }
    }
}
