//! Logs go to stderr; under systemd, without what the journal adds itself.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

const VARIABLE: &str = "UPDRAFT_LOG";

/// Begins logging.
pub(crate) fn start(no_color: bool) -> Result {
    let filter = match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).map_err(|error| {
            Failure::of(Kind::Invalid, error).context(format!("failed to read {VARIABLE}={text}"))
        })?,
        _ => EnvFilter::new("info"),
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && !no_color);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        logs.without_time().init();
    } else {
        logs.init();
    }
    Ok(())
}
