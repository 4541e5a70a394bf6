//! Which repository a command works on.

use std::path::{Path, PathBuf};

use updraft_error::Kind;
use updraft_repo::Repo;
use updraft_terminal::{Failure, Result, ResultExt as _};

use super::program::Usage;

/// What the command line and the environment say about the repository.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    option: Option<PathBuf>,
}

impl Location {
    pub(crate) fn new(option: Option<PathBuf>) -> Self {
        Self { option }
    }

    /// Refuses the option, for a command that looks at no repository.
    pub(crate) fn refuse(&self) -> Result {
        let Some(path) = &self.option else { return Ok(()) };
        let message = format!("Unknown option --repo={}", path.display());
        Err(Failure::new(Kind::Invalid, message))
    }

    /// The repository's folder: the option, else the working directory if it is a repository, else
    /// `$OSTREE_REPO`, else the system's under `$OSTREE_SYSROOT` or `/`.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.option {
            return Ok(path.clone());
        }
        if is_repository(Path::new(".")) {
            return Ok(PathBuf::from("."));
        }
        if let Some(path) = environment("OSTREE_REPO") {
            // What is no folder at all is told by name.
            if !path.is_file() && !is_repository(&path) {
                return Err(none_named());
            }
            return Ok(path);
        }
        let sysroot = environment("OSTREE_SYSROOT").unwrap_or_else(|| "/".into());
        let system = sysroot.join("ostree/repo");
        if is_repository(&system) {
            return Ok(system);
        }
        Err(none_named())
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<Repo> {
        open(&self.path()?)
    }
}

fn none_named() -> Failure {
    Usage::failure("Command requires a --repo argument")
        .hint("name the repository with --repo PATH or OSTREE_REPO")
}

/// Opens the repository at `path`.
pub(crate) fn open(path: &Path) -> Result<Repo> {
    check_folder(path)?;
    let repo = Repo::open(path).context("opening repo")?;
    if std::env::var_os("OSTREE_EXP_WRITE_BARE_SPLIT_XATTRS").is_some() {
        repo.permit_split_xattrs();
    }
    Ok(repo)
}

/// Says in the peer's words that there is no repository.
fn check_folder(path: &Path) -> Result {
    let missing = |what: &Path, reason| {
        let message = format!("opening repo: opendir({}): {reason}", what.display());
        Failure::new(Kind::NotFound, message)
    };
    let whole = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !path.exists() {
        return Err(missing(&whole(), "No such file or directory").hint("check the path"));
    }
    if !path.is_dir() {
        return Err(missing(&whole(), "Not a directory").hint("check the path"));
    }
    if !path.join("objects").exists() {
        let hint = format!("make a repository with `ostree init --repo {}`", path.display());
        return Err(missing(Path::new("objects"), "No such file or directory").hint(hint));
    }
    if !path.join("config").exists() {
        let message = "opening repo: openat(config): No such file or directory";
        return Err(Failure::new(Kind::NotFound, message));
    }
    Ok(())
}

pub(super) fn is_repository(path: &Path) -> bool {
    path.join("objects").is_dir() && path.join("config").is_file()
}

fn environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
