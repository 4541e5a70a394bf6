//! A rollout says how its devices are to install, and where they are; the agent follows.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::{AktualizrDevice, Answer, Site};
use serde_json::Value;

/// How long the server may take to plan.
const PATIENCE: Duration = Duration::from_secs(30);

struct Lab<'a> {
    site: &'a Site,
    device: AktualizrDevice,
}

impl Lab<'_> {
    fn create(&self, name: &str, release: &str, more: &[&str]) -> Result<()> {
        let mut words = vec!["rollout", "create", name, "--release", release];
        words.extend(more);
        self.site.operator.run(&words).map(|_| ())
    }

    /// Where the device stands in a rollout once that is `state`.
    fn wait(&self, name: &str, state: &str) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let shown = self.site.operator.rollout(name)?;
            let member = shown["devices"][0].clone();
            if member["state"] == state {
                return Ok(member);
            }
            ensure!(begun.elapsed() < PATIENCE, "it does not come to {state}: {shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn once(&self, expect: &str) -> Result<()> {
        let outcome = self.device.outcome("once")?;
        ensure!(outcome == expect, "it ends as {outcome}, not as {expect}");
        Ok(())
    }

    /// What somebody at the device says.
    fn say(&self, word: &str) -> Result<()> {
        let storage = format!("storage.path={}", self.device.folder().join("storage").display());
        let mut command = self.site.programs().command("updraftd");
        Answer::good(command.args(["--set", &storage, word])).map(|_| ())
    }
}

#[test]
fn what_is_only_to_be_downloaded_is_installed_when_that_is_ordered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = AktualizrDevice::create(&site, "fetches", "")?;
    let lab = Lab { site: &site, device };
    lab.once("up-to-date")?;
    let sha256 = site.release_file("fw1", b"first")?;
    lab.create("early", "fw1", &["--action", "download-only"])?;
    lab.wait("early", "assigned")?;
    lab.once("withheld")?;
    ensure!(lab.device.image(&sha256).exists(), "it is not fetched");
    lab.wait("early", "succeeded")?;
    // That it does not run it makes nobody fail.
    let begun = Instant::now();
    loop {
        let early = site.operator.rollout("early")?;
        if early["rollout"]["state"] == "finished" {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "{early}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let known = site.operator.device("fetches")?;
    ensure!(known["installed"]["filepath"] != "fw1", "it is installed: {known}");
    // Nobody at the device can take that for an order to install.
    lab.once("up-to-date")?;
    lab.create("now", "fw1", &[])?;
    lab.wait("now", "assigned")?;
    lab.once("confirmed")?;
    lab.wait("now", "succeeded").map(|_| ())
}

#[test]
fn what_needs_consent_waits_for_it_and_the_server_knows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device =
        AktualizrDevice::create(&site, "asks", "[telemetry]\ntime_zone = \"Asia/Tokyo\"\n")?;
    let lab = Lab { site: &site, device };
    lab.once("up-to-date")?;
    let known = site.operator.device("asks")?;
    ensure!(known["system_info"]["time_zone"] == "Asia/Tokyo", "{known}");
    let sha256 = site.release_file("fw1", b"first")?;
    // It is open there and, nine hours behind, closed here.
    let there = jiff::Timestamp::now() + Duration::from_hours(9);
    let there = jiff::tz::TimeZone::UTC.to_datetime(there - Duration::from_mins(10));
    let window = format!("{}+2h", there.strftime("%H:%M"));
    lab.create("asked", "fw1", &["--action", "consent", "--window", &window])?;
    lab.wait("asked", "assigned")?;
    lab.once("awaiting-consent")?;
    ensure!(lab.device.image(&sha256).exists(), "it is not fetched");
    let member = lab.wait("asked", "started")?;
    ensure!(member["reason"] == "downloaded, waits for consent", "{member}");
    lab.say("decline")?;
    lab.once("declined")?;
    let member = lab.wait("asked", "started")?;
    ensure!(member["reason"] == "declined at the device", "{member}");
    lab.say("accept")?;
    lab.once("confirmed")?;
    let member = lab.wait("asked", "succeeded")?;
    ensure!(member["reason"].is_null(), "{member}");
    let known = site.operator.device("asks")?;
    let success = known["last_report"]["success"].as_bool().context("a report")?;
    ensure!(success, "{known}");
    Ok(())
}
