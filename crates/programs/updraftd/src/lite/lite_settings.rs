//! aktualizr-lite's configuration, from where aktualizr-lite has it.

use std::path::PathBuf;
use std::sync::Arc;

use updraft_agent::SystemClock;
use updraft_agent::config::{AktualizrSources, load_aktualizr};
use updraft_agent::lite::{Halt, Lite, LiteSettings};

use crate::log;

/// Reads files and options, and begins to log; `json` is what stdout is for.
pub(super) fn load(
    paths: &[PathBuf],
    options: Vec<(String, String)>,
    json: bool,
) -> Result<LiteSettings, Halt> {
    let paths = if paths.is_empty() {
        LiteSettings::FILES.iter().map(PathBuf::from).filter(|path| path.exists()).collect()
    } else {
        paths.to_vec()
    };
    let also_known = LiteSettings::KEYS.iter().map(|key| (*key).to_owned()).collect();
    let read = load_aktualizr(&AktualizrSources { paths, options, also_known })?;
    log::start_as_aktualizr(read.loaded.settings.logger.loglevel, json);
    for warning in &read.warnings {
        log::warn(warning);
    }
    Ok(LiteSettings::new(read.loaded.settings, &read.raw))
}

/// A device with these settings and the system's clock.
pub(super) fn lite(settings: LiteSettings) -> Lite {
    Lite::new(settings, Arc::new(SystemClock::new(jiff::Timestamp::now)))
}
