//! The tools of the OTA world under their own names: garage-push, garage-check, garage-deploy,
//! garage-sign, uptane-sign and uptane-generator; and the same as `updraft garage …`.
//!
//! They work with a `credentials.zip` in place of `updraft login`, with any server of that world.

mod check;
mod credentials;
mod deploy;
mod generate;
mod push;
mod sign;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser as _, Subcommand};
use updraft_error::Kind;
use updraft_terminal::{OutputOptions, Result, Terminal};

/// Work as garage-push, garage-check, garage-deploy and garage-sign do.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Push(push::Push),
    Check(check::Check),
    Deploy(deploy::Deploy),
    #[command(disable_version_flag = true)]
    Sign(sign::Sign),
    #[command(visible_alias = "uptane-generator")]
    Generate(Box<generate::Generate>),
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Push(push) => push.run(terminal),
            Command::Check(check) => check.run(terminal),
            Command::Deploy(deploy) => deploy.run(terminal),
            Command::Sign(sign) => sign.run(terminal),
            Command::Generate(generate) => generate.run(terminal),
        }
    }
}

/// How much is said, in the words of those tools.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Talk {
    /// Say more.
    #[arg(long, short, overrides_with = "quiet_talk")]
    verbose: bool,
    /// Say only what went wrong.
    #[arg(id = "quiet_talk", long = "no-talk", hide = true)]
    quiet: bool,
    /// Say what is of this weight or more: 0 (trace) to 5 (fatal).
    #[arg(long, value_name = "0..5")]
    loglevel: Option<u8>,
}

impl Talk {
    /// Whether only results and errors are said.
    fn is_quiet(&self) -> bool {
        self.quiet || self.loglevel.is_some_and(|level| level > 2)
    }
}

/// Says something, unless nothing but errors was asked for.
fn say(terminal: &Terminal, talk: &Talk, text: impl std::fmt::Display) {
    if !talk.is_quiet() {
        terminal.say(text);
    }
}

/// What all tools understand that are programs of their own.
#[derive(Debug, Args)]
struct Quiet {
    /// Say only what went wrong.
    #[arg(long, short)]
    quiet: bool,
}

impl Quiet {
    fn terminal(&self, no_color: bool) -> Result<Terminal> {
        Terminal::new(&OutputOptions { quiet: self.quiet, ..OutputOptions::default() }, no_color)
    }
}

/// garage-push as a program of its own.
#[derive(Debug, clap::Parser)]
#[command(
    name = "garage-push",
    about = "Push a commit to a treehub",
    version,
    max_term_width = 100
)]
struct PushProgram {
    #[command(flatten)]
    push: push::Push,
    #[command(flatten)]
    output: Quiet,
}

/// garage-check as a program of its own.
#[derive(Debug, clap::Parser)]
#[command(
    name = "garage-check",
    about = "Check that a commit is in a treehub and in the signed targets",
    version,
    max_term_width = 100
)]
struct CheckProgram {
    #[command(flatten)]
    check: check::Check,
    #[command(flatten)]
    output: Quiet,
}

/// garage-deploy as a program of its own.
#[derive(Debug, clap::Parser)]
#[command(
    name = "garage-deploy",
    about = "Copy a commit from one treehub to another and sign it into the targets there",
    version,
    max_term_width = 100,
    disable_help_flag = true
)]
struct DeployProgram {
    #[command(flatten)]
    deploy: deploy::Deploy,
    #[command(flatten)]
    output: Quiet,
}

/// uptane-generator as a program of its own.
#[derive(Debug, clap::Parser)]
#[command(
    name = "uptane-generator",
    about = "Make and change a Director and an Image repository in a folder",
    version,
    max_term_width = 100
)]
struct GenerateProgram {
    #[command(flatten)]
    generate: generate::Generate,
    #[command(flatten)]
    output: Quiet,
}

/// garage-sign and uptane-sign as programs of their own.
#[derive(Debug, clap::Parser)]
#[command(
    name = "garage-sign",
    about = "Sign roots and targets in a folder here",
    version,
    max_term_width = 100,
    disable_help_flag = true
)]
struct SignProgram {
    #[command(flatten)]
    sign: sign::Sign,
}

/// Runs as the tool whose name the program was called by, if it is one of them.
pub(crate) fn run_by_name(arguments: &[OsString], no_color: bool) -> Option<ExitCode> {
    let name = Path::new(arguments.first()?).file_name()?.to_str()?.to_owned();
    let words = arguments.to_vec();
    Some(match name.as_str() {
        "garage-push" => plainly(|| {
            let program = PushProgram::parse_from(words);
            program.push.run(&program.output.terminal(no_color)?)
        }),
        "garage-check" => plainly(|| {
            let program = CheckProgram::parse_from(words);
            program.check.run(&program.output.terminal(no_color)?)
        }),
        "garage-deploy" => plainly(|| {
            let program = DeployProgram::parse_from(words);
            program.deploy.run(&program.output.terminal(no_color)?)
        }),
        "uptane-generator" => {
            let program = match GenerateProgram::try_parse_from(words) {
                Ok(program) => program,
                Err(error) => {
                    let _ = error.print();
                    return Some(ExitCode::from(u8::from(error.use_stderr())));
                }
            };
            plainly(|| {
                if program.generate.is_empty() {
                    return program
                        .output
                        .terminal(no_color)?
                        .line(GenerateProgram::command().render_help().to_string());
                }
                program.generate.run(&program.output.terminal(no_color)?)
            })
        }
        "garage-sign" | "uptane-sign" => {
            // Scripts tell targets that changed meanwhile (2) from everything else (3).
            let program = match SignProgram::try_parse_from(words) {
                Ok(program) => program,
                Err(error) => {
                    let _ = error.print();
                    return Some(ExitCode::from(if error.use_stderr() { u8::MAX } else { 0 }));
                }
            };
            let mut is_stale = false;
            let ended = updraft_terminal::run(|| {
                let result = program.sign.run(&Terminal::new(&OutputOptions::default(), no_color)?);
                is_stale = result.as_ref().is_err_and(|failure| failure.kind() == Kind::Conflict);
                result
            });
            match (ended == ExitCode::SUCCESS, is_stale) {
                (true, _) => ExitCode::SUCCESS,
                (false, true) => ExitCode::from(2),
                (false, false) => ExitCode::from(3),
            }
        }
        _ => return None,
    })
}

/// Ends with 0 or 1, as those tools do.
fn plainly(work: impl FnOnce() -> Result) -> ExitCode {
    if updraft_terminal::run(work) == ExitCode::SUCCESS {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_well_formed() {
        PushProgram::command().debug_assert();
        CheckProgram::command().debug_assert();
        DeployProgram::command().debug_assert();
        SignProgram::command().debug_assert();
        GenerateProgram::command().debug_assert();
    }
}
