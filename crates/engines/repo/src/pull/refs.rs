//! What a pull is about: which commits, and which refs name them afterwards.

use std::collections::BTreeMap;

use updraft_error::Kind;
use updraft_ostree::delta::DeltaIndex;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, CollectionId, CollectionRef, RefName, Refspec, RepoMode, Summary};
use updraft_task::Context;

use super::origin::{Origin, SummaryFiles};
use super::{Deltas, Error, Mirror, PullOptions, cached};
use crate::Repo;
use crate::staging::Durable;

/// A ref to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefGoal {
    pub name: RefName,
    pub commit: Checksum,
    /// The collection that it is a ref of, as far as is known.
    pub collection: Option<String>,
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

    /// The ref of a collection that it is, when what is mirrored belongs to another collection
    /// than the repository's own.
    fn mirrored(&self, repo: &Repo, options: &PullOptions) -> Result<Option<CollectionRef>, Error> {
        let id = self.collection.as_ref().filter(|_| options.mirror == Mirror::Yes);
        let Some(id) = id.filter(|id| repo.config().collection_id.as_ref() != Some(*id)) else {
            return Ok(None);
        };
        let collection = CollectionId::new(id.as_str())?;
        Ok(Some(CollectionRef { collection, name: self.name.clone() }))
    }

    /// The commit that it names now.
    pub(super) fn current(
        &self,
        repo: &Repo,
        options: &PullOptions,
    ) -> Result<Option<Checksum>, Error> {
        match self.mirrored(repo, options)? {
            Some(mirrored) => Ok(repo.read_mirrored_ref(&mirrored)?),
            None => Ok(repo.read_ref(&self.refspec(options)?)?),
        }
    }

    /// Makes it name the commit. Commit point: the rename inside.
    pub(super) fn write(&self, repo: &Repo, options: &PullOptions) -> Result<(), Error> {
        if let Some(mirrored) = self.mirrored(repo, options)? {
            return Ok(repo.set_mirrored_ref(&mirrored, Some(&self.commit))?);
        }
        let durable = Durable::when(repo.config().fsync);
        Ok(repo.write_ref(&self.refspec(options)?, Some(&self.commit), durable)?)
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
    /// The collection that the refs belong to: as the options say, else as the summary does.
    collection: Option<String>,
}

impl Goals {
    /// Asks the origin what the options mean.
    pub(super) fn find(
        ctx: &Context,
        origin: &dyn Origin,
        options: &PullOptions,
    ) -> Result<Self, Error> {
        let mut goals = Self {
            commits: options.commits.clone(),
            collection: options.collection_id.clone(),
            ..Self::default()
        };
        let mut wanted: Vec<Wanted> = Vec::new();
        for text in &options.refs {
            match text.parse() {
                Ok(commit) => goals.commits.push(commit),
                Err(_) => wanted.push(Wanted::parse(text)?),
            }
        }
        let nothing_named = wanted.is_empty() && goals.commits.is_empty();
        if nothing_named {
            return goals.all(ctx, origin, options);
        }
        let pinned = wanted.iter().all(|wanted| wanted.commit.is_some());
        let lists_refs = origin.list_refs()?.is_some();
        let demanded = options.policy.demands_summary();
        // Which deltas there are is said by the summary.
        let by_delta = matches!(options.deltas, Deltas::Require | Deltas::RequireDryRun);
        // Under which collection a mirror keeps its refs is said there, too.
        let by_mirror = options.mirror == Mirror::Yes && goals.collection.is_none();
        let summary = if !demanded && !by_delta && !by_mirror && (pinned || lists_refs) {
            None
        } else {
            goals.read_summary(ctx, origin, options)?.0
        };
        for Wanted { name, commit } in wanted {
            let found = match (commit, &summary) {
                (Some(commit), _) => Some(commit),
                (None, Some(summary)) if demanded || !lists_refs => {
                    summary.find(name.as_str()).map(|entry| entry.checksum)
                }
                (None, _) => origin.read_ref(ctx, name.as_str())?,
            };
            let commit = found.ok_or_else(|| no_such_ref(&name, origin, summary.is_some()))?;
            let collection = goals.collection.clone();
            goals.refs.push(RefGoal { name, commit, collection });
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
            (Some(refs), mirror) => {
                if mirror == Mirror::Yes && self.collection.is_none() {
                    self.read_summary(ctx, origin, options)?;
                }
                refs
            }
            // Of a source on this machine all refs are wanted, and here those of its summary.
            (None, Mirror::No) if demanded && origin.list_refs()?.is_some() => {
                let (summary, _) = self.read_summary(ctx, origin, options)?;
                named_by(summary.unwrap_or_default())
            }
            (None, Mirror::No) => {
                return Err(Error::NothingToPull("No configured branches for the remote"));
            }
            (None, Mirror::Yes) => {
                let (summary, files) = self.read_summary(ctx, origin, options)?;
                let summary = summary.ok_or(Error::NothingToPull(
                    "Fetching all refs was requested in mirror mode, but remote repository does \
                     not have a summary",
                ))?;
                self.mirrored_summary = files;
                named_by(summary)
            }
        };
        for (name, commit) in refs {
            let collection = self.collection.clone();
            // As libostree says it, which scripts match.
            let invalid =
                |_| crate::Error::other(Kind::Invalid, format!("Invalid ref name {name}"));
            let name = RefName::new(name.as_str()).map_err(invalid)?;
            self.refs.push(RefGoal { name, commit, collection });
        }
        Ok(self)
    }

    fn read_summary(
        &mut self,
        ctx: &Context,
        origin: &dyn Origin,
        options: &PullOptions,
    ) -> Result<(Option<Summary>, Option<SummaryFiles>), Error> {
        let Some(files) = cached::summary(ctx, origin, options)? else { return Ok((None, None)) };
        let what = format!("the summary of {}", origin.name());
        let summary =
            Summary::decode(&files.summary).map_err(|source| Error::Format { what, source })?;
        // Over a network only packed files can be read; on this machine those of all modes.
        if !origin.prefers_objects()
            && let Some(mode) = summary.metadata.get_str(Summary::MODE)
            && mode.parse() != Ok(RepoMode::Archive)
        {
            return Err(Error::SourceMode { mode: mode.to_owned() });
        }
        let what = || format!("the static deltas in the summary of {}", origin.name());
        let listed = DeltaIndex::from_metadata(&summary.metadata)
            .map_err(|source| Error::Format { what: what(), source })?;
        if self.collection.is_none() {
            self.collection = summary.metadata.get_str(Summary::COLLECTION_ID).map(str::to_owned);
        }
        let indexed = summary.metadata.get(Summary::INDEXED_DELTAS) == Some(&Value::Bool(true));
        self.deltas = match listed {
            Some(listed) => SummaryDeltas::Listed(listed),
            None if indexed => SummaryDeltas::Indexed,
            None => SummaryDeltas::Unknown,
        };
        cached::keep(options, &files)?;
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
