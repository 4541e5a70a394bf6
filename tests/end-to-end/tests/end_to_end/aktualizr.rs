//! Updraft's agent in the place of aktualizr: the same configuration, names, lines and files,
//! against a real server.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::{AktualizrDevice, Answer, Device, DeviceOptions, Site};
use serde_json::Value;

use crate::support;

fn info(device: &AktualizrDevice, arguments: &[&str]) -> Result<String> {
    let answer = device.run("aktualizr-info", arguments)?;
    ensure!(answer.code == 0, "aktualizr-info {arguments:?}: {} {}", answer.code, answer.err);
    Ok(answer.out)
}

/// What scripts read with `sed` and `grep`.
fn lines(device: &AktualizrDevice, metadata: &str, version: &str) -> String {
    let id = device.id();
    format!(
        "Device ID: {id}\nPrimary ECU serial ID: {id}-ecu\nPrimary ECU hardware ID: demo-board\n\
         Provisioned on server: yes\nFetched metadata: {metadata}\n{version}"
    )
}

#[test]
fn a_device_of_the_aktualizr_world_is_updated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = AktualizrDevice::create(&site, "akt", "")?;
    let nothing = info(&device, &[])?;
    ensure!(
        nothing.starts_with("Couldn't load device ID\nCouldn't load ECU serials\n"),
        "{nothing}"
    );
    ensure!(device.outcome("once")? == "up-to-date", "there is something to do");
    let none = "No currently running version on Primary ECU";
    let said = info(&device, &[])?;
    ensure!(said == lines(&device, "yes", none), "{said}");
    ensure!(info(&device, &["--name-only"])? == "akt", "another name");

    let content = vec![7; 300_000];
    let sha256 = site.release_file("fw1", &content)?;
    site.assign("akt", "fw1")?;
    // What an aktualizr that was switched off in the middle left behind goes on.
    std::fs::create_dir_all(device.folder().join("storage/images"))?;
    std::fs::write(device.image(&sha256), &content[..200_000])?;
    ensure!(device.outcome("check")? == "available", "nothing is offered");
    ensure!(device.outcome("download")? == "fetched", "it is not fetched");
    ensure!(std::fs::read(device.image(&sha256))? == content, "it is not the image");
    ensure!(device.outcome("install")? == "confirmed", "it is not installed");
    ensure!(device.outcome("once")? == "up-to-date", "there is something to do");
    let running = format!("Current Primary ECU running version: {sha256}");
    let said = info(&device, &[])?;
    ensure!(said == lines(&device, "yes", &running), "{said}");
    let known = site.operator.device("akt")?;
    ensure!(known["components"][0]["installed"]["sha256"] == sha256, "{known}");
    ensure!(known["last_report"]["success"] == true, "{known}");

    let root: Value = serde_json::from_str(&info(&device, &["--director-root"])?)?;
    let versioned = info(&device, &["--director-root", "--root-version", "1"])?;
    let versioned: Value = serde_json::from_str(&versioned)?;
    ensure!(root["signed"]["version"] == 1 && versioned == root, "{versioned}");
    let certificate = info(&device, &["--tls-cert"])?;
    ensure!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "{certificate}");
    let summary = device.run("aktualizr-info", &["--json"])?;
    ensure!(summary.json()?["running"] == sha256, "{}", summary.out);
    ensure!(!summary.out.contains("PRIVATE"), "a secret is told");
    let url = format!("{}/director/targets.json", site.server.url());
    let got = device.run("aktualizr-get", &["-u", &url])?;
    ensure!(got.code == 0 && got.json()?["signed"]["_type"] == "Targets", "{}", got.err);

    moves_over(&site, &device, &sha256)
}

/// aktualizr's database, as it would be on this device: its tables, filled from our state.
const DATABASE: &str = r#"
import sqlite3, sys, json
ours, theirs, key = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2]), sys.argv[3]
theirs.executescript("""
CREATE TABLE version(version INTEGER); INSERT INTO version VALUES(25);
CREATE TABLE device_info(unique_mark INTEGER PRIMARY KEY, device_id TEXT, is_registered INTEGER);
CREATE TABLE ecus(id INTEGER PRIMARY KEY, serial TEXT, hardware_id TEXT, is_primary INTEGER);
CREATE TABLE installed_versions(id INTEGER PRIMARY KEY, ecu_serial TEXT, sha256 TEXT, name TEXT,
  hashes TEXT, length INTEGER, correlation_id TEXT, is_current INTEGER, is_pending INTEGER,
  was_installed INTEGER, custom_meta TEXT);
CREATE TABLE primary_keys(unique_mark INTEGER PRIMARY KEY, private TEXT, public TEXT);
CREATE TABLE tls_creds(ca_cert BLOB, ca_cert_format TEXT, client_cert BLOB,
  client_cert_format TEXT, client_pkey BLOB, client_pkey_format TEXT);
CREATE TABLE meta(meta BLOB, repo INTEGER, meta_type INTEGER, version INTEGER);
CREATE TABLE ecu_report_counter(ecu_serial TEXT PRIMARY KEY, counter INTEGER);
""")
device, pkey, cert, ca = ours.execute(
  "SELECT device_id, private_key_pem, certificate_pem, ca_pem FROM identity").fetchone()
