//! `ostree checkout`: a commit's tree as files.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_error::Kind;
use updraft_repo::Repo;
use updraft_repo::checkout::{self, CheckoutOptions, Hardlinks, UnionMode};
use updraft_repo::composefs::{self, Digests};
use updraft_repo::selinux::{self, Policy};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::lists;
use super::repository::Location;
use super::tree;

/// Check out a commit into a directory.
#[derive(Debug, Args)]
pub(crate) struct Checkout {
    /// Leave ownership and extended attributes alone.
    #[arg(long, short = 'U')]
    user_mode: bool,
    /// Keep no unpacked files in an archive repository for later checkouts in user mode.
    #[arg(long)]
    disable_cache: bool,
    /// Check out only this directory or file.
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,
    /// Keep existing directories, replace existing files.
    #[arg(long)]
    union: bool,
    /// Keep existing directories and files.
    #[arg(long)]
    union_add: bool,
    /// Keep existing directories; existing files must be identical. Needs --require-hardlinks.
    #[arg(long)]
    union_identical: bool,
    /// `.wh.NAME` deletes NAME.
    #[arg(long)]
    whiteouts: bool,
    /// `.ostree-wh.NAME` becomes a character device 0:0.
    #[arg(long)]
    process_passthrough_whiteouts: bool,
    /// Do nothing when the subpath does not exist.
    #[arg(long)]
    allow_noent: bool,
    /// Read pairs of revision and subpath from stdin, each ended by a NUL.
    #[arg(long)]
    from_stdin: bool,
    /// Read pairs of revision and subpath from this file, each ended by a NUL.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Whether to wait until the data is on the disk.
    #[arg(long, value_name = "POLICY")]
    fsync: Option<String>,
    /// Never copy; fail when a hard link cannot be made.
    #[arg(long, short = 'H')]
    require_hardlinks: bool,
    /// Never hard link.
    #[arg(long, short = 'C')]
    force_copy: bool,
    /// Never hard link files without content.
    #[arg(long, short = 'z', hide = true)]
    force_copy_zerosized: bool,
    /// Label everything by the SELinux policy of the system whose root is here; implies copies.
    #[arg(long, value_name = "PATH")]
    selinux_policy: Option<PathBuf>,
    /// Put this before paths when their labels are looked up.
    #[arg(long, value_name = "PATH")]
    selinux_prefix: Option<String>,
    /// Leave modes outside of 0775 off directories.
    #[arg(long, short = 'M')]
    bareuseronly_dirs: bool,
    /// A file with paths to leave out, one a line.
    #[arg(long, value_name = "FILE")]
    skip_list: Option<PathBuf>,
    /// Write a composefs image with the fs-verity digests of all files.
    #[arg(long)]
    composefs: bool,
    /// Write a composefs image without digests.
    #[arg(long)]
    composefs_noverity: bool,
    /// The commit. With --from-stdin or --from-file: the destination.
    commit: String,
    /// Where to; by default a directory named as the commit.
    destination: Option<PathBuf>,
}

impl Checkout {
    pub(crate) fn run(&self, location: &Location, terminal: &Terminal) -> Result {
        let repo = location.open()?;
        self.check()?;
        if self.composefs || self.composefs_noverity {
            return self.image(&repo, terminal);
        }
        if self.from_stdin || self.from_file.is_some() {
            return self.batch(&repo, terminal);
        }
        if let Some(Err(told)) = self.subpath.as_deref().map(tree::exact)
            && !self.allow_noent
        {
            let message = format!("No such file or directory: {told}");
            return Err(Failure::new(Kind::NotFound, message));
        }
        self.one(&repo, &self.commit, self.subpath.as_deref(), &self.destination(), terminal)
    }

    fn destination(&self) -> PathBuf {
        self.destination.clone().unwrap_or_else(|| PathBuf::from(&self.commit))
    }

    /// `--composefs`: one file instead of a tree of them.
    fn image(&self, repo: &Repo, terminal: &Terminal) -> Result {
        // What makes no difference to an image is accepted, as by the peer.
        let others = [
            self.disable_cache,
            self.subpath.is_some(),
            self.union_add || self.union_identical,
            self.whiteouts || self.process_passthrough_whiteouts,
            self.from_stdin || self.from_file.is_some(),
            self.require_hardlinks || self.force_copy || self.force_copy_zerosized,
            self.selinux_policy.is_some(),
            self.bareuseronly_dirs,
            self.skip_list.is_some(),
        ];
        if others.contains(&true) {
            let message = "Specified options are incompatible with --composefs";
            return Err(Failure::new(Kind::Invalid, message));
        }
        let commit = repo.resolve(&self.commit)?;
        let digests = if self.composefs_noverity { Digests::None } else { Digests::All };
        composefs::checkout(&terminal.context, repo, &commit, self.destination(), digests)?;
        Ok(())
    }

