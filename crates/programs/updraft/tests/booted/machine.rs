//! A machine that runs from a deployment, as far as a program can tell: the deployment is the root,
//! with `/sysroot`, `/boot`, `/var` and `/run` mounted as they are after a boot.
//!
//! A process that sleeps keeps the mount namespace; commands are run in it, below the new root.
//! The system's own programs are seen through links into `/run/host`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Sets the mounts up. `$1` is the physical root, `$2` the deployment, `$3` where it is mounted.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$2" "$3"
mount --bind "$1" "$3/sysroot"
mount --bind "$1/boot" "$3/boot"
mount --bind "$1/ostree/deploy/os/var" "$3/var"
mount -t proc proc "$3/proc"
mount --rbind /dev "$3/dev"
mount -t tmpfs tmpfs "$3/run"
mkdir -p "$3/run/host" "$3/run/bin"
mount --rbind / "$3/run/host"
ln -s "/run/host$4" "$3/run/bin/ostree"
printf '#!/bin/sh\necho "$@" >> /run/systemctl.log\n' > "$3/run/bin/systemctl"
chmod 755 "$3/run/bin/systemctl"
: > "$3/run/ostree-booted"
echo ready
exec sleep 1000
"#;

/// A sysroot on a disk.
pub(crate) struct Machine {
    folder: TempDir,
}

/// The machine while it runs.
pub(crate) struct Booted {
    keeper: Child,
    /// The first process, as it is called outside.
    init: String,
    root: PathBuf,
}

impl Drop for Booted {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = Command::new("chattr").args(["-R", "-f", "-i"]).arg(self.root()).status();
    }
}

impl Machine {
    /// With a commit that is deployed.
    pub(crate) fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir_in("/var/tmp").unwrap() };
        let root = machine.root();
        fs::create_dir(&root).unwrap();
        fs::create_dir(machine.folder.path().join("mounted")).unwrap();
        peer_outside(&["admin", "init-fs", "--modern", root.to_str().unwrap()]);
        machine.admin(&["os-init", "os"]);
        machine.commit("1", "k1", &[("usr/etc/plain", "default\n")]);
        machine.admin(&["deploy", "--os=os", "--karg=quiet", "os/main"]);
        machine
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A file of the physical root.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path)
    }

    /// Commits a system; what is in `files` is added to what was there.
    pub(crate) fn commit(&self, version: &str, kernel: &str, files: &[(&str, &str)]) -> String {
        let tree = self.folder.path().join("tree");
        if !tree.exists() {
            for name in ["sysroot", "run", "proc", "tmp", "boot", "var/lib/app", "dev", "usr/bin"] {
                fs::create_dir_all(tree.join(name)).unwrap();
            }
            symlink("sysroot/ostree", tree.join("ostree")).unwrap();
            for name in ["bin", "lib", "lib64"] {
                symlink(format!("run/host/usr/{name}"), tree.join(name)).unwrap();
            }
        }
        let system = [
            ("usr/lib/modules/6.1/vmlinuz", kernel),
            ("usr/lib/modules/6.1/initramfs.img", "initramfs"),
            ("usr/lib/os-release", "ID=test\nPRETTY_NAME=\"Test OS\"\n"),
            ("usr/bin/tool", version),
            ("var/lib/app/data", "delivered"),
        ];
        for (path, text) in system.iter().chain(files) {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let repo = format!("--repo={}", self.path("ostree/repo").display());
        let version = format!("--add-metadata-string=version={version}");
        let tree = format!("--tree=dir={}", tree.display());
        peer_outside(&["commit", &repo, "-b", "os/main", "-s", "s", &version, &tree])
    }

    /// Runs our `ostree admin` on the disk of a machine that is off.
    pub(crate) fn admin(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_updraft"));
        command.args(["ostree", "admin"]).args(arguments);
        command.arg(format!("--sysroot={}", self.root().display()));
        ok(command.output().unwrap(), arguments)
    }

    /// The folder of the deployment that the boot loader would start.
    pub(crate) fn default_deployment(&self) -> PathBuf {
        self.admin(&["--print-current-dir"]).into()
    }

    /// Starts the machine.
    pub(crate) fn boot(&self) -> Booted {
        let root = self.folder.path().join("mounted");
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BOOT, "boot"])
            .arg(self.root())
            .arg(self.default_deployment())
            .arg(&root)
            .arg(env!("CARGO_BIN_EXE_updraft"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let children = format!("/proc/{0}/task/{0}/children", keeper.id());
        let init = fs::read_to_string(children).unwrap().trim().to_owned();
        Booted { keeper, init, root }
    }
}

impl Booted {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init)).args(["--mount", "--pid"]);
        command.arg("/usr/sbin/chroot");
        command.arg(&self.root).args(words).env("PATH", "/run/bin:/bin");
        // The disk is part of one that others use; it is not frozen for a test.
        command.env("OSTREE_SYSROOT_OPTS", "skip-sync");
        command.env_remove("OSTREE_SYSROOT");
        command
    }

    fn inside(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts our `ostree admin` on the machine; what it says can be read while it runs.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(&[&["/run/bin/ostree", "admin"], arguments].concat());
        command.stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a shell command on the machine.
    pub(crate) fn sh(&self, script: &str) -> String {
        ok(self.inside(&["/bin/sh", "-c", script]), &[script])
    }

    /// Runs our `ostree admin` on the machine.
    pub(crate) fn admin(&self, arguments: &[&str]) -> String {
        ok(self.inside(&[&["/run/bin/ostree", "admin"], arguments].concat()), arguments)
    }

    /// The line by which our `ostree admin` refuses.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.inside(&[&["/run/bin/ostree", "admin"], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        text.lines().find(|line| line.starts_with("error:")).unwrap_or_default().to_owned()
    }

    /// Runs the real tool on the machine.
    pub(crate) fn peer(&self, arguments: &[&str]) -> String {
        ok(self.inside(&[&["/bin/ostree", "admin"], arguments].concat()), arguments)
    }

    /// A file of the machine as its programs see it, read from outside.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let output = self.inside(&["/bin/cat", path]);
        assert!(output.status.success(), "{path}: {output:?}");
        output.stdout
    }
}

/// Runs the real tool on the disk of a machine that is off.
fn peer_outside(arguments: &[&str]) -> String {
    ok(Command::new("/usr/bin/ostree").args(arguments).output().unwrap(), arguments)
}

fn ok(output: Output, what: &[&str]) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{what:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
