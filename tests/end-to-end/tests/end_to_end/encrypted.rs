//! Images that are encrypted for one ECU, and images with a SHA-512 only: repositories as
//! uptane-generator makes them, on a plain web server, and an agent with a secondary of its own.
#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::{Answer, Programs};
use serde_json::{Value, json};
use updraft_http::testing::{Answer as Reply, Server};

const PRIMARY: (&str, &str) = ("main", "board");
const SECONDARY: (&str, &str) = ("brake", "mcu");

struct Car {
    folder: PathBuf,
    server: Server,
}

impl Car {
    fn new(folder: &Path, key_type: &str) -> Result<Self> {
        let programs = Programs::beside_tests()?;
        for name in ["aktualizr", "aktualizr-get", "aktualizr-info"] {
            symlink(programs.path("updraftd"), folder.join(name))?;
        }
        for name in ["uptane-generator", "updraft"] {
            symlink(programs.path("updraft"), folder.join(name))?;
        }
        let www = folder.join("uptane/repo");
        let server = Server::start(move |exchange| match exchange.method.as_str() {
            "GET" => Reply::file(&www, exchange),
            _ => Reply::Bytes(200, b"{}".to_vec()),
        });
        let car = Self { folder: folder.to_owned(), server };
        car.generate(&["generate", "--keytype", "ED25519"])?;
        let import = folder.join("import");
        std::fs::create_dir(&import)?;
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&import).args(["req", "-x509", "-nodes", "-newkey", "ed25519"]);
        Answer::good(openssl.args([
            "-keyout",
            "pkey.pem",
            "-out",
            "client.pem",
            "-subj",
            "/CN=car",
        ]))?;
        std::fs::copy(import.join("client.pem"), import.join("ca.pem"))?;
        let at = |name: &str| folder.join(name).display().to_string();
        let secondary = json!({ "virtual": [{
            "partial_verifying": false, "ecu_serial": SECONDARY.0, "ecu_hardware_id": SECONDARY.1,
            "full_client_dir": at("brake"), "ecu_private_key": "sec.priv",
            "ecu_public_key": "sec.pub", "firmware_path": at("brake.img"),
            "target_name_path": at("brake.name"), "metadata_path": at("brake"),
        }] });
        std::fs::write(folder.join("secondaries.json"), secondary.to_string())?;
        let text = format!(
            "[tls]\nserver = \"{}\"\n[import]\nbase_path = \"import\"\ntls_cacert_path = \"ca.pem\"\n\
             tls_pkey_path = \"pkey.pem\"\ntls_clientcert_path = \"client.pem\"\n\
             [provision]\nprimary_ecu_serial = \"{}\"\nprimary_ecu_hardware_id = \"{}\"\n\
             [storage]\npath = \"storage\"\n[pacman]\ntype = \"none\"\nimages_path = \"images\"\n\
             [uptane]\nkey_type = \"{key_type}\"\nsecondary_config_file = \"secondaries.json\"\n\
             secondary_preinstall_wait_sec = 1\n[bootloader]\nreboot_sentinel_dir = \"sentinel\"\n",
            car.server.url(),
            PRIMARY.0,
            PRIMARY.1,
        );
        std::fs::write(folder.join("sota.toml"), text)?;
        // Before the first run it gets things as who it is going to be.
        let url = format!("{}/repo/root.json", car.server.url());
        let got = car.program("aktualizr-get", &["-c", "sota.toml", "-H", "x-a: b", "-u", &url])?;
        ensure!(got.code == 0 && got.json()?["signed"]["_type"] == "Root", "{}", got.err);
        let asked = car.server.log().pop().context("a request")?;
        ensure!(asked.header("x-a") == Some("b"), "{asked:?}");
        let help = car.program("aktualizr-get", &[])?;
        ensure!(help.code == 0 && help.out.contains("--url"), "{} {}", help.out, help.err);
        let version = car.program("aktualizr-get", &["-v"])?.out;
        ensure!(version.starts_with("Current aktualizr-get version is: "), "{version}");
        ensure!(car.once()? == "up-to-date", "a new car has something to do");
        std::fs::write(folder.join("main.key"), car.info("--ecu-pub-key")?)?;
        std::fs::write(folder.join("brake.key"), car.key_of_secondary()?)?;
        Ok(car)
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Result<Answer> {
        let mut command = Command::new(self.folder.join(name));
        command.current_dir(&self.folder).env("NO_COLOR", "1");
        Answer::of(command.args(arguments))
    }

    fn generate(&self, words: &[&str]) -> Result<()> {
        let all = [&["--path", "uptane", "--command"], words].concat();
        let answer = self.program("uptane-generator", &all)?;
        ensure!(answer.code == 0, "{words:?}: {}", answer.err);
        Ok(())
    }

