//! A server with releases of small trees, to which a test adds devices one by one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::attacks::{behind_attacker, imports, write_import};
use crate::scenario::HARDWARE;
use crate::{
    Answer, Attacker, Device, DeviceOptions, Enrolment, Operator, Programs, Relay, Server,
    bootable, ostree, small_tree,
};

/// How often, and how many times, the server is asked whether it has followed.
const ASK: std::time::Duration = std::time::Duration::from_millis(50);
const ASKS: usize = 400;

/// A server, its operator, and releases called `v1`, `v2`, …
#[derive(Debug)]
pub struct Site {
    programs: Programs,
    folder: PathBuf,
    /// The server.
    pub server: Server,
    /// The operator.
    pub operator: Operator,
    /// The credentials that new devices share.
    pub credentials: PathBuf,
    commits: Vec<String>,
}

impl Site {
    /// Starts a server below `folder` and makes `releases` releases of small trees.
    ///
    /// # Errors
    /// When a program does not do its part.
    pub fn start(folder: &Path, releases: usize) -> Result<Self> {
        Self::start_with(Programs::beside_tests()?, folder, releases)
    }

    /// The same with these programs.
    ///
    /// # Errors
    /// When a program does not do its part.
    pub fn start_with(programs: Programs, folder: &Path, releases: usize) -> Result<Self> {
        let server = Server::start(&programs, &folder.join("server"))?;
        let operator = Operator::new(&programs, &server, &folder.join("keys"))?;
        operator.init_keys()?;
        let credentials = folder.join("credentials.zip");
        server.credentials(&credentials)?;
        let folder = folder.to_path_buf();
        let commits = Vec::new();
        let mut site = Self { programs, folder, server, operator, credentials, commits };
        site.updraft(&["init", "--mode=bare"])?;
        for number in 1..=releases {
            site.add_release(&format!("v{number}"))?;
        }
        Ok(site)
    }

    fn add_release(&mut self, version: &str) -> Result<()> {
        let tree = self.folder.join(format!("tree-{version}"));
        small_tree(&tree, version)?;
        let branch = format!("demo/{version}");
        let answer = self.updraft(&[
            "commit",
            &format!("--branch={branch}"),
            &format!("--subject={version}"),
            &format!("--add-metadata-string=version={version}"),
            &format!("--tree=dir={}", tree.display()),
        ])?;
        self.commits.push(answer.out.lines().last().unwrap_or_default().to_owned());
        self.operator.release(version, &self.folder.join("repo"), HARDWARE, &branch)
    }

    /// Makes a release whose one target is a file; gives its SHA-256.
    ///
    /// # Errors
    /// When a program does not do its part.
    pub fn release_file(&self, name: &str, content: &[u8]) -> Result<String> {
        self.release_file_by(name, HARDWARE, &[], content)
    }

    /// The same, and the server never gets the file.
    ///
    /// # Errors
    /// When a program does not do its part.
    pub fn release_secret_file(&self, name: &str, content: &[u8]) -> Result<String> {
        self.sign_file((name, HARDWARE), &[], content, &["--encrypted"])
    }

    /// The same for other hardware, in a delegated role and signed with its keys.
    ///
    /// # Errors
    /// When a program does not do its part.
    pub fn release_file_as(
        &self,
        name: &str,
        (hardware, role, keys): (&str, &str, &str),
        content: &[u8],
    ) -> Result<String> {
        self.release_file_by(name, hardware, &["--role", role, "--keys", keys], content)
    }

    fn release_file_by(
        &self,
        name: &str,
        hardware: &str,
        signer: &[&str],
        content: &[u8],
    ) -> Result<String> {
        let file = self.folder.join(format!("{name}.file"));
        std::fs::write(&file, content)?;
        let file = file.display().to_string();
        self.sign_file((name, hardware), signer, content, &["--file", &file])
    }

    fn sign_file(
        &self,
        (name, hardware): (&str, &str),
        signer: &[&str],
        content: &[u8],
        import: &[&str],
    ) -> Result<String> {
        let request = self.folder.join(format!("{name}.request"));
        let path = request.display().to_string();
        let repo = self.folder.join("repo").display().to_string();
        let target = format!("{hardware}=demo/v1");
        let create = ["release", "create", name, "--repo", &repo, "--target", &target];
        self.operator.run(&[&create[..], &["--sign-request", &path], signer].concat())?;
        // There is no command for files: the request says so before it is signed.
        let mut value: Value = serde_json::from_slice(&std::fs::read(&request)?)?;
        let sha256 = updraft_crypto::sha256_hex(content);
        let filepath = format!("{name}-{hardware}");
        let file = &mut value["file"]["signed"]["targets"][&filepath];
        file["length"] = content.len().into();
        file["hashes"] = serde_json::json!({ "sha256": sha256 });
        file["custom"]["targetFormat"] = "BINARY".into();
        value["file"]["signatures"] = serde_json::json!([]);
        std::fs::write(&request, value.to_string())?;
        let keys = signer.iter().position(|word| *word == "--keys").and_then(|at| signer.get(at..));
        self.operator.run(&[&["keys", "sign"][..], keys.unwrap_or_default(), &[&path]].concat())?;
        self.operator.run(&[&["release", "import", &path][..], import].concat())?;
        Ok(sha256)
    }

