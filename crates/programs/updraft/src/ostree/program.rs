//! How the program behaves as `ostree`: like the peer where scripts look.
//!
//! One line for an error and all its causes, exit code 1 for every error, `--version` as YAML,
//! help in the peer's layout, and a command that is not built in is a program `ostree-COMMAND`.

mod extension;
mod help;
mod letters;
mod usage;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use updraft_error::Kind;
use updraft_terminal::{Failure, Result};

pub(crate) use extension::run as run_extension;
pub(crate) use letters::each_alone;
pub(super) use usage::Usage;

/// The release of the peer whose commands, options and texts these are.
pub(super) const COMPATIBLE_WITH: &str = "2022.7";

/// What scripts may ask for, by the names of the peer's list. Those of libraries stand for what the
/// peer does with them: peers on the network (`avahi`), a read-only `/sysroot` (`libmount`).
const FEATURES: [&str; 13] = [
    "inode64",
    "initial-var",
    "gpgme",
    "composefs",
    "ex-fsverity",
    "libarchive",
    "selinux",
    "sign-ed25519",
    "sign-spki",
    "avahi",
    "libmount",
    "systemd",
    "p2p",
];

/// Commands that refuse words which they do not take. All others pass them over, as the peer does.
const EXACT: [&str; 2] = ["config", "unlock"];

/// The command with a place for words that nobody looks at, where it and its commands have none.
pub(crate) fn with_room_for_more(command: Command) -> Command {
    let takes_all = |arg: &clap::Arg| arg.get_num_args().is_some_and(|n| n.max_values() > 1);
    let is_exact = EXACT.contains(&command.get_name());
    if command.has_subcommands() {
        return command.mut_subcommands(with_room_for_more);
    }
    let repeats = command
        .get_positionals()
        .any(|arg| takes_all(arg) || matches!(arg.get_action(), clap::ArgAction::Append));
    if is_exact || repeats {
        return command;
    }
    let more = clap::Arg::new("more").hide(true).num_args(0..);
    command.arg(more.value_parser(clap::value_parser!(OsString)))
}

/// The words with the command, and its own command, before all options: the peer takes options
/// at whatever place.
pub(crate) fn commands_first(root: &Command, mut words: Vec<OsString>) -> Vec<OsString> {
    let mut command = root;
    let mut place = 1;
    while command.has_subcommands() && place < words.len() {
        let rest = words.iter().enumerate().skip(place);
        let found = rest
            .take_while(|(_, word)| *word != "--")
            .find(|(_, word)| !word.as_encoded_bytes().starts_with(b"-"));
        let Some((index, word)) = found else { break };
        let known = word.to_str().and_then(|name| command.find_subcommand(name));
        let Some(next) = known else { break };
        let word = words.remove(index);
        words.insert(place, word);
        command = next;
        place += 1;
    }
    words
}

/// The words, their command before all options, without the values of switches: whatever is said
/// with a `=`, a switch that is given is on.
pub(crate) fn switches_alone(root: &Command, mut words: Vec<OsString>) -> Vec<OsString> {
    let mut command = root;
    let mut is_option = true;
    for word in words.iter_mut().skip(1) {
        let Some(text) = word.to_str() else { continue };
        if let Some(next) = command.find_subcommand(text) {
            command = next;
        }
        is_option &= text != "--";
        let switch = text.strip_prefix("--").and_then(|text| text.split_once('='));
        if let Some((name, _)) = switch.filter(|_| is_option)
            && let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(name))
            && matches!(arg.get_action(), clap::ArgAction::SetTrue)
        {
            *word = format!("--{name}").into();
        }
    }
    words
}

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
pub(crate) fn end(result: Result, root: Command, arguments: &[OsString]) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.find::<Usage>().is_some() {
                say(&help::of(root, arguments));
            }
            say(&in_their_words(&one_line(&failure.lines()), &failure));
            let cancelled = failure.kind() == Kind::Cancelled;
            if cancelled { ExitCode::from(Kind::Cancelled.exit_code()) } else { ExitCode::FAILURE }
        }
    }
}

