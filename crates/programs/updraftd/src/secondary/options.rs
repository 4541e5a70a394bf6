//! The options and settings of a secondary: aktualizr-secondary's, and a section of our own.
//!
//! ```text
//! [network] port, primary_ip, primary_port
//! [uptane]  ecu_serial, ecu_hardware_id, key_type, verification_type, director_metadata,
//!           force_install_completion
//! [storage] path            [import] base_path, uptane_private_key_path
//! [bootloader] reboot_sentinel_dir, reboot_sentinel_name, reboot_command
//! [secondary] listen, image_path, target_name_path, install_command, action_handler,
//!             install_timeout_sec, tls_ca, tls_certificate, tls_private_key
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use updraft_agent::config::{AktualizrSources, DEFAULT_FOLDERS, UptaneKeyType, load_aktualizr};
use updraft_crypto::KeyAlgorithm;
use updraft_error::Kind;
use updraft_secondary::Verification;
use updraft_secondary::tls::TlsFiles;
use updraft_terminal::{Failure, Result};
use updraft_tuf::DirectorFiles;

use crate::print;

const AFTER_HELP: &str = "\
A secondary verifies metadata and images itself, and installs an image in one of several ways:
  image_path         the image is a file; the default is STORAGE/firmware.txt
  install_command    a command is run, with UPDRAFT_ACTION, UPDRAFT_IMAGE, UPDRAFT_TARGET and
                     UPDRAFT_SHA256; it ends with 21 when the image runs after a restart
  action_handler     a program that keeps to the contract of Torizon's action handlers
With type = \"ostree\" in the section [pacman] the image is a commit, which is fetched from where the
primary says, deployed to `sysroot`, and booted.
These are keys of the section [secondary], as are listen = \"IP:PORT\", and tls_ca, tls_certificate
and tls_private_key for TLS to a primary of ours.

Configuration is read as aktualizr reads it: /usr/lib/sota/conf.d and /etc/sota/conf.d.";

/// Keys that the agent's settings do not have.
const OWN: [&str; 15] = [
    "network.port",
    "network.primary_ip",
    "network.primary_port",
    "uptane.ecu_serial",
    "uptane.ecu_hardware_id",
    "uptane.verification_type",
    "secondary.listen",
    "secondary.image_path",
    "secondary.target_name_path",
    "secondary.install_command",
    "secondary.action_handler",
    "secondary.install_timeout_sec",
    "secondary.tls_ca",
    "secondary.tls_certificate",
    "secondary.tls_private_key",
];
/// aktualizr-secondary's port.
const PORT: u16 = 9030;
const INSTALL_TIMEOUT: u64 = 1800;
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Serves as a secondary ECU of a vehicle.
#[derive(Debug, Parser)]
#[command(
    name = "aktualizr-secondary",
    disable_version_flag = true,
    infer_long_args = true,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
pub(super) struct Options {
    /// Print the version.
    #[arg(long, short)]
    pub(super) version: bool,
    /// Configuration file, or folder of *.toml files; may be given several times.
    #[arg(long, short, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// How much to log, 0 (all) to 5 (errors).
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    loglevel: Option<i64>,
    /// The port to serve on.
    #[arg(long, short = 'p', value_name = "PORT")]
    server_port: Option<u16>,
    /// The serial number of this ECU.
    #[arg(long, value_name = "SERIAL")]
    ecu_serial: Option<String>,
    /// The hardware id of this ECU.
    #[arg(long, value_name = "ID")]
    ecu_hardware_id: Option<String>,
}

/// How images are installed.
#[derive(Debug, Clone)]
pub(super) enum Install {
    File {
        path: PathBuf,
        name_path: Option<PathBuf>,
    },
    Command {
        command: String,
        timeout: Duration,
    },
    Handler {
        handler: PathBuf,
        directory: PathBuf,
        path: PathBuf,
        name_path: PathBuf,
        timeout: Duration,
    },
    /// The image is a commit.
    Commit,
}

