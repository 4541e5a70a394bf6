//! Faults of the network at every request of whole cycles, one request and one fault at a time.
//!
//! Whatever happens, nothing is installed that was not verified, what the device trusts does not
//! get less, the exit code tells what it was, and the next cycle without a fault succeeds.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::{
    AktualizrDevice, Answer, Device, DeviceOptions, Enrolment, Fault, Passed, Relay, Site,
};

/// Most cases wait for a network that is slow.
const WORKERS: usize = 8;
/// One attempt only, and slow is slow soon.
const STRICT: &str = "[transfer]\nretries = 0\nlow_speed_sec = 1\n";
const STRICT_ONCE: [&str; 4] = ["-c", "strict.toml", "--run-mode", "once"];
const SLOW_SECONDS: &str = "transfer.low_speed_sec=1";
const NO_RETRIES: &str = "transfer.retries=0";

/// What becomes of a cycle when a request is not answered well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// Without the answer there is nothing to do.
    Needed,
    /// The answer is needed, but what it says in its body is not.
    NeededHead,
    /// The server is told something, or is told it later.
    Told,
}

fn request(passed: &Passed) -> Request {
    match passed.method.as_str() {
        "GET" if passed.status == 404 => Request::NeededHead,
        "GET" => Request::Needed,
        _ if passed.path.ends_with("/ecus") => Request::NeededHead,
        _ => Request::Told,
    }
}

/// The exit code of a cycle in which request number `number` has a fault.
fn expected(fault: Fault, good: &[Passed], number: usize) -> i32 {
    let kind = request(&good[number]);
    match fault {
        // All that follow have it as well.
        Fault::WrongCertificate => {
            let is_needed = |passed: &Passed| request(passed) != Request::Told;
            if good[number..].iter().any(is_needed) { 9 } else { 0 }
        }
        _ if kind == Request::Told => 0,
        Fault::Cut | Fault::Slow if kind == Request::NeededHead => 0,
        Fault::Cut | Fault::Slow | Fault::Unavailable => 8,
        Fault::MalformedHead => 3,
        // What is sent is not sent elsewhere; its answer is not looked into.
        Fault::MalformedBody if good[number].method == "POST" => 0,
        Fault::Redirect if good[number].method == "POST" => 3,
        Fault::MalformedBody | Fault::Redirect => 9,
    }
}

fn fits(answer: &Answer, code: i32) -> Result<()> {
    ensure!(answer.code == code, "exit code {}, not {code}: {}", answer.code, answer.err);
    // Or what is wrong at which address.
    let has_way_out = answer.err.contains("\nhint: ") || answer.err.contains("https://127.0.0.1:");
    ensure!(code == 0 || has_way_out, "no way out is named: {}", answer.err);
    ensure!(!answer.err.contains("panicked"), "{}", answer.err);
    Ok(())
}

/// Every fault at every request.
fn cases(requests: usize) -> Vec<(usize, Fault)> {
    (0..requests).flat_map(|number| Fault::ALL.map(|fault| (number, fault))).collect()
}

/// Does all of these, several at a time; fails with all that went wrong.
fn each<T: Sync>(items: &[T], work: impl Fn(usize, &T) -> Result<()> + Sync) -> Result<()> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    if let Err(error) = work(index, item) {
                        let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                        wrong.push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    Ok(())
}

/// The versions of what a device trusts, by repository and file.
fn trusted(database: &Path) -> Result<BTreeMap<(String, String), u64>> {
    let mut versions = BTreeMap::new();
    if !database.is_file() {
        return Ok(versions);
    }
    let database = rusqlite::Connection::open(database)?;
    let mut statement = database.prepare("SELECT repository, file_name, bytes FROM metadata")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(2)?;
        let file: serde_json::Value = serde_json::from_slice(&bytes)?;
        let version = file["signed"]["version"].as_u64().context("a version")?;
        versions.insert((row.get(0)?, row.get(1)?), version);
    }
    Ok(versions)
}

struct Vehicle {
    relay: Relay,
    device: AktualizrDevice,
}

impl Vehicle {
    fn new(site: &Site, enrolment: &Enrolment, id: &str) -> Result<Self> {
        let (relay, device) = AktualizrDevice::behind_relay(site, enrolment, id, "")?;
        std::fs::write(device.folder().join("strict.toml"), STRICT)?;
        Ok(Self { relay, device })
    }

