//! `updraft`: the program for people who build, sign, release and operate.
//!
//! Called as `ostree` (a link to this program), or as `updraft ostree`, it answers as `ostree` does.

#![allow(clippy::disallowed_methods, reason = "a program reads its environment and the clock")]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};

mod cli;

mod ostree;
mod ota;

mod garage;
mod image;
mod keys;
mod payload;
mod release;
mod signing;
mod slots;

mod alert;
mod audit;
mod device;
mod encrypted_image;
mod events;
mod freeze;
mod group;
mod lockbox;
mod rollout;
mod status;
mod subscription;
mod tuf;

mod account;
mod server;
mod text;

/// Commands that are programs of their own with the peer, by the names of these.
const OWN_NAMES: [(&str, &str); 3] = [
    ("ostree-trivial-httpd", "trivial-httpd"),
    ("ostree-system-generator", "admin system-generator"),
    ("ostree-remount", "admin remount"),
];

fn main() -> ExitCode {
    updraft_process::return_large_blocks();
    if let Some(code) = updraft_repo::delta::work_if_called() {
        return code;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    if let Some(code) = garage::run_by_name(&arguments, no_color) {
        return code;
    }
    match words_for_ostree(&arguments) {
        Some(words) => as_ostree(&words, no_color),
        None => updraft_terminal::run(|| cli::Updraft::parse_from(arguments).run(no_color)),
    }
}

fn as_ostree(words: &[OsString], no_color: bool) -> ExitCode {
    let root = ostree::program::with_room_for_more(cli::OstreeProgram::command());
    let words = ostree::program::commands_first(&root, words.to_vec());
    let words = ostree::program::switches_alone(&root, words);
    let words = &match ostree::program::each_alone(&root, words.clone()) {
        Ok(alone) => alone,
        Err(failure) => return ostree::program::end(Err(failure), root, &words),
    };
    if let Some(failure) = ostree::program::run_extension(&root, words) {
        return ostree::program::end(Err(failure), root, words);
    }
    let parsed = root.clone().try_get_matches_from(words);
    match parsed.and_then(|found| cli::OstreeProgram::from_arg_matches(&found)) {
        _ if ostree::program::wants_version(words) => {
            ostree::program::end(cli::OstreeProgram::print_version(no_color), root, words)
        }
        Ok(program) => ostree::program::end(program.run(no_color), root, words),
        Err(error) => ostree::program::end_usage(&error, root, words),
    }
}

/// The words as `ostree` is given them: those of a program called by that name, or those around
/// `ostree` as the first command of `updraft`.
fn words_for_ostree(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let program = arguments.first()?;
    if Path::new(program).file_name() == Some("ostree".as_ref()) {
        return Some(arguments.to_vec());
    }
    for (name, command) in OWN_NAMES {
        if Path::new(program).file_name() == Some(name.as_ref()) {
            let words = std::iter::once("ostree").chain(command.split(' ')).map(OsString::from);
            return Some(words.chain(arguments.iter().skip(1).cloned()).collect());
        }
    }
    let mut options = arguments.iter().skip(1).take_while(|word| {
        word.as_encoded_bytes().starts_with(b"-") && *word != "--help" && *word != "-h"
    });
    let position = 1 + options.by_ref().count();
    if arguments.get(position)? != "ostree" {
        return None;
    }
    let name = OsString::from(format!("{} ostree", program.to_string_lossy()));
    let others = arguments.iter().enumerate().skip(1).filter(|(index, _)| *index != position);
    Some(std::iter::once(name).chain(others.map(|(_, word)| word.clone())).collect())
}
