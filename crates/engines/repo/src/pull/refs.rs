//! What a pull is about: which commits, and which refs name them afterwards.

use std::collections::BTreeMap;

use updraft_ostree::delta::DeltaIndex;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, RefName, Refspec, RepoMode, Summary};
use updraft_task::Context;

use super::origin::{Origin, SummaryFiles};
use super::{Error, Mirror, PullOptions};
use crate::Repo;
use crate::sign::Policy;
use crate::staging::Durable;

/// A ref to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefGoal {
    pub name: RefName,
    pub commit: Checksum,
}

impl RefGoal {
    /// Where it is written.
    pub(super) fn refspec(&self, options: &PullOptions) -> Result<Refspec, Error> {
        let refspec = match (&options.remote, options.mirror) {
            (Some(remote), Mirror::No) => Refspec::remote(remote.clone(), self.name.clone()),
            _ => Refspec::local(self.name.clone()),
        };
        refspec.check_not_checksum()?;
        Ok(refspec)
    }
}

/// What a summary says about static deltas.
#[derive(Debug, Default)]
pub(super) enum SummaryDeltas {
    /// Nothing, or there is no summary.
    #[default]
    Unknown,
    /// Their indexes have to be looked at.
    Indexed,
    /// These are all.
    Listed(DeltaIndex),
}

/// All that is to be reached.
#[derive(Debug, Default)]
pub(super) struct Goals {
    pub refs: Vec<RefGoal>,
    pub commits: Vec<Checksum>,
    /// The sizes of commit objects, as the summary says.
    pub sizes: BTreeMap<Checksum, u64>,
    /// What the summary says about static deltas.
    pub deltas: SummaryDeltas,
    /// The summary to be stored at the end.
    pub mirrored_summary: Option<SummaryFiles>,
}

impl Goals {
    /// Asks the origin what the options mean.
    pub(super) fn find(
        ctx: &Context,
        origin: &dyn Origin,
        options: &PullOptions,
    ) -> Result<Self, Error> {
        let mut goals = Self { commits: options.commits.clone(), ..Self::default() };
        let wanted: Vec<Wanted> =
            options.refs.iter().map(|text| Wanted::parse(text)).collect::<Result<_, _>>()?;
        let nothing_named = wanted.is_empty() && goals.commits.is_empty();
        if nothing_named {
            return goals.all(ctx, origin, options);
        }
        let pinned = wanted.iter().all(|wanted| wanted.commit.is_some());
        let lists_refs = origin.list_refs()?.is_some();
        let demanded = options.policy.demands_summary();
        let summary = if !demanded && (pinned || lists_refs) {
            None
        } else {
            goals.read_summary(ctx, origin, &options.policy)?.0
        };
        for Wanted { name, commit } in wanted {
            let found = match (commit, &summary) {
                (Some(commit), _) => Some(commit),
                (None, Some(summary)) => summary.find(name.as_str()).map(|entry| entry.checksum),
                (None, None) => origin.read_ref(ctx, name.as_str())?,
            };
            let commit = found.ok_or_else(|| no_such_ref(&name, origin, summary.is_some()))?;
            goals.refs.push(RefGoal { name, commit });
        }
        Ok(goals)
    }

    /// All refs there are.
    fn all(
        mut self,
        ctx: &Context,
        origin: &dyn Origin,
        options: &PullOptions,
    ) -> Result<Self, Error> {
        let demanded = options.policy.demands_summary();
        let listed = if demanded { None } else { origin.list_refs()? };
        let refs = match (listed, options.mirror) {
            (Some(refs), _) => refs,
            // Of a source on this machine all refs are wanted, and here those of its summary.
            (None, Mirror::No) if demanded && origin.list_refs()?.is_some() => {
                let (summary, _) = self.read_summary(ctx, origin, &options.policy)?;
                named_by(summary.unwrap_or_default())
            }
            (None, Mirror::No) => {
                return Err(Error::NothingToPull("No configured branches for the remote"));
            }
            (None, Mirror::Yes) => {
                let (summary, files) = self.read_summary(ctx, origin, &options.policy)?;
                let summary = summary.ok_or(Error::NothingToPull(
                    "Fetching all refs was requested in mirror mode, but remote repository does \
                     not have a summary",
                ))?;
                self.mirrored_summary = files;
                named_by(summary)
            }
        };
        for (name, commit) in refs {
            self.refs.push(RefGoal { name: RefName::new(name)?, commit });
        }
        Ok(self)
    }

