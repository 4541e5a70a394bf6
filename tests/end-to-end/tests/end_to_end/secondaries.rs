//! Vehicles of several ECUs, every one of them a process of its own.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use anyhow::{Context, Result, ensure};
use std::net::{TcpListener, TcpStream};

use harness::{Device, DeviceOptions, HARDWARE, Secondary, Site, issue_certificates};
use serde_json::{Value, json};

/// A primary with secondaries.
pub(crate) struct Vehicle {
    pub(crate) site: Site,
    pub(crate) primary: Device,
    pub(crate) secondaries: Vec<Secondary>,
    others: Value,
    /// How those behind the network are waited for, and with which certificates they are called.
    wait: (u16, u64),
    /// How long one that is out of reach is waited for, in seconds.
    pub(crate) patience: u64,
    tls: Option<std::path::PathBuf>,
}

impl Vehicle {
    pub(crate) fn new(folder: &std::path::Path) -> Result<Self> {
        Self::with_releases(folder, 0)
    }

    /// With releases of trees, which a release in a delegated role begins with.
    pub(crate) fn with_releases(folder: &std::path::Path, releases: usize) -> Result<Self> {
        let site = Site::start(folder, releases)?;
        let primary = site.device("car", &DeviceOptions::default())?;
        let (secondaries, others) = (Vec::new(), json!({}));
        Ok(Self { site, primary, secondaries, others, wait: (0, 1), patience: 1, tls: None })
    }

    /// Adds a secondary that is not switched on yet.
    pub(crate) fn add(
        &mut self,
        serial: &str,
        hardware: &str,
        verification: &str,
        settings: &str,
    ) -> Result<()> {
        let folder = self.site.folder().join("ecus");
        let names = (serial, hardware);
        let programs = self.site.programs();
        let ecu = Secondary::create(programs, &folder, names, verification, settings)?;
        self.secondaries.push(ecu);
        self.configure()
    }

    /// Tells the primary of all secondaries.
    fn configure(&self) -> Result<()> {
        let verification = |ecu: &Secondary| {
            let text = std::fs::read_to_string(ecu.at("secondary.toml")).unwrap_or_default();
            ["Tuf", "Partial"].into_iter().find(|name| text.contains(name)).unwrap_or("Full")
        };
        let ip: Vec<Value> = self
            .secondaries
            .iter()
            .map(|ecu| {
                let mut one =
                    json!({ "addr": ecu.address(), "verification_type": verification(ecu) });
                if let Some(tls) = &self.tls {
                    one["tls"] = json!({ "ca": tls.join("ca.pem"),
                        "certificate": tls.join("primary.pem"),
                        "private_key": tls.join("primary.key") });
                }
                one
            })
            .collect();
        let (port, seconds) = self.wait;
        let mut file = json!({ "IP": { "secondaries_wait_port": port,
            "secondaries_wait_timeout": seconds, "secondaries": ip } });
        for (kind, list) in self.others.as_object().context("types")? {
            file[kind] = list.clone();
        }
        let path = self.site.folder().join("secondaries.json");
        std::fs::write(&path, file.to_string())?;
        let drop_in = self.primary.configuration_file().with_extension("d");
        std::fs::create_dir_all(&drop_in)?;
        let text = format!(
            "[uptane]\nsecondary_config_file = \"{}\"\nsecondary_preinstall_wait_sec = {}\n\
             [pacman]\ntype = \"none\"\nimages_path = \"{}\"\n",
            path.display(),
            self.patience,
            self.site.folder().join("images").display(),
        );
        std::fs::write(drop_in.join("vehicle.toml"), text)?;
        Ok(())
    }

    pub(crate) fn start_all(&mut self) -> Result<()> {
        self.secondaries.iter_mut().try_for_each(Secondary::start)
    }

