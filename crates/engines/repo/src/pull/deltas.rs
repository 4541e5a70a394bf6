//! Pulling by static deltas.
//!
//! Before any object is asked for, each commit that is wanted and not here gets the best delta
//! there is: from the newest commit that is here completely, or from nothing where the ref is new.
//! Then the plan walks the tree as always: it finds what the delta brought, and fetches what it
//! left out. So no object comes twice, and a delta that lies by omission gains nothing.

use updraft_ostree::delta::{DeltaFormat, DeltaIndex, DeltaName, Superblock};
use updraft_ostree::{Checksum, Commit, ObjectName, ObjectType, RepoMode};
use updraft_task::Context;

use super::origin::{Origin, WantedPart};
use super::partial;
use super::refs::{Goals, SummaryDeltas};
use super::work::Work;
use super::{DeltaPlan, Deltas, Error, Extent, PullOptions};
use crate::delta::store::read_inline;
use crate::delta::{MAX_JOBS, NoPart, Part, execute_parts};
use crate::{CommitState, Repo};

/// Who looks for deltas, where, and for what.
#[derive(Clone, Copy)]
struct Search<'a> {
    ctx: &'a Context,
    repo: &'a Repo,
    origin: &'a dyn Origin,
    goals: &'a Goals,
    options: &'a PullOptions,
}

/// What [`Deltas::RequireDryRun`] tells.
pub(super) fn dry_run(
    ctx: &Context,
    repo: &Repo,
    origin: &dyn Origin,
    goals: &Goals,
    options: &PullOptions,
) -> Result<DeltaPlan, Error> {
    let search = Search { ctx, repo, origin, goals, options };
    let mut plan = DeltaPlan::default();
    for commit in search.wanted()? {
        let Some((superblock, _)) = search.find(&commit)? else { continue };
        for part in &superblock.parts {
            let mut missing = false;
            for object in &part.objects {
                missing = missing || !repo.has_object(object)?;
            }
            plan.total_parts += 1;
            plan.present_parts += u64::from(!missing);
            plan.add(missing, part.size, part.uncompressed_size);
        }
        for fallback in &superblock.fallbacks {
            let missing = !repo.has_object(&fallback.object)?;
            plan.add(missing, fallback.compressed_size, fallback.uncompressed_size);
        }
    }
    Ok(plan)
}

impl DeltaPlan {
    fn add(&mut self, missing: bool, size: u64, uncompressed: u64) {
        let present = if missing { 0 } else { size };
        self.present_size = self.present_size.saturating_add(present);
        self.total_size = self.total_size.saturating_add(size);
        self.uncompressed_size = self.uncompressed_size.saturating_add(uncompressed);
    }
}

impl Search<'_> {
    fn is_required(&self) -> bool {
        matches!(self.options.deltas, Deltas::Require | Deltas::RequireDryRun)
    }

    /// The commits for which deltas are looked for.
    fn wanted(&self) -> Result<Vec<Checksum>, Error> {
        let Self { repo, goals, options, .. } = self;
        if repo.mode() == RepoMode::Archive {
            // What is served as packed files would have to be packed again.
            return if self.is_required() { Err(Error::DeltaIntoArchive) } else { Ok(Vec::new()) };
        }
        let whole = options.extent == Extent::Full && options.subpaths.is_empty();
        let useful = self.is_required()
            || (options.deltas == Deltas::Prefer && !self.origin.prefers_objects());
        if !whole || !useful {
            return Ok(Vec::new());
        }
        let mut wanted = Vec::new();
        let named = goals.refs.iter().map(|goal| goal.commit);
        for commit in named.chain(goals.commits.iter().copied()) {
            if !wanted.contains(&commit) && !self.is_complete(&commit)? {
                wanted.push(commit);
            }
        }
        Ok(wanted)
    }

    fn is_complete(&self, commit: &Checksum) -> Result<bool, Error> {
        let object = ObjectName::new(*commit, ObjectType::Commit);
        Ok(self.repo.has_object(&object)? && !self.repo.commit_state(commit)?.is_partial())
    }

    /// The superblock of the best delta to `commit`, and its own bytes' place in the repository.
    fn find(&self, commit: &Checksum) -> Result<Option<(Superblock, DeltaName)>, Error> {
        let Some(index) = self.index(commit)? else {
            return if self.is_required() { Err(Error::NoDeltas) } else { Ok(None) };
        };
        let missing = || {
            let goal = self.goals.refs_of(commit).next();
            let name = goal.map_or_else(|| commit.to_string(), |goal| goal.name.to_string());
            Error::NoDelta { name, commit: *commit }
        };
        let found = match self.best(&index, commit)? {
            Some((name, digest)) => {
                let superblock = self.origin.delta_superblock(self.ctx, &name, &digest)?;
                superblock.map(|superblock| (superblock, name))
            }
            None => None,
        };
        if found.is_none() && self.is_required() { Err(missing()) } else { Ok(found) }
    }

    /// The deltas there are to `commit`; `None` when nobody says.
    fn index(&self, commit: &Checksum) -> Result<Option<DeltaIndex>, Error> {
        if let SummaryDeltas::Listed(listed) = &self.goals.deltas {
            return Ok(Some(listed.clone()));
        }
        let index = match self.origin.delta_index(self.ctx, commit) {
            // One that cannot be understood lists nothing: the objects are there as well.
            Err(Error::Format { .. }) => Some(DeltaIndex::default()),
            index => index?,
        };
        let is_indexed = matches!(self.goals.deltas, SummaryDeltas::Indexed);
        Ok(index.or_else(|| is_indexed.then(DeltaIndex::default)))
    }

    fn best(
        &self,
        index: &DeltaIndex,
        commit: &Checksum,
    ) -> Result<Option<(DeltaName, Checksum)>, Error> {
        let mut best: Option<((u64, DeltaFormat), DeltaName, Checksum)> = None;
        for (name, digest) in index.iter().filter(|(name, _)| name.to == *commit) {
            let Some(from) = &name.from else { continue };
            if !is_usable(name.format) || !self.is_complete(from)? {
                continue;
            }
            // Of two from one commit that of our own format is smaller.
            let (Commit { timestamp, .. }, _) = self.repo.load_commit(from)?;
            let rank = (timestamp, name.format);
            if best.as_ref().is_none_or(|(highest, ..)| rank > *highest) {
                best = Some((rank, *name, *digest));
            }
        }
        if let Some((_, name, digest)) = best {
            return Ok(Some((name, digest)));
        }
        // Where there is something already, most objects are here: then they are less.
        for goal in self.goals.refs_of(commit) {
            if goal.current(self.repo, self.options)?.is_some() {
                return Ok(None);
            }
        }
        let scratch =
            DeltaFormat::ALL.map(|format| DeltaName::new(None, *commit).in_format(format));
        let mut found = scratch.into_iter().rev().filter(|name| is_usable(name.format));
        Ok(found.find_map(|name| index.get(&name).map(|digest| (name, digest))))
    }
}

