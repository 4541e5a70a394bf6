//! Tokens without hardware: SoftHSM, and a TPM 2.0 that swtpm plays, behind tpm2-pkcs11.

#![allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use harness::Answer;

/// The PIN of all tokens here.
pub(crate) const PIN: &str = "1234";
const SOFT: &str = "/usr/lib/softhsm/libsofthsm2.so";
const TPM: &str = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so";

/// A token called `up`.
pub(crate) struct Token {
    module: &'static str,
    /// By which its module finds it.
    variables: Vec<(&'static str, String)>,
    /// What plays the hardware.
    process: Option<Child>,
}

impl Token {
    /// An empty token of SoftHSM.
    pub(crate) fn soft(folder: &Path) -> Result<Self> {
        let tokens = folder.join("soft-tokens");
        std::fs::create_dir(&tokens)?;
        let configuration = folder.join("softhsm.conf");
        let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        std::fs::write(&configuration, text)?;
        let variables = vec![("SOFTHSM2_CONF", configuration.display().to_string())];
        let token = Self { module: SOFT, variables, process: None };
        token.initialise()?;
        Ok(token)
    }

    /// An empty TPM.
    pub(crate) fn tpm(folder: &Path) -> Result<Self> {
        let folder = folder.join("tpm");
        let at = |name: &str| folder.join(name).display().to_string();
        for name in ["state", "store"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let socket = folder.join("socket");
        let mut swtpm = Command::new("swtpm");
        swtpm.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        swtpm.args(["--tpmstate", &format!("dir={}", at("state"))]);
        swtpm.args(["--server", &format!("type=unixio,path={}", socket.display())]);
        // This name is a rule of its users.
        swtpm.args(["--ctrl", &format!("type=unixio,path={}.ctrl", socket.display())]);
        let process = swtpm.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let variables = vec![
            ("TPM2_PKCS11_TCTI", format!("swtpm:path={}", socket.display())),
            ("TPM2_PKCS11_STORE", at("store")),
        ];
        let token = Self { module: TPM, variables, process: Some(process) };
        wait_for(&socket)?;
        token.initialise()?;
        Ok(token)
    }

    fn initialise(&self) -> Result<()> {
        let officer = ["--so-pin", "5678"];
        let init = ["--slot-index", "0", "--init-token", "--label", "up"];
        self.tool(&[&init[..], &officer].concat())?;
        let pin = ["--token-label", "up", "--login", "--login-type", "so", "--init-pin"];
        self.tool(&[&pin[..], &officer, &["--new-pin", PIN]].concat())
    }

    /// The module that talks to it.
    pub(crate) fn module(&self) -> &str {
        self.module
    }

    /// Lets a program find it.
    pub(crate) fn known_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)))
    }

    /// Makes a key pair.
    pub(crate) fn generate(&self, id: &str, key_type: &str) -> Result<()> {
        self.generate_for(id, key_type, &[])
    }

    /// Makes a key pair that may be used like this.
    pub(crate) fn generate_for(&self, id: &str, key_type: &str, usage: &[&str]) -> Result<()> {
        let make = ["--keypairgen", "--key-type", key_type, "--id", id, "--label", id];
        self.user(&[&make[..], usage].concat())
    }

    /// Puts a private key (PKCS#8 PEM) into it as `01`; SoftHSM only.
    pub(crate) fn import(&self, pem: &Path) -> Result<()> {
        let mut tool = Command::new("softhsm2-util");
        tool.arg("--import").arg(pem);
        tool.args(["--token", "up", "--pin", PIN, "--id", "01", "--label", "01"]);
        Answer::good(self.known_to(&mut tool))?;
        Ok(())
    }

    /// Puts a certificate (PEM) beside the key `01`.
    pub(crate) fn add_certificate(&self, pem: &Path) -> Result<()> {
        let der = pem.with_extension("der");
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-outform", "DER", "-in"]).arg(pem).arg("-out").arg(&der);
        Answer::good(&mut openssl)?;
        let der = der.display().to_string();
        self.user(&["--write-object", &der, "--type", "cert", "--id", "01", "--label", "01"])
    }

    fn user(&self, arguments: &[&str]) -> Result<()> {
        let login = ["--token-label", "up", "--login", "--pin", PIN];
        self.tool(&[&login[..], arguments].concat())
    }

    fn tool(&self, arguments: &[&str]) -> Result<()> {
        let mut tool = Command::new("pkcs11-tool");
        tool.args(["--module", self.module]).args(arguments);
        Answer::good(self.known_to(&mut tool))?;
        Ok(())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn wait_for(path: &Path) -> Result<()> {
    for _ in 0..200 {
        if path.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("{} does not appear", path.display())
}