    /// What the server knows the ECUs to run.
    fn known(&self) -> Result<Vec<(String, String)>> {
        let device = self.site.operator.device("car")?;
        let components = device["components"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let known = |one: &Value| (text(&one["serial"]), text(&one["installed"]["filepath"]));
        Ok(components.iter().map(known).collect())
    }

    /// Every ECU runs this release, says the server.
    pub(crate) fn expect(&self, release: &str) -> Result<()> {
        let known = self.known()?;
        ensure!(known.len() == self.secondaries.len() + 1 + self.count_others(), "{known:?}");
        for (serial, runs) in &known {
            let prefix = format!("{release}-");
            ensure!(runs.starts_with(&prefix), "{serial} runs {runs}, not {release}: {known:?}");
        }
        Ok(())
    }

    /// What `aktualizr-info` says.
    fn info(&self) -> Result<String> {
        let file = self.site.folder().join("sota.toml");
        let storage = self.primary.database().with_file_name("");
        let text =
            format!("[storage]\npath = \"{}\"\n[pacman]\ntype = \"none\"\n", storage.display());
        std::fs::write(&file, text)?;
        let mut command = self.site.programs().command("updraftd");
        Ok(harness::Answer::good(command.arg("aktualizr-info").arg("-c").arg(&file))?.out)
    }

    fn count_others(&self) -> usize {
        let lists = self.others.as_object().into_iter().flatten();
        lists.map(|(_, list)| list.as_array().map_or(0, Vec::len)).sum()
    }
}

#[test]
fn ecus_go_forward_together_or_come_back_together() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::new(folder.path())?;
    car.add("wheel-1", "brake", "Full", "")?;
    // Its turn comes before the primary's.
    car.add("axle-1", "axle", "Full", "")?;
    car.start_all()?;
    car.primary.run_once()?;
    ensure!(car.known()?.len() == 3, "{:?}", car.known()?);
    let operator = car.site.operator.clone();
    operator.release_files(
        "v1",
        &[(HARDWARE, b"primary 1"), ("brake", b"brake 1"), ("axle", b"axle 1")],
    )?;
    car.site.assign("car", "v1")?;
    car.primary.run_once()?;
    car.expect("v1")?;
    ensure!(car.secondaries[0].firmware().as_deref() == Some(b"brake 1"), "the brake's image");
    let report = &operator.device("car")?["last_report"];
    ensure!(report["success"] == true, "{report}");

    // A secondary that refuses to install takes the primary and the other one back with it.
    car.secondaries[0].stop()?;
    let command = "install_command = \"test $UPDRAFT_ACTION = revert\"\n";
    let path = car.secondaries[0].at("secondary.toml");
    let healthy = std::fs::read_to_string(&path)?;
    std::fs::write(&path, format!("{healthy}{command}"))?;
    car.start_all()?;
    operator.release_files(
        "v2",
        &[(HARDWARE, b"primary 2"), ("brake", b"brake 2"), ("axle", b"axle 2")],
    )?;
    car.site.assign("car", "v2")?;
    for _ in 0..4 {
        car.primary.run(&["run-once"])?;
    }
    let report = &operator.device("car")?["last_report"];
    ensure!(report["success"] == false, "{report}");
    ensure!(report["code"].as_str().is_some_and(|code| code.contains("brake:")), "{report}");
    let known = car.known()?;
    ensure!(
        known.iter().any(|(serial, runs)| serial == "car-ecu" && runs.starts_with("v1")),
        "{known:?}"
    );

    ensure!(car.secondaries[1].firmware().as_deref() == Some(b"axle 1"), "the axle went on");
    ensure!(car.secondaries[1].log().contains("v2-axle"), "the axle never went forward");

    // Both repositories' roots change; the secondary is told step by step, and goes on.
    std::fs::write(&path, healthy)?;
    car.start_all()?;
    for role in ["root", "targets", "snapshot", "timestamp"] {
        operator.run(&["keys", "rotate", role])?;
    }
    operator.run(&["release", "renew", "--expires-days", "30"])?;
    operator.release_files(
        "v3",
        &[(HARDWARE, b"primary 3"), ("brake", b"brake 3"), ("axle", b"axle 3")],
    )?;
    car.site.assign("car", "v3")?;
    car.primary.run_once()?;
    car.expect("v3")?;
    let root = std::fs::read_to_string(
        car.secondaries[0].at("storage/secondary/metadata/image/root.json"),
    )?;
    let root: Value = serde_json::from_str(&root)?;
    ensure!(
        root["signed"]["version"] == 5,
        "the secondary's root is {}",
        root["signed"]["version"]
    );

    // One that is out of reach holds up nothing that is not its own.
    car.secondaries[0].stop()?;
    operator.release_files("v4", &[(HARDWARE, b"primary 4")])?;
    car.site.assign("car", "v4")?;
    car.primary.run_once()?;
    let known = car.known()?;
    ensure!(known.iter().any(|(_, runs)| runs.starts_with("v4")), "{known:?}");
    // But what is for both waits for it, and the primary stays where it was.
    operator.release_files(
        "v5",
        &[(HARDWARE, b"primary 5"), ("brake", b"brake 5"), ("axle", b"axle 5")],
    )?;
    car.site.assign("car", "v5")?;
    car.primary.run(&["run-once"])?;
    ensure!(car.known()? == known, "{:?}", car.known()?);
    car.start_all()?;
    car.primary.run_once()?;
    car.expect("v5")?;
    let status = car.primary.status()?;
    ensure!(status["secondaries"][1]["filepath"] == "v5-brake", "{status}");
    Ok(())
}