    fn updraft(&self, arguments: &[&str]) -> Result<Answer> {
        let mut command = self.programs.command("updraft");
        let repo = format!("--repo={}", self.folder.join("repo").display());
        Answer::good(command.arg("ostree").arg(repo).args(arguments))
    }

    /// The folder of everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The programs.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The credentials file.
    #[must_use]
    pub fn credentials(&self) -> &Path {
        &self.credentials
    }

    /// The commit of a release such as `v1`.
    ///
    /// # Panics
    /// When there is no such release.
    #[must_use]
    pub fn commit(&self, release: &str) -> &str {
        let number: usize = release.trim_start_matches('v').parse().expect("a release such as v1");
        &self.commits[number - 1]
    }

    /// A device that was never switched on.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn device(&self, id: &str, options: &DeviceOptions) -> Result<Device> {
        let folder = self.folder.join("devices");
        Device::create(&self.programs, &folder, id, HARDWARE, &self.credentials, options)
    }

    /// A device that is registered and runs `release`.
    ///
    /// # Errors
    /// With what a program said.
    pub fn device_on(&self, release: &str, id: &str, options: &DeviceOptions) -> Result<Device> {
        let device = self.device(id, options)?;
        device.run_once()?;
        self.assign(id, release)?;
        device.settle(4)?;
        if device.booted_commit()? != self.commit(release) {
            bail!("{id} did not come to {release}");
        }
        Ok(device)
    }

    /// A device that was never switched on, and somebody between it and the server.
    ///
    /// # Errors
    /// When it cannot be registered.
    pub fn device_behind_attacker(&self, id: &str) -> Result<(Attacker, Device)> {
        let folder = self.folder.join(format!("behind-attacker-{id}"));
        behind_attacker(&self.programs, &self.server, &self.credentials, &folder, id)
    }

    /// A device that was never switched on, and a relay between it and the server.
    ///
    /// # Errors
    /// When it cannot be registered.
    pub fn device_behind_relay(&self, id: &str, enrolment: &Enrolment) -> Result<(Relay, Device)> {
        let import = self.folder.join(format!("import-{id}"));
        let identity = enrolment.enrol(id)?;
        write_import(&self.server, &identity, &import)?;
        let relay = Relay::start(&self.server, identity)?;
        let options = DeviceOptions {
            imported: true,
            configuration: imports(&import, &relay.url()),
            ..DeviceOptions::default()
        };
        Ok((relay, self.device(id, &options)?))
    }

    /// Orders a device to go to a release.
    ///
    /// # Errors
    /// When the server does not assign it in time.
    pub fn assign(&self, device: &str, release: &str) -> Result<()> {
        self.next_number()?;
        let rollout = self.last_rollout();
        let create = ["rollout", "create", &rollout, "--release", release, "--device", device];
        self.operator.run(&create)?;
        for _ in 0..ASKS {
            if self.operator.device(device)?["assignment"]["release"] == release {
                return Ok(());
            }
            std::thread::sleep(ASK);
        }
        bail!("{release} was not assigned to {device}")
    }

    /// The name of the rollout of the last [`assign`](Self::assign).
    #[must_use]
    pub fn last_rollout(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("rollouts")).unwrap_or_default();
        format!("rollout-{}", text.parse::<u32>().unwrap_or(0))
    }

    /// Names of rollouts are used once.
    fn next_number(&self) -> Result<()> {
        let path = self.folder.join("rollouts");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let number = text.parse::<u32>().unwrap_or(0) + 1;
        std::fs::write(&path, number.to_string()).context("count rollouts")
    }

    /// What must hold for a device whatever happened to it: the real tool finds its repository
    /// whole and its deployments in order, its state is intact, and something can be booted.
    ///
    /// # Errors
    /// With what is broken.
    pub fn check_store(&self, device: &Device) -> Result<()> {
        let sysroot = device.sysroot();
        if sysroot.join("ostree/repo/config").is_file() {
            ostree(&["fsck", &format!("--repo={}", sysroot.join("ostree/repo").display())])?;
            ostree(&["admin", "status", &format!("--sysroot={}", sysroot.display())])?;
        }
        if sysroot.join("boot/loader").exists() {
            bootable(&sysroot)?;
        }
        device.check_state()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Deployments are marked immutable; nobody could remove the folder.
        let _ = std::process::Command::new("chattr")
            .args(["-R", "-f", "-i"])
            .arg(&self.folder)
            .status();
    }
}
