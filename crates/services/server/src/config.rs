//! The server's configuration: `server.toml` in the data folder.

pub(crate) mod database;
mod notifications;
mod oidc;
mod storage;
pub mod tenant;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::fetch_from::FetchFrom;
pub use database::DatabaseConfig;
pub use notifications::{MailSecurity, NotificationsConfig, SmtpConfig};
pub use oidc::OidcConfig;
pub use storage::{Downloads, StorageConfig};
pub use tenant::TenantConfig;

use crate::error::{Error, Result};

/// The largest configuration file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The whole configuration. Unknown keys are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[server]`.
    pub server: ServerConfig,
    /// `[tenant]`.
    #[serde(skip_serializing_if = "TenantConfig::is_default")]
    pub tenant: TenantConfig,
    /// `[database]`.
    pub database: DatabaseConfig,
    /// `[storage]`.
    pub storage: StorageConfig,
    /// `[limits]`.
    pub limits: LimitsConfig,
    /// `[metadata]`.
    pub metadata: MetadataConfig,
    /// `[devices]`.
    pub devices: DevicesConfig,
    /// `[delegations]`.
    pub delegations: DelegationsConfig,
    /// `[hawkbit]`.
    pub hawkbit: HawkbitConfig,
    /// `[telemetry]`.
    pub telemetry: TelemetryConfig,
    /// `[notifications]`.
    pub notifications: NotificationsConfig,
    /// `[operators]`.
    pub operators: OperatorsConfig,
    /// `[oidc]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcConfig>,
}

/// How long operators stay logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorsConfig {
    /// Minutes without a request after which a session ends.
    pub idle_minutes: u16,
    /// Hours after which a session ends in any case.
    pub session_hours: u16,
}

impl Default for OperatorsConfig {
    fn default() -> Self {
        Self { idle_minutes: 60, session_hours: 12 }
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Address and port for plain HTTP beside TLS, for a proxy in front or a network that is
    /// protected otherwise. Certificates of devices do not work there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_plain: Option<SocketAddr>,
    /// How long running requests may take to end when the server is asked to stop.
    pub shutdown_sec: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let listen = SocketAddr::from(([0, 0, 0, 0], 9443));
        Self { listen, listen_plain: None, shutdown_sec: 10 }
    }
}

/// How much of everything the server takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Connections at a time; more wait.
    pub connections: usize,
    /// Seconds for a TLS handshake, and for the head of a request.
    pub handshake_sec: u64,
    /// Seconds without a byte of a body that is being sent to us.
    pub body_idle_sec: u64,
    /// Seconds in which a client takes nothing of what is sent to it.
    pub unmoved_sec: u64,
    /// Bytes of a request that is not an upload.
    pub body_bytes: u64,
    /// Bytes of signed metadata of the Image repository.
    pub metadata_bytes: u64,
    /// Bytes of one uploaded object or target file.
    pub upload_bytes: u64,
    /// Requests of one device in a minute, downloads not counted; 0 for any number. A whole
    /// minute's requests may come at once.
    pub device_requests_per_minute: u32,
    /// The same from one address, behind which there may be many devices.
    pub address_requests_per_minute: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshake_sec: 15,
            body_idle_sec: 30,
            unmoved_sec: 300,
            body_bytes: 1 << 20,
            metadata_bytes: 8 << 20,
            upload_bytes: 16 << 30,
            device_requests_per_minute: 600,
            address_requests_per_minute: 60_000,
        }
    }
}

/// How long signed metadata is good for. It is signed again when half of its time has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataConfig {
    /// Days of the Director's targets and snapshot.
    pub director_days: u16,
    /// Days of the Director's root.
    pub director_root_days: u16,
    /// Days of the Image repository's snapshot.
    pub image_snapshot_days: u16,
    /// Days of the timestamps of both repositories.
    pub timestamp_days: u16,
    /// Days of the Image repository's targets, when their keys are on the server.
    pub image_targets_days: u16,
    /// Days of the Image repository's root, when its keys are on the server.
    pub image_root_days: u16,
    /// Days of lists of offline updates that name no end themselves.
    pub offline_updates_days: u16,
    /// How many days before its end metadata whose keys are elsewhere raises an alarm.
    pub alarm_days: u16,
}

impl Default for MetadataConfig {
    fn default() -> Self {
        Self {
            director_days: 30,
            director_root_days: 3650,
            image_snapshot_days: 30,
            timestamp_days: 7,
            image_targets_days: 365,
            image_root_days: 3650,
            offline_updates_days: 365,
            alarm_days: 30,
        }
    }
}

/// How devices are treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DevicesConfig {
    /// Days that a device's certificate is good for.
    pub certificate_days: u16,
    /// Seconds between two writes of what is only kept in memory: when devices were last seen
    /// and the counters of their reports.
    pub flush_sec: u64,
    /// Seconds between two runs of the rollout planner without a reason.
    pub reconcile_sec: u64,
}