    /// A cycle with a fault, and one without; what that came to.
    fn cycles(
        &self,
        good: &[Passed],
        number: usize,
        fault: Fault,
        image: Option<&str>,
    ) -> Result<String> {
        let database = self.device.folder().join("storage/updraft.db");
        let before = trusted(&database)?;
        self.relay.fail(fault, good, number);
        fits(&self.device.run("aktualizr", &STRICT_ONCE)?, expected(fault, good, number))?;
        let after = trusted(&database)?;
        for (file, version) in &before {
            ensure!(after.get(file) >= Some(version), "{file:?} was {version}: {after:?}");
        }
        // A cycle that ended well has installed; the others have the beginning of an image at most.
        if let Some(image) = image {
            let is_there = self.device.image(image).exists();
            let is_due = expected(fault, good, number) == 0;
            ensure!(is_there == is_due, "the image is there: {is_there}");
        }
        self.relay.relent();
        self.device.outcome("once")
    }
}

#[test]
fn any_fault_at_any_request_of_a_cycle_is_told_and_overcome() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let enrolment = Enrolment::new(&site.server, &site.credentials)?;
    let pilot = Vehicle::new(&site, &enrolment, "pilot")?;
    ensure!(pilot.device.outcome("once")? == "up-to-date", "there is something to do");
    let first = pilot.relay.take_passed();
    let content = vec![7; 20_000];
    let image = site.release_file("fw1", &content)?;
    site.assign("pilot", "fw1")?;
    // As the others: what the device tells of its configuration is another one then.
    fits(&pilot.device.run("aktualizr", &STRICT_ONCE)?, 0)?;
    ensure!(pilot.device.image(&image).exists(), "it is not installed");
    let second = pilot.relay.take_passed();
    let paths = |passed: &[Passed]| -> Vec<String> {
        passed.iter().map(|it| format!("{} {} {}", it.method, it.path, it.status)).collect()
    };
    println!("{:#?}\n{:#?}", paths(&first), paths(&second));
    for (name, requests) in [("/director/ecus", &first), ("/targets/fw1-demo-board", &second)] {
        ensure!(requests.iter().any(|it| it.path.ends_with(name)), "{name} was not asked for");
    }

    let (first_cases, second_cases) = (cases(first.len()), cases(second.len()));
    let number = first_cases.len().max(second_cases.len());
    let vehicles: Vec<Vehicle> = (0..number)
        .map(|index| Vehicle::new(&site, &enrolment, &format!("vehicle-{index}")))
        .collect::<Result<_>>()?;
    each(&vehicles, |index, vehicle| {
        let outcome = match first_cases.get(index) {
            Some((number, fault)) => vehicle
                .cycles(&first, *number, *fault, None)
                .with_context(|| format!("{fault:?} at {:?}", first[*number]))?,
            None => vehicle.device.outcome("once")?,
        };
        ensure!(outcome == "up-to-date", "{index} came to {outcome}");
        Ok(())
    })?;

    assign(&site, "fw1", &vehicles)?;
    each(&second_cases, |index, (number, fault)| {
        let vehicle = &vehicles[index];
        let outcome = vehicle
            .cycles(&second, *number, *fault, Some(&image))
            .with_context(|| format!("{fault:?} at {:?}", second[*number]))?;
        ensure!(["confirmed", "up-to-date"].contains(&outcome.as_str()), "it came to {outcome}");
        ensure!(std::fs::read(vehicle.device.image(&image))? == content, "it is another image");
        Ok(())
    })?;
    heard_once(&site, &vehicles[..second_cases.len()])
}

fn assign(site: &Site, release: &str, vehicles: &[Vehicle]) -> Result<()> {
    let mut create = vec!["rollout", "create", "all", "--release", release];
    for vehicle in vehicles {
        create.extend(["--device", vehicle.device.id()]);
    }
    site.operator.run(&create)?;
    for _ in 0..400 {
        let rollout = site.operator.rollout("all")?;
        let text = rollout.to_string();
        if text.matches("\"assigned\"").count() >= vehicles.len() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("not all are assigned: {}", site.operator.rollout("all")?)
}

/// The server has heard of each update, and of nothing twice.
fn heard_once(site: &Site, vehicles: &[Vehicle]) -> Result<()> {
    let events = site.operator.json(&["events"])?;
    let events = events.as_array().context("a list of events")?;
    let mut ids = BTreeSet::new();
    let mut completed: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        ensure!(event["kind"] != "manifest_refused", "{event}");
        let device = event["device"].as_str().unwrap_or_default();
        if event["kind"] == "device_report" {
            let id = event["data"]["id"].as_str().unwrap_or_default();
            ensure!(ids.insert(id), "it was told twice: {event}");
            if event["data"]["eventType"]["id"] == "EcuInstallationCompleted" {
                *completed.entry(device).or_default() += 1;
            }
        }
    }
    for vehicle in vehicles {
        let id = vehicle.device.id();
        ensure!(completed.get(id) == Some(&1), "{id}: {:?} events", completed.get(id));
    }
    Ok(())
}

