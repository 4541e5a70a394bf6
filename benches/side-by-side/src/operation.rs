//! What is measured: for each operation, what has to exist before and the command itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

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

    fn command(&self, repository: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.first);
        command.arg(format!("--repo={}", repository.display())).args(arguments);
        command
    }
}

/// What all operations start from: made once, by the real program.
pub(crate) struct Setup {
    folder: PathBuf,
    tree: PathBuf,
    theirs: Peer,
    commit: String,
    server: Served,
}

/// The arguments of all commits, so that they have one checksum.
const COMMIT: [&str; 5] =
    ["commit", "--branch=main", "--subject=bench", "--timestamp=@1700000000", "--body=none"];

impl Setup {
    pub(crate) fn prepare(folder: &Path, tree: &Path, theirs: &Path) -> Result<Self> {
        let theirs = Peer::theirs(theirs);
        let archive = folder.join("archive");
        let setup = Self {
            folder: folder.to_owned(),
            tree: tree.to_owned(),
            theirs,
            commit: String::new(),
            server: Served::start(&archive)?,
        };
        for (name, mode) in [("bare", "bare"), ("archive", "archive")] {
            let repository = setup.init(&folder.join(name), mode)?;
            done(setup.commit_command(&setup.theirs, &repository))?;
        }
        done(setup.theirs.command(&archive, &["summary", "--update"]))?;
        let commit = std::fs::read_to_string(folder.join("bare/refs/heads/main"))?;
        Ok(Self { commit, ..setup })
    }

    /// An empty folder on the same file system.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(&self.folder)?)
    }

    fn init(&self, path: &Path, mode: &str) -> Result<PathBuf> {
        done(self.theirs.command(path, &["init", &format!("--mode={mode}")]))?;
        Ok(path.to_owned())
    }

    fn commit_command(&self, peer: &Peer, repository: &Path) -> Command {
        let mut command = peer.command(repository, &COMMIT);
        command.arg(format!("--tree=dir={}", self.tree.display()));
        command
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new repository of `mode` with our server as its remote `origin`.
    fn with_remote(&self, path: &Path, mode: &str) -> Result<PathBuf> {
        let repository = self.init(path, mode)?;
        let add = ["remote", "add", "--no-gpg-verify", "origin", self.server.url()];
        done(self.theirs.command(&repository, &add))?;
        Ok(repository)
    }
}

fn done(mut command: Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// One thing that is measured.
pub(crate) struct Operation {
    /// Its name in the table.
    pub name: &'static str,
    prepare: fn(&Setup, &Peer, &Path) -> Result<Command>,
    /// Looks at what the command left in its folder.
    pub check: Option<fn(&Setup, &Path) -> Result<()>>,
}

impl Operation {
    pub(crate) fn prepare(&self, setup: &Setup, peer: &Peer, scratch: &Path) -> Result<Command> {
        (self.prepare)(setup, peer, scratch)
    }
}

/// All operations, in the order of the table.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "commit bare",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "bare")?;
            Ok(setup.commit_command(peer, &repository))
        },
        check: Some(same_commit),
    },
    Operation {
        name: "commit bare again",
        prepare: |setup, peer, _| {
            // With its parent named explicitly nothing in the repository changes.
            let mut command = setup.commit_command(peer, &setup.repository("bare"));
            command.arg("--parent=none");
            Ok(command)
        },
        check: None,
    },
    Operation {
        name: "commit archive",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "archive")?;
            Ok(setup.commit_command(peer, &repository))
        },
        check: Some(same_commit),
    },
    Operation {
        name: "checkout -H",
        prepare: |setup, peer, scratch| {
            let target = scratch.join("checkout");
            let target = target.to_string_lossy();
            Ok(peer.command(&setup.repository("bare"), &["checkout", "-H", "main", &target]))
        },
        check: Some(has_checkout),
    },
    Operation {
        name: "checkout copy",
        prepare: |setup, peer, scratch| {
            let target = scratch.join("checkout");
            let target = target.to_string_lossy();
            Ok(peer.command(&setup.repository("bare"), &["checkout", "-C", "main", &target]))
        },
        check: Some(has_checkout),
    },
    Operation {
        name: "pull-local bare",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "bare")?;
            let source = setup.repository("bare");
            Ok(peer.command(&repository, &["pull-local", &source.to_string_lossy(), "main"]))
        },
        check: Some(same_commit),
    },
    Operation {
        name: "pull-local archive to bare",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "bare")?;
            let source = setup.repository("archive");
            Ok(peer.command(&repository, &["pull-local", &source.to_string_lossy(), "main"]))
        },
        check: Some(same_commit),
    },
    Operation {
        name: "HTTP pull to bare",
        prepare: |setup, peer, scratch| {
            let repository = setup.with_remote(&scratch.join("repo"), "bare")?;
            Ok(peer.command(&repository, &["pull", "origin", "main"]))
        },
        check: Some(pulled_commit),
    },
    Operation {
        name: "HTTP mirror",
        prepare: |setup, peer, scratch| {
            let repository = setup.with_remote(&scratch.join("repo"), "archive")?;
            Ok(peer.command(&repository, &["pull", "--mirror", "origin", "main"]))
        },
        check: Some(same_commit),
    },
    Operation {
        name: "fsck bare",
        prepare: |setup, peer, _| Ok(peer.command(&setup.repository("bare"), &["fsck", "-q"])),
        check: None,
    },
    Operation {
        name: "fsck archive",
        prepare: |setup, peer, _| Ok(peer.command(&setup.repository("archive"), &["fsck", "-q"])),
        check: None,
    },
];

fn same_commit(setup: &Setup, scratch: &Path) -> Result<()> {
    check_ref(setup, &scratch.join("repo/refs/heads/main"))
}

fn pulled_commit(setup: &Setup, scratch: &Path) -> Result<()> {
    check_ref(setup, &scratch.join("repo/refs/remotes/origin/main"))
}

fn check_ref(setup: &Setup, path: &Path) -> Result<()> {
    let found = std::fs::read_to_string(path)?;
    if found != setup.commit {
        bail!("{} is {}, expected {}", path.display(), found.trim(), setup.commit.trim());
    }
    Ok(())
}

fn has_checkout(_setup: &Setup, scratch: &Path) -> Result<()> {
    if std::fs::read_dir(scratch.join("checkout"))?.next().is_none() {
        bail!("the checkout is empty");
    }
    Ok(())
}
