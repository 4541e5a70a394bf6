//! Answering as `aktualizr-info`: who this device is, and what it trusts. Scripts read these lines,
//! so that they are aktualizr's to the byte.

mod options;
mod text;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use serde::Serialize;
use updraft_agent::config::Settings;
use updraft_agent::{Agent, Clock as _, DeviceInfo, SecondaryInfo, SystemClock};
use updraft_terminal::{Result, Terminal};

use super::settings;
use crate::{log, print};
use options::Options;

/// Between two looks with `--wait-until-provisioned`.
const LOOK: Duration = Duration::from_secs(1);

/// `aktualizr-info …`.
pub(crate) fn main(words: &[OsString]) -> ExitCode {
    match Options::try_parse_from(words) {
        Ok(options) => updraft_terminal::run(|| run(&options)),
        Err(error) => super::options::end(&error),
    }
}

fn run(options: &Options) -> Result {
    let terminal = super::terminal(options.json)?;
    if options.version {
        let version = env!("CARGO_PKG_VERSION");
        return terminal.line(format_args!("Current aktualizr-info version is: {version}"));
    }
    let level = options.loglevel.map(|level| ("logger.loglevel".to_owned(), level.to_string()));
    let settings = settings::of_files(&options.config, level.into_iter().collect())?;
    log::start(if options.loglevel.is_some() { settings.logger.loglevel } else { 4 });
    let info = look(&terminal, options, &settings)?;
    if options.json {
        return terminal.json(&Summary::of(&info));
    }
    if options.name_only
        && let Some(id) = &info.device_id
    {
        return terminal.line(id);
    }
    if text::asked_for(&terminal, options, &info)? {
        return Ok(());
    }
    text::general(&terminal, options, &info)
}

fn look(terminal: &Terminal, options: &Options, settings: &Settings) -> Result<DeviceInfo> {
    let agent = Agent::new(settings.clone(), Arc::new(SystemClock::new(jiff::Timestamp::now)));
    if options.allow_migrate {
        agent.take_over().map_err(print::failure)?;
    }
    loop {
        match agent.info() {
            // While somebody sets the state up, looking at it may fail.
            Err(_) if options.wait_until_provisioned => {}
            Ok(info)
                if options.wait_until_provisioned && !(info.is_registered && info.has_metadata) => {
            }
            info => return info.map_err(print::failure),
        }
        SystemClock::new(jiff::Timestamp::now).wait(&terminal.context, LOOK)?;
    }
}

/// `aktualizr-info --json`. The shape is stable; members may be added. Without secrets.
#[derive(Serialize)]
struct Summary<'a> {
    device_id: Option<&'a str>,
    primary: Option<Ecu<'a>>,
    secondaries: &'a [SecondaryInfo],
    provisioned: bool,
    metadata: bool,
    running: Option<&'a str>,
    pending: Option<&'a str>,
}

#[derive(Serialize)]
struct Ecu<'a> {
    serial: &'a str,
    hardware_id: &'a str,
    key_id: &'a str,
    public_key: &'a str,
}

impl<'a> Summary<'a> {
    fn of(info: &'a DeviceInfo) -> Self {
        Self {
            device_id: info.device_id.as_deref(),
            primary: info.primary.as_ref().map(|ecu| Ecu {
                serial: &ecu.serial,
                hardware_id: &ecu.hardware_id,
                key_id: &ecu.key_id,
                public_key: &ecu.public_key,
            }),
            secondaries: &info.secondaries,
            provisioned: info.is_registered,
            metadata: info.has_metadata,
            running: info.running.as_deref(),
            pending: info.pending.as_deref(),
        }
    }
}
