//! Shell completions and manual pages, made from the same definition that parses arguments.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::{Result, ResultExt as _, Terminal};

/// The hidden `generate` command of every program.
#[derive(Debug, Args)]
pub struct Generate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a completion script.
    Completions {
        /// The shell it is for.
        shell: Shell,
    },
    /// Write manual pages, one for each command.
    Man {
        /// The folder to write to; it is created.
        folder: PathBuf,
    },
}

impl Generate {
    /// Writes what was asked for about `root`.
    pub fn run(&self, terminal: &Terminal, mut root: clap::Command) -> Result {
        match &self.what {
            What::Completions { shell } => {
                let name = root.get_name().to_owned();
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut root, name, &mut script);
                terminal.bytes(&script)
            }
            What::Man { folder } => manual_pages(root, folder),
        }
    }
}

fn manual_pages(root: clap::Command, folder: &Path) -> Result {
    let failed = || format!("failed to write manual pages to `{}`", folder.display());
    std::fs::create_dir_all(folder).with_context(failed)?;
    clap_mangen::generate_to(root, folder).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_gets_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let root = clap::Command::new("tool").subcommand(clap::Command::new("turn"));
        manual_pages(root, folder.path()).unwrap();
        let page = std::fs::read_to_string(folder.path().join("tool-turn.1")).unwrap();
        assert!(page.contains("tool-turn"), "{page}");
    }
}