    fn one(
        &self,
        repo: &Repo,
        revision: &str,
        subpath: Option<&str>,
        destination: &Path,
        terminal: &Terminal,
    ) -> Result {
        let commit = repo.resolve(revision)?;
        let options = self.options(subpath)?;
        let above = destination.parent().filter(|above| !above.as_os_str().is_empty());
        if above.is_some_and(|above| !above.exists()) {
            let message = "mkdirat: No such file or directory";
            return Err(Failure::new(Kind::NotFound, message));
        }
        match checkout::checkout(&terminal.context, repo, &commit, destination, &options) {
            Err(error)
                if self.allow_noent && matches!(error, updraft_repo::Error::NoSuchPath { .. }) =>
            {
                Ok(())
            }
            result => Ok(result.map(drop)?),
        }
    }

    /// Refuses options that contradict each other.
    fn check(&self) -> Result {
        if self.selinux_prefix.is_some() && self.selinux_policy.is_none() {
            let message = "Cannot specify --selinux-prefix without --selinux-policy";
            return Err(Failure::new(Kind::Invalid, message));
        }
        let copies = self.force_copy || self.selinux_policy.is_some();
        let pairs = [
            (self.union && self.union_add, "--union and --union-add"),
            (self.union && self.union_identical, "--union and --union-identical"),
            (self.union_add && self.union_identical, "--union-add and --union-identical"),
            (self.require_hardlinks && copies, "--require-hardlinks and --force-copy"),
        ];
        if let Some((_, both)) = pairs.iter().find(|(given, _)| *given) {
            return Err(Failure::new(Kind::Invalid, format!("Cannot specify both {both}")));
        }
        if self.union_identical && !self.require_hardlinks {
            let message = "--union-identical requires --require-hardlinks";
            return Err(Failure::new(Kind::Invalid, message));
        }
        Ok(())
    }

    fn options(&self, subpath: Option<&str>) -> Result<CheckoutOptions> {
        let union = match (self.union, self.union_add, self.union_identical) {
            (true, ..) => UnionMode::Overwrite,
            (_, true, _) => UnionMode::Add,
            (_, _, true) => UnionMode::Identical,
            _ => UnionMode::None,
        };
        let hardlinks = match (self.require_hardlinks, self.force_copy) {
            (true, _) => Hardlinks::Require,
            (_, true) => Hardlinks::Never,
            _ => Hardlinks::Prefer,
        };
        Ok(CheckoutOptions {
            user_mode: self.user_mode,
            subpath: subpath.map(str::to_owned),
            union,
            hardlinks,
            uncompressed_cache: !self.disable_cache,
            whiteouts: self.whiteouts,
            passthrough_whiteouts: self.process_passthrough_whiteouts,
            copy_empty: self.force_copy_zerosized,
            selinux: self.labels()?,
            bare_user_only_dirs: self.bareuseronly_dirs,
            skip_list: self
                .skip_list
                .as_deref()
                .map(lists::skip_list)
                .transpose()?
                .unwrap_or_default(),
            fsync: super::commit::fsync(self.fsync.as_deref(), false)?,
        })
    }

    /// The policy to label by, and what is put before paths.
    fn labels(&self) -> Result<Option<(Policy, String)>> {
        let Some(root) = &self.selinux_policy else { return Ok(None) };
        let prefix = self.selinux_prefix.clone().unwrap_or_default();
        Ok(selinux::from_folder(root)?.map(|policy| (policy, prefix)))
    }

    /// Many checkouts into one destination, which is the first argument then.
    fn batch(&self, repo: &Repo, terminal: &Terminal) -> Result {
        let destination = PathBuf::from(&self.commit);
        let mut text = Vec::new();
        match &self.from_file {
            Some(path) => {
                text =
                    std::fs::read(path).with_context(|| format!("openat({})", path.display()))?;
            }
            None => _ = std::io::stdin().lock().read_to_end(&mut text)?,
        }
        let text = String::from_utf8(text).map_err(|error| {
            Failure::of(Kind::Invalid, error).context("failed to read the list")
        })?;
        let mut parts = text.split_terminator('\0');
        while let Some(revision) = parts.next() {
            let subpath = parts.next().ok_or_else(|| {
                Failure::new(Kind::Invalid, "Could not read the list: a subpath is missing")
            })?;
            let subpath = (!subpath.is_empty()).then_some(subpath);
            let commit = repo.resolve(revision)?;
            self.one(repo, revision, subpath, &destination, terminal)
                .with_context(|| format!("Processing tree {commit}"))?;
        }
        Ok(())
    }
}
