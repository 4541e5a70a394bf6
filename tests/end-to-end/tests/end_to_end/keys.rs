//! Keys as an operator handles them: made, shown, exported, rotated, kept on other machines.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::fs;
use std::path::Path;

use crate::workshop::{CONFLICT, INVALID, NOT_FOUND, REJECTED, Workshop, keys_of, refused};
use anyhow::{Context, Result, ensure};
use harness::{DeviceOptions, HARDWARE, Site};

#[test]
fn a_folder_of_keys_is_made_shown_and_cleared() -> Result<()> {
    let shop = Workshop::open()?;
    let early = shop.operator.try_run(&["keys", "ls"])?;
    refused(&early, NOT_FOUND, &["no folder of keys", "keys init"])?;
    shop.operator.run(&["keys", "init"])?;
    let again = shop.operator.try_run(&["keys", "init"])?;
    refused(&again, CONFLICT, &["belongs to an Image repository already", "keys rotate"])?;
    let listed = shop.operator.json(&["keys", "ls"])?;
    ensure!(listed.as_array().is_some_and(|keys| keys.len() == 2), "{listed}");
    let root = keys_of(&listed, "root").pop().context("a root key")?;
    let shown = shop.operator.json(&["keys", "show", &root[..10]])?;
    ensure!(shown["keyid"] == root.as_str() && shown["keytype"] == "ED25519", "{shown}");

    let spare = shop.operator.json(&["keys", "generate", "--algorithm", "ecdsa-p256"])?;
    let spare = spare["keyid"].as_str().context("an id")?.to_owned();
    let exported = shop.operator.run(&["keys", "export", &spare])?.json()?;
    ensure!(exported["keyval"]["public"].is_string(), "{exported}");
    ensure!(exported["keyval"].get("private").is_none(), "a private key was exported");

    let short = shop.operator.try_run(&["keys", "show", "ab"])?;
    refused(&short, INVALID, &["too short"])?;
    refused(&shop.operator.try_run(&["keys", "show", "zzzzzz"])?, NOT_FOUND, &["keys ls"])?;
    let needed = shop.operator.try_run(&["keys", "rm", &root])?;
    refused(&needed, CONFLICT, &["still signs root", "keys rotate"])?;
    shop.operator.run(&["keys", "rm", &spare])?;
    shop.operator.run(&["keys", "rm", "--force", &root])?;
    let listed = shop.operator.json(&["keys", "ls"])?;
    ensure!(listed.as_array().is_some_and(|keys| keys.len() == 1), "{listed}");
    // Without the root key nothing can be rotated any more, and that is said.
    let lost = shop.operator.try_run(&["keys", "rotate", "snapshot"])?;
    refused(&lost, CONFLICT, &[&root, "--sign-request"])
}

#[test]
fn every_role_is_rotated_and_devices_follow() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device("follower", &DeviceOptions::default())?;
    device.run_once()?;
    let before = site.operator.json(&["keys", "ls"])?;
    for (version, role) in [(2, "root"), (3, "targets"), (4, "snapshot"), (5, "timestamp")] {
        let rotated = site.operator.json(&["keys", "rotate", role])?;
        ensure!(rotated["version"] == version, "{role}: {rotated}");
    }
    let after = site.operator.json(&["keys", "ls"])?;
    for role in ["root", "targets"] {
        let (old, new) = (keys_of(&before, role), keys_of(&after, role));
        ensure!(old.len() == 1 && new.len() == 1 && old != new, "{role}: {old:?} {new:?}");
    }
    let unknown = site.operator.try_run(&["keys", "rotate", "root", "--remove", "0000000000"])?;
    refused(&unknown, NOT_FOUND, &["exactly one key"])?;
    let high = site.operator.try_run(&["keys", "rotate", "targets", "--threshold", "2"])?;
    refused(&high, INVALID, &["threshold of 2", "1 key"])?;
    site.operator.run(&["release", "renew", "--expires-days", "30"])?;
    site.assign("follower", "v1")?;
    device.settle(4)?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not booted");
    Ok(())
}

