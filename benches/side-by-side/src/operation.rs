//! What is measured: for each operation, what has to exist before and the command itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::deployments;
use crate::setup::{Peer, Setup, done};

/// One thing that is measured.
pub(crate) struct Operation {
    /// Its name in the table.
    pub name: &'static str,
    prepare: fn(&Setup, &Peer, &Path) -> Result<Command>,
    /// Looks at what the command left in its folder.
    pub check: Option<fn(&Setup, &Path) -> Result<()>>,
    /// Where what it made lies, if its size matters.
    pub made: Option<&'static str>,
}

impl Operation {
    pub(crate) fn prepare(&self, setup: &Setup, peer: &Peer, scratch: &Path) -> Result<Command> {
        (self.prepare)(setup, peer, scratch)
    }

    /// Whether it is about deltas, which take long to make.
    pub(crate) fn wants_deltas(&self) -> bool {
        self.name.contains("delta")
    }

    /// How often it is measured. What makes a delta computes for minutes, and alike each time.
    pub(crate) fn rounds(&self, asked: usize) -> usize {
        if self.made.is_some() { 1 } else { asked.max(1) }
    }
}

/// The pull of everything, whose system calls are counted as well.
pub(crate) const COLD_PULL: &str = "HTTP pull to bare";

/// All operations, in the order of the table.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "commit bare",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "bare")?;
            Ok(setup.commit(peer, &repository))
        },
        check: Some(same_commit),
        made: None,
    },
    Operation {
        name: "commit bare again",
        prepare: |setup, peer, _| {
            // With its parent named explicitly nothing in the repository changes.
            let mut command = setup.commit(peer, &setup.made("bare"));
            command.arg("--parent=none");
            Ok(command)
        },
        check: None,
        made: None,
    },
    Operation {
        name: "commit archive",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "archive")?;
            Ok(setup.commit(peer, &repository))
        },
        check: Some(same_commit),
        made: None,
    },
    Operation {
        name: "commit archive, update",
        prepare: |setup, peer, scratch| {
            let repository = setup.copy("archive", scratch)?;
            Ok(setup.commit_next(peer, &repository))
        },
        check: Some(second_commit),
        made: None,
    },
    Operation {
        name: "checkout -H",
        prepare: |setup, peer, scratch| {
            let target = scratch.join("checkout");
            let target = target.to_string_lossy();
            Ok(peer.command(&setup.made("bare"), &["checkout", "-H", "main", &target]))
        },
        check: Some(has_checkout),
        made: None,
    },
    Operation {
        name: "checkout copy",
        prepare: |setup, peer, scratch| {
            let target = scratch.join("checkout");
            let target = target.to_string_lossy();
            Ok(peer.command(&setup.made("bare"), &["checkout", "-C", "main", &target]))
        },
        check: Some(has_checkout),
        made: None,
    },
    Operation {
        name: "checkout -U archive",
        prepare: |setup, peer, scratch| {
            let target = scratch.join("checkout");
            let target = target.to_string_lossy();
            let checkout = ["checkout", "-U", "--disable-cache", "main", &target];
            Ok(peer.command(&setup.made("archive"), &checkout))
        },
        check: Some(has_checkout),
        made: None,
    },
    Operation {
        name: "pull-local bare",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "bare")?;
            let source = setup.made("bare");
            Ok(peer.command(&repository, &["pull-local", &source.to_string_lossy(), "main"]))
        },
        check: Some(same_commit),
        made: None,
    },
    Operation {
        name: "pull-local archive to bare",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "bare")?;
            let source = setup.made("archive");
            Ok(peer.command(&repository, &["pull-local", &source.to_string_lossy(), "main"]))
        },
        check: Some(same_commit),
        made: None,
    },
    Operation {
        name: "pull-local bare to bare-user",
        prepare: |setup, peer, scratch| {
            let repository = setup.init(&scratch.join("repo"), "bare-user")?;
            let source = setup.made("bare");
            Ok(peer.command(&repository, &["pull-local", &source.to_string_lossy(), "main"]))
        },
        check: Some(same_commit),
        made: None,
    },
    Operation {
        name: COLD_PULL,
        prepare: |setup, peer, scratch| {
            let repository = setup.with_remote(&scratch.join("repo"), "bare")?;
            Ok(peer.command(&repository, &["pull", "origin", "main"]))
        },
        check: Some(pulled_commit),
        made: None,
    },
    Operation {
        name: "HTTP mirror",
        prepare: |setup, peer, scratch| {
            let repository = setup.with_remote(&scratch.join("repo"), "archive")?;
            Ok(peer.command(&repository, &["pull", "--mirror", "origin", "main"]))
        },
        check: Some(same_commit),
        made: None,
    },
    Operation {
        name: "HTTP pull, update",
        prepare: |setup, peer, scratch| {
            let repository = setup.copy("device", scratch)?;
            Ok(peer.command(&repository, &["pull", "--disable-static-deltas", "origin", "main"]))
        },
        check: Some(pulled_second),
        made: None,
    },
    Operation {
        name: "HTTP pull, by delta",
        prepare: |setup, peer, scratch| {
            let repository = setup.copy("device", scratch)?;
            Ok(peer.command(&repository, &["pull", "--require-static-deltas", "origin", "main"]))
        },
        check: Some(pulled_second),
        made: None,
    },
    Operation {
        name: "HTTP pull, nothing new",
        prepare: |setup, peer, scratch| {
            let repository = setup.with_remote(&scratch.join("repo"), "bare")?;
            let source = setup.made("bare").to_string_lossy().into_owned();
            let first = ["pull-local", "--remote=origin", &source, "main"];
            done(peer.command(&repository, &first))?;
            Ok(peer.command(&repository, &["pull", "origin", "main"]))
        },
        check: Some(pulled_commit),
        made: None,
    },
    Operation {
        name: "HTTP mirror, update",
        prepare: |setup, peer, scratch| {
            let repository = setup.mirror(scratch)?;
            Ok(peer.command(&repository, &["pull", "--mirror", "origin", "main"]))
        },
        check: Some(second_commit),
        made: None,
    },
    Operation {
        name: "static-delta generate",
        prepare: |setup, peer, scratch| Ok(setup.generate(peer, scratch, &[])),
        check: None,
        made: Some("delta"),
    },
    Operation {
        name: "our own delta, generate",
        prepare: |setup, peer, scratch| {
            Ok(setup.generate(peer, scratch, peer.choose(&["--format=updraft"], &[])))
        },
        check: None,
        made: Some("delta"),
    },
    Operation {
        name: "static-delta apply",
        prepare: |setup, peer, scratch| setup.apply(peer, scratch, "deltas"),
        check: None,
        made: None,
    },
    Operation {
        name: "our own delta, apply",
        prepare: |setup, peer, scratch| {
            setup.apply(peer, scratch, peer.choose("updraft-deltas", "deltas"))
        },
        check: None,
        made: None,
    },
    Operation {
        name: "prune",
        prepare: |setup, peer, scratch| {
            let repository = setup.copy("both", scratch)?;
            Ok(peer.command(&repository, &["prune", "--refs-only", "--depth=0"]))
        },
        check: Some(second_commit),
        made: None,
    },
    Operation {
        name: "summary, 1000 refs",
        prepare: |setup, peer, scratch| {
            let repository = setup.copy("refs", scratch)?;
            Ok(peer.command(&repository, &["summary", "--update"]))
        },
        check: None,
        made: None,
    },
    Operation {
        name: "admin deploy",
        prepare: deployments::deploy,
        check: Some(deployments::has_two),
        made: None,
    },
    Operation {
        name: "admin upgrade",
        prepare: deployments::upgrade,
        check: Some(deployments::has_two),
        made: None,
    },
    Operation {
        name: "admin undeploy",
        prepare: deployments::undeploy,
        check: Some(deployments::has_one),
        made: None,
    },
    Operation {
        // Nearly all of it is the start of the program.
        name: "rev-parse",
        prepare: |setup, peer, _| Ok(peer.command(&setup.made("bare"), &["rev-parse", "main"])),
        check: None,
        made: None,
    },
    Operation {
        name: "fsck bare",
        prepare: |setup, peer, _| Ok(peer.command(&setup.made("bare"), &["fsck", "-q"])),
        check: None,
        made: None,
    },
    Operation {
        name: "fsck archive",
        prepare: |setup, peer, _| Ok(peer.command(&setup.made("archive"), &["fsck", "-q"])),
        check: None,
        made: None,
    },
];

fn same_commit(setup: &Setup, scratch: &Path) -> Result<()> {
    check_ref(&setup.first, &scratch.join("repo/refs/heads/main"))
}

fn pulled_commit(setup: &Setup, scratch: &Path) -> Result<()> {
    check_ref(&setup.first, &scratch.join("repo/refs/remotes/origin/main"))
}

fn second_commit(setup: &Setup, scratch: &Path) -> Result<()> {
    check_ref(&setup.second, &scratch.join("repo/refs/heads/main"))
}

fn pulled_second(setup: &Setup, scratch: &Path) -> Result<()> {
    check_ref(&setup.second, &scratch.join("repo/refs/remotes/origin/main"))
}

fn check_ref(expected: &str, path: &Path) -> Result<()> {
    let found = std::fs::read_to_string(path)?;
    if found != expected {
        bail!("{} is {}, expected {}", path.display(), found.trim(), expected.trim());
    }
    Ok(())
}

fn has_checkout(_setup: &Setup, scratch: &Path) -> Result<()> {
    if std::fs::read_dir(scratch.join("checkout"))?.next().is_none() {
        bail!("the checkout is empty");
    }
    Ok(())
}
