//! Two programs, one repository, and what they say about it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("not killed"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Outcome {
    /// The lines that are not progress, which the peer writes to stdout as well.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().filter(|line| !line.contains("fsck objects (")).collect()
    }

    /// The line that says what went wrong.
    pub(crate) fn error(&self) -> &str {
        self.stderr.lines().find(|line| line.starts_with("error:")).unwrap_or_default()
    }
}

/// A folder for a test: a tree, a repository, and our program called `ostree`.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    /// With a repository `repo` of this mode that has some history, made by the peer.
    pub(crate) fn new(mode: &str) -> Self {
        let world = Self { folder: TempDir::new().unwrap() };
        fs::create_dir(world.path("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_updraft"), world.path("bin/ostree")).unwrap();
        world.plant();
        world.peer_ok(&["init", "--repo=repo", &format!("--mode={mode}")]);
        world.commit(&[
            "--subject=First",
            "--body=Body\nof two",
            "--add-metadata-string=version=1",
        ]);
        fs::write(world.path("tree/hello"), "changed\n").unwrap();
        fs::remove_file(world.path("tree/sub/x")).unwrap();
        fs::write(world.path("tree/more"), "more").unwrap();
        world.commit(&["--add-metadata=number=uint64 5", "--add-detached-metadata-string=k=v"]);
        world.peer_ok(&["refs", "--repo=repo", "--create=os/a", "main^"]);
        world.peer_ok(&["refs", "--repo=repo", "--create=os/b/c", "main"]);
        world.peer_ok(&["refs", "--repo=repo", "--alias", "--create=alias", "main"]);
        world.peer_ok(&["remote", "--repo=repo", "add", "origin", "http://example.com/r", "a"]);
        world.peer_ok(&["remote", "--repo=repo", "add", "local", "file:///nowhere"]);
        world.peer_ok(&["summary", "--repo=repo", "--update"]);
        world
    }

    fn plant(&self) {
        let tree = self.path("tree");
        fs::create_dir_all(tree.join("sub/deep/er")).unwrap();
        fs::create_dir(tree.join("empty")).unwrap();
        for (name, content) in
            [("hello", "hello\n"), ("sub/x", "x"), ("new\nline", ""), ("with space", "s\n")]
        {
            fs::write(tree.join(name), content).unwrap();
        }
        symlink("hello", tree.join("link")).unwrap();
        let executable = fs::Permissions::from_mode(0o4755);
        fs::set_permissions(tree.join("with space"), executable).unwrap();
        set_xattr(&tree.join("hello"));
    }

    fn commit(&self, more: &[&str]) {
        let fixed = ["commit", "--repo=repo", "--branch=main", "--timestamp=@1700000000"];
        self.peer_ok(&[&fixed[..], more, &["--tree=dir=tree"]].concat());
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &OsStr, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("OSTREE_REPO")
            .env_remove("OSTREE_SYSROOT")
            .env_remove("SOURCE_DATE_EPOCH")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        command
    }

    /// Our program as a command, under the name `ostree`.
    pub(crate) fn our_command(&self, arguments: &[&str]) -> Command {
        self.command(self.path("bin/ostree").as_os_str(), arguments)
    }

    /// Our program under its own name.
    pub(crate) fn updraft(&self, arguments: &[&str]) -> Outcome {
        let program = OsStr::new(env!("CARGO_BIN_EXE_updraft"));
        self.command(program, arguments).output().unwrap().into()
    }

    /// What our program does.
    pub(crate) fn ours(&self, arguments: &[&str]) -> Outcome {
        self.our_command(arguments).output().unwrap().into()
    }

    /// What the peer does.
    pub(crate) fn peer(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(OsStr::new("ostree"), arguments).output();
        output.expect("the Debian package ostree is installed").into()
    }

    /// What the peer prints; it must succeed.
    #[track_caller]
    pub(crate) fn peer_ok(&self, arguments: &[&str]) -> String {
        let outcome = self.peer(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
        outcome.stdout
    }

    /// Runs both, which must succeed and print the same.
    #[track_caller]
    pub(crate) fn same(&self, arguments: &[&str]) {
        let (ours, theirs) = (self.ours(arguments), self.peer(arguments));
        assert_eq!(theirs.code, 0, "the peer, {arguments:?}: {}", theirs.stderr);
        assert_eq!(ours.code, 0, "{arguments:?}: {}", ours.stderr);
        assert_eq!(ours.lines(), theirs.lines(), "{arguments:?}");
    }

    /// As [`same`](Self::same), but the order of lines is not looked at: the peer's is that of a
    /// hash table.
    #[track_caller]
    pub(crate) fn same_set(&self, arguments: &[&str]) {
        let (ours, theirs) = (self.ours(arguments), self.peer(arguments));
        assert_eq!((ours.code, theirs.code), (0, 0), "{arguments:?}: {}", ours.stderr);
        let sorted = |outcome: &Outcome| {
            let mut lines: Vec<_> = outcome.lines().into_iter().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&ours), sorted(&theirs), "{arguments:?}");
    }

    /// Makes a copy of `repo`, attributes and all.
    pub(crate) fn copy(&self, name: &str) {
        let status = Command::new("cp")
            .args(["--archive", "--no-target-directory"])
            .arg(self.path("repo"))
            .arg(self.path(name))
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// Gives the file an extended attribute.
fn set_xattr(path: &Path) {
    let dir = updraft_fs::Dir::open(path.parent().expect("a folder")).unwrap();
    let name = path.file_name().expect("a name");
    updraft_fs::xattr::set_at(&dir, name, "user.note", b"on the file").unwrap();
}