#[test]
fn a_secondary_comes_by_itself_and_is_spoken_to_with_certificates() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::new(folder.path())?;
    let (ours, theirs) = (folder.path().join("tls"), folder.path().join("stranger"));
    issue_certificates(&ours)?;
    issue_certificates(&theirs)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    car.wait = (port, 60);
    car.tls = Some(ours.clone());
    let at = |name: &str| ours.join(name).display().to_string();
    let settings = format!(
        "tls_ca = \"{}\"\ntls_certificate = \"{}\"\ntls_private_key = \"{}\"\n\
         [network]\nprimary_ip = \"127.0.0.1\"\nprimary_port = {port}\n",
        at("ca.pem"),
        at("secondary.pem"),
        at("secondary.key"),
    );
    car.add("wheel-1", "brake", "Full", &settings)?;

    // The primary is first, and waits. Whoever else comes is not waited for.
    let mut waiting = car.primary.agent(&["run-once"]).spawn()?;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(waiting.try_wait()?.is_none(), "it does not wait");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    car.start_all()?;
    ensure!(waiting.wait()?.success(), "the primary's cycle failed");
    let log = car.secondaries[0].log();
    ensure!(log.contains("served=true"), "the primary did not listen: {log}");
    ensure!(car.known()?.len() == 2, "{:?}", car.known()?);

    let operator = car.site.operator.clone();
    operator.release_files("v1", &[(HARDWARE, b"primary 1"), ("brake", b"brake 1")])?;
    car.site.assign("car", "v1")?;
    car.primary.run_once()?;
    car.expect("v1")?;

    // A primary that another authority vouches for is not served, and nothing is installed.
    car.tls = Some(theirs);
    car.configure()?;
    operator.release_files("v2", &[("brake", b"brake 2")])?;
    car.site.assign("car", "v2")?;
    car.primary.run(&["run-once"])?;
    ensure!(car.secondaries[0].firmware().as_deref() == Some(b"brake 1"), "a stranger installed");

    // Nor is one that shows none, while the secondary lacks several roots.
    car.tls = None;
    car.configure()?;
    for number in 0..3 {
        operator.run(&["keys", "rotate", ["root", "targets", "snapshot"][number]])?;
        car.primary.run(&["run-once"])?;
    }
    operator.run(&["release", "renew", "--expires-days", "30"])?;
    car.tls = Some(ours);
    car.configure()?;
    car.secondaries[0].stop()?;
    operator.run(&["keys", "rotate", "timestamp"])?;
    car.primary.run(&["run-once"])?;
    car.start_all()?;
    operator.release_files("v3", &[(HARDWARE, b"primary 3"), ("brake", b"brake 3")])?;
    car.site.assign("car", "v3")?;
    car.primary.run_once()?;
    car.expect("v3")?;
    let root = car.secondaries[0].at("storage/secondary/metadata/image/root.json");
    let root: Value = serde_json::from_slice(&std::fs::read(root)?)?;
    ensure!(root["signed"]["version"] == 5, "its root is {}", root["signed"]["version"]);
    Ok(())
}