    fn read_summary(
        &mut self,
        ctx: &Context,
        origin: &dyn Origin,
        policy: &Policy,
    ) -> Result<(Option<Summary>, Option<SummaryFiles>), Error> {
        let files = origin.summary(ctx)?;
        // Before anything in it is believed.
        let signature = files.as_ref().and_then(|files| files.signature.as_deref());
        policy.check_summary(files.as_ref().map(|files| files.summary.as_slice()), signature)?;
        let Some(files) = files else { return Ok((None, None)) };
        let what = format!("the summary of {}", origin.name());
        let summary =
            Summary::decode(&files.summary).map_err(|source| Error::Format { what, source })?;
        if let Some(mode) = summary.metadata.get_str(Summary::MODE)
            && mode.parse() != Ok(RepoMode::Archive)
        {
            return Err(Error::SourceMode { mode: mode.to_owned() });
        }
        let what = || format!("the static deltas in the summary of {}", origin.name());
        let listed = DeltaIndex::from_metadata(&summary.metadata)
            .map_err(|source| Error::Format { what: what(), source })?;
        let indexed = summary.metadata.get(Summary::INDEXED_DELTAS) == Some(&Value::Bool(true));
        self.deltas = match listed {
            Some(listed) => SummaryDeltas::Listed(listed),
            None if indexed => SummaryDeltas::Indexed,
            None => SummaryDeltas::Unknown,
        };
        self.sizes.extend(summary.refs.iter().map(|entry| (entry.checksum, entry.commit_size)));
        Ok((Some(summary), Some(files)))
    }

    /// The ref under which a commit was found.
    pub(super) fn refs_of(&self, commit: &Checksum) -> impl Iterator<Item = &RefGoal> {
        self.refs.iter().filter(move |goal| goal.commit == *commit)
    }
}

fn named_by(summary: Summary) -> Vec<(String, Checksum)> {
    summary.refs.into_iter().map(|entry| (entry.name, entry.checksum)).collect()
}

fn no_such_ref(name: &RefName, origin: &dyn Origin, in_summary: bool) -> Error {
    let source_name = origin.name();
    if in_summary {
        Error::NoSuchBranch { name: name.to_string(), source_name }
    } else {
        Error::NoSuchRef { name: name.to_string(), source_name }
    }
}

/// `REF` or `REF@COMMIT`.
struct Wanted {
    name: RefName,
    commit: Option<Checksum>,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, Error> {
        let bad = |source| Error::Format { what: format!("what to pull, {text}"), source };
        let (name, commit) = match text.split_once('@') {
            Some((name, commit)) => {
                let commit =
                    commit.parse().map_err(|_| Error::InvalidRevision(commit.to_owned()))?;
                (name, Some(commit))
            }
            None => (text, None),
        };
        Ok(Self { name: RefName::new(name).map_err(bad)?, commit })
    }
}

impl SummaryFiles {
    /// Makes them the repository's own.
    pub(super) fn store(&self, repo: &Repo) -> Result<(), Error> {
        match &self.signature {
            Some(signature) => repo.replace("summary.sig", signature, (0o644, Durable::Yes))?,
            None => drop(repo.root().try_unlink("summary.sig")?),
        }
        Ok(repo.replace("summary", &self.summary, (0o644, Durable::Yes))?)
    }
}
