//! The operations that are killed.

use std::error::Error as StdError;

use updraft_http::{Client, ClientOptions};
use updraft_ostree::Checksum;
use updraft_ostree::delta::DeltaName;
use updraft_repo::Repo;
use updraft_repo::checkout::{CheckoutOptions, Hardlinks, UnionMode, checkout};
use updraft_repo::commit::{CommitOptions, Parent, TreeSource, commit};
use updraft_repo::delta::{ApplyOptions, GenerateOptions, Location, apply_offline, generate};
use updraft_repo::prune::{PruneOptions, Roots, prune};
use updraft_repo::pull::{Deltas, PullOptions, Source, pull};
use updraft_repo::summary::{self, SummaryOptions};
use updraft_task::Context;

/// One of them. The text is the mode of the repository that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Commit(&'static str),
    PullLocal(&'static str),
    PullHttp(&'static str),
    PullDelta,
    Apply,
    Generate,
    Prune,
    Summary,
    Alias,
    Checkout(&'static str),
}

impl Work {
    /// The mode of the repository.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Commit(mode)
            | Self::PullLocal(mode)
            | Self::PullHttp(mode)
            | Self::Checkout(mode) => mode,
            Self::PullDelta | Self::Apply => "bare-user",
            Self::Generate | Self::Prune | Self::Summary => "archive",
            Self::Alias => "bare",
        }
    }

    /// One of so many operations is killed at.
    pub(crate) fn step(self) -> u32 {
        match self {
            // Most of what it writes lies outside of the repository.
            Self::Checkout(_) => 2,
            _ => 1,
        }
    }

    /// What a child process calls it.
    pub(crate) fn number(self) -> usize {
        ALL.iter().position(|work| *work == self).unwrap()
    }

    /// Does it. `source` is a folder, or an address, or the target of a delta.
    pub(crate) fn run(self, repo: &Repo, source: &str) -> Result<(), String> {
        let ctx = Context::silent();
        match self {
            Self::Commit(_) => {
                let options = CommitOptions {
                    // The same commit again, though the branch may name it already.
                    parent: Parent::Commit(first(repo)),
                    branch: Some("main".parse().unwrap()),
                    subject: "A subject".to_owned(),
                    timestamp: 1_700_000_100,
                    ..CommitOptions::default()
                };
                let tree = TreeSource::Directory(source.into());
                commit(&ctx, repo, &[tree], &options).map(drop).map_err(|error| chain(&error))
            }
            Self::PullLocal(_) => {
                let source = Source::Local(Repo::open(source).unwrap());
                pull_main(repo, &source, Deltas::Disable)
            }
            Self::PullHttp(_) => pull_main(repo, &http(source), Deltas::Disable),
            Self::PullDelta => pull_main(repo, &http(source), Deltas::Require),
            Self::Apply => {
                let options = ApplyOptions::default();
                let applied = apply_offline(&ctx, repo, &Location::Path(source.into()), &options);
                applied.map(drop).map_err(|error| chain(&error))
            }
            Self::Generate => {
                let new: Checksum = source.parse().unwrap();
                let old = repo.load_commit(&new).unwrap().0.parent;
                let name = DeltaName::new(old, new);
                let made = generate(&ctx, repo, &name, 0, &GenerateOptions::default());
                made.map(drop).map_err(|error| chain(&error))
            }
            Self::Prune => {
                let options =
                    PruneOptions { roots: Roots::Refs, depth: Some(0), ..PruneOptions::default() };
                prune(&ctx, repo, &options).map(drop).map_err(|error| chain(&error))
            }
            Self::Summary => {
                let options = SummaryOptions {
                    collection_commit: Some(1_700_000_200),
                    ..SummaryOptions::default()
                };
                let updated = summary::update(&ctx, repo, 1_700_000_200, &options);
                updated.map(drop).map_err(|error| chain(&error))
            }
            Self::Alias => {
                let main = "main".parse().unwrap();
                ALIASES.iter().try_for_each(|alias| {
                    let alias = alias.parse().unwrap();
                    repo.set_alias(&alias, &main).map_err(|error| chain(&error))
                })
            }
            Self::Checkout(_) => {
                // One over the other, so that files are made and replaced.
                let new: Checksum = source.parse().unwrap();
                let old = repo.load_commit(&new).unwrap().0.parent.unwrap();
                let out = repo.path().with_file_name("out");
                let mut checkouts = [old, new].into_iter();
                let options = self.checkout_options(UnionMode::Overwrite);
                checkouts.try_for_each(|commit| {
                    let made = checkout(&ctx, repo, &commit, &out, &options);
                    made.map(drop).map_err(|error| chain(&error))
                })
            }
        }
    }
}

impl Work {
    /// How this mode is checked out: its objects linked, or unpacked for its user and kept.
    pub(crate) fn checkout_options(self, union: UnionMode) -> CheckoutOptions {
        let is_archive = self.mode() == "archive";
        CheckoutOptions {
            user_mode: self.mode() != "bare",
            hardlinks: if is_archive { Hardlinks::Prefer } else { Hardlinks::Require },
            uncompressed_cache: is_archive,
            union,
            ..CheckoutOptions::default()
        }
    }
}

/// What becomes another name of `main`.
pub(crate) const ALIASES: [&str; 3] = ["stable", "channel/stable", "channel/by/year"];

/// All, in an order that both processes know.
pub(crate) const ALL: [Work; 15] = [
    Work::Commit("bare"),
    Work::Commit("archive"),
    Work::PullLocal("bare-user"),
    Work::PullLocal("archive"),
    Work::PullHttp("bare"),
    Work::PullHttp("archive"),
    Work::PullDelta,
    Work::Apply,
    Work::Generate,
    Work::Prune,
    Work::Summary,
    Work::Alias,
    Work::Checkout("bare"),
    Work::Checkout("bare-user"),
    Work::Checkout("archive"),
];

/// The first commit of `main`.
fn first(repo: &Repo) -> Checksum {
    let tip = repo.resolve("main").unwrap();
    repo.load_commit(&tip).unwrap().0.parent.unwrap_or(tip)
}

fn pull_main(repo: &Repo, source: &Source, deltas: Deltas) -> Result<(), String> {
    // One worker does the same every time, and is the thread whose operations fail.
    let refs = vec!["main".to_owned()];
    let options = PullOptions { refs, deltas, jobs: 1, ..PullOptions::default() };
    pull(&Context::silent(), repo, source, &options).map(drop).map_err(|error| chain(&error))
}

fn http(url: &str) -> Source {
    let client = Client::new(&ClientOptions::default()).unwrap();
    Source::Http { client, url: url.to_owned() }
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