/// What holds for one secondary.
pub(super) struct Settings {
    pub(super) loglevel: u8,
    pub(super) warnings: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) listen: String,
    pub(super) primary: Option<String>,
    pub(super) serial: String,
    pub(super) hardware_id: String,
    pub(super) verification: Verification,
    pub(super) director: DirectorFiles,
    pub(super) key_algorithm: KeyAlgorithm,
    pub(super) key_pem: Option<String>,
    pub(super) import: PathBuf,
    pub(super) sentinel: PathBuf,
    pub(super) reboot_command: Option<String>,
    pub(super) install: Install,
    pub(super) tls: Option<TlsFiles>,
    /// The agent's, of which a system of commits needs some.
    pub(super) agent: updraft_agent::config::Settings,
}

impl Settings {
    pub(super) fn read(options: &Options) -> Result<Self> {
        let mut changes = Vec::new();
        if let Some(level) = options.loglevel {
            changes.push(("logger.loglevel".to_owned(), level.to_string()));
        }
        for (key, value) in [
            ("uptane.ecu_serial", &options.ecu_serial),
            ("uptane.ecu_hardware_id", &options.ecu_hardware_id),
            ("network.port", &options.server_port.map(|port| port.to_string())),
        ] {
            changes.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
        }
        let paths = if options.config.is_empty() {
            DEFAULT_FOLDERS.map(PathBuf::from).into_iter().filter(|path| path.is_dir()).collect()
        } else {
            options.config.clone()
        };
        let also_known = OWN.map(str::to_owned).to_vec();
        let sources = AktualizrSources { paths, options: changes, also_known };
        let read = load_aktualizr(&sources).map_err(print::failure)?;
        let settings = read.loaded.settings;
        let own = Own(read.raw);
        let agent = settings.clone();
        let storage = settings.storage.path.clone();
        let bootloader = settings.bootloader;
        let import = settings.import;
        let reboots = settings.uptane.force_install_completion;
        Ok(Self {
            loglevel: settings.logger.loglevel,
            warnings: read.warnings,
            folder: storage.join("secondary"),
            listen: own.listen()?,
            primary: own.primary(),
            serial: own.text("uptane.ecu_serial").unwrap_or_default(),
            hardware_id: match own.text("uptane.ecu_hardware_id") {
                Some(id) => id,
                None => read_text(Path::new(HOST_NAME))?.trim().to_owned(),
            },
            verification: own.verification()?,
            // Primaries of the aktualizr world send no more than root and targets.
            director: match own.text("uptane.director_metadata").as_deref() {
                Some("full") => DirectorFiles::All,
                _ => DirectorFiles::RootAndTargets,
            },
            key_algorithm: algorithm(settings.uptane.key_type),
            key_pem: if import.uptane_private_key_path.as_os_str().is_empty() {
                None
            } else {
                Some(read_text(&import.base_path.join(import.uptane_private_key_path))?)
            },
            import: import.base_path,
            sentinel: bootloader.reboot_sentinel_dir.join(&bootloader.reboot_sentinel_name),
            reboot_command: (reboots && !bootloader.reboot_command.is_empty())
                .then_some(bootloader.reboot_command),
            install: own.install(&storage)?,
            tls: own.tls()?,
            agent,
        })
    }
}

/// Settings that the agent does not have, as they are written.
struct Own(BTreeMap<String, String>);

