//! How bytes come to a device: resumed, capped, by a proxy, from elsewhere, and only where there is
//! room for them.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{AktualizrDevice, Answer, Enrolment, HARDWARE, Relay, Site, director_root_without};
use serde_json::json;

const TARGET: &str = "/repo/targets/fw1-demo-board";

/// A site with one device behind a relay, which is registered and has `fw1` assigned.
struct Scene {
    site: Site,
    enrolment: Enrolment,
    relay: Relay,
    device: AktualizrDevice,
    content: Vec<u8>,
    image: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(length: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let site = Site::start(folder.path(), 1)?;
        let enrolment = Enrolment::new(&site.server, &site.credentials)?;
        let content: Vec<u8> = (0..=250).cycle().take(length).collect();
        let image = site.release_file("fw1", &content)?;
        let (relay, device) = AktualizrDevice::behind_relay(&site, &enrolment, "first", "")?;
        device.outcome("once")?;
        site.assign("first", "fw1")?;
        Ok(Self { site, enrolment, relay, device, content, image, _folder: folder })
    }

    /// Another device, configured like this.
    fn device(&self, id: &str, more: &str) -> Result<(Relay, AktualizrDevice)> {
        let (relay, device) = AktualizrDevice::behind_relay(&self.site, &self.enrolment, id, more)?;
        device.outcome("check")?;
        self.site.assign(id, "fw1")?;
        Ok((relay, device))
    }

    fn is_installed(&self, device: &AktualizrDevice) -> Result<()> {
        ensure!(device.outcome("once")? == "confirmed", "it is not installed");
        ensure!(std::fs::read(device.image(&self.image))? == self.content, "it is another image");
        Ok(())
    }
}

#[test]
fn a_download_that_was_killed_goes_on_where_it_was() -> Result<()> {
    let scene = Scene::new(600_000)?;
    killed_in(&scene, &scene.relay, &scene.device)?;
    let part = scene.device.image(&scene.image).with_extension("part");
    let begun = part.metadata()?.len();
    scene.is_installed(&scene.device)?;
    let asked: Vec<_> = targets(&scene.relay);
    ensure!(asked == [Some(format!("bytes={begun}-"))], "asked for {asked:?}, {begun} were there");

    // A beginning that is damaged is found out at the end, and thrown away.
    let (relay, device) = scene.device("damaged", "")?;
    killed_in(&scene, &relay, &device)?;
    let part = device.image(&scene.image).with_extension("part");
    let mut bytes = std::fs::read(&part)?;
    bytes[1000] ^= 1;
    std::fs::write(&part, &bytes)?;
    scene.is_installed(&device)?;
    let asked = targets(&relay);
    ensure!(asked.len() == 2 && asked[0].is_some() && asked[1].is_none(), "{asked:?}");
    Ok(())
}

/// What was asked for of the target.
fn targets(relay: &Relay) -> Vec<Option<String>> {
    let passed = relay.take_passed().into_iter().filter(|passed| passed.path == TARGET);
    passed.map(|passed| passed.range).collect()
}

