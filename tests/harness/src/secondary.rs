//! A secondary ECU: a folder with a configuration, and a process.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use updraft_crypto::Identity;
use updraft_crypto::tls::{CertificateAuthority, Validity};

use crate::Programs;

/// How long a secondary may take until it serves.
const START: Duration = Duration::from_secs(30);
const ASK: Duration = Duration::from_millis(20);

/// A secondary. Its process ends when this is dropped.
#[derive(Debug)]
pub struct Secondary {
    programs: Programs,
    folder: PathBuf,
    /// Its serial.
    pub serial: String,
    /// Its hardware id.
    pub hardware: String,
    port: u16,
    process: Option<Child>,
}

impl Secondary {
    /// Makes a secondary; `settings` are more lines of its configuration, whole sections.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn create(
        programs: &Programs,
        folder: &Path,
        (serial, hardware): (&str, &str),
        verification: &str,
        settings: &str,
    ) -> Result<Self> {
        let folder = folder.join(serial);
        std::fs::create_dir_all(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let at = |name: &str| folder.join(name).display().to_string();
        let text = format!(
            "[uptane]\necu_serial = \"{serial}\"\necu_hardware_id = \"{hardware}\"\n\
             key_type = \"ED25519\"\nverification_type = \"{verification}\"\n\
             [storage]\npath = \"{}\"\n[import]\nbase_path = \"{}\"\n\
             [bootloader]\nreboot_sentinel_dir = \"{}\"\n\
             [secondary]\nlisten = \"127.0.0.1:{port}\"\n{settings}",
            at("storage"),
            at("import"),
            at("run"),
        );
        std::fs::write(folder.join("secondary.toml"), text)?;
        let (serial, hardware) = (serial.to_owned(), hardware.to_owned());
        Ok(Self { programs: programs.clone(), folder, serial, hardware, port, process: None })
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file in its folder.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The image that it runs.
    #[must_use]
    pub fn firmware(&self) -> Option<Vec<u8>> {
        std::fs::read(self.at("storage/firmware.txt")).ok()
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    /// With its log, when it does not.
    pub fn start(&mut self) -> Result<()> {
        self.run(None)?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if begun.elapsed() > START {
                bail!("{} does not serve: {}", self.serial, self.log());
            }
            std::thread::sleep(ASK);
        }
        Ok(())
    }

    /// The same, but it dies before its write operation of this number, as by a power cut.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_to_die(&mut self, operations: u32) -> Result<()> {
        self.run(Some(operations))?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || begun.elapsed() > START {
                return Ok(());
            }
            std::thread::sleep(ASK);
        }
        Ok(())
    }

    fn run(&mut self, kill_after: Option<u32>) -> Result<()> {
        self.stop()?;
        let log = File::options().create(true).append(true).open(self.at("log"))?;
        let mut command = self.programs.command("updraftd");
        command.arg("secondary").arg("-c").arg(self.at("secondary.toml"));
        if let Some(operations) = kill_after {
            command.env("UPDRAFT_TEST_KILL_AFTER", operations.to_string());
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.process = Some(command.spawn().context("start the secondary")?);
        Ok(())
    }

    /// Kills it, as a power cut would.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            process.wait()?;
        }
        Ok(())
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Makes an authority in `folder`, with certificates for a primary and for secondaries at
/// 127.0.0.1: `ca.pem`, and `NAME.pem` and `NAME.key` for `primary` and `secondary`.
///
/// # Errors
/// When files cannot be written.
pub fn issue_certificates(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let validity = Validity::days(jiff::Timestamp::now(), 1);
    let authority = CertificateAuthority::create("vehicle", validity)?;
    std::fs::write(folder.join("ca.pem"), authority.certificate_pem())?;
    let write = |name: &str, identity: Identity| -> Result<()> {
        std::fs::write(folder.join(name).with_extension("pem"), identity.certificate_pem)?;
        std::fs::write(folder.join(name).with_extension("key"), identity.private_key_pem)?;
        Ok(())
    };
    write("primary", authority.issue_device("primary", validity)?)?;
    write("secondary", authority.issue_server(&["127.0.0.1".to_owned()], validity)?)
}
