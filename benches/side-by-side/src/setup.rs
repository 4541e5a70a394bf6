//! What all operations start from: made once, by the real program.
//!
//! ```text
//! bare, archive   the first tree, on the ref `main`
//! both            archive; `main` is the second tree on top of the first, with deltas if any
//!                 operation wants them; served
//! device          bare; the first tree pulled from `both`
//! refs            archive; a thousand refs
//! deployable      archive; both trees with a kernel on the ref `os`; served
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::deployments::DEPLOYABLE;
use crate::served::Served;

/// Both programs take the same command line.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    program: PathBuf,
    first: Option<&'static str>,
}

impl Peer {
    pub(crate) fn theirs(program: &Path) -> Self {
        Self { program: program.to_owned(), first: None }
    }

    pub(crate) fn ours(program: &Path) -> Self {
        Self { program: program.to_owned(), first: Some("ostree") }
    }

    /// One of two: of what only ours knows, and of what stands for it with theirs.
    pub(crate) fn choose<T>(&self, ours: T, theirs: T) -> T {
        if self.first.is_some() { ours } else { theirs }
    }

    /// The program, without a repository.
    pub(crate) fn bare_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.first);
        command
    }

    pub(crate) fn command(&self, repository: &Path, arguments: &[&str]) -> Command {
        let mut command = self.bare_command();
        command.arg(format!("--repo={}", repository.display())).args(arguments);
        command
    }
}

/// The arguments of all commits, so that they have one checksum.
const COMMIT: [&str; 5] =
    ["commit", "--branch=main", "--subject=bench", "--timestamp=@1700000000", "--body=none"];
const REFS: usize = 1000;

/// What all operations start from.
pub(crate) struct Setup {
    folder: PathBuf,
    /// The first tree.
    pub(crate) tree: PathBuf,
    next: PathBuf,
    theirs: Peer,
    /// The first commit and the second, as their refs say it.
    pub(crate) first: String,
    pub(crate) second: String,
    server: Served,
    updates: Served,
    /// Serves what can be deployed.
    pub(crate) deployable: Served,
}

