//! The main job: two versions of a system are committed, signed, released and rolled out.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{Answer, Device, DeviceOptions, Fleet, Operator, Programs, Server, ostree};

/// The hardware id of all devices.
pub const HARDWARE: &str = "demo-board";
/// How often the server is asked how far things are.
const ASK: Duration = Duration::from_millis(250);

/// What to play.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The programs.
    pub programs: Programs,
    /// An empty folder for everything.
    pub folder: PathBuf,
    /// How many devices; at least 2.
    pub devices: usize,
    /// The tree of v1 and the tree of v2.
    pub trees: [PathBuf; 2],
    /// How long one stage may take.
    pub patience: Duration,
}

/// An installation in which the main job has been done.
#[derive(Debug)]
pub struct Installation {
    /// The programs.
    pub programs: Programs,
    /// The folder of everything.
    pub folder: PathBuf,
    /// The server.
    pub server: Server,
    /// The operator.
    pub operator: Operator,
    /// The devices; the last one is ill on v2.
    pub devices: Vec<Device>,
    /// The commits of v1 and v2.
    pub commits: [String; 2],
    /// The credentials file.
    pub credentials: PathBuf,
}

impl Scenario {
    /// Does the whole job, and tells `say` each step.
    ///
    /// # Errors
    /// When anything is not as it must be.
    pub fn play(&self, say: &mut dyn FnMut(&str)) -> Result<Installation> {
        ensure!(self.devices >= 2, "at least two devices are needed: one of them will fail");
        let commits = self.commit(say)?;
        say("starting the server: its own CA, mutual TLS for devices");
        let server = Server::start(&self.programs, &self.folder.join("server"))?;
        let operator = Operator::new(&self.programs, &server, &self.folder.join("keys"))?;
        say("making the operator's root and targets keys, and signing the first root");
        operator.init_keys()?;
        say("releasing v1: pushing the commit, signing it as a target");
        operator.release("v1", &self.repo(), HARDWARE, "demo/v1")?;

        let credentials = self.folder.join("credentials.zip");
        server.credentials(&credentials)?;
        let devices = self.devices(&credentials)?;
        say(&format!("switching on {} devices; they provision themselves", devices.len()));
        let fleet = Fleet::start(&devices);
        let installation = Installation {
            programs: self.programs.clone(),
            folder: self.folder.clone(),
            server,
            operator,
            devices,
            commits,
            credentials,
        };
        self.wait("all devices are registered", || {
            let listed = installation.operator.json(&["device", "ls"])?;
            let ready = list(&listed).iter().filter(|one| one["hardware_id"] == HARDWARE).count();
            Ok((ready == self.devices).then_some(()))
        })?;
        self.roll_out_first(&installation, say)?;
        self.roll_out_second(&installation, say)?;
        fleet.stop()?;
        Ok(installation)
    }

    fn commit(&self, say: &mut dyn FnMut(&str)) -> Result<[String; 2]> {
        let repo = self.repo();
        let text = repo.to_str().context("a path in Unicode")?;
        let repo_option = format!("--repo={text}");
        let updraft = |arguments: &[&str]| {
            let mut command = self.programs.command("updraft");
            Answer::good(command.arg("ostree").args(arguments))
        };
        updraft(&["init", &repo_option, "--mode=bare"])?;
        let mut commits = Vec::new();
        for (tree, version) in self.trees.iter().zip(["v1", "v2"]) {
            say(&format!("committing {version}"));
            let (branch, subject) =
                (format!("--branch=demo/{version}"), format!("--subject={version}"));
            let version = format!("--add-metadata-string=version={version}");
            let tree = format!("--tree=dir={}", tree.display());
            let answer = updraft(&["commit", &repo_option, &branch, &subject, &version, &tree])?;
            commits.push(answer.out.lines().last().unwrap_or_default().to_owned());
        }
        <[String; 2]>::try_from(commits).map_err(|_| anyhow::anyhow!("two commits"))
    }

    fn repo(&self) -> PathBuf {
        self.folder.join("repo")
    }

    fn devices(&self, credentials: &Path) -> Result<Vec<Device>> {
        let folder = self.folder.join("devices");
        (1..=self.devices)
            .map(|number| {
                let fails_on = (number == self.devices).then(|| "v2".to_owned());
                let options = DeviceOptions { fails_on, ..DeviceOptions::default() };
                let id = format!("device-{number:02}");
                Device::create(&self.programs, &folder, &id, HARDWARE, credentials, &options)
            })
            .collect()
    }

    fn roll_out_first(&self, at: &Installation, say: &mut dyn FnMut(&str)) -> Result<()> {
        say("rolling out v1 to all devices");
        at.operator.run(&["rollout", "create", "first", "--release", "v1"])?;
        let ended = self.rollout_end(at, "first")?;
        ensure!(ended["state"] == "finished", "the first rollout ended as {ended}");
        for device in &at.devices {
            ensure!(device.booted_commit()? == at.commits[0], "{} is not on v1", device.id());
        }
        Ok(())
    }