theirs.execute("INSERT INTO device_info VALUES(0, ?, 1)", (device,))
theirs.execute("INSERT INTO tls_creds VALUES(?, 'PEM', ?, 'PEM', ?, 'PEM')", (ca, cert, pkey))
serial, hardware = ours.execute("SELECT serial, hardware_id FROM ecu").fetchone()
theirs.execute("INSERT INTO ecus VALUES(1, ?, ?, 1)", (serial, hardware))
theirs.execute("INSERT INTO primary_keys VALUES(0, ?, ?)", (key, key[64:]))
for name, sha, length, correlation in ours.execute(
    "SELECT filepath, sha256, length, correlation_id FROM installed"):
  theirs.execute("INSERT INTO installed_versions VALUES(NULL, ?, ?, ?, ?, ?, ?, 1, 0, 1, '')",
    (serial, sha, name, "sha256:" + sha, length, correlation))
kinds = {"root.json": 0, "snapshot.json": 1, "targets.json": 2, "timestamp.json": 3}
for repository, name, data in ours.execute("SELECT repository, file_name, bytes FROM metadata"):
  if name in kinds:
    theirs.execute("INSERT INTO meta VALUES(?, ?, ?, ?)", (data, int(repository == "director"),
      kinds[name], json.loads(data)["signed"]["version"] if name == "root.json" else -1))
counter = ours.execute("SELECT value FROM counter WHERE name = 'report'").fetchone()[0]
theirs.execute("INSERT INTO ecu_report_counter VALUES(?, ?)", (serial, counter))
theirs.commit()
"#;

/// The device had an aktualizr until now: its database is all that is left.
fn moves_over(site: &Site, device: &AktualizrDevice, sha256: &str) -> Result<()> {
    let storage = device.folder().join("storage");
    let (ours, theirs) = (storage.join("updraft.db"), storage.join("sql.db"));
    let key = aktualizr_key(device)?;
    let mut fill = Command::new("python3");
    Answer::good(fill.args(["-c", DATABASE]).arg(&ours).arg(&theirs).arg(&key))?;
    let before = std::fs::read(&theirs)?;
    let said = info(device, &[])?;
    for name in ["updraft.db", "updraft.db-wal", "updraft.db-shm"] {
        let _ = std::fs::remove_file(storage.join(name));
    }
    std::fs::remove_dir_all(device.folder().join("import"))?;
    ensure!(info(device, &[])? == said, "aktualizr-info says something else before the move");
    ensure!(!ours.exists(), "looking changed something");
    ensure!(device.outcome("once")? == "up-to-date", "it is not the same device");
    ensure!(info(device, &[])? == said, "aktualizr-info says something else after the move");
    ensure!(std::fs::read(&theirs)? == before, "aktualizr's database was changed");
    let known = site.operator.device(device.id())?;
    ensure!(known["components"][0]["installed"]["sha256"] == sha256, "{known}");
    // And it goes on from there.
    let second = site.release_file("fw2", b"second")?;
    site.assign(device.id(), "fw2")?;
    ensure!(device.outcome("once")? == "confirmed", "it does not go on");
    ensure!(std::fs::read(device.image(&second))? == b"second", "it is not the image");
    ensure!(device.image(sha256).exists(), "the last but one is kept");
    Ok(())
}

/// The Uptane key in aktualizr's form: seed and public half in hex.
fn aktualizr_key(device: &AktualizrDevice) -> Result<String> {
    let pem = info(device, &["--ecu-prv-key"])?;
    let public = info(device, &["--ecu-pub-key"])?;
    let script = "import sys,base64\n\
        text=''.join(l for l in sys.argv[1].splitlines() if '-' not in l)\n\
        print(base64.b64decode(text)[16:48].hex().upper())";
    let seed = Answer::good(Command::new("python3").args(["-c", script, &pem]))?.out;
    Ok(format!("{seed}{}", public.trim().to_uppercase()))
}