/// Whether deltas of this format can be applied in this process. One of our own may hold packed
/// files, which only a process of its own packs again.
fn is_usable(format: DeltaFormat) -> bool {
    format == DeltaFormat::Ostree || updraft_delta::can_pack()
}

impl Work<'_> {
    /// Applies the best delta for each commit that is wanted. The number of parts that were
    /// fetched; `None` when no delta was used.
    pub(super) fn apply_deltas(&self) -> Result<Option<u64>, Error> {
        let search = Search {
            ctx: self.ctx,
            repo: self.transaction.repo(),
            origin: self.origin,
            goals: self.goals,
            options: self.options,
        };
        let mut fetched = None;
        for commit in search.wanted()? {
            if let Some((superblock, name)) = search.find(&commit)? {
                *fetched.get_or_insert(0) += self.apply_delta(&superblock, &name)?;
            }
        }
        Ok(fetched)
    }

    fn apply_delta(&self, superblock: &Superblock, name: &DeltaName) -> Result<u64, Error> {
        let (repo, object) =
            (self.transaction.repo(), ObjectName::new(name.to, ObjectType::Commit));
        // The same checks as for a commit that comes by itself, before anything is made.
        let commit = self.decode_commit(&object, &superblock.commit)?;
        let metadata = superblock.commit_meta().map_err(crate::Error::from)?;
        let beside = self.fetch_beside(&name.to)?;
        self.verified(&name.to, &superblock.commit, beside, metadata.as_ref())?;
        self.check(&name.to, &commit)?;
        if repo.commit_state(&name.to)? == CommitState::Complete {
            repo.set_commit_state(&name.to, CommitState::Partial)?;
        }
        self.store(&object, &superblock.commit)?;
        if let Some(metadata) = metadata {
            self.transaction.write_commit_meta(&name.to, &metadata)?;
        }
        let tmp = self.transaction.scratch()?;
        let (parts, _) =
            execute_parts(self.ctx, self.transaction, superblock, MAX_JOBS, &|number, header| {
                match read_inline(superblock, number, header, &tmp) {
                    Err(NoPart) => {}
                    Ok(part) => return Ok(part?),
                }
                let path = name.part_path(number);
                let accept = |file| Part::open(name.format, number, header, Box::new(file), &tmp);
                let wanted = WantedPart { path: &path, header, tmp: &tmp, accept: &accept };
                let part = self.origin.delta_part(self.ctx, &wanted)?;
                part.ok_or_else(|| {
                    let what = format!("fetch {path} from {}", self.origin.content_name());
                    let reason = "it is not there".to_owned();
                    Error::Repo(crate::Error::BadDelta { what, reason })
                })
            })?;
        for part in &superblock.parts {
            partial::forget_delta(&tmp, &part.checksum)?;
        }
        Ok(parts)
    }
}
