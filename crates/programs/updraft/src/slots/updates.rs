//! `updraft slots updates`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_slots::{UpdateConfig, without_password};
use updraft_terminal::{Result, ResultExt as _, Table, Terminal};

use super::device::DeviceOptions;

/// List the updates that may be chosen: the configurations in a folder.
///
/// Each `*.json` is a configuration as Android's SystemUpdaterSample has them, and as its
/// gen_update_config.py writes them. `apply --update` applies one.
#[derive(Debug, Args)]
pub(super) struct Updates {
    /// The folder; what `updates` in slots.toml names if not given.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

#[derive(Serialize)]
struct Listed {
    file: String,
    name: Option<String>,
    install_type: Option<&'static str>,
    url: Option<String>,
    force_switch_slot: Option<bool>,
    problem: Option<String>,
}

impl Updates {
    pub(super) fn run(&self, device: &DeviceOptions, terminal: &Terminal) -> Result {
        let folder = match &self.from {
            Some(folder) => folder.clone(),
            None => device.config()?.updates,
        };
        let listed = UpdateConfig::list(&folder)
            .hint("`updates` in slots.toml names the folder, or `--from` does")?;
        let listed: Vec<Listed> = listed
            .into_iter()
            .map(|one| {
                let (config, problem) = match one.config {
                    Ok(config) => (Some(config), None),
                    Err(error) => (None, Some(error.to_string())),
                };
                Listed {
                    file: one.file,
                    install_type: config.as_ref().map(|config| config.install.name()),
                    url: config.as_ref().map(|config| without_password(&config.url)),
                    force_switch_slot: config.as_ref().map(|config| config.force_switch_slot),
                    name: config.map(|config| config.name),
                    problem,
                }
            })
            .collect();
        terminal.show(&listed, |listed| {
            let mut table = Table::new(["file", "name", "type", "address"]);
            for one in listed {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                let problem =
                    one.problem.as_ref().map(|problem| format!("cannot be used: {problem}"));
                table.row([
                    one.file.clone(),
                    text(one.name.as_deref()),
                    text(one.install_type),
                    text(one.url.as_deref().or(problem.as_deref())),
                ]);
            }
            terminal.table(&table)
        })
    }
}