#[test]
fn people_on_the_device_have_a_say() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let lock = folder.path().join("update-lock");
    // `[uptane]` comes twice in this file: to aktualizr's configuration that is one section.
    let more = format!(
        "[uptane]\nrequire_consent = true\nupdate_lock_file = \"{}\"\n\
         [pacman]\nfake_need_reboot = 1\n",
        lock.display()
    );
    let device = AktualizrDevice::create(&site, "asked", &more)?;
    let storage = format!("storage.path={}", device.folder().join("storage").display());
    let say = |words: &[&str]| {
        let mut command = site.programs().command("updraftd");
        command.args(["--set", &storage]).args(words);
        Answer::of(&mut command)
    };
    device.outcome("once")?;
    let sha256 = site.release_file("fw1", b"first")?;
    site.assign("asked", "fw1")?;
    ensure!(say(&["accept"])?.code == 4, "nothing is there to agree to");
    ensure!(device.outcome("once")? == "awaiting-consent", "nobody was asked");
    ensure!(device.image(&sha256).exists(), "it is not fetched meanwhile");
    ensure!(say(&["decline"])?.code == 0 && device.outcome("once")? == "declined", "no counts not");
    ensure!(say(&["accept"])?.code == 0, "it cannot be accepted");
    ensure!(say(&["postpone", "3600"])?.code == 0, "it cannot be postponed");
    ensure!(device.outcome("once")? == "postponed", "later counts not");
    ensure!(say(&["postpone", "0"])?.code == 0, "it cannot be taken up again");
    let mut held = Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("start flock")?;
    let mut line = [0];
    std::io::Read::read_exact(held.stdout.as_mut().context("stdout")?, &mut line)?;
    ensure!(device.outcome("once")? == "locked", "the lock counts not");
    drop(held.stdin.take());
    held.wait()?;

    ensure!(device.outcome("once")? == "reboot-required", "it is not installed");
    let said = info(&device, &[])?;
    ensure!(said.ends_with(&format!("Pending Primary ECU version: {sha256}")), "{said}");
    ensure!(device.outcome("once")? == "reboot-required", "it does not wait");
    // Taking the sentinel away stands for the reboot.
    std::fs::remove_file(device.folder().join("sentinel/need_reboot"))?;
    ensure!(device.outcome("once")? == "confirmed", "it is not confirmed");
    let known = site.operator.device("asked")?;
    ensure!(known["last_report"]["success"] == true, "{known}");

    pauses(&device, &say)
}

/// A service that is paused does nothing until it is told to go on, and ends when it is told to.
fn pauses(device: &AktualizrDevice, say: &dyn Fn(&[&str]) -> Result<Answer>) -> Result<()> {
    ensure!(say(&["abort"])?.code == 4, "nothing is there to stop");
    ensure!(say(&["pause"])?.code == 0, "it cannot be paused");
    let log = device.folder().join("service.log");
    let mut service = device.command("aktualizr", &["--loglevel", "2"]);
    // As aktualizr's, its logs are on stdout; what it says beside them is on stderr.
    let all = std::fs::File::options().create(true).append(true).open(&log)?;
    let mut service = service.stdout(all.try_clone()?).stderr(all).spawn()?;
    support::wait_for(&log, "paused; go on")?;
    ensure!(
        !std::fs::read_to_string(&log)?.contains("cycle done"),
        "it works while it is paused: {}",
        std::fs::read_to_string(&log)?
    );
    ensure!(say(&["resume"])?.code == 0, "it cannot go on");
    support::wait_for(&log, "cycle done")?;
    ensure!(say(&["abort"])?.code == 0, "it cannot be stopped");
    support::signal(&service, "HUP")?;
    ensure!(service.wait()?.success(), "the service did not end well");
    Ok(())
}

/// An environment in a file, and the real tools for it where an agent finds them.
struct BootEnvironment {
    folder: PathBuf,
}

impl BootEnvironment {
    fn create(folder: PathBuf, text: &str) -> Result<Self> {
        std::fs::create_dir(&folder)?;
        let at = |name: &str| folder.join(name);
        std::fs::write(at("text"), text)?;
        let mut make = Command::new("mkenvimage");
        Answer::good(make.args(["-s", "16384", "-o"]).arg(at("image")).arg(at("text")))?;
        std::fs::write(at("config"), format!("{} 0x0 0x4000\n", at("image").display()))?;
        for name in ["fw_printenv", "fw_setenv"] {
            let script = format!(
                "#!/bin/sh\necho {name} \"$@\" >>{}\nexec /usr/bin/{name} -c {} \"$@\"\n",
                at("calls").display(),
                at("config").display(),
            );
            std::fs::write(at(name), script)?;
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { folder })
    }

    /// A cycle of an agent that finds these tools, and what it has to come to.
    fn cycle(&self, device: &Device, mode: &str, outcome: &str) -> Result<()> {
        let set = format!("bootloader.rollback_mode={mode}");
        let mut agent = device.agent(&["--set", &set, "run-once", "--json"]);
        let path = std::env::var("PATH").unwrap_or_default();
        agent.env("PATH", format!("{}:{path}", self.folder.display()));
        let answer = Answer::good(&mut agent)?;
        ensure!(answer.json()?["outcome"] == outcome, "{} {}", answer.out, answer.err);
        Ok(())
    }

