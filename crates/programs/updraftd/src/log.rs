//! Logs on stderr, as much of them as the settings want.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The variable that wins over `logger.loglevel`, such as `debug` or `updraft_http=debug`.
pub(crate) const VARIABLE: &str = "UPDRAFTD_LOG";

/// Starts logging; `level` is aktualizr's number, 0 to 5.
pub(crate) fn start(level: u8) {
    let default = match level {
        0 => LevelFilter::TRACE,
        1 => LevelFilter::DEBUG,
        2 => LevelFilter::INFO,
        3 => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(default.into())
        .parse_lossy(std::env::var(VARIABLE).unwrap_or_default());
    // Somebody else's logger stays when there is one already; there is none in this program.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}

/// Says something that somebody should mend.
pub(crate) fn warn(text: &str) {
    tracing::warn!("{text}");
}
