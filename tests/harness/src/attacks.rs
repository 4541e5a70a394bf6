//! Three attacks on a device, and the names under which it refuses them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use updraft_crypto::pkcs12;
use updraft_http::{Client, Identity, Method, Request};

use crate::scenario::HARDWARE;
use crate::{
    Attacker, Device, DeviceOptions, Installation, ObjectChange, Programs, Server,
    evil_director_files,
};

const VICTIM: &str = "device-attacked";
const MAX_ANSWER: u64 = 1024 * 1024;
const DIRECTOR_FILES: [&str; 3] =
    ["/director/timestamp.json", "/director/snapshot.json", "/director/targets.json"];

/// An attack and what became of it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What was tried.
    pub attack: &'static str,
    /// The name under which the agent refused it.
    pub name: &'static str,
    /// What the agent said, the line with the name.
    pub said: String,
    /// Its exit code.
    pub code: i32,
}

impl Installation {
    /// Puts a new device behind an attacker and tries three attacks on it.
    ///
    /// # Errors
    /// When one of them is not refused by its name, or changes what is installed.
    pub fn attack(&self) -> Result<Vec<Refused>> {
        let folder = self.folder.join("attacked");
        let (attacker, victim) =
            behind_attacker(&self.programs, &self.server, &self.credentials, &folder, VICTIM)?;

        // First an honest life: registered, and on v1.
        victim.run_once()?;
        self.assign("attacked-1", "v1")?;
        victim.settle(4).context("bring the victim to v1")?;
        ensure!(victim.booted_commit()? == self.commits[0], "the victim is not on v1");
        let old: Vec<Vec<u8>> =
            DIRECTOR_FILES.iter().map(|path| attacker.record(path)).collect::<Result<_>>()?;
        self.assign("attacked-2", "v2")?;
        let root = attacker.record("/director/root.json")?;

        let mut refused = Vec::new();
        // The victim has seen nothing newer than `old` yet; one check tells it.
        attacker.change_objects(ObjectChange::Flip);
        refused.push(self.attempt(&victim, "a flipped byte in an object", "Corrupted")?);
        attacker.relent();

        for (path, bytes) in DIRECTOR_FILES.iter().zip(old) {
            attacker.replace(path, bytes);
        }
        refused.push(self.attempt(&victim, "a replayed old targets file", "rollback")?);
        attacker.relent();

        let evil = "ee".repeat(32);
        let now = jiff::Timestamp::now();
        let files = evil_director_files(&self.server, &root, VICTIM, HARDWARE, &evil, now)?;
        attacker.replace("/director/targets.json", files.targets);
        attacker.replace("/director/snapshot.json", files.snapshot);
        attacker.replace("/director/timestamp.json", files.timestamp);
        let attack = "a Director key that signs for an image the Image repository does not know";
        refused.push(self.attempt(&victim, attack, "director-image-mismatch")?);
        Ok(refused)
    }

