//! Settings from their sources, and the `config` commands.

use std::path::PathBuf;

use serde::Serialize;
use updraft_agent::config::{self, Loaded, Setting, Sources};
use updraft_terminal::{Result, Terminal};

use crate::cli::SettingsOptions;
use crate::{log, print};

const DEFAULT_FILE: &str = "/etc/updraft/updraftd.toml";
/// Variables of the program itself that look like settings.
const OWN_VARIABLES: [&str; 2] = ["UPDRAFTD_CONFIG", log::VARIABLE];

/// Reads the settings from all their sources.
pub(crate) fn load(options: &SettingsOptions) -> Result<Loaded> {
    let paths = if options.config.is_empty() {
        let default = PathBuf::from(DEFAULT_FILE);
        if default.exists() { vec![default] } else { Vec::new() }
    } else {
        options.config.clone()
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| {
            name.starts_with(Sources::PREFIX) && !OWN_VARIABLES.contains(&name.as_str())
        })
        .collect();
    let sources = Sources { paths, environment, options: changes(options)? };
    config::load(&sources).map_err(print::failure)
}

/// The settings that options change.
fn changes(options: &SettingsOptions) -> Result<Vec<(String, String)>> {
    let mut changes = Vec::new();
    for change in &options.set {
        let (key, value) = change.split_once('=').ok_or_else(|| {
            print::failure(updraft_agent::Error::Config {
                place: format!("--set {change}"),
                problem: "it is not of the form SECTION.KEY=VALUE".to_owned(),
                hint: "write for example `--set uptane.polling_sec=60`".to_owned(),
            })
        })?;
        changes.push((key.to_owned(), value.to_owned()));
    }
    let named = [
        ("tls.server", &options.tls_server),
        ("uptane.director_server", &options.director_server),
        ("uptane.repo_server", &options.repo_server),
        ("provision.primary_ecu_serial", &options.primary_ecu_serial),
        ("provision.primary_ecu_hardware_id", &options.primary_ecu_hardware_id),
        ("logger.loglevel", &options.loglevel),
    ];
    for (key, value) in named {
        if let Some(value) = value {
            changes.push((key.to_owned(), value.clone()));
        }
    }
    Ok(changes)
}

/// `updraftd config check --json`.
#[derive(Debug, Serialize)]
struct Checked {
    valid: bool,
    files: Vec<PathBuf>,
    settings: usize,
}

/// `updraftd config check`.
pub(crate) fn check(terminal: &Terminal, options: &SettingsOptions) -> Result {
    let loaded = load(options)?;
    let checked =
        Checked { valid: true, files: loaded.files.clone(), settings: loaded.origins.len() };
    terminal.show(&checked, |checked| {
        for file in &checked.files {
            terminal.line(file.display())?;
        }
        terminal.line(format_args!("valid: {} settings made", checked.settings))
    })
}

/// `updraftd config show`.
pub(crate) fn show(terminal: &Terminal, options: &SettingsOptions, effective: bool) -> Result {
    let loaded = load(options)?;
    let mut settings = config::settings_list(&loaded).map_err(print::failure)?;
    if !effective {
        settings.retain(|setting| loaded.origins.contains_key(&setting.key));
    }
    terminal.show(&settings, |settings| print_toml(terminal, settings))
}

/// As a TOML file that could be read back, with the origins as comments.
fn print_toml(terminal: &Terminal, settings: &[Setting]) -> Result {
    let mut current = "";
    for setting in settings {
        let (section, name) = setting.key.split_once('.').unwrap_or(("", &setting.key));
        if section != current {
            if !current.is_empty() {
                terminal.line("")?;
            }
            terminal.line(format_args!("[{section}]"))?;
            current = section;
        }
        terminal.line(format_args!("{name} = {}  # {}", setting.value, setting.origin))?;
    }
    Ok(())
}