impl Setup {
    /// Makes everything for two versions of a tree; deltas, for which the peer computes for minutes,
    /// only when they are wanted.
    pub(crate) fn prepare(
        folder: &Path,
        trees: [&Path; 2],
        (ours, theirs): (&Path, &Path),
        with_deltas: bool,
    ) -> Result<Self> {
        let mut setup = Self {
            folder: folder.to_owned(),
            tree: trees[0].to_owned(),
            next: trees[1].to_owned(),
            theirs: Peer::theirs(theirs),
            first: String::new(),
            second: String::new(),
            server: Served::start(&folder.join("archive"))?,
            updates: Served::start(&folder.join("both"))?,
            deployable: Served::start(&folder.join(DEPLOYABLE))?,
        };
        for (name, mode) in [("bare", "bare"), ("archive", "archive")] {
            let repository = setup.init(&folder.join(name), mode)?;
            done(setup.commit(&setup.theirs, &repository))?;
        }
        setup.summarise(&folder.join("archive"))?;
        setup.first = std::fs::read_to_string(folder.join("bare/refs/heads/main"))?;
        let both = copy(&folder.join("archive"), &folder.join("both"))?;
        let device = setup.device_of(&folder.join("device"), "bare")?;
        done(setup.theirs.command(&device, &["pull", "origin", "main"]))?;
        done(setup.commit_next(&setup.theirs, &both))?;
        setup.second = std::fs::read_to_string(both.join("refs/heads/main"))?;
        if with_deltas {
            let generate = ["static-delta", "generate", "--min-fallback-size=0", "main"];
            done(setup.theirs.command(&both, &generate))?;
        }
        setup.summarise(&both)?;
        if with_deltas {
            // After the summary, which does not list it, so that both pull by the same delta.
            let generate = ["static-delta", "generate", "--format=updraft", "main"];
            done(Peer::ours(ours).command(&both, &generate))?;
        }
        let refs = copy(&folder.join("archive"), &folder.join("refs"))?;
        for number in 0..REFS {
            let name = format!("refs/heads/os/{}/ref{number}", number % 10);
            let path = refs.join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(&refs))?;
            std::fs::File::create(path)?.write_all(setup.first.as_bytes())?;
        }
        Ok(setup)
    }

    /// The command that makes a delta between both trees, in files below `delta`.
    pub(crate) fn generate(&self, peer: &Peer, scratch: &Path, options: &[&str]) -> Command {
        let folder = scratch.join("delta");
        // The command says it if that fails.
        let _ = std::fs::create_dir(&folder);
        let generate = ["static-delta", "generate", "--min-fallback-size=0"];
        let mut command = peer.command(&self.made("both"), &generate);
        command.args(options).arg(format!("--filename={}", folder.join("superblock").display()));
        command.arg("main");
        command
    }

    /// The command that applies the delta below this folder.
    pub(crate) fn apply(&self, peer: &Peer, scratch: &Path, deltas: &str) -> Result<Command> {
        let repository = self.copy("device", scratch)?;
        let only = |folder: PathBuf| -> Result<PathBuf> {
            match std::fs::read_dir(&folder)?.next() {
                Some(entry) => Ok(entry?.path()),
                None => bail!("there is nothing in {}", folder.display()),
            }
        };
        let delta = only(only(self.made("both").join(deltas))?)?;
        Ok(peer.command(&repository, &["static-delta", "apply-offline", &delta.to_string_lossy()]))
    }

    /// The real program.
    pub(crate) fn theirs(&self) -> &Peer {
        &self.theirs
    }

    fn summarise(&self, repository: &Path) -> Result<()> {
        done(self.theirs.command(repository, &["summary", "--update"]))
    }

    /// An empty folder on the same file system.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(&self.folder)?)
    }

    pub(crate) fn init(&self, path: &Path, mode: &str) -> Result<PathBuf> {
        done(self.theirs.command(path, &["init", &format!("--mode={mode}")]))?;
        Ok(path.to_owned())
    }

    /// The command that commits the first tree.
    pub(crate) fn commit(&self, peer: &Peer, repository: &Path) -> Command {
        let mut command = peer.command(repository, &COMMIT);
        command.arg(format!("--tree=dir={}", self.tree.display()));
        command
    }

    /// The command that commits the second tree.
    pub(crate) fn commit_next(&self, peer: &Peer, repository: &Path) -> Command {
        let mut command = peer.command(repository, &COMMIT);
        command.arg(format!("--tree=dir={}", self.next.display()));
        command
    }

    /// A repository or file that was made in the beginning.
    pub(crate) fn made(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A copy of one, which the operation may change.
    pub(crate) fn copy(&self, name: &str, scratch: &Path) -> Result<PathBuf> {
        copy(&self.folder.join(name), &scratch.join("repo"))
    }

    /// A new repository of `mode` whose remote `origin` has the first tree.
    pub(crate) fn with_remote(&self, path: &Path, mode: &str) -> Result<PathBuf> {
        self.add_remote(path, mode, self.server.url())
    }

    /// A new repository of `mode` whose remote `origin` will have both trees.
    fn device_of(&self, path: &Path, mode: &str) -> Result<PathBuf> {
        self.add_remote(path, mode, self.updates.url())
    }

    fn add_remote(&self, path: &Path, mode: &str, url: &str) -> Result<PathBuf> {
        let repository = self.init(path, mode)?;
        let add = ["remote", "add", "--no-gpg-verify", "origin", url];
        done(self.theirs.command(&repository, &add))?;
        Ok(repository)
    }

    /// A repository of `mode` that mirrors the first tree from where the second is now.
    pub(crate) fn mirror(&self, scratch: &Path) -> Result<PathBuf> {
        let repository = self.copy("archive", scratch)?;
        let add = ["remote", "add", "--no-gpg-verify", "origin", self.updates.url()];
        done(self.theirs.command(&repository, &add))?;
        Ok(repository)
    }
}

/// A copy with all attributes. Hard links would do for objects, but not for what is rewritten.
fn copy(from: &Path, to: &Path) -> Result<PathBuf> {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(from).arg(to);
    done(command)?;
    Ok(to.to_owned())
}

/// Runs a command that prepares something.
pub(crate) fn done(mut command: Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
