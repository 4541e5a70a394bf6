//! Commands that are programs of their own: `ostree frob` runs `ostree-frob`, as `git` does.
//!
//! The first word that is no option and no built-in command names it. It is looked for in
//! `/usr/lib/ostree` and `/usr/libexec/libostree`, then in `$PATH`, and takes this process's place.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_error::Kind;
use updraft_terminal::Failure;

const FOLDERS: [&str; 2] = ["/usr/lib/ostree", "/usr/libexec/libostree"];

/// Runs the extension that the words name, if they name one and it is there. Returns only when
/// they do not, or when it could not be started.
pub(crate) fn run(root: &clap::Command, arguments: &[OsString]) -> Option<Failure> {
    let position = arguments.iter().skip(1).position(|word| !starts_with_dash(word))?;
    let word = arguments.get(position.saturating_add(1))?;
    if word.is_empty() || Path::new(word).components().count() != 1 {
        return None;
    }
    if word.to_str().is_some_and(|word| root.find_subcommand(word).is_some()) {
        return None;
    }
    let mut name = OsString::from("ostree-");
    name.push(word);
    let program = find(&name)?;
    // As with the peer, the extension sees all words, its own name among them.
    let error = Command::new(program).args(arguments.iter().skip(1)).exec();
    let failure = Failure::of(Kind::NotFound, error);
    Some(failure.context(format!("Executing {}", name.to_string_lossy())))
}

fn starts_with_dash(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

fn find(name: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = FOLDERS.iter().map(PathBuf::from).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}
