//! The settings themselves, one struct for each section of the file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::health::{HealthChecks, Watchdog};
use super::keys::{Est, KeySource, P11};
use super::pacman::Pacman;
use super::uptane::UptaneSettings;

/// All settings of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `[tls]`: the server.
    pub tls: Tls,
    /// `[provision]`: who this device is and how it becomes known.
    pub provision: Provision,
    /// `[uptane]`: where and how often it asks.
    pub uptane: UptaneSettings,
    /// `[pacman]`: what it updates.
    pub pacman: Pacman,
    /// `[slots]`: where the slots are that payloads go to.
    pub slots: Slots,
    /// `[storage]`: where it keeps its state.
    pub storage: Storage,
    /// `[transfer]`: how bytes come to it.
    pub transfer: Transfer,
    /// `[import]`: an identity that was made elsewhere.
    pub import: Import,
    /// `[p11]`: a token that keeps keys.
    pub p11: P11,
    /// `[est]`: how the device's certificate is renewed.
    pub est: Est,
    /// `[telemetry]`: what it tells about itself.
    pub telemetry: Telemetry,
    /// `[bootloader]`: how a reboot is asked for.
    pub bootloader: Bootloader,
    /// `[boot]`: how it learns what is booted.
    pub boot: Boot,
    /// `[health]`: what has to work before an update is confirmed.
    pub health: HealthChecks,
    /// `[watchdog]`: what resets a device that hangs.
    pub watchdog: Watchdog,
    /// `[logger]`: how much it says.
    pub logger: Logger,
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The device gateway, such as `https://updates.example.com:9443`. Empty: as
    /// `server_url_path` or the credentials file say.
    pub server: String,
    /// A file with the gateway's address.
    pub server_url_path: PathBuf,
    /// Where the CA certificate is.
    pub ca_source: KeySource,
    /// Where the private key is.
    pub pkey_source: KeySource,
    /// Where the certificate is.
    pub cert_source: KeySource,
}

/// `[provision]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provision {
    /// Where a device registers itself. Empty: `tls.server`.
    pub server: String,
    /// The password of the bootstrap identity in the credentials file. Never shown.
    pub p12_password: String,
    /// How long the device's certificate shall be valid, in days.
    #[serde(deserialize_with = "number_or_text")]
    pub expiry_days: u32,
    /// The credentials file (a zip) that new devices share. Empty: the identity is imported.
    pub provision_path: PathBuf,
    /// This device's name on the server. Empty: the common name of an imported certificate, or
    /// made up.
    pub device_id: String,
    /// The serial number of the primary ECU. Empty: the key id of its Uptane key.
    pub primary_ecu_serial: String,
    /// The hardware id of the primary ECU. Empty: the host name.
    pub primary_ecu_hardware_id: String,
    /// Where ECUs are registered. Empty: `uptane.director_server` + `/ecus`.
    pub ecu_registration_endpoint: String,
    /// How this device gets its identity.
    pub mode: ProvisionMode,
}

impl Default for Provision {
    fn default() -> Self {
        Self {
            server: String::new(),
            p12_password: String::new(),
            expiry_days: 36_000,
            provision_path: PathBuf::new(),
            device_id: String::new(),
            primary_ecu_serial: String::new(),
            primary_ecu_hardware_id: String::new(),
            ecu_registration_endpoint: String::new(),
            mode: ProvisionMode::default(),
        }
    }
}

/// How a device gets its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ProvisionMode {
    /// `SharedCred` when there is a `provision_path`, else `DeviceCred`.
    #[default]
    Default,
    /// With the bootstrap identity of a credentials file.
    SharedCred,
    /// The same; the credentials file stays as it is.
    SharedCredReuse,
    /// With certificate and key from the `[import]` section.
    DeviceCred,
}

/// `[slots]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slots {
    /// What the slots are: the file of `updraft slots`.
    pub config: PathBuf,
    /// Where the service serves the page of the slots, such as `127.0.0.1:8484`. Empty: nowhere.
    pub page: String,
}

impl Default for Slots {
    fn default() -> Self {
        Self { config: PathBuf::from("/etc/updraft/slots.toml"), page: String::new() }
    }
}

/// `[storage]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// The kind of database; only `sqlite`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The folder of the agent's state; it is made with mode 0700.
    pub path: PathBuf,
    /// The database, relative to `path`.
    pub sqldb_path: PathBuf,
    /// aktualizr's database, relative to `path`: a device without a state of its own takes it
    /// over. Empty: none.
    pub aktualizr_sqldb_path: PathBuf,
}

impl Storage {
    /// Where aktualizr's database may be.
    pub fn aktualizr_database(&self) -> Option<PathBuf> {
        let name = &self.aktualizr_sqldb_path;
        (!name.as_os_str().is_empty()).then(|| self.path.join(name))
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            kind: "sqlite".to_owned(),
            path: PathBuf::from("/var/sota"),
            sqldb_path: PathBuf::from("updraft.db"),
            aktualizr_sqldb_path: PathBuf::from("sql.db"),
        }
    }
}