#[test]
fn a_secondary_follows_a_delegation() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::with_releases(folder.path(), 1)?;
    car.add("wheel-1", "brake", "Full", "")?;
    car.start_all()?;
    car.primary.run_once()?;
    let site = &car.site;
    let operator = &site.operator;

    let at = |name: &str| folder.path().join(name).display().to_string();
    let team = at("team");
    let made = operator.json(&["keys", "generate", "--keys", &team])?;
    let public = at("team.pub");
    let id = made["keyid"].as_str().context("an id")?;
    operator.run(&["keys", "export", "--keys", &team, id, "-o", &public])?;
    let (targets, first) = (at("delegation.json"), at("delegation.team.json"));
    let delegate = ["keys", "delegate", "team", "--key", &public, "--path", "team-*"];
    operator.run(&[&delegate[..], &["--sign-request", &targets]].concat())?;
    operator.run(&["keys", "sign", "--keys", &team, &first])?;
    operator.run(&["release", "import", &targets, &first])?;
    site.release_file_as("team-1", ("brake", "team", &team), b"the team's brake")?;
    site.assign("car", "team-1")?;
    car.primary.run_once()?;
    let ecu = &car.secondaries[0];
    ensure!(ecu.firmware().as_deref() == Some(b"the team's brake"), "{}", ecu.log());
    let metadata = ecu.at("storage/secondary/metadata/image");
    let names: Vec<_> = std::fs::read_dir(&metadata)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(names.iter().any(|name| name.contains("team")), "it has {names:?}");

    // The delegation is taken back: the secondary installs nothing of it any more.
    operator.run(&["keys", "delegate", "team", "--revoke"])?;
    operator.release_files("v2", &[("brake", b"brake 2")])?;
    site.assign("car", "v2")?;
    car.primary.run_once()?;
    ensure!(car.secondaries[0].firmware().as_deref() == Some(b"brake 2"), "it does not go on");

    // aktualizr-info tells of it, and that it is gone.
    let said = car.info()?;
    let lines = format!(
        "Secondaries:\n1) serial ID: wheel-1\n   hardware ID: brake\n   \
         installed image hash: {}\n   installed image filename: v2-brake\nProvisioned",
        updraft_crypto::sha256_hex(b"brake 2")
    );
    ensure!(said.contains(&lines), "{said}");
    car.secondaries.clear();
    car.configure()?;
    car.primary.run_once()?;
    let said = car.info()?;
    let gone = "Removed or unregistered ECUs (deprecated):\n   \
                'wheel-1' with hardware_id 'brake' has been removed from config\nProvisioned";
    ensure!(said.contains(gone) && !said.contains("Secondaries:"), "{said}");
    Ok(())
}