    fn info(&self, option: &str) -> Result<String> {
        let answer = self.program("aktualizr-info", &["-c", "sota.toml", option])?;
        ensure!(answer.code == 0, "{option}: {}", answer.err);
        Ok(answer.out)
    }

    /// As it registered it.
    fn key_of_secondary(&self) -> Result<String> {
        let log = self.server.log();
        let bodies = log.iter().filter(|exchange| exchange.path.ends_with("/ecus"));
        let bodies = bodies.filter_map(|exchange| serde_json::from_slice(&exchange.body).ok());
        let ecus =
            bodies.flat_map(|body: Value| body["ecus"].as_array().cloned().unwrap_or_default());
        let mut ecus = ecus.filter(|ecu| ecu["ecu_serial"] == SECONDARY.0);
        let brake =
            ecus.next().with_context(|| format!("the secondary in {:?}", self.server.paths()))?;
        Ok(brake["clientKey"].to_string())
    }

    fn cycle(&self) -> Result<Answer> {
        self.program("aktualizr", &["-c", "sota.toml", "--run-mode", "once", "--json"])
    }

    fn once(&self) -> Result<String> {
        let answer = self.cycle()?;
        ensure!(answer.code == 0, "it ended with {}: {}", answer.code, answer.err);
        Ok(answer.json()?["outcome"].as_str().context("an outcome")?.to_owned())
    }

    /// A content, signed by the Image repository.
    fn publish(&self, name: &str, content: &[u8], hardware: &str) -> Result<()> {
        let file = self.folder.join("content");
        std::fs::write(&file, content)?;
        let file = file.display().to_string();
        self.generate(&["image", "--filename", &file, "--targetname", name, "--hwid", hardware])
    }

    /// Only this is assigned from now on, encrypted to a key.
    fn assign(&self, name: &str, (serial, hardware): (&str, &str), key: &str) -> Result<()> {
        self.generate(&["emptytargets"])?;
        let ecu = ["--serial", serial, "--hwid", hardware, "--ecukey", key];
        self.generate(&[&["addtarget", "--targetname", name][..], &ecu].concat())?;
        self.generate(&["signtargets"])
    }

    fn content(&self, name: &str) -> PathBuf {
        self.folder.join("uptane/repo/repo/targets").join(name)
    }

    /// The image under this hash.
    fn image(&self, hash: &str) -> PathBuf {
        self.folder.join("images").join(hash.to_uppercase())
    }

    fn was_fetched(&self, name: &str) -> bool {
        self.server.paths().iter().any(|path| path.ends_with(&format!("/targets/{name}")))
    }

    /// The last vehicle manifest's report of an ECU.
    fn reported(&self, serial: &str) -> Result<Value> {
        let log = self.server.log();
        let last = log.iter().rfind(|exchange| exchange.path.ends_with("/director/manifest"));
        let manifest: Value = serde_json::from_slice(&last.context("a manifest")?.body)?;
        Ok(manifest["signed"]["ecu_version_manifests"][serial]["signed"].clone())
    }

    /// A cycle that has to refuse what it was given.
    fn refuses(&self, image: &[u8], says: &str) -> Result<()> {
        let answer = self.cycle()?;
        let all = format!("{}{}", answer.out, answer.err);
        ensure!(all.contains(says), "`{says}` is not said: {all}");
        let hash = updraft_crypto::sha256_hex(image);
        ensure!(!self.image(&hash).exists(), "the image is here: {says}");
        let installed = self.reported(PRIMARY.0)?["installed_image"]["filepath"].clone();
        ensure!(installed == "good", "{installed} runs");
        ensure!(
            std::fs::read(self.folder.join("brake.img"))? == b"brakes",
            "the secondary took it"
        );
        Ok(())
    }
}