/// `[transfer]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transfer {
    /// The proxy, such as `http://proxy:3128`; user name and password may stand before the host
    /// and are never shown. Empty: none.
    pub proxy: String,
    /// The most bytes a second that are fetched, all connections together. 0: any.
    pub max_bytes_per_second: u64,
    /// How often a request is repeated after failures that may pass. A transfer that comes
    /// further in between starts counting anew.
    pub retries: u32,
    /// For how many seconds the other side may be silent: when it is called, and within a body.
    /// The beginning of an answer may take twice as long.
    pub timeout_sec: u64,
    /// A transfer that stays below this for `low_speed_sec` is broken off, and goes on as one that
    /// broke by itself. 0: any speed will do.
    pub low_speed_bytes_per_second: u64,
    /// For how many seconds a transfer has to be too slow.
    pub low_speed_sec: u64,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            proxy: String::new(),
            max_bytes_per_second: 0,
            retries: 5,
            timeout_sec: 30,
            low_speed_bytes_per_second: 1000,
            low_speed_sec: 30,
        }
    }
}

/// `[import]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// The folder that the other paths are relative to. `repo/root.json` and
    /// `director/root.json` in it become the first trusted roots.
    pub base_path: PathBuf,
    /// The server's CA certificate, PEM.
    pub tls_cacert_path: PathBuf,
    /// The device's private key, PEM.
    pub tls_pkey_path: PathBuf,
    /// The device's certificate, PEM.
    pub tls_clientcert_path: PathBuf,
    /// The ECU's private key, PKCS#8 PEM.
    pub uptane_private_key_path: PathBuf,
    /// The ECU's public key; it is computed, this key is accepted for aktualizr's files.
    pub uptane_public_key_path: PathBuf,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            base_path: PathBuf::from("/var/sota/import"),
            tls_cacert_path: PathBuf::new(),
            tls_pkey_path: PathBuf::new(),
            tls_clientcert_path: PathBuf::new(),
            uptane_private_key_path: PathBuf::new(),
            uptane_public_key_path: PathBuf::new(),
        }
    }
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Whether host name and addresses are sent.
    pub report_network: bool,
    /// Whether the configuration, without secrets, is sent.
    pub report_config: bool,
    /// A JSON file that is sent as the description of the hardware. Empty: it is looked at.
    pub hardware_info_path: PathBuf,
    /// The time zone that is sent, such as `Europe/Berlin`. Empty: the system's.
    pub time_zone: String,
    /// Seconds between two measurements of memory, disk, temperature and the like, which are sent with
    /// the next poll. 0: nothing is measured.
    pub metrics_sec: u64,
    /// A folder of programs that measure more: each prints a JSON object of numbers.
    pub metrics_path: PathBuf,
    /// Whether logs are sent when the server asks for them.
    pub report_logs: bool,
    /// A folder of programs whose output is sent with the system's journal.
    pub logs_path: PathBuf,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            report_network: true,
            report_config: true,
            hardware_info_path: PathBuf::new(),
            time_zone: String::new(),
            metrics_sec: 300,
            metrics_path: PathBuf::from("/etc/updraft/metrics.d"),
            report_logs: true,
            logs_path: PathBuf::from("/etc/updraft/logs.d"),
        }
    }
}

/// `[bootloader]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bootloader {
    /// How a boot loader that knows aktualizr's variables is told about success: `none`,
    /// `uboot_generic` or `uboot_masked`.
    pub rollback_mode: String,
    /// The folder of the sentinel, which must be emptied by a reboot.
    pub reboot_sentinel_dir: PathBuf,
    /// The name of the sentinel: while the file exists, the reboot has not happened yet.
    pub reboot_sentinel_name: PathBuf,
    /// Run by `/bin/sh -c` when a reboot is needed. Empty: somebody else reboots.
    pub reboot_command: String,
}

impl Default for Bootloader {
    fn default() -> Self {
        Self {
            rollback_mode: "none".to_owned(),
            reboot_sentinel_dir: PathBuf::from("/var/run/aktualizr-session"),
            reboot_sentinel_name: PathBuf::from("need_reboot"),
            reboot_command: String::new(),
        }
    }
}

/// `[boot]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Boot {
    /// The file with the running kernel's command line.
    pub kernel_cmdline: PathBuf,
    /// A file in which the initramfs says which deployment it gave up, and why.
    pub fallback_note: PathBuf,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            kernel_cmdline: PathBuf::from("/proc/cmdline"),
            fallback_note: PathBuf::from("/run/updraft/boot-fallback.json"),
        }
    }
}

/// `[logger]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logger {
    /// 0 trace, 1 debug, 2 info, 3 warning, 4 error, 5 errors only.
    pub loglevel: u8,
}

impl Default for Logger {
    fn default() -> Self {
        Self { loglevel: 2 }
    }
}

/// aktualizr writes this number with quotes.
fn number_or_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    struct NumberOrText;
    impl serde::de::Visitor<'_> for NumberOrText {
        type Value = u32;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number of days")
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u32, E> {
            u32::try_from(number)
                .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u32, E> {
            text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
    from.deserialize_any(NumberOrText)
}