#[test]
fn two_machines_without_a_network_sign_what_the_operator_publishes() -> Result<()> {
    let shop = Workshop::open()?;
    let at = |name: &str| shop.at(name);
    shop.operator.run(&["keys", "online", "-o", &at("online.json")])?;
    let ceremony = at("ceremony");
    let init = "keys init --root-keys 3 --root-threshold 2 --targets-keys 2 --targets-threshold 2";
    let mut words: Vec<&str> = init.split(' ').collect();
    let (online, first) = (at("online.json"), at("first.json"));
    words.extend(["--keys", &ceremony, "--online-keys", &online, "--sign-request", &first]);
    shop.offline(&words)?;
    let listed = shop.offline(&["keys", "ls", "--keys", &ceremony, "--json"])?.json()?;
    ensure!(keys_of(&listed, "root").len() == 3, "{listed}");
    let machines = ["one", "two"];
    for (machine, key) in machines.iter().zip(keys_of(&listed, "targets")) {
        fs::create_dir(at(machine))?;
        for file in [format!("{key}.pem"), "root.json".to_owned()] {
            fs::copy(Path::new(&ceremony).join(&file), Path::new(&at(machine)).join(&file))?;
        }
    }

    fs::create_dir(at("keys"))?;
    shop.operator.run(&["release", "import", &first])?;
    let empty = at("empty.json");
    shop.operator.run(&["release", "renew", "--sign-request", &empty])?;
    // Each signs a copy, and one call brings both back.
    let copies = machines.map(|machine| at(&format!("empty-{machine}.json")));
    for (machine, copy) in machines.iter().zip(&copies) {
        let keys = at(machine);
        shop.offline(&["keys", "sign", "--keys", &keys, &empty, "--output", copy])?;
    }
    let alone = shop.operator.try_run(&["release", "import", &copies[0]])?;
    refused(&alone, CONFLICT, &["needs 2 signature(s) and has 1", "keys sign"])?;
    shop.operator.run(&["release", "import", &copies[0], &copies[1]])?;

    let repo = shop.repository("v1")?;
    let target = format!("{HARDWARE}=v1");
    let create = ["release", "create", "v1", "--repo", &repo, "--target", &target];
    let alone = shop.operator.try_run(&create)?;
    refused(&alone, CONFLICT, &["needs 2 signature(s)", "--sign-request"])?;
    let request = at("v1.json");
    shop.operator.run(&[&create[..], &["--sign-request", &request]].concat())?;
    let keys = at("one");
    let shown = shop.offline(&["keys", "sign", "--keys", &keys, &request, "--dry-run"])?;
    let adds = format!("adds v1-{HARDWARE}: sha256 ");
    ensure!(shown.err.contains("what changes") && shown.err.contains(&adds), "{}", shown.err);
    shop.offline(&["keys", "sign", "--keys", &keys, &request])?;
    let stranger = at("stranger");
    shop.offline(&["keys", "generate", "--keys", &stranger])?;
    let sign = ["keys", "sign", "--keys", &stranger, &request];
    refused(&shop.try_offline(&sign)?, CONFLICT, &["no key of", "--dry-run"])?;
    // What was changed on its way does not carry the signature any more.
    let changed =
        fs::read_to_string(&request)?.replace("\"version\": \"v1\"", "\"version\": \"v0\"");
    let forged = at("forged.json");
    fs::write(&forged, changed)?;
    let two = at("two");
    let sign = ["release", "sign", "--keys", &two, &forged];
    let forged_report = shop.offline(&[&sign[..], &["--json"]].concat())?.json()?;
    ensure!(forged_report["missing"][0]["found"] == 1, "{forged_report}");
    refused(&shop.operator.try_run(&["release", "import", &forged])?, CONFLICT, &["has 1"])?;

    shop.offline(&["release", "sign", "--keys", &two, &request])?;
    let imported = shop.operator.json(&["release", "import", &request])?;
    ensure!(imported["released"][0] == "v1", "{imported}");
    // Once more changes nothing; the one before it is a rollback.
    let again = shop.operator.json(&["release", "import", &request])?;
    ensure!(again["released"].as_array().is_some_and(Vec::is_empty), "{again}");
    let older = shop.operator.try_run(&["release", "import", &copies[0], &copies[1]])?;
    refused(&older, REJECTED, &["went back from version 2 to 1"])?;
    let listed = shop.operator.json(&["release", "ls"])?;
    ensure!(listed[0]["name"] == "v1", "{listed}");
    let shown = shop.operator.run(&["release", "show", "v1"])?;
    ensure!(shown.out.contains(&format!("target   v1-{HARDWARE}")), "{}", shown.out);
    refused(&shop.operator.try_run(&["release", "show", "v9"])?, NOT_FOUND, &["v9"])
}
