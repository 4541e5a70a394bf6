//! The way out of what can go wrong with any repository command: damage, no room, no right to
//! write, no answer.

use std::io::ErrorKind;

use updraft_error::Kind;
use updraft_repo::{Error, pull};
use updraft_terminal::Failure;

/// Adds a way out to a failure that has none yet.
pub(super) fn added(failure: Failure) -> Failure {
    if failure.has_hint() {
        return failure;
    }
    match hint(&failure) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(failure: &Failure) -> Option<&'static str> {
    if let Some(error) = failure.find::<pull::Error>()
        && let Some(hint) = pull_hint(error)
    {
        return Some(hint);
    }
    if failure.find::<Error>().is_some_and(Error::is_corruption) {
        return Some("`ostree fsck --delete` removes what is corrupt; the next pull fetches it");
    }
    if failure.kind() == Kind::Exhausted {
        return Some(
            "make room (`ostree prune --refs-only` deletes what no ref needs) and try again; \
             nothing was changed",
        );
    }
    match failure.find::<std::io::Error>().map(std::io::Error::kind)? {
        ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is mounted read-only: mount it writable, or name another place")
        }
        ErrorKind::PermissionDenied => Some("run it as the user who owns what it has to change"),
        _ => None,
    }
}

fn pull_hint(error: &pull::Error) -> Option<&'static str> {
    match error {
        pull::Error::BadObject { .. } => Some(
            "the source is damaged or lies: run `ostree fsck` there, or pull from another mirror; \
             no ref was changed",
        ),
        pull::Error::Mirrors { .. } => Some(
            "no mirror is right: look at what each said, or name another one; what was fetched is \
             kept",
        ),
        pull::Error::MissingObject { .. } => Some(
            "the source is incomplete: run `ostree fsck` there, or pull from another mirror; what \
             was fetched is kept",
        ),
        pull::Error::Http(error) => match updraft_error::Classify::kind(error) {
            Kind::Unavailable => Some(
                "check the network and the address (`ostree remote show-url REMOTE`), and pull \
                 again: what was fetched is kept",
            ),
            Kind::NotFound => Some("check the address with `ostree remote show-url REMOTE`"),
            _ => None,
        },
        _ => None,
    }
}
