//! Answering as `aktualizr-get`: one request as this device, the body on stdout.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use updraft_agent::{Agent, SystemClock};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

use super::{options, settings, terminal};
use crate::{log, print};

/// GET with the device's credentials, and print the body.
#[derive(Debug, Parser)]
#[command(name = "aktualizr-get", disable_version_flag = true, infer_long_args = true)]
struct Options {
    /// Configuration file, or folder of *.toml files; may be given several times.
    #[arg(long, short, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// One more header; may be given several times.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// How much to log, 0 (all) to 5 (errors).
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    loglevel: Option<i64>,
    /// What to get.
    #[arg(long, short, value_name = "URL")]
    url: Option<String>,
    /// Print the version.
    #[arg(long, short)]
    version: bool,
}

/// `aktualizr-get …`.
pub(crate) fn main(words: &[OsString]) -> ExitCode {
    match Options::try_parse_from(words) {
        Ok(options) => updraft_terminal::run(|| run(&options)),
        Err(error) => options::end(&error),
    }
}

fn run(options: &Options) -> Result {
    let terminal = terminal(false)?;
    if options.version {
        let version = env!("CARGO_PKG_VERSION");
        return terminal.line(format_args!("Current aktualizr-get version is: {version}"));
    }
    let Some(url) = &options.url else {
        return terminal.line(<Options as clap::CommandFactory>::command().render_help());
    };
    let level = options.loglevel.map(|level| ("logger.loglevel".to_owned(), level.to_string()));
    let settings = settings::of_files(&options.config, level.into_iter().collect())?;
    // Without a wish there is nothing but the body and errors.
    log::start(if options.loglevel.is_some() { settings.logger.loglevel } else { 4 });
    let headers = options.header.iter().map(|text| header(text)).collect::<Result<Vec<_>>>()?;
    let agent = Agent::new(settings, Arc::new(SystemClock::new(jiff::Timestamp::now)));
    let mut stdout = std::io::stdout().lock();
    agent.get(&terminal.context, url, &headers, &mut stdout).map_err(print::failure)?;
    std::io::Write::flush(&mut stdout)?;
    Ok(())
}

fn header(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once(':').ok_or_else(|| {
        Failure::new(Kind::Invalid, format!("`{text}` is not a header"))
            .hint("write it as `Name: value`")
    })?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