#[test]
fn a_secondary_that_is_an_ostree_system_fetches_and_boots_commits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::with_releases(folder.path(), 2)?;
    let home = folder.path().join("ecus/wheel-1");
    std::fs::create_dir_all(&home)?;
    std::fs::write(home.join("cmdline"), "quiet\n")?;
    let settings = format!(
        "[pacman]\ntype = \"ostree\"\nos = \"os\"\nsysroot = \"{0}/sysroot\"\n\
         create_sysroot = true\n[boot]\nkernel_cmdline = \"{0}/cmdline\"\n",
        home.display()
    );
    car.patience = 60;
    car.add("wheel-1", "brake", "Full", &settings)?;
    car.start_all()?;
    car.primary.run_once()?;
    let repo = folder.path().join("repo");
    for (release, branch) in [("b1", "demo/v1"), ("b2", "demo/v2"), ("b3", "demo/v1")] {
        car.site.operator.release(release, &repo, "brake", branch)?;
    }
    let sysroot = home.join("sysroot");
    let runs = |car: &Vehicle| -> Result<String> {
        let known = car.known()?;
        let wheel = known.into_iter().find(|(serial, _)| serial == "wheel-1");
        Ok(wheel.context("the wheel")?.1)
    };
    for (release, commit) in [("b1", "v1"), ("b2", "v2")] {
        car.site.assign("car", release)?;
        let mut cycle = car.primary.agent(&["run-once"]).spawn()?;
        while !home.join("run/need_reboot").exists() {
            ensure!(cycle.try_wait()?.is_none(), "no restart: {}", car.secondaries[0].log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        car.secondaries[0].stop()?;
        harness::boot(&sysroot, &home.join("cmdline"), &home.join("run"))?;
        car.secondaries[0].start()?;
        ensure!(cycle.wait()?.success(), "{release}: {}", car.secondaries[0].log());
        ensure!(runs(&car)? == format!("{release}-brake"), "{:?}", car.known()?);
        let deployed = harness::bootable(&sysroot)?;
        let first = deployed[0].display().to_string();
        ensure!(first.contains(car.site.commit(commit)), "{deployed:?}");
    }
    harness::ostree(&["fsck", &format!("--repo={}", sysroot.join("ostree/repo").display())])?;
    harness::ostree(&["admin", "status", &format!("--sysroot={}", sysroot.display())])?;

    // One that does not restart in time is taken back with all others, and keeps what it runs.
    car.patience = 1;
    car.configure()?;
    car.site.assign("car", "b3")?;
    car.primary.run(&["run-once"])?;
    ensure!(home.join("run/need_reboot").exists(), "{}", car.secondaries[0].log());
    car.secondaries[0].stop()?;
    harness::boot(&sysroot, &home.join("cmdline"), &home.join("run"))?;
    car.secondaries[0].start()?;
    car.primary.run(&["run-once"])?;
    ensure!(runs(&car)? == "b2-brake", "{:?}", car.known()?);
    Ok(())
}

#[test]
fn a_secondary_that_dies_while_it_installs_goes_on_when_it_is_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::new(folder.path())?;
    car.patience = 60;
    let died = folder.path().join("died");
    let settings = format!(
        "install_command = \"[ -e {0} ] || {{ touch {0}; kill -9 $PPID; }}\"\n",
        died.display()
    );
    car.add("wheel-1", "brake", "Full", &settings)?;
    car.start_all()?;
    car.primary.run_once()?;
    car.site.operator.release_files("v1", &[(HARDWARE, b"car 1"), ("brake", b"brake 1")])?;
    car.site.assign("car", "v1")?;
    let mut cycle = car.primary.agent(&["run-once"]).spawn()?;
    while !died.exists() {
        ensure!(cycle.try_wait()?.is_none(), "nothing is installed: {}", car.secondaries[0].log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    car.secondaries[0].start()?;
    ensure!(cycle.wait()?.success(), "{}", car.secondaries[0].log());
    car.expect("v1")
}

#[test]
fn ten_ecus_survive_cuts_at_random() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut car = Vehicle::new(folder.path())?;
    for number in 1..=7 {
        let verification = ["Full", "Full", "Full", "Full", "Full", "Tuf", "Partial"][number - 1];
        let (serial, hardware) = (format!("ecu-{number}"), format!("hw-{number}"));
        car.add(&serial, &hardware, verification, "")?;
    }
    let at = |name: &str| folder.path().join(name).display().to_string();
    let handler = folder.path().join("handler.sh");
    let script = "#!/bin/sh\ncase $1 in install) echo '{\"status\": \"ok\"}';; *) exit 64;; esac\n";
    std::fs::write(&handler, script)?;
    std::process::Command::new("chmod").arg("+x").arg(&handler).status()?;
    let local = |name: &str| {
        json!({
            "ecu_serial": name, "ecu_hardware_id": name, "full_client_dir": at(name),
            "firmware_path": at(&format!("{name}.img")),
            "target_name_path": at(&format!("{name}.name")), "metadata_path": at(name),
        })
    };
    let mut handled = local("handled");
    handled["action_handler_path"] = json!(handler);
    car.others = json!({ "virtual": [local("virtual")], "torizon-generic": [handled] });
    car.configure()?;
    car.start_all()?;
    car.primary.run_once()?;
    ensure!(car.known()?.len() == 10, "{:?}", car.known()?);

    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.subsec_nanos();
    println!("seed {seed}");
    let mut random = Random(u64::from(seed) | 1);
    for round in 1..=3 {
        let release = format!("v{round}");
        let hardware: Vec<String> = std::iter::once(HARDWARE.to_owned())
            .chain((1..=7).map(|number| format!("hw-{number}")))
            .chain(["virtual".to_owned(), "handled".to_owned()])
            .collect();
        let contents: Vec<Vec<u8>> = hardware
            .iter()
            .map(|id| format!("{release} for {id} ").into_bytes().repeat(10_000))
            .collect();
        let files: Vec<(&str, &[u8])> =
            hardware.iter().zip(&contents).map(|(id, it)| (id.as_str(), it.as_slice())).collect();
        car.site.operator.release_files(&release, &files)?;
        car.site.assign("car", &release)?;
        if round > 1 {
            // A secondary dies in the middle of its work, and the primary somewhere else in its.
            let victim = usize::try_from(random.below(7))?;
            let (theirs, ours) = (random.below(40), random.below(120));
            println!("{release}: ecu {victim} dies at {theirs}, the primary at {ours}");
            car.secondaries[victim].start_to_die(u32::try_from(theirs)?)?;
            let mut command = car.primary.agent(&["run-once"]);
            command.env("UPDRAFT_TEST_KILL_AFTER", ours.to_string());
            harness::Answer::of(&mut command)?;
            car.secondaries[victim].start()?;
        }
        let mut said = Vec::new();
        for _ in 0..6 {
            said.push(car.primary.run(&["run-once"])?);
            if car.expect(&release).is_ok() {
                break;
            }
        }
        car.expect(&release).with_context(|| format!("{said:#?}"))?;
        for (ecu, content) in car.secondaries.iter().zip(&contents[1..]) {
            ensure!(ecu.firmware().as_ref() == Some(content), "{} has another image", ecu.serial);
        }
        ensure!(std::fs::read(folder.path().join("virtual.img"))? == contents[8], "virtual");
        ensure!(std::fs::read(folder.path().join("handled.img"))? == contents[9], "handled");
    }
    Ok(())
}

/// Xorshift: enough to choose where to cut.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