#[test]
fn encrypted_images_reach_the_ecus_that_they_are_for_and_no_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let car = Car::new(folder.path(), "ED25519")?;
    let image = b"a secret firmware".repeat(20_000);
    car.publish("good", &image, PRIMARY.1)?;
    car.assign("good", PRIMARY, "main.key")?;
    ensure!(car.once()? == "confirmed", "it is not installed");
    let hash = updraft_crypto::sha256_hex(&image);
    ensure!(std::fs::read(car.image(&hash))? == image, "it is another image");
    ensure!(std::fs::read_dir(folder.path().join("images"))?.count() == 1, "a ciphertext stays");
    ensure!(!car.was_fetched("good") && car.was_fetched("good.main.enc"), "the plain was fetched");
    let hashes = &car.reported(PRIMARY.0)?["installed_image"]["fileinfo"]["hashes"];
    ensure!(hashes["sha256"] == hash, "{hashes}");
    ensure!(car.once()? == "up-to-date", "there is more to do");

    car.publish("brakes", b"brakes", SECONDARY.1)?;
    car.assign("brakes", SECONDARY, "brake.key")?;
    ensure!(car.once()? == "confirmed", "the secondary has not installed it");
    ensure!(std::fs::read(folder.path().join("brake.img"))? == b"brakes", "another image");
    ensure!(!car.was_fetched("brakes"), "the primary fetched the plain image");
    ensure!(car.once()? == "up-to-date", "there is more to do");

    // On the way: another ciphertext of the same length, then a part of the right one.
    let sealed = |name: &str| car.content(&format!("{name}.main.enc"));
    for (name, change) in [("bent", 1), ("cut", 0)] {
        let image = format!("{name}{}", "x".repeat(100));
        car.publish(name, image.as_bytes(), PRIMARY.1)?;
        car.assign(name, PRIMARY, "main.key")?;
        let mut bytes = std::fs::read(sealed(name))?;
        match change {
            1 => bytes[5] ^= 1,
            _ => bytes.truncate(50),
        }
        std::fs::write(sealed(name), bytes)?;
        car.refuses(image.as_bytes(), if change == 1 { "SHA-256" } else { "50" })?;
    }
    // Encrypted for another ECU, both ways.
    car.publish("swapped", b"for the other", PRIMARY.1)?;
    car.assign("swapped", PRIMARY, "brake.key")?;
    car.refuses(b"for the other", "not encrypted for this ECU")?;
    ensure!(!car.was_fetched("swapped.main.enc"), "it was fetched for nothing");
    car.publish("swapped-too", b"for the main", SECONDARY.1)?;
    car.assign("swapped-too", SECONDARY, "main.key")?;
    car.refuses(b"for the main", "not encrypted for this ECU")?;
    // A ciphertext that opens to what the Image repository never signed.
    car.publish("lie", b"what is signed", PRIMARY.1)?;
    std::fs::write(car.content("lie"), b"what is wanted")?;
    car.assign("lie", PRIMARY, "main.key")?;
    car.refuses(b"what is wanted", "not the image that is listed")
}

#[test]
fn an_image_with_a_sha512_only_is_installed_and_told_by_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let car = Car::new(folder.path(), "RSA2048")?;
    for (name, ecu, content) in
        [("fw", PRIMARY, &b"primary"[..]), ("small", SECONDARY, b"secondary")]
    {
        let file = car.content(name);
        std::fs::create_dir_all(car.content(""))?;
        std::fs::write(&file, content)?;
        let sum = Answer::good(Command::new("sha512sum").arg(&file))?.out;
        let hash = sum.split(' ').next().unwrap_or_default().to_owned();
        let length = content.len().to_string();
        car.generate(&[
            "image",
            "--targetname",
            name,
            "--hwid",
            ecu.1,
            "--targetsha512",
            &hash,
            "--targetlength",
            &length,
            "--targetformat",
            "BINARY",
        ])?;
        // One plain, one encrypted with RSA: the keys that aktualizr's devices have.
        let key = if ecu == PRIMARY { "main.key" } else { "brake.key" };
        for plain in [true, false] {
            if plain {
                car.generate(&["emptytargets"])?;
                let ecu = ["--serial", ecu.0, "--hwid", ecu.1];
                car.generate(&[&["addtarget", "--targetname", name][..], &ecu].concat())?;
                car.generate(&["signtargets"])?;
                ensure!(car.once()? == "confirmed", "{name} is not installed");
            } else {
                car.assign(name, ecu, key)?;
            }
            ensure!(car.once()? == "up-to-date", "{name} is not known again");
            let hashes = &car.reported(ecu.0)?["installed_image"]["fileinfo"]["hashes"];
            ensure!(hashes["sha512"] == hash, "{hashes}");
        }
        if ecu == PRIMARY {
            ensure!(std::fs::read(car.image(&hash))? == content, "it is another image");
        }
    }
    ensure!(std::fs::read(folder.path().join("brake.img"))? == b"secondary", "another image");
    // With such keys it is RSA that opens an image.
    car.publish("rsa", b"for an RSA key", PRIMARY.1)?;
    car.assign("rsa", PRIMARY, "main.key")?;
    ensure!(car.once()? == "confirmed", "RSA does not open it");
    let image = car.image(&updraft_crypto::sha256_hex(b"for an RSA key"));
    ensure!(std::fs::read(image)? == b"for an RSA key", "it is another image");

    // What an operator makes without the generator.
    let encrypt = ["release", "encrypt", "content", "--ecu-key", "main.key", "--output", "x.enc"];
    let told = car.program("updraft", &encrypt)?;
    ensure!(told.code == 0, "{}", told.err);
    let told = told.json()?;
    ensure!(told["encryptedTarget"]["filename"] == "x.enc", "{told}");
    ensure!(told["encryptedSymmetricKey"]["keyEncryption"] == "rsa-oaep-sha256", "{told}");
    Ok(())
}
