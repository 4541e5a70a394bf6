//! The error that ends a program, and how it is printed.
//!
//! ```text
//! error: failed to open the repository at `/srv/repo`
//! caused by: no such directory
//! hint: create it with `updraft ostree init --repo /srv/repo`
//! ```

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use updraft_error::{Classify, Kind};

/// The result of a command.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// An error on its way to the person at the terminal.
///
/// Made with `?` from every error that implements [`Classify`]; context lines and hints are added
/// on the way up, the kind of the first error stays.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    hints: Vec<String>,
}

impl Failure {
    /// A failure that begins here, with one line that says what is wrong.
    pub fn new(kind: Kind, message: impl Display) -> Self {
        Self { kind, error: anyhow::Error::msg(message.to_string()), hints: Vec::new() }
    }

    /// A failure of this kind around an error that cannot classify itself.
    pub fn of(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into(), hints: Vec::new() }
    }

    /// What decides the exit code.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The outermost error of this type, from this one down to its root cause.
    pub fn find<E: std::error::Error + Send + Sync + 'static>(&self) -> Option<&E> {
        // Context lines hide what they wrap from the chain, so the whole is asked first.
        let whole = self.error.downcast_ref::<E>();
        whole.or_else(|| self.error.chain().find_map(|cause| cause.downcast_ref::<E>()))
    }

    /// Whether it names a way out.
    pub fn has_hint(&self) -> bool {
        !self.hints.is_empty()
    }

    /// Whether the reader of our output went away.
    pub fn is_broken_pipe(&self) -> bool {
        let io = self.error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Adds an outer line: what was being done, as `failed to …`.
    #[must_use]
    pub fn context(mut self, message: impl Display) -> Self {
        self.error = self.error.context(message.to_string());
        self
    }

    /// Adds a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// The lines as printed: `error:`, then `caused by:`, then `hint:`.
    ///
    /// A cause that its outer line already ends with is left out.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut last = String::new();
        for cause in self.error.chain() {
            let text = cause.to_string();
            if lines.is_empty() {
                lines.push(format!("error: {text}"));
            } else if !last.ends_with(&text) {
                lines.push(format!("caused by: {text}"));
            }
            last = text;
        }
        lines.extend(self.hints.iter().map(|hint| format!("hint: {hint}")));
        lines
    }
}

impl<E> From<E> for Failure
where
    E: Classify + std::error::Error + Send + Sync + 'static,
{
    fn from(error: E) -> Self {
        let kind = error.kind();
        let sentence = sentence(kind, &error.to_string());
        let error = anyhow::Error::new(error);
        let error = match sentence {
            Some(sentence) => error.context(sentence),
            None => error,
        };
        Self { kind, error, hints: Vec::new() }
    }
}

/// Our errors are fragments such as `read /srv/repo/config`; this makes a sentence of one.
/// Messages that begin with a capital or a name are sentences already.
fn sentence(kind: Kind, fragment: &str) -> Option<String> {
    let is_fragment = fragment.starts_with(|c: char| c.is_ascii_lowercase());
    (is_fragment && kind != Kind::Cancelled).then(|| format!("failed to {fragment}"))
}

/// Adds context and hints to a result on its way up.
pub trait ResultExt<T> {
    /// Adds an outer line: what was being done, as `failed to …`.
    fn context(self, message: impl Display) -> Result<T>;
    /// As [`context`](Self::context), made only when needed.
    fn with_context<M: Display>(self, message: impl FnOnce() -> M) -> Result<T>;
    /// Adds a way out.
    fn hint(self, hint: impl Display) -> Result<T>;
}

impl<T, E: Into<Failure>> ResultExt<T> for Result<T, E> {
    fn context(self, message: impl Display) -> Result<T> {
        self.map_err(|error| error.into().context(message))
    }

    fn with_context<M: Display>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| error.into().context(message()))
    }

    fn hint(self, hint: impl Display) -> Result<T> {
        self.map_err(|error| error.into().hint(hint))
    }
}

/// Runs a command to its end: prints what failed and gives the exit code of its kind.
///
/// A reader that closed our stdout (`updraft … | head`) has what it wanted: that ends the program
/// quietly and well.
pub fn run(command: impl FnOnce() -> Result) -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            let mut stderr = std::io::stderr().lock();
            for line in failure.lines() {
                // Nobody is left to tell when stderr itself fails.
                let _ = writeln!(stderr, "{line}");
            }
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("No such directory")]
    struct Missing;

    #[derive(Debug, thiserror::Error)]
    #[error("read `a`")]
    struct Fragment(#[source] Missing);

    impl Classify for Fragment {
        fn kind(&self) -> Kind {
            Kind::Invalid
        }
    }

    impl Classify for Missing {
        fn kind(&self) -> Kind {
            Kind::NotFound
        }
    }

    #[test]
    fn lines_name_the_error_then_its_causes_then_the_way_out() {
        let result: Result<(), Missing> = Err(Missing);
        let failure = result
            .context("failed to open the repository at `/srv/repo`")
            .hint("create it with `updraft ostree init`")
            .unwrap_err();
        assert_eq!(failure.kind(), Kind::NotFound);
        assert_eq!(
            failure.lines(),
            [
                "error: failed to open the repository at `/srv/repo`",
                "caused by: No such directory",
                "hint: create it with `updraft ostree init`",
            ]
        );
    }

    #[test]
    fn a_fragment_becomes_a_sentence() {
        let failure = Failure::from(Fragment(Missing));
        assert_eq!(failure.lines(), ["error: failed to read `a`", "caused by: No such directory"]);
    }

    #[test]
    fn a_cause_already_said_is_not_said_again() {
        let failure = Failure::new(Kind::Invalid, "bad name").context("line 3: bad name");
        assert_eq!(failure.lines(), ["error: line 3: bad name"]);
    }
}