impl Default for DevicesConfig {
    fn default() -> Self {
        Self { certificate_days: 7300, flush_sec: 10, reconcile_sec: 5 }
    }
}

/// Where the server may fetch the metadata of delegated roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DelegationsConfig {
    /// Beginnings of addresses, such as `https://feeds.example/packages/`. Nothing else is fetched.
    pub fetch_from: Vec<FetchFrom>,
}

/// How devices and scripts of the hawkBit world are treated. More is in the tenant's configuration,
/// which they set over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HawkbitConfig {
    /// Addresses of proxies whose headers say from where and by whom a device is calling.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for HawkbitConfig {
    fn default() -> Self {
        Self { trusted_proxies: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] }
    }
}

/// How long the server keeps what devices measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Hours that each value is kept.
    pub raw_hours: u16,
    /// Days that least, mean and largest value of each hour are kept.
    pub hourly_days: u16,
    /// Days that logs of devices are kept.
    pub log_days: u16,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { raw_hours: 48, hourly_days: 90, log_days: 30 }
    }
}

impl Config {
    /// Reads and checks a file; a missing one means all defaults.
    pub fn load(path: &Path) -> Result<Self> {
        use std::io::Read as _;
        let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut text = String::new();
        match std::fs::File::open(path) {
            Ok(file) => file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(failed(error)),
        };
        Self::parse(&text).map_err(|reason| Error::Config { path: path.to_owned(), reason })
    }

    /// Reads and checks the text of a configuration; the error tells line and column.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.tenant.check()?;
        self.oidc.as_ref().map_or(Ok(()), OidcConfig::check)?;
        self.database.check()?;
        self.storage.check()?;
        let positive = [
            ("limits.connections", self.limits.connections as u64),
            ("limits.handshake_sec", self.limits.handshake_sec),
            ("limits.body_idle_sec", self.limits.body_idle_sec),
            ("limits.unmoved_sec", self.limits.unmoved_sec),
            ("limits.body_bytes", self.limits.body_bytes),
            ("limits.metadata_bytes", self.limits.metadata_bytes),
            ("limits.upload_bytes", self.limits.upload_bytes),
            ("metadata.director_days", self.metadata.director_days.into()),
            ("metadata.director_root_days", self.metadata.director_root_days.into()),
            ("metadata.image_snapshot_days", self.metadata.image_snapshot_days.into()),
            ("metadata.timestamp_days", self.metadata.timestamp_days.into()),
            ("metadata.image_targets_days", self.metadata.image_targets_days.into()),
            ("metadata.image_root_days", self.metadata.image_root_days.into()),
            ("metadata.offline_updates_days", self.metadata.offline_updates_days.into()),
            ("metadata.alarm_days", self.metadata.alarm_days.into()),
            ("devices.certificate_days", self.devices.certificate_days.into()),
            ("operators.idle_minutes", self.operators.idle_minutes.into()),
            ("operators.session_hours", self.operators.session_hours.into()),
            ("devices.flush_sec", self.devices.flush_sec),
            ("devices.reconcile_sec", self.devices.reconcile_sec),
            ("telemetry.raw_hours", self.telemetry.raw_hours.into()),
            ("telemetry.hourly_days", self.telemetry.hourly_days.into()),
            ("telemetry.log_days", self.telemetry.log_days.into()),
        ];
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("{key} must be at least 1")),
            None => self.notifications.check(),
        }
    }

    /// The configuration as TOML, defaults written out.
    #[allow(clippy::missing_panics_doc, reason = "it never panics")]
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("the configuration has only what TOML can carry")
    }

    /// How long a peer may take for its handshake or the head of a request.
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.limits.handshake_sec)
    }

    /// How long a client may take nothing of what is sent to it.
    pub fn unmoved_timeout(&self) -> Duration {
        Duration::from_secs(self.limits.unmoved_sec)
    }

    /// How long a body may pause.
    pub fn body_idle_timeout(&self) -> Duration {
        Duration::from_secs(self.limits.body_idle_sec)
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn what_is_shown_can_be_read_again() {
        let config = Config::default();
        assert_eq!(Config::parse(&config.to_toml()), Ok(config.clone()));
        assert_eq!(Config::parse(""), Ok(config));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_line() {
        let error = Config::parse("[server]\nlisten = \"[::1]:1\"\nlisen = 2\n").expect_err("typo");
        assert!(error.contains("line 3") && error.contains("lisen"), "{error}");
        let error = Config::parse("[limits]\nconnections = 0\n").expect_err("zero");
        assert!(error.contains("limits.connections"), "{error}");
    }
}
