//! Which target is for this device. Pure: what runs and what failed are arguments.

use std::collections::BTreeMap;

use updraft_tuf::{TufTarget, Verified};

use super::LiteTarget;

/// A target with its proof.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) target: LiteTarget,
    pub(super) proof: Verified<TufTarget>,
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wish {
    /// The highest version.
    #[default]
    Latest,
    /// The target of this name.
    Name(String),
    /// The target of this version.
    Version(i64),
}

impl Wish {
    /// From what stands on a command line: a number is a version, all else a name.
    pub fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(version) => Self::Version(version),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

/// What is to be done about a wish.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    /// Go to this one.
    Update(Box<Candidate>),
    /// It is what runs.
    Current,
    /// The highest version failed on this device before.
    Failing(LiteTarget),
    /// The highest version is lower than what runs.
    Lower(Box<Candidate>),
    /// There is none like that.
    NotFound,
}

/// The targets for this hardware id that have any of `tags` (no tags: all), lowest version first.
pub(super) fn matching(
    targets: BTreeMap<String, Verified<TufTarget>>,
    hardware_id: &str,
    tags: &[String],
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = targets
        .into_values()
        .filter_map(|proof| {
            let sha256 = proof.hashes.sha256()?;
            let custom = proof.custom.clone().unwrap_or_default();
            let target = LiteTarget::new(&proof.path, sha256, custom);
            Some(Candidate { target, proof })
        })
        .filter(|Candidate { target, .. }| {
            target.is_ostree()
                && target.hardware_id() == Some(hardware_id)
                && (tags.is_empty() || target.tags().any(|tag| tags.iter().any(|own| own == tag)))
        })
        .collect();
    found.sort_by(|left, right| {
        let key = |one: &Candidate| (one.target.version, one.target.name.clone());
        key(left).cmp(&key(right))
    });
    found
}

/// Chooses among `candidates`, which [`matching`] made. Who names a target gets it, even when it
/// failed before or is older; a failing highest version is not replaced by an older one.
pub(super) fn choose(
    candidates: &[Candidate],
    wish: &Wish,
    current: &LiteTarget,
    has_failed: impl Fn(&LiteTarget) -> bool,
) -> Choice {
    let wanted = match wish {
        Wish::Latest => candidates.last(),
        Wish::Name(name) => candidates.iter().find(|one| one.target.name == *name),
        Wish::Version(version) => candidates.iter().find(|one| one.target.version == *version),
    };
    let Some(wanted) = wanted else { return Choice::NotFound };
    let target = &wanted.target;
    if target.name == current.name && target.sha256 == current.sha256 {
        return Choice::Current;
    }
    if *wish == Wish::Latest {
        if has_failed(target) {
            return Choice::Failing(target.clone());
        }
        if target.version < current.version {
            return Choice::Lower(Box::new(wanted.clone()));
        }
    }
    Choice::Update(Box::new(wanted.clone()))
}
