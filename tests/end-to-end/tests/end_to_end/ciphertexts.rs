//! Images that the server's Director gives encrypted: made with `updraft`, opened by real agents
//! with keys of their own and keys in tokens.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use harness::{Answer, Device, DeviceOptions, HARDWARE, Site};
use serde_json::{Value, json};

use crate::token::{PIN, Token};

/// A device whose targets are files.
struct Car<'a> {
    site: &'a Site,
    device: Device,
    token: Option<&'a Token>,
}

impl<'a> Car<'a> {
    fn new(site: &'a Site, id: &str, settings: &str, token: Option<&'a Token>) -> Result<Self> {
        let device = site.device(id, &DeviceOptions::default())?;
        let drop_in = device.configuration_file().with_extension("d");
        std::fs::create_dir_all(&drop_in)?;
        let car = Self { site, device, token };
        let images = car.images();
        let text = format!("[pacman]\ntype = \"none\"\nimages_path = \"{}\"\n", images.display());
        std::fs::write(drop_in.join("files.toml"), format!("{text}{settings}"))?;
        ensure!(car.cycle()?.code == 0, "it does not register: {}", car.cycle()?.err);
        Ok(car)
    }

    fn id(&self) -> &str {
        self.device.id()
    }

    fn images(&self) -> PathBuf {
        self.site.folder().join(format!("images-{}", self.id()))
    }

    fn cycle(&self) -> Result<Answer> {
        let mut agent = self.device.agent(&["--loglevel", "1", "run-once"]);
        if let Some(token) = self.token {
            token.known_to(&mut agent);
        }
        Answer::of(&mut agent)
    }

    /// As `updraft encrypted-image add`; the outcome.
    fn encrypt(&self, image: &str, release: &str, more: &[&str]) -> Result<Answer> {
        let image = self.site.folder().join(image).display().to_string();
        let add = ["encrypted-image", "add", &image, "--release", release];
        let whom = ["--device", self.id(), "--json"];
        self.site.operator.try_run(&[&add[..], &whom, more].concat())
    }

    /// What the agent, told to run a release, does not take.
    fn refuses(&self, release: &str, says: &str) -> Result<()> {
        let before = self.listing();
        self.site.assign(self.id(), release)?;
        let answer = self.cycle()?;
        ensure!(answer.err.contains(says), "`{says}` is not said: {}", answer.err);
        ensure!(answer.code != 0, "it ended well: {}", answer.err);
        ensure!(self.listing() == before, "something was fetched: {says}");
        self.give_up()
    }

    /// The next order counts.
    fn give_up(&self) -> Result<()> {
        self.site.operator.run(&["rollout", "stop", &self.site.last_rollout()])?;
        Ok(())
    }

    fn installs(&self, release: &str, sha256: &str, content: &[u8]) -> Result<()> {
        self.site.assign(self.id(), release)?;
        let answer = self.cycle()?;
        ensure!(answer.code == 0, "{release}: {}", answer.err);
        let image = self.images().join(sha256.to_uppercase());
        ensure!(std::fs::read(image)? == content, "another image is here");
        ensure!(self.cycle()?.code == 0, "the next cycle does not end well");
        let known = self.site.operator.device(self.id())?;
        let installed = &known["components"][0]["installed"];
        ensure!(installed["sha256"] == sha256 && known["state"] == "idle", "{known}");
        Ok(())
    }

    fn listing(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.images()).into_iter().flatten().flatten();
        let mut names: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        names.sort();
        names
    }

    /// The public key that it registered, in a file.
    fn key_file(&self) -> Result<String> {
        let path = self.site.folder().join(format!("{}.key", self.id()));
        let known = self.site.operator.device(self.id())?;
        std::fs::write(&path, known["components"][0]["public_key"].to_string())?;
        Ok(path.display().to_string())
    }

    /// Registers what was encrypted elsewhere, after `change`.
    fn register(&self, release: &str, key: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        let site = self.site;
        let at = |name: &str| site.folder().join(name).display().to_string();
        let (image, output) = (at(release), at(&format!("{release}-{}.enc", self.id())));
        let encrypt = ["release", "encrypt", &image, "--ecu-key", key, "--output", &output];
        let mut told = site.operator.run(&encrypt)?.json()?;
        let sha256 = told["encryptedTarget"]["hashes"]["sha256"].as_str().context("a hash")?;
        site.operator.put(&format!("/api/v1/ciphertexts/{sha256}"), &std::fs::read(&output)?)?;
        change(&mut told);
        let (id, serial) = (self.id(), format!("{}-ecu", self.id()));
        let path = format!(
            "/api/v1/devices/{id}/components/{serial}/encrypted-images/{release}-{HARDWARE}"
        );
        site.operator.put(&path, told.to_string().as_bytes())
    }
}

/// A release of a file that the server never gets.
fn release(site: &Site, name: &str) -> Result<(String, Vec<u8>)> {
    let content = format!("the secret of {name} ").repeat(20_000).into_bytes();
    std::fs::write(site.folder().join(name), &content)?;
    Ok((site.release_secret_file(name, &content)?, content))
}

