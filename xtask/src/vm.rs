//! `cargo xtask vm`: a virtual machine to play with.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;

use ::vm::Playground;
use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use harness::Programs;

use crate::{packages, shell};

/// Options of `cargo xtask vm`.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo xtask vm up
  cargo xtask vm ssh updraft ostree admin status
  cargo xtask vm update
  cargo xtask vm cut
  cargo xtask vm down")]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a disk with a small system and GRUB, and switch the machine on
    Up {
        /// Refuse to install missing Debian packages
        #[arg(long)]
        no_install: bool,
    },
    /// Run a command in it; without one, run those that are typed, line by line
    Ssh {
        /// The command
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Deploy its other release, and reboot into that
    Update,
    /// Cut its power, and switch it on again
    Cut,
    /// Switch it off, and remove it
    Down,
}

/// Does it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let target = machine::target_folder()?;
    let playground = Playground::in_folder(&target.join("vm"));
    let say = |text: &str| println!("{text}");
    match &options.action {
        Action::Up { no_install } => {
            packages::require(packages::TEST, !no_install)?;
            shell::run(shell::cargo().args(["build", "--workspace", "--bins"]))?;
            let programs = target.join("debug");
            let updraft: PathBuf = programs.join("updraft");
            playground.up(&Programs::in_folder(&programs)?, &updraft, &say)?;
            println!("it is up; try `cargo xtask vm ssh updraft ostree admin status`");
            Ok(())
        }
        Action::Ssh { command } if !command.is_empty() => {
            let answer = playground.run(&command.join(" "))?;
            print!("{}", answer.output);
            ensure!(answer.status == 0, "the command ended with {}", answer.status);
            Ok(())
        }
        Action::Ssh { .. } => type_commands(&playground),
        Action::Update => playground.update(&say),
        Action::Cut => playground.cut(&say),
        Action::Down => playground.down(),
    }
}

/// Each line is a command of its own.
fn type_commands(playground: &Playground) -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    loop {
        print!("vm# ");
        std::io::stdout().flush()?;
        let Some(line) = lines.next().transpose()? else {
            println!();
            return Ok(());
        };
        if !line.trim().is_empty() {
            print!("{}", playground.run(&line)?.output);
        }
    }
}
