//! What can go wrong in the engine, and how a step's failure is remembered.

use std::io;

use serde::{Deserialize, Serialize};
use updraft_error::{Classify, Kind};
use updraft_task::Cancelled;

/// Why the engine could not go on. The journal still holds the transaction, if there is one;
/// calling again continues it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text that should be a SHA-256 digest is none.
    #[error("read digest {text:?}: not 64 lower-case hexadecimal digits")]
    InvalidDigest {
        /// The text, shortened.
        text: String,
    },
    /// Two targets of one assignment are for the same component.
    #[error("plan the update: two images for component {component}")]
    DuplicateComponent {
        /// The component's name.
        component: String,
    },
    /// The journal could not be read or written.
    #[error("{operation} the update journal")]
    Journal {
        /// `read` or `write`.
        operation: &'static str,
        /// What the journal said.
        source: StepError,
    },
    /// The journal was written by something newer, or does not fit its own plan.
    #[error("read the update journal: {reason}")]
    InvalidJournal {
        /// What is wrong with it.
        reason: String,
    },
    /// The installer could not say what the device runs.
    #[error("observe component {component}")]
    Observe {
        /// The component's name.
        component: String,
        /// What the installer said.
        source: StepError,
    },
    /// A step failed for now; nothing is undone, and the next call tries it again.
    #[error("{action}")]
    Interrupted {
        /// The action as [`Display`](std::fmt::Display)ed in a plan.
        action: String,
        /// Why.
        source: StepError,
    },
    /// A step could not be undone; the next call tries it again.
    #[error("undo: {action}")]
    Undo {
        /// The action as displayed in a plan.
        action: String,
        /// Why.
        source: StepError,
    },
    /// The transaction in the journal still has to fetch or stage an image, and the caller has
    /// no verified target for it. Check for updates first.
    #[error("continue the update: no verified target for {image} of component {component}")]
    TargetNeeded {
        /// The component's name.
        component: String,
        /// The image that the plan names.
        image: String,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidDigest { .. }
            | Self::DuplicateComponent { .. }
            | Self::InvalidJournal { .. } => Kind::Invalid,
            Self::Journal { source, .. }
            | Self::Observe { source, .. }
            | Self::Interrupted { source, .. }
            | Self::Undo { source, .. } => source.kind(),
            Self::TargetNeeded { .. } => Kind::Conflict,
            Self::Cancelled(cancelled) => cancelled.kind(),
        }
    }
}

/// The error of an installer, host, journal or source: any error that has a [`Kind`].
///
/// The kind decides what the executor does: [`Unavailable`](Kind::Unavailable) and
/// [`Cancelled`](Kind::Cancelled) leave the transaction where it is; every other kind turns it
/// back.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct StepError {
    kind: Kind,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    error: String,
    system_error: Option<io::ErrorKind>,
    way_out: Option<&'static str>,
}

impl StepError {
    /// Wraps any classified error, keeping its chain of causes.
    pub fn new<E: Classify + std::error::Error + Send + Sync + 'static>(error: E) -> Self {
        let kind = error.kind();
        let system_error = system_error(&error);
        let (error, source) = (error.to_string(), CauseOf::of(error));
        Self { kind, error, source, system_error, way_out: None }
    }

    /// An error without a cause.
    pub fn message(kind: Kind, message: impl Into<String>) -> Self {
        let error = message.into();
        Self { kind, error, source: None, system_error: None, way_out: None }
    }

    /// The same, with what people can do about it, where the error's kind does not tell.
    #[must_use]
    pub fn with_way_out(self, way_out: Option<&'static str>) -> Self {
        Self { way_out, ..self }
    }

    /// What people can do about it, where that was said.
    #[must_use]
    pub fn way_out(&self) -> Option<&'static str> {
        self.way_out
    }

    /// What the system said, where that is the innermost cause.
    #[must_use]
    pub fn system_error(&self) -> Option<io::ErrorKind> {
        self.system_error
    }

    /// Whether trying again later may help without anybody changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::Cancelled)
    }

    /// The message and its causes on one line, for reports.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.error.clone();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl Classify for StepError {
    fn kind(&self) -> Kind {
        self.kind
    }
}

fn system_error(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.downcast_ref::<io::Error>().map(io::Error::kind)
}

/// An error that is shown as its causes only, because its own message was taken over already.
#[derive(Debug)]
struct CauseOf<E>(E);

impl<E: std::error::Error + Send + Sync + 'static> CauseOf<E> {
    fn of(error: E) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        error.source()?;
        Some(Box::new(Self(error)))
    }
}

impl<E: std::error::Error> std::fmt::Display for CauseOf<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.source() {
            Some(cause) => std::fmt::Display::fmt(cause, f),
            None => std::fmt::Display::fmt(&self.0, f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for CauseOf<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source().and_then(std::error::Error::source)
    }
}

/// Why a transaction was turned back, as the journal and reports remember it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The action that failed, as displayed in a plan.
    pub action: String,
    /// The [`Kind`]'s label.
    pub kind: String,
    /// The error and its causes on one line.
    pub message: String,
    /// Whether the image itself is at fault (refused, or unhealthy after the boot), so that it
    /// is not to be tried again.
    pub image_at_fault: bool,
    /// What the system said, where that was the innermost cause. It leads to the way out for
    /// whoever waits for the result; the journal does not keep it.
    #[serde(skip)]
    pub system_error: Option<io::ErrorKind>,
    /// What people can do about it, where that was said; the journal does not keep it either.
    #[serde(skip)]
    pub way_out: Option<&'static str>,
}

/// The message of a transaction that was taken back for another.
const SUPERSEDED: &str = "superseded by another assignment";

impl Failure {
    /// Nothing failed in `action`: the device was told to do something else.
    pub(crate) fn superseded(action: String) -> Self {
        Self {
            action,
            kind: Kind::Conflict.label().to_owned(),
            message: SUPERSEDED.to_owned(),
            image_at_fault: false,
            system_error: None,
            way_out: None,
        }
    }

    /// Somebody who does not want the image ended `action`.
    pub(crate) fn ordered(action: String, reason: &str) -> Self {
        Self {
            action,
            kind: Kind::Cancelled.label().to_owned(),
            message: reason.to_owned(),
            image_at_fault: true,
            system_error: None,
            way_out: None,
        }
    }

    /// Whether nothing failed, and somebody who does not want the image ended the action.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.image_at_fault && self.kind == Kind::Cancelled.label()
    }

    /// Whether nothing failed, and the device was told to do something else.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.message == SUPERSEDED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    impl Classify for Outer {
        fn kind(&self) -> Kind {
            Kind::Exhausted
        }
    }

    #[test]
    fn a_wrapped_error_keeps_kind_and_chain_without_repetition() {
        let error = StepError::new(Outer(std::io::Error::other("inner")));
        assert_eq!(error.kind(), Kind::Exhausted);
        assert_eq!(error.chain(), "outer: inner");
        assert_eq!(StepError::message(Kind::Bug, "alone").chain(), "alone");
    }

    #[test]
    fn a_wrapped_error_still_knows_what_the_system_said() {
        let read_only = std::io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let error = StepError::new(Outer(read_only));
        assert_eq!(error.system_error(), Some(io::ErrorKind::ReadOnlyFilesystem));
        assert_eq!(StepError::message(Kind::Bug, "alone").system_error(), None);
    }
}