#[test]
fn the_server_gives_ciphertexts_to_those_that_can_open_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let settings = "[uptane]\nkey_type = \"ED25519\"\n";
    let car = Car::new(&site, "car", settings, None)?;
    let other = Car::new(&site, "other", settings, None)?;
    let (sha256, content) = release(&site, "first")?;
    let add = |more: &[&str]| -> Result<Value> {
        let answer = car.encrypt("first", "first", more)?;
        ensure!(answer.code == 0, "{}", answer.err);
        Ok(answer.json()?[0]["outcome"].clone())
    };
    ensure!(add(&[])? == "encrypted" && add(&[])? == "kept", "it is done twice");
    ensure!(add(&["--again"])? == "encrypted", "it is not done anew");
    let listed = site.operator.json(&["encrypted-image", "ls", "car"])?;
    ensure!(listed.as_array().is_some_and(|all| all.len() == 1), "{listed}");
    ensure!(listed[0]["key_encryption"] == "hpke-x25519", "{listed}");
    std::fs::write(folder.path().join("else"), "another file")?;
    let wrong = car.encrypt("else", "first", &[])?;
    ensure!(wrong.code == 4 && wrong.err.contains("no target of release"), "{}", wrong.err);
    let nobody = car.encrypt("first", "first", &["--component", "none"])?;
    ensure!(nobody.code == 4 && nobody.err.contains("fits no component"), "{}", nobody.err);
    car.installs("first", &sha256, &content)?;
    ensure!(car.listing().len() == 1, "a ciphertext stays: {:?}", car.listing());

    // Encrypted to another ECU, and a wrapped key that was tampered with: nothing is fetched.
    release(&site, "second")?;
    let (own, others) = (car.key_file()?, other.key_file()?);
    car.register("second", &others, |_| {})?;
    car.refuses("second", "not encrypted for this ECU")?;
    release(&site, "third")?;
    car.register("third", &own, |told| {
        let place = &mut told["encryptedSymmetricKey"]["encryptedSymmetricKeyValue"];
        let text = place.as_str().unwrap_or_default().to_owned();
        let first = if text.starts_with('A') { "B" } else { "A" };
        *place = json!(format!("{first}{}", text.get(1..).unwrap_or_default()));
    })?;
    car.refuses("third", "not encrypted for this ECU")?;
    // A ciphertext that opens to another image: fetched, and thrown away.
    let (sha256, content) = release(&site, "fourth")?;
    std::fs::write(folder.path().join("fourth"), content.to_ascii_uppercase())?;
    car.register("fourth", &own, |_| {})?;
    site.assign("car", "fourth")?;
    let answer = car.cycle()?;
    ensure!(answer.code != 0 && answer.err.contains("not the image"), "{}", answer.err);
    ensure!(!car.images().join(sha256.to_uppercase()).exists(), "it is here");
    car.give_up()?;
    // Mended by the operator, it goes on.
    std::fs::write(folder.path().join("fourth"), &content)?;
    let mended = car.encrypt("fourth", "fourth", &["--again"])?;
    ensure!(mended.code == 0, "{}", mended.err);
    car.installs("fourth", &sha256, &content)?;
    // Whoever has no ciphertext gets nothing, for the image itself was never uploaded.
    site.assign("other", "fourth")?;
    let answer = other.cycle()?;
    ensure!(answer.code != 0 && answer.err.contains("404"), "{}", answer.err);
    ensure!(!other.images().join(sha256.to_uppercase()).exists(), "it is here");
    Ok(())
}

#[test]
fn keys_in_tokens_open_images() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 1)?;
    let (soft, tpm) = (Token::soft(folder.path())?, Token::tpm(folder.path())?);
    let made = [
        ("soft-rsa", &soft, "11", "rsa:2048", "--usage-decrypt"),
        ("soft-ec", &soft, "12", "EC:prime256v1", "--usage-derive"),
        ("tpm-rsa", &tpm, "13", "rsa:2048", "--usage-decrypt"),
    ];
    let car = |id: &str, token, key: &str| {
        let settings = format!(
            "[uptane]\nkey_source = \"pkcs11\"\n[p11]\nmodule = \"{}\"\npass = \"{PIN}\"\n\
             uptane_key_id = \"{key}\"\n",
            Token::module(token)
        );
        Car::new(&site, id, &settings, Some(token))
    };
    let releases = [release(&site, "one")?, release(&site, "two")?];
    for (id, token, key, key_type, usage) in made {
        token.generate_for(key, key_type, &["--usage-sign", usage])?;
        let own = car(id, token, key).context(id)?;
        let added = own.encrypt("one", "one", &[])?;
        ensure!(added.code == 0, "{id}: {}", added.err);
        own.installs("one", &releases[0].0, &releases[0].1).context(id)?;
        // Encrypted to another key of this sort.
        let stranger = site.folder().join(format!("{id}.pem")).display().to_string();
        let kind = if key_type.starts_with("rsa") { "RSA" } else { "P-256" };
        let kind: &[&str] = match kind {
            "RSA" => &["-algorithm", "RSA"],
            _ => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        };
        let mut openssl = std::process::Command::new("openssl");
        Answer::good(openssl.arg("genpkey").args(kind).args(["-out", &stranger]))?;
        let public = format!("{stranger}.pub");
        let mut openssl = std::process::Command::new("openssl");
        Answer::good(openssl.args(["pkey", "-in", &stranger, "-pubout", "-out", &public]))?;
        own.register("two", &public, |_| {})?;
        // Also where, as with this TPM, a padding that is wrong is called a failure of the token.
        own.refuses("two", "not encrypted for this ECU").context(id)?;
    }
    // An Edwards key in a token only signs, and the module of this TPM knows no ECDH: told before
    // anything is fetched.
    soft.generate("15", "EC:edwards25519")?;
    tpm.generate("16", "EC:prime256v1")?;
    for (id, token, key, says) in [
        ("soft-ed", &soft, "15", "Ed25519 key in a token, which only signs"),
        ("tpm-ec", &tpm, "16", "the token has no mechanism for it"),
    ] {
        let own = car(id, token, key)?;
        let added = own.encrypt("one", "one", &[])?;
        ensure!(added.code == 0, "{}", added.err);
        own.refuses("one", says).context(id)?;
    }
    Ok(())
}
