//! What an operator publishes in the form of TUF 1.0 is followed by python-tuf.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::{Answer, HARDWARE};
use serde_json::{Value, json};

use crate::workshop::Workshop;

/// The client that the server's tests use, too, and its environment.
const CLIENT: &str = "../../crates/services/server/tests/server/tuf_client.py";
const PACKAGES: [&str; 2] = ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0"];

fn python() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-tuf-7.0.1");
    let (python, ready) = (folder.join("bin/python3"), folder.join("ready"));
    if !ready.exists() {
        Answer::good(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        Answer::good(Command::new(&python).args(install).args(PACKAGES))?;
        fs::write(&ready, b"")?;
    }
    Ok(python)
}

/// A client of TUF with the folder `home`, which trusts the first root that it sees.
fn follow(shop: &Workshop, home: &str, targets: &[&str]) -> Result<Value> {
    let operator = &shop.operator;
    let root = Path::new(home).join("root.json");
    if !root.exists() {
        fs::create_dir_all(home)?;
        let token = format!("Authorization: Bearer {}", operator.token());
        let mut curl = Command::new("curl");
        curl.args(["--fail", "--silent", "--show-error", "-H", &token, "--cacert"]);
        curl.arg(operator.ca()).arg("--output").arg(&root);
        Answer::good(curl.arg(format!("{}/tuf/1.root.json", operator.url())))?;
    }
    let mut client = Command::new(python()?);
    client.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(CLIENT)).arg(operator.url());
    client.arg(operator.ca()).arg(operator.token()).arg(home).args(targets);
    Answer::good(&mut client)?.json()
}

fn release(shop: &Workshop, name: &str) -> Result<(String, String)> {
    let repo = shop.repository(name)?;
    let target = format!("{HARDWARE}={name}");
    shop.operator.run(&["release", "create", name, "--repo", &repo, "--target", &target])?;
    let commit = shop.offline(&["ostree", "rev-parse", "--repo", &repo, name])?;
    Ok((format!("{name}-{HARDWARE}"), commit.out.trim().to_owned()))
}

#[test]
fn python_tuf_follows_what_publish_tuf_began() -> Result<()> {
    let shop = Workshop::open()?;
    shop.operator.run(&["keys", "init"])?;
    let (first, one) = release(&shop, "v1")?;
    let published = shop.operator.json(&["keys", "publish-tuf"])?;
    let url = published["url"].as_str().context("a URL")?;
    ensure!(url.ends_with("/tuf/"), "{published}");
    let home = shop.at("tuf-client");
    ensure!(follow(&shop, &home, &[&first])? == json!({ &first: one }), "v1 is not found");

    // Later releases and new keys are published in both forms by themselves.
    let (second, two) = release(&shop, "v2")?;
    shop.operator.run(&["keys", "rotate", "targets"])?;
    let found = follow(&shop, &home, &[&first, &second, "other"])?;
    ensure!(found == json!({ &first: one, &second: two, "other": null }), "{found}");
    let again = shop.operator.run(&["keys", "publish-tuf"])?;
    ensure!(again.err.contains("in both forms already"), "{}", again.err);
    Ok(())
}
