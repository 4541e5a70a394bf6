//! A server, an operator, and machines without a network; and what a refusal has to say.

use anyhow::{Result, ensure};
use harness::{Answer, Operator, Programs, Server, small_tree};
use tempfile::TempDir;

/// Documented exit codes.
pub(crate) const INVALID: i32 = 3;
/// See [`INVALID`].
pub(crate) const NOT_FOUND: i32 = 4;
/// See [`INVALID`].
pub(crate) const CONFLICT: i32 = 5;
/// See [`INVALID`].
pub(crate) const REJECTED: i32 = 9;

/// A server whose Image repository has no root yet, and a folder for everything.
pub(crate) struct Workshop {
    folder: TempDir,
    programs: Programs,
    /// Somebody who may do everything on the server; the folder `keys` need not be there.
    pub(crate) operator: Operator,
    /// Runs as long as this lives.
    _server: Server,
}

impl Workshop {
    /// Starts the server.
    pub(crate) fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let programs = Programs::beside_tests()?;
        let server = Server::start(&programs, &folder.path().join("server"))?;
        let operator = Operator::new(&programs, &server, &folder.path().join("keys"))?;
        Ok(Self { folder, programs, operator, _server: server })
    }

    /// A path in the folder.
    pub(crate) fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs `updraft` where there is neither server nor token, however it ends.
    pub(crate) fn try_offline(&self, arguments: &[&str]) -> Result<Answer> {
        Answer::of(self.programs.command("updraft").args(arguments))
    }

    /// The same; it has to succeed.
    pub(crate) fn offline(&self, arguments: &[&str]) -> Result<Answer> {
        Answer::good(self.programs.command("updraft").args(arguments))
    }

    /// A repository with one commit, on the branch `version`.
    pub(crate) fn repository(&self, version: &str) -> Result<String> {
        let (tree, repo) = (self.folder.path().join(format!("tree-{version}")), self.at("repo"));
        small_tree(&tree, version)?;
        self.offline(&["ostree", "init", "--repo", &repo, "--mode=bare-user"])?;
        let (branch, tree) =
            (format!("--branch={version}"), format!("--tree=dir={}", tree.display()));
        self.offline(&["ostree", "commit", "--repo", &repo, &branch, &tree])?;
        Ok(repo)
    }
}

/// Ids of the keys of a list that sign for a role.
pub(crate) fn keys_of(listed: &serde_json::Value, role: &str) -> Vec<String> {
    let keys = listed.as_array().into_iter().flatten();
    let signs = |key: &&serde_json::Value| {
        key["roles"].as_array().is_some_and(|roles| roles.iter().any(|name| name == role))
    };
    keys.filter(signs).filter_map(|key| key["keyid"].as_str().map(str::to_owned)).collect()
}

/// Whether a program ended with this code, said these parts, and gave a way out.
pub(crate) fn refused(answer: &Answer, code: i32, says: &[&str]) -> Result<()> {
    let said = &answer.err;
    ensure!(answer.code == code, "exit code {}, not {code}: {said}", answer.code);
    for part in says {
        ensure!(said.contains(part), "`{part}` is not said: {said}");
    }
    ensure!(said.contains("error: ") && !said.contains("panicked"), "{said}");
    Ok(())
}