    /// What the real tool reads: `bootcount`, `rollback`, `upgrade_available`.
    fn variables(&self) -> Result<Vec<String>> {
        let read = |name| {
            let mut command = Command::new(self.folder.join("fw_printenv"));
            Ok(Answer::good(command.args(["-n", name]))?.out)
        };
        ["bootcount", "rollback", "upgrade_available"].into_iter().map(read).collect()
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        Answer::good(Command::new(self.folder.join("fw_setenv")).args([name, value]))?;
        Ok(())
    }

    /// How often something was written since the last time.
    fn take_writes(&self) -> Result<usize> {
        let calls = self.folder.join("calls");
        let text = std::fs::read_to_string(&calls)?;
        std::fs::write(&calls, "")?;
        Ok(text.matches("fw_setenv ").count())
    }
}

#[test]
fn u_boot_is_told_by_its_own_tools() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 3)?;
    let text = "bootcount=3\nrollback=1\nupgrade_available=1\nbootdelay=2\n";
    let u_boot = BootEnvironment::create(folder.path().join("u-boot"), text)?;
    let device = site.device_on("v1", "boot", &DeviceOptions::default())?;
    u_boot.cycle(&device, "uboot_masked", "up-to-date")?;
    ensure!(u_boot.variables()? == ["0", "0", "0"], "what runs is not good");
    site.assign("boot", "v2")?;
    let _ = u_boot.take_writes()?;
    u_boot.cycle(&device, "uboot_masked", "reboot-required")?;
    ensure!(u_boot.variables()? == ["0", "0", "1"], "it is no trial: {:?}", u_boot.variables()?);
    ensure!(u_boot.take_writes()? == 1, "what has its value already is written");
    device.boot()?;
    // As the boot loader counts.
    u_boot.set("bootcount", "1")?;
    u_boot.cycle(&device, "uboot_masked", "confirmed")?;
    ensure!(device.status()?["installed"]["sha256"] == site.commit("v2"), "it is not confirmed");
    ensure!(u_boot.variables()? == ["0", "0", "0"], "it is not good: {:?}", u_boot.variables()?);
    let _ = u_boot.take_writes()?;
    u_boot.cycle(&device, "uboot_masked", "up-to-date")?;
    ensure!(u_boot.take_writes()? == 0, "flash is written without a reason");

    // `generic` leaves `upgrade_available` to whoever made it.
    u_boot.set("upgrade_available", "7")?;
    site.assign("boot", "v3")?;
    u_boot.cycle(&device, "uboot_generic", "reboot-required")?;
    device.boot()?;
    u_boot.set("bootcount", "1")?;
    u_boot.cycle(&device, "uboot_generic", "confirmed")?;
    ensure!(device.booted_commit()? == site.commit("v3"), "v3 is not booted");
    ensure!(u_boot.variables()? == ["0", "0", "7"], "{:?}", u_boot.variables()?);
    Ok(())
}

#[test]
fn wrong_use_and_failures_have_exit_codes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::start(folder.path(), 0)?;
    let device = AktualizrDevice::create(&site, "wrong", "[surprise]\nkey = 1\n")?;
    let version = device.run("aktualizr", &["--version"])?;
    ensure!(version.out.starts_with("Current aktualizr version is: "), "{}", version.out);
    ensure!(device.run("aktualizr", &["--help"])?.code == 0, "no help");
    ensure!(device.run("aktualizr", &["--nonsense"])?.code == 1, "wrong use is not 1");
    ensure!(device.run("aktualizr", &["twice"])?.code == 3, "a wrong mode is taken");
    let absent = device.run("aktualizr", &["-c", "absent.toml", "check"])?;
    ensure!(absent.code == 4 && absent.err.contains("absent.toml"), "{}", absent.err);
    let once = device.run("aktualizr", &["once"])?;
    ensure!(once.code == 0 && once.err.contains("surprise.key: it has no effect"), "{}", once.err);
    ensure!(device.run("aktualizr", &["campaign_accept"])?.code == 3, "no campaign is taken");
    let campaigns = device.run("aktualizr", &["campaign_check", "--json"])?;
    ensure!(campaigns.out == "[]", "{} {}", campaigns.out, campaigns.err);
    site.server.stop()?;
    let alone = device.run("aktualizr", &["--run-mode", "check"])?;
    ensure!(alone.code == 8 && alone.err.contains("hint: "), "{} {}", alone.code, alone.err);
    let own = site.programs().command("updraftd").args(["aktualizr-info", "--version"]).output()?;
    ensure!(own.stdout.starts_with(b"Current aktualizr-info version is: "), "{own:?}");
    Ok(())
}
