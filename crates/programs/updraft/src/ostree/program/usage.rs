//! What is said about a command line that cannot be carried out.
//!
//! Scripts match these words, so they are the peer's. Most missing arguments print the help of the
//! command first; a repository that cannot be opened is said before an argument that is missing.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::num::ParseIntError;

use clap::Command;
use updraft_error::Kind;
use updraft_terminal::Failure;

use super::help;
use crate::ostree::repository::Location;

/// A wrong use of a command, whose help goes before the words.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    /// The failure that ends the command.
    pub(crate) fn failure(text: impl Into<String>) -> Failure {
        Failure::of(Kind::Invalid, Self(text.into()))
    }
}

impl Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

/// What each command says when an argument is missing, and whether its help goes before it.
const MISSING: [(&str, bool, &str); 43] = [
    ("admin deploy", true, "REF/REV must be specified"),
    ("admin init-fs", true, "PATH must be specified"),
    ("admin os-init", true, "OSNAME must be specified"),
    ("admin pin", true, "INDEX must be specified"),
    ("admin prepare-soft-reboot", true, "INDEX must be specified"),
    ("admin set-default", true, "INDEX must be specified"),
    ("admin set-origin", true, "REMOTENAME and URL must be specified"),
    ("admin state-overlay", false, "Missing NAME or MOUNTPATH"),
    ("admin stateroot-init", true, "OSNAME must be specified"),
    ("admin switch", true, "REFSPEC must be specified"),
    ("admin undeploy", true, "INDEX must be specified"),
    ("cat", true, "A COMMIT and at least one PATH argument are required"),
    ("checkout", true, "COMMIT must be specified"),
    ("checksum", false, "A filename must be given"),
    ("create-usb", true, "A MOUNT-PATH must be specified"),
    ("diff", true, "REV must be specified"),
    ("export", true, "A COMMIT argument is required"),
    ("find-remotes", true, "At least one COLLECTION-ID REF pair must be specified"),
    ("gpg-sign", true, "Need a COMMIT to sign"),
    ("log", true, "A rev argument is required"),
    ("ls", true, "An COMMIT argument is required"),
    ("pull", true, "REMOTE must be specified"),
    ("pull-local", true, "DESTINATION must be specified"),
    ("remote add", true, "NAME and URL must be specified"),
    ("remote add-cookie", true, "NAME, DOMAIN, PATH, COOKIE_NAME and VALUE must be specified"),
    ("remote delete", true, "NAME must be specified"),
    ("remote delete-cookie", true, "NAME, DOMAIN, PATH and COOKIE_NAME must be specified"),
    ("remote gpg-import", true, "NAME must be specified"),
    ("remote gpg-list-keys", true, "NAME must be specified"),
    ("remote list-cookies", true, "NAME must be specified"),
    ("remote refs", true, "NAME must be specified"),
    ("remote show-url", true, "NAME must be specified"),
    ("remote summary", true, "NAME must be specified"),
    ("reset", true, "A REF and COMMIT argument is required"),
    ("rev-parse", true, "REV must be specified"),
    ("show", true, "An object argument is required"),
    ("sign", true, "Need a COMMIT to sign or verify"),
    ("static-delta apply-offline", true, "PATH must be specified"),
    ("static-delta delete", true, "DELTA must be specified"),
    ("static-delta generate", false, "TO revision must be specified"),
    ("static-delta reindex", true, "TO revision must be specified"),
    ("static-delta show", true, "DELTA must be specified"),
    ("static-delta verify", true, "DELTA must be specified"),
];

/// An argument is missing.
pub(super) fn missing(root: &Command, arguments: &[OsString]) -> Failure {
    let path = help::path(root, arguments);
    if !path.starts_with("admin") && path != "checksum" {
        let option = repository_option(arguments);
        if let Err(failure) = Location::new(option.map(Into::into)).open() {
            return failure;
        }
    }
    match MISSING.iter().find(|(command, _, _)| *command == path) {
        Some((_, true, text)) => Usage::failure(*text),
        Some((_, false, text)) => Failure::new(Kind::Invalid, *text),
        None => Usage::failure("an argument is missing"),
    }
}

/// The first word is no command, or the one after `admin`, `remote`, … is none of theirs.
pub(super) fn unknown_command(root: &Command, arguments: &[OsString], word: &str) -> Failure {
    let path = help::path(root, arguments);
    stray(&path, arguments).unwrap_or_else(|| match path.as_str() {
        "" => Usage::failure(format!("Unknown command '{word}'")),
        group => Usage::failure(format!("Unknown \"{group}\" subcommand '{word}'")),
    })
}

/// No command at all.
pub(super) fn no_command(root: &Command, arguments: &[OsString]) -> Failure {
    let path = help::path(root, arguments);
    stray(&path, arguments).unwrap_or_else(|| match path.as_str() {
        "" | "static-delta" => Usage::failure("No command specified"),
        group => Usage::failure(format!("No \"{group}\" subcommand specified")),
    })
}

/// The option for a repository, where no command is there to take it.
fn stray(path: &str, arguments: &[OsString]) -> Option<Failure> {
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    let option = words.find(|word| word.starts_with("--repo="))?;
    matches!(path, "" | "remote" | "admin")
        .then(|| Usage::failure(format!("Unknown option {option}")))
}

/// A word that the command does not take.
pub(super) fn unknown_argument(arguments: &[OsString], word: &str) -> Failure {
    if word.starts_with('-') {
        let given = as_given(arguments, word).unwrap_or_else(|| word.to_owned());
        return Failure::new(Kind::Invalid, format!("Unknown option {given}"));
    }
    Usage::failure("Too many arguments given")
}

/// The word with the option as it stands on the command line: with its value, or with the
/// letters beside it.
fn as_given(arguments: &[OsString], option: &str) -> Option<String> {
    let words = arguments.iter().skip(1).take_while(|word| *word != "--");
    let mut words = words.filter_map(|word| word.to_str());
    let is_it = |word: &&str| match option.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
        Some(letter) => {
            !letter.is_empty()
                && word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-'))
                && word.contains(letter)
        }
        None => word.split('=').next() == Some(option),
    };
    words.find(is_it).map(str::to_owned)
}

/// A value that its option cannot take.
pub(super) fn bad_value(
    option: &str,
    value: &str,
    cause: Option<&(dyn Error + 'static)>,
) -> Failure {
    let option = option.split([' ', '=', '[']).next().unwrap_or_default();
    let is_number = cause.is_some_and(<dyn Error>::is::<ParseIntError>);
    // The parser of numbers has no type for this.
    let is_out_of_range = cause.is_some_and(|cause| cause.to_string().contains(" is not in "));
    let message = if is_out_of_range {
        format!("Integer value “{value}” for {option} out of range")
    } else {
        let what = if is_number { "integer value" } else { "value" };
        format!("Cannot parse {what} “{value}” for {option}")
    };
    Failure::new(Kind::Invalid, message)
}

/// The value of `--repo`.
fn repository_option(arguments: &[OsString]) -> Option<OsString> {
    let mut words = arguments.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--repo" {
            return words.next().cloned();
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--repo=")) {
            return Some(path.into());
        }
    }
    None
}
