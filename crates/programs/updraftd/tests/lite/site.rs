//! A factory on a web server, and devices with nothing but a configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use updraft_http::testing::{Answer, Server};
use updraft_tuf::Dialect;

use crate::tuf::{HARDWARE, Tuf};

/// Metadata, objects and a web server.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) server: Server,
    pub(crate) tuf: Tuf,
    commits: BTreeMap<u32, String>,
}

impl Site {
    /// A factory with targets of these versions, all with the tag `main`.
    pub(crate) fn new(dialect: Dialect, versions: &[u32]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let www = folder.path().join("www");
        std::fs::create_dir(&www).unwrap();
        ostree(&["init", "--mode=archive", &format!("--repo={}", www.join("treehub").display())]);
        let root = www.clone();
        let server = Server::start(move |exchange| match exchange.method.as_str() {
            "GET" => Answer::file(&root, exchange),
            _ => Answer::Bytes(404, Vec::new()),
        });
        let tuf = Tuf::new(dialect);
        let mut site = Self { folder, server, tuf, commits: BTreeMap::new() };
        for version in versions {
            site.release(*version, &["main"]);
        }
        site
    }

    /// Commits a small tree, and publishes it as a target.
    pub(crate) fn release(&mut self, version: u32, tags: &[&str]) -> String {
        let commit = self.commit(version, |_| {});
        let name = self.tuf.add(version, &commit, tags);
        self.save();
        name
    }

    /// Commits a small tree that `change` may add something to.
    pub(crate) fn commit(&mut self, version: u32, change: impl FnOnce(&Path)) -> String {
        let tree = self.folder.path().join(format!("tree-{version}"));
        harness::small_tree(&tree, &version.to_string()).unwrap();
        change(&tree);
        let commit = ostree(&[
            "commit",
            &format!("--repo={}", self.objects().display()),
            &format!("--branch=main/{version}"),
            &format!("--tree=dir={}", tree.display()),
        ]);
        self.commits.insert(version, commit.clone());
        commit
    }

    /// Serves the metadata as it is now.
    pub(crate) fn save(&self) {
        self.tuf.save(&self.metadata());
    }

    pub(crate) fn commit_of(&self, version: u32) -> &str {
        &self.commits[&version]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.path("www/repo")
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.path("www/treehub")
    }

    /// A bundle with the objects of one version.
    pub(crate) fn bundle(&self, version: u32) -> PathBuf {
        let bundle = self.path(&format!("bundle-{version}"));
        self.tuf.save(&bundle.join("tuf"));
        let repo = format!("--repo={}", bundle.join("ostree_repo").display());
        ostree(&["init", "--mode=archive", &repo]);
        let from = self.objects().display().to_string();
        ostree(&["pull-local", &repo, &from, &format!("main/{version}")]);
        bundle
    }

