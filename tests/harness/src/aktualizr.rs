//! A device of the aktualizr world: its configuration, its programs' names, its files.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::attacks::{import_identity, write_import};
use crate::scenario::HARDWARE;
use crate::{Answer, Enrolment, Relay, Site};

/// The names that Updraft's agent answers to.
const NAMES: [&str; 3] = ["aktualizr", "aktualizr-info", "aktualizr-get"];

/// A device whose scripts call `aktualizr`, with a small configuration and an imported identity.
#[derive(Debug)]
pub struct AktualizrDevice {
    folder: PathBuf,
    id: String,
}

impl AktualizrDevice {
    /// A device that was never switched on; `more` is more of its configuration.
    ///
    /// # Errors
    /// When its identity cannot be made.
    pub fn create(site: &Site, id: &str, more: &str) -> Result<Self> {
        let device = Self { folder: site.folder().join(id), id: id.to_owned() };
        import_identity(&site.server, id, &site.credentials, &device.folder.join("import"))?;
        device.configured(site, &site.server.url(), more)
    }

    /// The same behind a relay.
    ///
    /// # Errors
    /// When its identity cannot be made.
    pub fn behind_relay(
        site: &Site,
        enrolment: &Enrolment,
        id: &str,
        more: &str,
    ) -> Result<(Relay, Self)> {
        let device = Self { folder: site.folder().join(id), id: id.to_owned() };
        let identity = enrolment.enrol(id)?;
        write_import(&site.server, &identity, &device.folder.join("import"))?;
        let relay = Relay::start(&site.server, identity)?;
        let device = device.configured(site, &relay.url(), more)?;
        Ok((relay, device))
    }

    fn configured(self, site: &Site, server: &str, more: &str) -> Result<Self> {
        let Self { folder, id } = &self;
        for name in NAMES {
            symlink(site.programs().path("updraftd"), folder.join(name))?;
        }
        let text = format!(
            "[tls]\nserver = \"{server}\"\n\n[import]\nbase_path = \"import\"\n\
             tls_cacert_path = \"ca.pem\"\ntls_pkey_path = \"pkey.pem\"\n\
             tls_clientcert_path = \"client.pem\"\n\n\
             [provision]\nprimary_ecu_serial = \"{id}-ecu\"\n\
             primary_ecu_hardware_id = \"{HARDWARE}\"\n\n[storage]\npath = \"storage\"\n\n\
             [pacman]\ntype = \"none\"\nimages_path = \"storage/images\"\n\n\
             [uptane]\nkey_type = \"ED25519\"\npolling_sec = 1\n\n\
             [bootloader]\nreboot_sentinel_dir = \"sentinel\"\n\n[logger]\nloglevel = 1\n\n{more}",
        );
        std::fs::write(folder.join("sota.toml"), text)?;
        Ok(self)
    }

    /// Its name on the server.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its folder, in which its programs run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of its programs with its configuration.
    #[must_use]
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.current_dir(&self.folder).env("NO_COLOR", "1");
        command.args(["-c", "sota.toml"]).args(arguments);
        command
    }

    /// Runs one of its programs to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Result<Answer> {
        Answer::of(&mut self.command(name, arguments))
    }

    /// Runs `aktualizr --json` in a mode that has to succeed; what it came to.
    ///
    /// # Errors
    /// With what it said.
    pub fn outcome(&self, mode: &str) -> Result<String> {
        let answer = self.run("aktualizr", &["--run-mode", mode, "--json"])?;
        ensure!(answer.code == 0, "{mode} ended with {}: {}", answer.code, answer.err);
        let report = answer.json()?;
        Ok(report["outcome"].as_str().context("an outcome")?.to_owned())
    }

    /// Where an image is kept.
    #[must_use]
    pub fn image(&self, sha256: &str) -> PathBuf {
        self.folder.join("storage/images").join(sha256.to_uppercase())
    }
}