/// Kills the agent when half of the image is there.
fn killed_in(scene: &Scene, relay: &Relay, device: &AktualizrDevice) -> Result<()> {
    let half = scene.content.len() / 2;
    relay.stall(TARGET, half);
    let mut agent = device.command("aktualizr", &["once"]).stderr(Stdio::null()).spawn()?;
    let part = device.image(&scene.image).with_extension("part");
    let there = || part.metadata().map_or(0, |data| data.len());
    for _ in 0..400 {
        if there() == half as u64 {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    agent.kill()?;
    agent.wait()?;
    relay.relent();
    let _ = relay.take_passed();
    ensure!(there() == half as u64, "{} bytes are there, not {half}", there());
    Ok(())
}

#[test]
fn a_cap_on_bandwidth_holds() -> Result<()> {
    let scene = Scene::new(500_000)?;
    let (_relay, capped) = scene.device("capped", "[transfer]\nmax_bytes_per_second = 200000\n")?;
    let begun = Instant::now();
    scene.is_installed(&capped)?;
    let slow = begun.elapsed();
    ensure!(slow > Duration::from_millis(2200), "500 kB at 200 kB/s took {slow:?}");
    let begun = Instant::now();
    scene.is_installed(&scene.device)?;
    let fast = begun.elapsed();
    ensure!(fast < slow, "without a cap it took {fast:?}, with it {slow:?}");
    Ok(())
}

#[test]
fn a_proxy_is_used_and_its_password_told_to_nobody() -> Result<()> {
    let scene = Scene::new(100_000)?;
    let proxy = Proxy::start(scene.site.folder())?;
    let address = format!("http://us:pa55@127.0.0.1:{}", proxy.port);
    let (relay, device) = scene.device("proxied", "")?;
    // By its variable, as curl has it; then by the configuration, which wins.
    let closed = "http://127.0.0.1:1";
    let by_variable = |proxy: &str, arguments: &[&str]| {
        let mut command = device.command("aktualizr", arguments);
        Answer::of(command.env("https_proxy", proxy).env_remove("no_proxy"))
    };
    let refused = by_variable(closed, &["check"])?;
    ensure!(refused.code == 8, "{} {}", refused.code, refused.err);
    let wrong = address.replace("pa55", "wrong");
    let refused = by_variable(&wrong, &["check"])?;
    ensure!(refused.code != 0 && !refused.err.contains("wrong"), "{}", refused.err);
    let checked = by_variable(&address, &["check"])?;
    ensure!(checked.code == 0, "{} {}", checked.code, checked.err);
    let _ = relay.take_passed();

    let file = device.folder().join("proxy.toml");
    std::fs::write(file, format!("[transfer]\nproxy = \"{address}\"\n"))?;
    let configured = by_variable(closed, &["-c", "proxy.toml", "once"])?;
    ensure!(configured.code == 0, "{} {}", configured.code, configured.err);
    ensure!(!configured.err.contains("pa55"), "{}", configured.err);
    ensure!(std::fs::read(device.image(&scene.image))? == scene.content, "it is another image");
    let log = std::fs::read_to_string(&proxy.log)?;
    let connected = log.matches("CONNECT 127.0.0.1:").count();
    let passed = relay.take_passed().len();
    ensure!(connected >= passed, "{passed} requests, and {connected} by the proxy: {log}");
    let config = scene.site.operator.device("proxied")?.to_string();
    ensure!(!config.contains("pa55"), "the server knows the password: {config}");
    Ok(())
}

/// A real proxy that wants a password.
struct Proxy {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Proxy {
    fn start(folder: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (configuration, log) = (folder.join("tinyproxy.conf"), folder.join("tinyproxy.log"));
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nLogFile \"{}\"\nLogLevel Info\n\
             MaxClients 50\nBasicAuth us pa55\n",
            log.display()
        );
        std::fs::write(&configuration, text)?;
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(configuration).stdout(Stdio::null());
        let proxy = Self { process: command.spawn().context("start tinyproxy")?, port, log };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(proxy);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        anyhow::bail!("tinyproxy does not answer")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_target_may_be_elsewhere_and_is_verified_all_the_same() -> Result<()> {
    let scene = Scene::new(50_000)?;
    let (relay, device) = AktualizrDevice::behind_relay(&scene.site, &scene.enrolment, "far", "")?;
    device.outcome("once")?;
    let operator = &scene.site.operator;
    let assign = |uri: &str, name: &str| -> Result<()> {
        let to = json!({
            "target": "fw1-demo-board", "targetLength": scene.content.len(), "uri": uri,
            "checksum": { "method": "sha256", "hash": scene.image },
        });
        let spec = json!({ "targets": { HARDWARE: {
            "to": to, "targetFormat": "BINARY", "generateDiff": false,
        } } });
        let id = operator.post("/api/v1/multi_target_updates", &spec)?;
        let correlation = format!("urn:here-ota:mtu:{name}");
        let body = json!({ "correlationId": correlation, "devices": ["far"], "mtuId": id });
        let reach = operator.post("/api/v1/assignments", &body)?;
        ensure!(reach["affected"] == json!(["far"]), "{reach}");
        Ok(())
    };
    assign(&format!("{}/elsewhere/fw1", relay.url()), "elsewhere")?;
    relay.answer("/elsewhere/fw1", b"something else, of another length".to_vec());
    let refused = device.run("aktualizr", &["once"])?;
    ensure!(refused.code == 9, "{} {}", refused.code, refused.err);
    ensure!(!device.image(&scene.image).exists(), "it was not verified");
    relay.answer("/elsewhere/fw1", scene.content.clone());
    scene.is_installed(&device)?;
    ensure!(targets(&relay).is_empty(), "the repository was asked");
    Ok(())
}

#[test]
fn what_would_fill_the_disk_is_not_fetched() -> Result<()> {
    let scene = Scene::new(3 << 20)?;
    let disk = scene.site.folder().join("disk");
    std::fs::create_dir(&disk)?;
    Answer::good(Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&disk))?;
    let result = on_a_small_disk(&scene, &disk);
    Answer::good(Command::new("umount").arg("-l").arg(&disk))?;
    result
}

fn on_a_small_disk(scene: &Scene, disk: &Path) -> Result<()> {
    let more = format!("[pacman]\nimages_path = \"{}\"\n", disk.display());
    let (relay, device) = scene.device("small", &format!("{more}storage_watermark = 60\n"))?;
    let _ = relay.take_passed();
    // 3 MiB of 8 are within 60 %, with 2.5 MiB there they are not.
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![1; 5 << 19])?;
    let answer = device.run("aktualizr", &["once"])?;
    ensure!(answer.code == 7, "{} {}", answer.code, answer.err);
    ensure!(answer.err.contains("\nhint: free some space"), "{}", answer.err);
    ensure!(targets(&relay).is_empty(), "it was asked for");
    std::fs::remove_file(&ballast)?;
    ensure!(device.outcome("once")? == "confirmed", "it does not fit");
    let image = disk.join(scene.image.to_uppercase());
    ensure!(std::fs::read(image)? == scene.content, "it is another image");
    Ok(())
}

#[test]
fn campaigns_are_listed_and_answered() -> Result<()> {
    let scene = Scene::new(1000)?;
    let campaign = json!({
        "id": "c2eb7e8d", "name": "spring", "size": 62470, "autoAccept": false,
        "metadata": [{ "type": "DESCRIPTION", "value": "new maps" }],
    });
    let list = json!({ "campaigns": [campaign.clone()] }).to_string();
    scene.relay.answer("/campaigner/campaigns", list.into_bytes());
    let device = &scene.device;
    let listed = device.run("aktualizr", &["campaign_check", "--json"])?;
    ensure!(listed.json()? == json!([campaign]), "{} {}", listed.out, listed.err);
    let shown = device.run("aktualizr", &["campaign_check"])?;
    for part in ["c2eb7e8d", "spring", "new maps"] {
        ensure!(shown.out.contains(part), "{part} is not shown: {}", shown.out);
    }
    for mode in ["campaign_accept", "campaign_decline", "campaign_postpone"] {
        let answer = device.run("aktualizr", &[mode, "--campaign-id", "c2eb7e8d"])?;
        ensure!(answer.code == 0, "{mode}: {} {}", answer.code, answer.err);
    }
    let events = scene.site.operator.json(&["events", "--device", "first"])?;
    let said = events.as_array().context("a list of events")?.iter();
    let said = said.filter(|event| event["data"]["event"]["campaignId"] == "c2eb7e8d");
    let said = said.map(|event| event["data"]["eventType"]["id"].as_str().unwrap_or_default());
    let said: Vec<&str> = said.collect();
    ensure!(
        said == ["campaign_accepted", "campaign_declined", "campaign_postponed"],
        "{said:?} of {events}"
    );
    Ok(())
}

#[test]
fn a_director_may_have_no_timestamp_only_where_its_root_says_so() -> Result<()> {
    let scene = Scene::new(1000)?;
    let root = scene.relay.record("/director/1.root.json")?;
    let bare = director_root_without(&scene.site.server, &root, &["timestamp", "snapshot"])?;
    // One whose root has the keys, and which holds the files back.
    let (relay, robbed) = scene.device("robbed", "")?;
    relay.hide("/director/timestamp.json");
    let refused = robbed.run("aktualizr", &["once"])?;
    ensure!(refused.err.contains("missing-metadata"), "{} {}", refused.code, refused.err);
    ensure!(!robbed.image(&scene.image).exists(), "it goes without");

    for (id, kind, goes) in [("bare", "auto", true), ("strict", "full", false)] {
        let more = format!("[uptane]\ndirector_metadata = \"{kind}\"\n");
        let (relay, device) =
            AktualizrDevice::behind_relay(&scene.site, &scene.enrolment, id, &more)?;
        relay.answer("/director/1.root.json", bare.clone());
        relay.answer("/director/root.json", bare.clone());
        for name in ["timestamp.json", "snapshot.json"] {
            relay.hide(&format!("/director/{name}"));
        }
        let first = device.run("aktualizr", &["once"])?;
        ensure!((first.code == 0) == goes, "{kind}: {} {}", first.code, first.err);
        if goes {
            scene.site.assign(id, "fw1")?;
            scene.is_installed(&device)?;
        }
    }
    Ok(())
}
