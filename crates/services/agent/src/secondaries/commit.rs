//! A commit on a medium, given to a secondary object by object.

use std::collections::HashSet;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use updraft_error::{Classify as _, Kind};
use updraft_ipuptane::{MAX_PIECE, Piece};
use updraft_ostree::{Checksum, ObjectName, ObjectType, RepoMode};
use updraft_repo::{Repo, traverse};
use updraft_secondary::{CommitObjects, Error as EcuError, Result as EcuResult};
use updraft_task::Context;
use updraft_update::{Digest, StepError};

use crate::medium::Medium;

/// What of the medium's repository belongs to one commit. The secondary verifies all that it is
/// given; this only bounds what it can ask for: each object of its commit, once.
pub(super) struct MediumCommit {
    repo: Repo,
    giving: Mutex<Giving>,
}

struct Giving {
    left: HashSet<ObjectName>,
    open: Option<Open>,
}

/// An object of which pieces follow.
struct Open {
    object: ObjectName,
    offset: u64,
    reader: Box<dyn Read + Send>,
}

impl MediumCommit {
    /// The commit on the medium, all of which has to be there.
    pub(super) fn find(ctx: &Context, medium: &Medium, commit: &Digest) -> Result<Self, StepError> {
        let checksum: Checksum = commit.as_str().parse().map_err(StepError::new)?;
        let repo = medium.repository()?;
        let mut left = HashSet::new();
        traverse::reachable(ctx, &repo, &checksum, &mut left).map_err(StepError::new)?;
        left.insert(ObjectName::new(checksum, ObjectType::CommitMeta));
        Ok(Self { repo, giving: Mutex::new(Giving { left, open: None }) })
    }

    fn open(&self, object: ObjectName) -> EcuResult<Option<Open>> {
        match self.repo.open_archive_form(&object) {
            Ok(reader) => Ok(Some(Open { object, offset: 0, reader })),
            Err(updraft_repo::Error::NoSuchObject(_)) => Ok(None),
            Err(error) => Err(unreadable(&object, &error, error.kind())),
        }
    }
}

impl CommitObjects for MediumCommit {
    fn piece(&self, ctx: &Context, path: &str, offset: u64) -> EcuResult<Piece> {
        ctx.check()?;
        let Ok(object) = ObjectName::from_loose_path(path, RepoMode::Archive) else {
            return Ok(Piece::Absent);
        };
        let mut giving = self.giving.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = giving.open.take();
        let open = match begun.filter(|open| open.object == object && open.offset == offset) {
            Some(open) => Some(open),
            None if offset == 0 && giving.left.remove(&object) => self.open(object)?,
            None => None,
        };
        let Some(mut open) = open else { return Ok(Piece::Absent) };
        let mut data = Vec::new();
        let read = open.reader.by_ref().take(MAX_PIECE as u64).read_to_end(&mut data);
        read.map_err(|error| unreadable(&object, &error, Kind::Unavailable))?;
        if data.len() < MAX_PIECE {
            return Ok(Piece::Last(data));
        }
        // Nothing may follow: then the last piece is an empty one.
        open.offset = open.offset.saturating_add(data.len() as u64);
        giving.open = Some(open);
        Ok(Piece::Next(data))
    }
}

fn unreadable(object: &ObjectName, error: &dyn std::fmt::Display, kind: Kind) -> EcuError {
    let problem = format!("{object}: {error}");
    EcuError::Payload { action: "read the commit on the medium", problem, kind }
}