    fn roll_out_second(&self, at: &Installation, say: &mut dyn FnMut(&str)) -> Result<()> {
        say("releasing v2");
        at.operator.release("v2", &self.repo(), HARDWARE, "demo/v2")?;
        let ill = at.devices.last().context("find the last device")?;
        let first = at.devices.first().context("find the first device")?;
        at.operator.run(&["group", "create", "canary", first.id()])?;
        say("rolling out v2 in two phases: the group `canary`, then everybody");
        say(&format!("  {} will fail its health check on v2", ill.id()));
        let create = ["rollout", "create", "second", "--release", "v2", "--phase", "group:canary"];
        at.operator.run(&[&create[..], &["--phase", "100%", "--failure", "10%"]].concat())?;
        let ended = self.rollout_end(at, "second")?;
        ensure!(ended["state"] == "stopped", "the second rollout ended as {ended}");
        say(&format!("the rollout was stopped: {}", text(&ended["reason"])));
        let shown = at.operator.rollout("second")?;
        // Whoever had not begun when the ill device failed is left alone, so how far the others
        // came is told by the rollout; these two it has to tell.
        let state = |device: &Device| {
            let mut members = list(&shown["devices"]).iter();
            members.find(|one| one["device"] == device.id()).map_or("", |one| text(&one["state"]))
        };
        for device in &at.devices {
            let good = match state(device) {
                "failed" => device.id() == ill.id(),
                "succeeded" => device.id() != ill.id(),
                "cancelled" => device.id() != ill.id() && device.id() != first.id(),
                _ => false,
            };
            ensure!(good, "the second rollout left {} behind: {shown}", device.id());
        }
        self.wait("every device is where it belongs", || {
            for device in &at.devices {
                let expected = &at.commits[usize::from(state(device) == "succeeded")];
                let known = at.operator.device(device.id())?;
                let reported = text(&known["components"][0]["installed"]["sha256"]);
                let booted = device.booted_commit()?;
                ensure!(
                    *reported == *expected && booted == *expected,
                    "{} belongs on {expected}, runs {booted} and is known as {known}",
                    device.id()
                );
            }
            Ok(Some(()))
        })?;
        let report = at.operator.device(ill.id())?;
        ensure!(report["last_report"]["success"] == false, "{} reported success", ill.id());
        Ok(())
    }

    /// Waits until a rollout has ended and all its devices with it.
    fn rollout_end(&self, at: &Installation, name: &str) -> Result<Value> {
        self.wait(&format!("rollout `{name}` ends"), || {
            let shown = at.operator.rollout(name)?;
            let rollout = shown["rollout"].clone();
            let ended = rollout["state"] == "finished" || rollout["state"] == "stopped";
            let busy = list(&shown["devices"])
                .iter()
                .any(|one| one["state"] == "assigned" || one["state"] == "started");
            Ok((ended && !busy).then_some(rollout))
        })
    }

    fn wait<T>(&self, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < self.patience {
            match ask() {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) => last = Some(error),
            }
            std::thread::sleep(ASK);
        }
        match last {
            Some(error) => Err(error.context(format!("wait until {what}"))),
            None => bail!("waited {} s in vain until {what}", self.patience.as_secs()),
        }
    }
}

impl Installation {
    /// Compares what the real tool says of a device's sysroot with what the agent says.
    ///
    /// # Errors
    /// When they disagree, or the repository is damaged.
    pub fn compare_with_real_ostree(&self, device: &Device) -> Result<String> {
        let sysroot = device.sysroot();
        let repo = format!("--repo={}", sysroot.join("ostree/repo").display());
        let fsck = ostree(&["fsck", &repo])?;
        let status = ostree(&["admin", "status", &format!("--sysroot={}", sysroot.display())])?;
        let own = device.status()?;
        let booted = text(&own["booted"]).to_owned();
        let first = status.lines().next().unwrap_or_default();
        let commit = device.booted_commit()?;
        ensure!(first.contains(&commit), "ostree admin status says {first}, booted is {commit}");
        ensure!(booted.contains(&commit), "updraftd status says {booted}, booted is {commit}");
        Ok(format!("{}\n{status}", fsck.lines().last().unwrap_or_default()))
    }

    /// The table of the fleet, as the operator sees it.
    ///
    /// # Errors
    /// With what the program said.
    pub fn fleet_table(&self) -> Result<String> {
        let mut table = self.operator.run(&["device", "ls"])?.out;
        for device in &self.devices {
            write!(table, "\n{}: booted {}", device.id(), device.booted_commit()?)?;
        }
        Ok(table)
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