#[test]
fn any_fault_at_the_registration_is_told_and_overcome() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 0)?;
    let enrolment = Enrolment::new(&site.server, &site.credentials)?;
    let good = [Passed {
        method: "POST".to_owned(),
        path: "/devices".to_owned(),
        range: None,
        status: 200,
        length: 0,
    }];
    each(&Fault::ALL, |index, fault| {
        let device = site.device(&format!("new-{index}"), &DeviceOptions::default())?;
        let relay = Relay::start(&site.server, enrolment.bootstrap())?;
        let server = format!("provision.server={}", relay.url());
        let provision = ["--set", &server, "--set", NO_RETRIES, "--set", SLOW_SECONDS, "provision"];
        relay.fail(*fault, &good, 0);
        let code = match fault {
            Fault::Cut | Fault::Slow | Fault::Unavailable => 8,
            Fault::MalformedHead | Fault::MalformedBody | Fault::Redirect => 3,
            Fault::WrongCertificate => 9,
        };
        let answer = device.run(&provision)?;
        fits(&answer, code).with_context(|| format!("{fault:?}"))?;
        ensure!(device.status()?["provisioned"] == false, "{fault:?}: it is registered");
        relay.relent();
        Answer::good(&mut device.agent(&provision)).with_context(|| format!("{fault:?}"))?;
        ensure!(device.status()?["provisioned"] == true, "{fault:?}: it is not registered");
        Ok(())
    })
}

#[test]
fn any_fault_at_any_object_is_told_and_overcome() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let enrolment = Enrolment::new(&site.server, &site.credentials)?;
    let (relay, device) = site.device_behind_relay("tree", &enrolment)?;
    device.run_once()?;
    site.assign("tree", "v1")?;
    let _ = relay.take_passed();
    let fetch = |strict: &[&str]| device.run(&[strict, &["fetch"]].concat());
    fits(&fetch(&[])?, 0)?;
    let mut good = relay.take_passed();
    good.retain(|passed| passed.path.starts_with("/treehub/"));
    // One of each kind: those of a kind go one way.
    let mut kinds = BTreeSet::new();
    good.retain(|passed| kinds.insert(passed.path.rsplit('.').next().map(str::to_owned)));
    println!("{good:#?}");
    ensure!(good.len() == 6, "the kinds of objects are {kinds:?}");
    let strict = ["--set", NO_RETRIES, "--set", SLOW_SECONDS];
    for (number, fault) in cases(good.len()) {
        forget_objects(&device)?;
        relay.fail(fault, &good, number);
        let context = || format!("{fault:?} at {:?}", good[number]);
        let code = match expected(fault, &good, number) {
            // Other requests come before it.
            _ if fault == Fault::WrongCertificate => 9,
            // These have no names that are their hashes: nothing is believed of them, and it goes
            // on without them.
            9 if good[number].path.contains("/delta-indexes/") => 0,
            9 if good[number].path.ends_with(".commitmeta") => 0,
            code => code,
        };
        fits(&fetch(&strict)?, code).with_context(context)?;
        let installed = std::fs::read_dir(device.sysroot().join("ostree/deploy/os/deploy"));
        ensure!(installed.map_or(0, Iterator::count) == 0, "something was deployed");
        relay.relent();
        fits(&fetch(&[])?, 0).with_context(context)?;
    }
    site.check_store(&device)?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not reached");
    Ok(())
}

fn forget_objects(device: &Device) -> Result<()> {
    let repo = device.sysroot().join("ostree/repo");
    for name in ["objects", "tmp", "state"] {
        let folder = repo.join(name);
        if folder.is_dir() {
            std::fs::remove_dir_all(&folder)?;
            std::fs::create_dir(&folder)?;
        }
    }
    Ok(())
}
