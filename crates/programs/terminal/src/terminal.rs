//! What a command is given to talk with.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use serde::Serialize;
use updraft_task::{CancelToken, Context, Event, Progress, Silent};

use crate::progress::{Bars, Lines};
use crate::{Result, Table, interrupt};

/// When to use colour and moving progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The options that every program understands before and after its commands.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Output options")]
pub struct OutputOptions {
    /// Print results as JSON on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress and no messages, only results and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colour and moving progress.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// Where results and talk go, and the context of long work.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// The token that Ctrl-C cancels and the sink that draws progress.
    pub context: Context,
    json: bool,
    quiet: bool,
    color: bool,
}

impl Terminal {
    /// The terminal of this process, with Ctrl-C connected.
    ///
    /// `no_color` is whether the environment asks for no colour (`NO_COLOR`, `TERM=dumb`).
    pub fn new(options: &OutputOptions, no_color: bool) -> Result<Self> {
        let cancel = CancelToken::new();
        interrupt::cancel_on_signals(cancel.clone())?;
        let moving = std::io::stderr().is_terminal() && options.color != Color::Never;
        let progress: Arc<dyn Progress> = match (options.quiet, moving) {
            (true, _) => Arc::new(Silent),
            (false, true) => Arc::new(Bars::new()),
            (false, false) => Arc::new(Lines),
        };
        let color = match options.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && !no_color,
        };
        Ok(Self {
            context: Context::new(cancel, progress),
            json: options.json,
            quiet: options.quiet,
            color,
        })
    }

    /// Whether the caller wants JSON.
    pub fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether the caller wants results and errors only.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results may carry colour.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Prints one line of results on stdout.
    pub fn line(&self, text: impl std::fmt::Display) -> Result {
        writeln!(std::io::stdout().lock(), "{text}")?;
        Ok(())
    }

    /// Prints raw bytes on stdout.
    pub fn bytes(&self, bytes: &[u8]) -> Result {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }

    /// Prints a value as indented JSON on stdout.
    pub fn json(&self, value: &impl Serialize) -> Result {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| crate::Failure::of(updraft_error::Kind::Bug, error))?;
        self.line(text)
    }

    /// Prints a value as JSON on one line of stdout, for streams of values.
    pub fn json_line(&self, value: &impl Serialize) -> Result {
        let text = serde_json::to_string(value)
            .map_err(|error| crate::Failure::of(updraft_error::Kind::Bug, error))?;
        self.line(text)
    }

    /// Prints a table on stdout.
    pub fn table(&self, table: &Table) -> Result {
        for line in table.lines() {
            self.line(line)?;
        }
        Ok(())
    }

    /// Prints the value as JSON when asked for, else what `human` prints.
    pub fn show<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> Result) -> Result {
        if self.json { self.json(value) } else { human(value) }
    }

    /// Says something on stderr that has to be seen, also by who wants results and errors only.
    pub fn warn(&self, text: impl std::fmt::Display) {
        // Nobody is left to tell when stderr itself fails.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Says something on stderr that is not a result.
    pub fn say(&self, text: impl std::fmt::Display) {
        self.context.report(&Event::Message(text.to_string()));
    }
}