    fn assign(&self, rollout: &str, release: &str) -> Result<()> {
        let create = ["rollout", "create", rollout, "--release", release, "--device", VICTIM];
        self.operator.run(&create)?;
        for _ in 0..100 {
            let device = self.operator.device(VICTIM)?;
            if device["assignment"]["release"] == release {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        anyhow::bail!("{release} was not assigned to {VICTIM}")
    }

    fn attempt(
        &self,
        victim: &Device,
        attack: &'static str,
        name: &'static str,
    ) -> Result<Refused> {
        let answer = victim.run(&["run-once"])?;
        let said = format!("{}\n{}", answer.err, answer.out);
        // The last one: before it stands what the agent logged while it worked.
        let named = said.lines().rfind(|line| line.contains(name));
        let named =
            named.with_context(|| format!("{attack}: expected {name}, was told: {said}"))?;
        ensure!(answer.code == 9, "{attack}: exit code {}: {said}", answer.code);
        let booted = victim.booted_commit()?;
        ensure!(booted == self.commits[0], "{attack}: {booted} is booted now");
        let status = victim.status()?;
        ensure!(status["reboot_required"] == false, "{attack}: a reboot is required: {status}");
        Ok(Refused { attack, name, said: named.trim().to_owned(), code: answer.code })
    }
}

/// A new device with an imported identity, and somebody between it and the server.
pub(crate) fn behind_attacker(
    programs: &Programs,
    server: &Server,
    credentials: &Path,
    folder: &Path,
    id: &str,
) -> Result<(Attacker, Device)> {
    let identity = Enrolment::new(server, credentials)?.enrol(id)?;
    let import = folder.join("import");
    write_import(server, &identity, &import)?;
    let attacker = Attacker::start(server, identity)?;
    let configuration = imports(&import, &server.url());
    let options = DeviceOptions {
        detour: Some(attacker.url().to_owned()),
        imported: true,
        configuration,
        ..DeviceOptions::default()
    };
    let device = Device::create(programs, folder, id, HARDWARE, credentials, &options)?;
    Ok((attacker, device))
}

/// The configuration of a device that imports its identity from a folder.
pub(crate) fn imports(folder: &Path, server: &str) -> String {
    format!(
        "[import]\nbase_path = \"{}\"\ntls_cacert_path = \"ca.pem\"\n\
         tls_pkey_path = \"pkey.pem\"\ntls_clientcert_path = \"client.pem\"\n\n\
         [tls]\nserver = \"{server}\"\n",
        folder.display()
    )
}

/// What registers devices as aktualizr does: the identity that new devices share.
#[derive(Debug, Clone)]
pub struct Enrolment {
    url: String,
    bootstrap: Identity,
    client: Client,
}

impl Enrolment {
    /// With the identity in a credentials file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(server: &Server, credentials: &Path) -> Result<Self> {
        let bundle = std::process::Command::new("python3")
            .args(["-c", "import sys,zipfile;sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read('autoprov_credentials.p12'))"])
            .arg(credentials)
            .output()
            .context("unpack the credentials")?;
        let bootstrap =
            pkcs12::decode(&bundle.stdout, "").context("read the bootstrap identity")?;
        let bootstrap = to_http(bootstrap.identity);
        let client = server.client(Some(bootstrap.clone()))?;
        Ok(Self { url: server.url(), bootstrap, client })
    }

    /// The identity that new devices share.
    #[must_use]
    pub fn bootstrap(&self) -> Identity {
        self.bootstrap.clone()
    }

    /// Registers a device; its identity.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn enrol(&self, id: &str) -> Result<Identity> {
        let body = serde_json::json!({ "deviceId": id, "ttl": 36000 }).to_string();
        let request = Request::new(Method::Post, format!("{}/devices", self.url))
            .header("content-type", "application/json")
            .body(body.into_bytes());
        let response = self.client.send(request)?.error_for_status()?;
        let bundle = response.bytes(MAX_ANSWER)?;
        Ok(to_http(pkcs12::decode(&bundle, "").context("read the device's identity")?.identity))
    }
}

/// Registers a device as aktualizr does, and puts its identity into a folder for import.
pub(crate) fn import_identity(
    server: &Server,
    id: &str,
    credentials: &Path,
    folder: &Path,
) -> Result<()> {
    write_import(server, &Enrolment::new(server, credentials)?.enrol(id)?, folder)
}

fn to_http(identity: updraft_crypto::Identity) -> Identity {
    Identity {
        certificate_pem: identity.certificate_pem.into_bytes(),
        private_key_pem: identity.private_key_pem.into_bytes(),
    }
}

pub(crate) fn write_import(server: &Server, identity: &Identity, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::copy(server.ca(), folder.join("ca.pem"))?;
    std::fs::write(folder.join("client.pem"), &identity.certificate_pem)?;
    std::fs::write(folder.join("pkey.pem"), &identity.private_key_pem)?;
    Ok(())
}
