//! Logs, as much of them as the settings want: on stderr, or on stdout where this program answers as
//! aktualizr.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let (filter, unknown) = filter(&text, default);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colors).with_target(false);
    // Somebody else's logger stays when there is one already; there is none in this program.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    for part in unknown {
        tracing::warn!(
            "`{part}` in {VARIABLE} says nothing about logs: give a level, or CRATE=LEVEL"
        );
    }
}

/// What is logged by a list of levels, some for one crate only; `default` if nothing is in it. Beside
/// it, what in the list is neither.
fn filter(text: &str, default: LevelFilter) -> (Targets, Vec<&str>) {
    let (mut filter, mut unknown) = (Targets::new(), Vec::new());
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<Targets>() {
            Ok(one) => {
                if let Some(level) = one.default_level() {
                    filter = filter.with_default(level);
                }
                filter = filter.with_targets(one);
            }
            Err(_) => unknown.push(part),
        }
    }
    if filter == Targets::new() {
        filter = filter.with_default(default);
    }
    (filter, unknown)
}

/// Says something that somebody should mend.
pub(crate) fn warn(text: &str) {
    tracing::warn!("{text}");
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::filter::LevelFilter;

    use super::filter;

    #[test]
    fn a_list_wins_over_the_level_of_the_settings() {
        let logs = |text: &str, target: &str, level: Level| {
            filter(text, LevelFilter::WARN).0.would_enable(target, &level)
        };
        assert!(logs("", "updraft_http", Level::WARN) && !logs("", "updraft_http", Level::INFO));
        assert!(logs("debug", "any", Level::DEBUG) && !logs("debug", "any", Level::TRACE));
        let some = "info, updraft_http=trace";
        assert!(logs(some, "updraft_http", Level::TRACE) && !logs(some, "any", Level::DEBUG));
        assert!(logs("updraft_http=debug", "updraft_http::client", Level::DEBUG));
        assert!(!logs("updraft_http=debug", "any", Level::ERROR), "more is not asked for");
        assert!(logs("x=loud", "any", Level::WARN));
        assert_eq!(filter("x=loud,info", LevelFilter::WARN).1, ["x=loud"]);
    }
}
