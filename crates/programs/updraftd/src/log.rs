//! Logs, as much of them as the settings want: on stderr, or on stdout where this program answers as
//! aktualizr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The variable that wins over `logger.loglevel`, such as `debug` or `updraft_http=debug`.
pub(crate) const VARIABLE: &str = "UPDRAFTD_LOG";

/// The variable that aktualizr has its logs on stderr by, whatever its value.
const ON_STDERR: &str = "LOG_STDERR";

/// Starts logging to stderr; `level` is aktualizr's number, 0 to 5.
pub(crate) fn start(level: u8) {
    to(level, std::io::stderr, std::io::stderr().is_terminal());
}

/// Starts logging as aktualizr does: to stdout, unless somebody has it otherwise, or JSON is what is
/// to be read there.
pub(crate) fn start_as_aktualizr(level: u8, json: bool) {
    if json || std::env::var_os(ON_STDERR).is_some() {
        start(level);
    } else {
        to(level, std::io::stdout, std::io::stdout().is_terminal());
    }
}

fn to<W>(level: u8, writer: W, colors: bool)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
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
        .with_writer(writer)
        .with_ansi(colors)
        .with_target(false)
        .try_init();
}

/// Says something that somebody should mend.
pub(crate) fn warn(text: &str) {
    tracing::warn!("{text}");
}