/// Ends the program when its command line is not understood, or asks for help.
pub(crate) fn end_usage(error: &clap::Error, root: Command, arguments: &[OsString]) -> ExitCode {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let failure = match error.kind() {
        kind if kind == ErrorKind::DisplayHelp || context(ContextKind::InvalidArg) == "-?" => {
            // Nobody is left to tell when stdout itself fails.
            let _ = writeln!(std::io::stdout().lock(), "{}", help::of(root, arguments).trim_end());
            return ExitCode::SUCCESS;
        }
        ErrorKind::InvalidSubcommand => {
            usage::unknown_command(&root, arguments, &context(ContextKind::InvalidSubcommand))
        }
        ErrorKind::UnknownArgument => {
            usage::unknown_argument(arguments, &context(ContextKind::InvalidArg))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            usage::no_command(&root, arguments)
        }
        ErrorKind::MissingRequiredArgument => usage::missing(&root, arguments),
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            let option = context(ContextKind::InvalidArg);
            let option = option.split([' ', '=', '[']).next().unwrap_or_default();
            Failure::new(Kind::Invalid, format!("Missing argument for {option}"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => usage::bad_value(
            &context(ContextKind::InvalidArg),
            &context(ContextKind::InvalidValue),
            std::error::Error::source(error),
        ),
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            Failure::new(Kind::Invalid, line.trim_start_matches("error: "))
        }
    };
    end(Err(failure), root, arguments)
}

/// `error: outer: inner: cause`, then the hints.
fn one_line(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        if let Some(cause) = line.strip_prefix("caused by: ") {
            text.push_str(": ");
            text.push_str(&without_numbers(cause));
        } else {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&without_numbers(line));
        }
    }
    text
}

/// A name that is none is told by its reason alone, and a system call is no verb.
fn in_their_words(text: &str, failure: &Failure) -> String {
    if let Some(updraft_repo::pull::Error::Format { source, .. }) = failure.find()
        && let updraft_ostree::Error::InvalidName { reason, .. } = source
        && reason.starts_with("Invalid ref name")
    {
        return format!("error: {reason}");
    }
    // The repository's error hides what it passes on from the chain.
    let within = match failure.find::<updraft_repo::Error>() {
        Some(updraft_repo::Error::Format(error)) => Some(error),
        _ => None,
    };
    if let Some(error @ updraft_ostree::Error::InvalidName { reason, .. }) =
        within.or_else(|| failure.find())
        && (reason.starts_with("Invalid ") || reason.starts_with("Rev name "))
    {
        return text.replace(&format!("failed to {error}"), reason);
    }
    if let Some(error @ updraft_repo::Error::Config { .. }) = failure.find() {
        return text.replace(&format!("failed to {error}"), "Couldn't parse config file");
    }
    // A key of the configuration is no verb either.
    let key = "bls-append-except-default key must";
    if text.contains(key) {
        return text.replace(&format!("failed to {key}"), key);
    }
    let is_call = |rest: &str| {
        let name = rest.split(['(', ':']).next().unwrap_or_default();
        let is_alone = rest[name.len()..].starts_with(':');
        name.len() < rest.len()
            && name.bytes().all(|letter| letter.is_ascii_lowercase())
            && (!is_alone || name.ends_with("at"))
    };
    match text.strip_prefix("error: failed to ").filter(|rest| is_call(rest)) {
        Some(rest) => format!("error: {rest}"),
        None => text.to_owned(),
    }
}

/// Without ` (os error 2)`: scripts match the system's words at the end of the line.
fn without_numbers(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::new();
    while let Some((before, after)) = rest.split_once(" (os error ") {
        clean.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    clean.push_str(rest);
    clean
}

fn say(text: &str) {
    // Nobody is left to tell when stderr itself fails.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_causes() {
        let failure = Failure::new(Kind::NotFound, "inner").context("outer").hint("a way out");
        assert_eq!(one_line(&failure.lines()), "error: outer: inner\nhint: a way out");
    }

    #[test]
    fn options_may_come_before_the_command() {
        let root = Command::new("ostree")
            .subcommand(Command::new("commit"))
            .subcommand(Command::new("remote").subcommand(Command::new("add")));
        let first = |words: &[&str]| {
            let words = words.iter().map(OsString::from).collect();
            commands_first(&root, words).join(" ".as_ref()).into_string().unwrap()
        };
        assert_eq!(first(&["ostree", "-v", "commit", "x"]), "ostree commit -v x");
        assert_eq!(
            first(&["ostree", "--a", "remote", "-f", "add", "add"]),
            "ostree remote add --a -f add"
        );
        assert_eq!(first(&["ostree", "--repo", "r", "commit"]), "ostree --repo r commit");
    }

    #[test]
    fn the_system_speaks_without_numbers() {
        let text = "open x: No such file or directory (os error 2)";
        assert_eq!(without_numbers(text), "open x: No such file or directory");
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