    /// A device that was never switched on.
    pub(crate) fn device(&self, name: &str) -> Device {
        let folder = self.path(name);
        for part in ["bin", "run", "health/check/required.d"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        for alias in ["aktualizr-lite", "aklite-offline"] {
            let program = env!("CARGO_BIN_EXE_updraftd");
            std::os::unix::fs::symlink(program, folder.join("bin").join(alias)).unwrap();
        }
        let device = Device { folder, url: self.server.url() };
        std::fs::write(device.path("cmdline"), "quiet\n").unwrap();
        device.script(
            "callback",
            "env | grep -E '^(MESSAGE|CURRENT_TARGET|CURRENT_TARGET_NAME|\
                                   INSTALL_TARGET_NAME|RESULT)=' | sort | tr '\\n' ' ' >> \
                                   FOLDER/callbacks; echo >> FOLDER/callbacks",
        );
        device.script("health/check/required.d/10-ill.sh", "test ! -e FOLDER/ill");
        device.script("reboot", "touch FOLDER/rebooting");
        device.configure(&[]);
        device
    }
}

/// A device in a folder.
pub(crate) struct Device {
    folder: PathBuf,
    url: String,
}

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Device {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes aktualizr-lite's configuration; `changes` are (`section.key`, value).
    pub(crate) fn configure(&self, changes: &[(&str, &str)]) {
        let at = |name: &str| self.path(name).display().to_string();
        let mut settings: BTreeMap<&str, String> = BTreeMap::from([
            ("boot.kernel_cmdline", at("cmdline")),
            ("bootloader.reboot_command", at("reboot")),
            ("bootloader.reboot_sentinel_dir", at("run")),
            ("health.folders", format!("[\"{}\"]", at("health"))),
            ("import.base_path", at("import")),
            ("pacman.callback_program", at("callback")),
            ("pacman.create_sysroot", "1".to_owned()),
            ("pacman.docker_prune", "0".to_owned()),
            ("pacman.os", "lmp".to_owned()),
            ("pacman.ostree_server", format!("{}/treehub", self.url)),
            ("pacman.sysroot", at("sysroot")),
            ("pacman.tags", "main".to_owned()),
            ("pacman.type", "ostree+compose_apps".to_owned()),
            ("provision.primary_ecu_hardware_id", HARDWARE.to_owned()),
            ("storage.path", at("storage")),
            ("storage.uptane_metadata_path", at("roots")),
            ("uptane.repo_server", format!("{}/repo", self.url)),
        ]);
        settings.extend(changes.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let (mut text, mut last) = (String::new(), "");
        for (key, value) in &settings {
            let (section, name) = key.split_once('.').unwrap();
            if section != last {
                let _ = writeln!(text, "\n[{section}]");
                last = section;
            }
            let quoted =
                if value.starts_with('[') { value.clone() } else { format!("\"{value}\"") };
            let _ = writeln!(text, "{name} = {quoted}");
        }
        std::fs::write(self.path("sota.toml"), text).unwrap();
    }

    /// An executable shell script; `FOLDER` in it is the device's.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let text = text.replace("FOLDER", &self.folder.display().to_string());
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin").join(program));
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        // Words of a caller must not look like ours.
        command.env("RESULT", "from outside");
        command.args(arguments).arg("--config").arg(self.path("sota.toml"));
        command
    }

    /// Runs `aktualizr-lite`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.command("aktualizr-lite", arguments).output().unwrap().into()
    }

    /// Runs `aktualizr-lite`, which has to end with `code`.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {} {}", said.out, said.err);
        said
    }

    /// Runs `aklite-offline`, which has to end with `code`.
    #[track_caller]
    pub(crate) fn offline(&self, code: i32, arguments: &[&str]) -> Said {
        let said = Said::from(self.command("aklite-offline", arguments).output().unwrap());
        assert_eq!(said.code, code, "{arguments:?}: {} {}", said.out, said.err);
        said
    }

    /// Reboots into what the boot loader entries name.
    pub(crate) fn boot(&self) {
        harness::boot(&self.path("sysroot"), &self.path("cmdline"), &self.path("run")).unwrap();
    }

    /// Reboots into what runs: the boot loader passes the default by.
    pub(crate) fn fall_back(&self) {
        let runs = std::fs::read(self.path("cmdline")).unwrap();
        std::fs::remove_dir_all(self.path("run")).unwrap();
        std::fs::remove_file(self.path("cmdline")).unwrap();
        std::fs::write(self.path("cmdline"), runs).unwrap();
    }

    /// Installs a version, boots it and confirms it.
    #[track_caller]
    pub(crate) fn settle(&self, version: &str) {
        self.ends(100, &["update", version]);
        self.boot();
        self.ends(0, &["finalize"]);
    }

    /// The name and commit of what runs.
    pub(crate) fn runs(&self) -> (String, String) {
        let status = self.ends(0, &["status", "--json", "1"]).json();
        let text = |name: &str| status["current"][name].as_str().unwrap_or_default().to_owned();
        (text("name"), text("sha256"))
    }

    /// What the callback program was told since the last time, one line each.
    pub(crate) fn callbacks(&self) -> Vec<String> {
        let path = self.path("callbacks");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        let folder = self.folder.display().to_string();
        text.lines().map(|line| line.trim().replace(&folder, "FOLDER")).collect()
    }
}

/// Runs the real `ostree`; gives the last line that it printed.
pub(crate) fn ostree(arguments: &[&str]) -> String {
    let printed = harness::ostree(arguments).unwrap();
    printed.lines().last().unwrap_or_default().to_owned()
}
