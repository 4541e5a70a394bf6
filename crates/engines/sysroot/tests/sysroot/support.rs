//! Trees, commits and sysroots for tests, and the real `ostree` beside them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use updraft_ostree::Checksum;
use updraft_sysroot::{DeployRequest, Deployment, InitEpoch, Origin, Sysroot};
use updraft_task::Context;

/// A sysroot in a temporary folder. Immutable flags are taken away before it is removed.
pub(crate) struct Lab {
    folder: TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let root = self.root();
        let _ = Command::new("chattr").args(["-R", "-f", "-i"]).arg(root).status();
    }
}

impl Lab {
    /// A sysroot made by us, with stateroot `os` and no deployment.
    pub(crate) fn ours() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let sysroot = Sysroot::init(lab.root(), InitEpoch::Modern).unwrap();
        sysroot.lock(&Context::silent()).unwrap().init_stateroot("os").unwrap();
        lab
    }

    /// A sysroot made by the real tool.
    pub(crate) fn theirs() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let root = lab.root();
        std::fs::create_dir(&root).unwrap();
        let root = root.to_str().unwrap();
        ostree(&["admin", "init-fs", "--modern", root]);
        ostree(&["admin", "os-init", &format!("--sysroot={root}"), "os"]);
        lab
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn sysroot(&self) -> Sysroot {
        Sysroot::open(self.root()).unwrap()
    }

    /// Commits a small system to ref `os/main`; `kernel` and `files` make versions differ.
    pub(crate) fn commit(&self, version: &str, kernel: &str, files: &[(&str, &str)]) -> Checksum {
        let tree = self.folder.path().join(format!("tree-{version}"));
        let write = |path: &str, text: &str| {
            let path = tree.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            put(&path, text);
        };
        write("usr/lib/modules/6.1/vmlinuz", kernel);
        write("usr/lib/modules/6.1/initramfs.img", "initramfs");
        write("usr/lib/os-release", "ID=test\nPRETTY_NAME=\"Test OS\"\n");
        write("usr/bin/tool", version);
        write("usr/etc/plain", "default\n");
        write("usr/etc/dir/nested", "default\n");
        for (path, text) in files {
            write(path, text);
        }
        let repo = format!("--repo={}", self.root().join("ostree/repo").display());
        let version = format!("--add-metadata-string=version={version}");
        let tree = format!("--tree=dir={}", tree.display());
        ostree(&["commit", &repo, "-b", "os/main", "-s", "s", &version, &tree]).parse().unwrap()
    }

    /// Deploys with our code.
    pub(crate) fn deploy(&self, commit: Checksum) -> Deployment {
        let request = DeployRequest::new("os", commit, Origin::following("os/main"));
        let sysroot = self.sysroot();
        let locked = sysroot.lock(&Context::silent()).unwrap();
        locked.deploy(&Context::silent(), &request).unwrap()
    }

    /// Deploys with our code, after what is there.
    pub(crate) fn stage(&self, commit: Checksum) -> updraft_sysroot::DeploymentId {
        let request = DeployRequest::new("os", commit, Origin::following("os/main"));
        let request = DeployRequest { retain: updraft_sysroot::Retain::ALL, ..request };
        let sysroot = self.sysroot();
        let locked = sysroot.lock(&Context::silent()).unwrap();
        locked.stage(&Context::silent(), &request).unwrap().id
    }

    /// Adds lines to the section `[sysroot]` of the repository's configuration.
    pub(crate) fn configure(&self, lines: &str) {
        let path = self.path("ostree/repo/config");
        let text = std::fs::read_to_string(&path).unwrap();
        put(&path, &format!("{text}\n[sysroot]\n{lines}\n"));
    }

    /// Adds lines to the section of what the real tool does not know.
    pub(crate) fn configure_ours(&self, lines: &str) {
        let path = self.path("ostree/repo/config");
        let text = std::fs::read_to_string(&path).unwrap();
        put(&path, &format!("{text}\n[updraft]\n{lines}\n"));
    }

    /// Takes the section `[sysroot]` away again.
    pub(crate) fn forget_configuration(&self) {
        let path = self.path("ostree/repo/config");
        let text = std::fs::read_to_string(&path).unwrap();
        put(&path, text.split("\n[sysroot]").next().unwrap());
    }

    /// Runs `ostree admin COMMAND --sysroot=…`.
    pub(crate) fn admin(&self, arguments: &[&str]) -> String {
        let sysroot = format!("--sysroot={}", self.root().display());
        let mut all = vec!["admin", arguments[0], &sysroot];
        all.extend(&arguments[1..]);
        ostree(&all)
    }

    /// Runs `ostree admin COMMAND --sysroot=…`, and gives what it said when it fails.
    pub(crate) fn try_admin(&self, arguments: &[&str]) -> Result<String, String> {
        let sysroot = format!("--sysroot={}", self.root().display());
        let mut command = Command::new("ostree");
        command.args(["admin", arguments[0], &sysroot]).args(&arguments[1..]);
        let output = command.env("OSTREE_SYSROOT_OPTS", "skip-sync").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The same disk once more.
    pub(crate) fn copy(&self) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let copied =
            Command::new("cp").arg("-a").arg(self.root()).arg(lab.root()).status().unwrap();
        assert!(copied.success());
        lab
    }

    /// The `/etc` of the default deployment.
    pub(crate) fn etc(&self) -> PathBuf {
        let id = self.sysroot().deployments().unwrap()[0].id.clone();
        self.root().join(id.path()).join("etc")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }
}

/// Writes a file.
pub(crate) fn put(path: &Path, text: &str) {
    std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
}

/// Runs the real tool and returns what it printed; it must succeed.
pub(crate) fn ostree(arguments: &[&str]) -> String {
    let output = Command::new("ostree")
        .args(arguments)
        .env("OSTREE_SYSROOT_OPTS", "skip-sync")
        .output()
        .expect("the real ostree is installed");
    assert!(
        output.status.success(),
        "ostree {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Runs a tool and returns what it printed; it must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// All names, links and small files of `/boot` and `/ostree`, without the repository, the
/// deployments' contents and the locks.
pub(crate) fn layout(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for top in ["boot", "ostree"] {
        walk(root, &root.join(top), &mut lines);
    }
    lines.sort();
    lines
}

fn walk(root: &Path, folder: &Path, lines: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        // The Debian package of the real tool is older than `backing`.
        let unlike = ["/var", "/backing"].iter().any(|end| name.ends_with(end));
        if name == "ostree/repo" || name == "ostree/lock" || unlike {
            continue;
        }
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_symlink() {
            lines.push(format!("{name} -> {}", std::fs::read_link(&path).unwrap().display()));
        } else if kind.is_dir() {
            lines.push(format!("{name}/"));
            let is_deployment =
                name.contains("/deploy/") && name.ends_with(|c: char| c.is_ascii_digit());
            if !(is_deployment && name.contains('.')) {
                walk(root, &path, lines);
            }
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            lines.push(format!("{name}: {text}"));
        }
    }
}