impl Own {
    fn text(&self, key: &str) -> Option<String> {
        let value = self.0.get(key)?.trim().trim_matches('"').to_owned();
        (!value.is_empty()).then_some(value)
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    fn number<T: std::str::FromStr>(&self, key: &str, default: T) -> Result<T> {
        match self.text(key) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| wrong(key, &text, "it is no such number")),
        }
    }

    fn listen(&self) -> Result<String> {
        match self.text("secondary.listen") {
            Some(listen) => Ok(listen),
            None => Ok(format!("0.0.0.0:{}", self.number("network.port", PORT)?)),
        }
    }

    fn primary(&self) -> Option<String> {
        let host = self.text("network.primary_ip")?;
        let port = self.number("network.primary_port", PORT).unwrap_or(PORT);
        Some(format!("{host}:{port}"))
    }

    fn verification(&self) -> Result<Verification> {
        let key = "uptane.verification_type";
        let Some(name) = self.text(key) else { return Ok(Verification::Full) };
        name.parse().map_err(|error: updraft_secondary::UnknownVerification| {
            wrong(key, &name, &error.to_string())
        })
    }

    fn install(&self, storage: &Path) -> Result<Install> {
        let path = self.path("secondary.image_path");
        let path = path.unwrap_or_else(|| storage.join("firmware.txt"));
        let name_path = self.path("secondary.target_name_path");
        let timeout = self.number("secondary.install_timeout_sec", INSTALL_TIMEOUT)?;
        let timeout = Duration::from_secs(timeout);
        let handler = self.path("secondary.action_handler");
        match (self.text("secondary.install_command"), handler) {
            (Some(command), None) => Ok(Install::Command { command, timeout }),
            // Where it is not written, a file is meant: most ECUs are no OSTree systems.
            (None, None) if self.text("pacman.type").as_deref() == Some("ostree") => {
                Ok(Install::Commit)
            }
            (None, None) => Ok(Install::File { path, name_path }),
            (None, Some(handler)) => Ok(Install::Handler {
                handler,
                directory: storage.to_owned(),
                name_path: name_path.unwrap_or_else(|| storage.join("target_name")),
                path,
                timeout,
            }),
            (Some(_), Some(_)) => {
                let problem = "`install_command` is set as well";
                Err(wrong("secondary.action_handler", "", problem))
            }
        }
    }

    fn tls(&self) -> Result<Option<TlsFiles>> {
        let keys = ["secondary.tls_ca", "secondary.tls_certificate", "secondary.tls_private_key"];
        let paths = keys.map(|key| self.path(key));
        match paths {
            [None, None, None] => Ok(None),
            [Some(ca), Some(certificate), Some(key)] => Ok(Some(TlsFiles {
                ca_pem: read_text(&ca)?.into_bytes(),
                certificate_pem: read_text(&certificate)?.into_bytes(),
                private_key_pem: read_text(&key)?.into_bytes(),
            })),
            _ => Err(wrong("secondary.tls_ca", "", "TLS needs all three files")),
        }
    }
}

fn wrong(key: &str, value: &str, problem: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("failed to use `{value}` for {key}: {problem}"))
        .hint("`aktualizr-secondary --help` tells of all keys")
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Kind::NotFound, error.to_string())
            .context(format!("failed to read {}", path.display()))
    })
}

fn algorithm(key_type: UptaneKeyType) -> KeyAlgorithm {
    match key_type {
        UptaneKeyType::Ed25519 => KeyAlgorithm::Ed25519,
        UptaneKeyType::EcdsaP256 => KeyAlgorithm::EcdsaP256,
        UptaneKeyType::Rsa2048 => KeyAlgorithm::Rsa2048,
        UptaneKeyType::Rsa3072 => KeyAlgorithm::Rsa3072,
        UptaneKeyType::Rsa4096 => KeyAlgorithm::Rsa4096,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_configuration_of_aktualizr_secondary_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secondary.toml");
        let text = "[network]\nport = 9031\nprimary_ip = \"10.0.0.1\"\n[uptane]\n\
             ecu_serial = \"s1\"\necu_hardware_id = \"brake\"\nverification_type = \"Tuf\"\n\
             [storage]\npath = \"/var/sota\"\n[pacman]\ntype = \"none\"\n";
        updraft_fs::atomic_write_path(&file, text.as_bytes(), 0o644).unwrap();
        let file = file.display().to_string();
        let options = Options::try_parse_from(["aktualizr-secondary", "-c", &file, "-p", "9032"]);
        let settings = Settings::read(&options.unwrap()).unwrap();
        assert_eq!(settings.warnings, Vec::<String>::new());
        assert_eq!(settings.listen, "0.0.0.0:9032");
        assert_eq!(settings.primary.as_deref(), Some("10.0.0.1:9030"));
        assert_eq!((settings.serial.as_str(), settings.hardware_id.as_str()), ("s1", "brake"));
        assert_eq!(settings.verification, Verification::Tuf);
        let Install::File { path, .. } = settings.install else { panic!("a file") };
        assert_eq!(path, Path::new("/var/sota/firmware.txt"));
    }
}
