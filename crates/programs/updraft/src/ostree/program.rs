//! How the program behaves under the name `ostree`: like the peer where scripts look.
//!
//! One line for an error and all its causes, exit code 1 for every error, `--version` as YAML.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use updraft_error::Kind;
use updraft_terminal::Result;

/// The release of the peer whose commands, options and texts these are.
const COMPATIBLE_WITH: &str = "2022.7";

/// What scripts may ask for, by the names of the peer's list.
const FEATURES: [&str; 2] = ["inode64", "libarchive"];

/// Whether the command line asks for the version, at whatever place.
pub(crate) fn wants_version(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--version")
}

/// What `ostree --version` prints: YAML that scripts read.
pub(crate) fn version() -> String {
    let features: Vec<String> = FEATURES.iter().map(|name| format!("  - {name}")).collect();
    let build = concat!("updraft-", env!("CARGO_PKG_VERSION"));
    format!(
        "libostree:\n Version: '{COMPATIBLE_WITH}'\n Git: {build}\n Features:\n{}",
        features.join("\n")
    )
}

/// Ends the program after its command.
pub(crate) fn end(result: Result) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            say(&one_line(&failure.lines()));
            let cancelled = failure.kind() == Kind::Cancelled;
            if cancelled { ExitCode::from(Kind::Cancelled.exit_code()) } else { ExitCode::FAILURE }
        }
    }
}

/// Ends the program when its command line is not understood, or asks for help.
pub(crate) fn end_usage(error: &clap::Error) -> ExitCode {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::DisplayHelp => {
            // Nobody is left to tell when stdout itself fails.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::InvalidSubcommand => {
            say(&format!("error: Unknown command '{}'", context(ContextKind::InvalidSubcommand)));
        }
        ErrorKind::UnknownArgument => {
            say(&format!("error: Unknown option {}", context(ContextKind::InvalidArg)));
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            say("\nerror: No command specified");
        }
        _ => _ = error.print(),
    }
    ExitCode::FAILURE
}

/// `error: outer: inner: cause`, then the hints.
fn one_line(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        if let Some(cause) = line.strip_prefix("caused by: ") {
            text.push_str(": ");
            text.push_str(cause);
        } else {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(line);
        }
    }
    text
}

fn say(text: &str) {
    // Nobody is left to tell when stderr itself fails.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use updraft_terminal::Failure;

    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let failure = Failure::new(Kind::NotFound, "inner").context("outer").hint("a way out");
        assert_eq!(one_line(&failure.lines()), "error: outer: inner\nhint: a way out");
    }

    #[test]
    fn the_version_is_yaml_that_scripts_know() {
        assert!(version().starts_with("libostree:\n Version: '2022.7'\n"));
        assert!(version().contains("\n  - libarchive"));
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(wants_version(&words(&["ostree", "admin", "--version"])));
        assert!(!wants_version(&words(&["ostree", "ls", "--", "--version"])));
    }
}
