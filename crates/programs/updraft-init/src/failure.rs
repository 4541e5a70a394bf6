//! Why the system cannot be booted: what was tried, what the kernel said, and the way out.

use std::fmt;

/// Shorthand for results of this program.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Something that stops the boot, told to whoever stands before the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    what: String,
    way_out: Option<String>,
}

impl Failure {
    /// A failure that is told by this sentence.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), way_out: None }
    }

    /// Adds what a person can do about it, unless that has been said.
    pub(crate) fn way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out.get_or_insert_with(|| way_out.into());
        self
    }

    /// The sentence alone.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        match &self.way_out {
            Some(way_out) => write!(f, "\n  way out: {way_out}"),
            None => Ok(()),
        }
    }
}

/// Says what was being done when another error came.
pub(crate) trait During<T> {
    /// Turns the error into a [`Failure`] that begins with `what`, such as `mount X on Y`.
    fn during(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> During<T> for std::result::Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::new(format!("cannot {}: {error}", what())))
    }
}
