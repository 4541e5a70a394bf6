//! The file that `uptane.secondary_config_file` names: aktualizr's JSON, one member a type.
//!
//! ```text
//! {"IP": {"secondaries_wait_port", "secondaries_wait_timeout",
//!         "secondaries": [{"addr": "HOST:PORT", "verification_type": "Full|Tuf|Partial",
//!                          "tls"?: {"ca", "certificate", "private_key", "name"?}}]},
//!  "virtual": [{"partial_verifying", "ecu_serial", "ecu_hardware_id", "full_client_dir",
//!               "ecu_private_key", "ecu_public_key", "firmware_path", "target_name_path",
//!               "metadata_path"}],
//!  "torizon-generic": [{the same, "action_handler_path"}]}
//! ```
//! `tls`, and `verification_type` of the last two, are ours. Types that are not known are passed
//! over with a warning.

use std::path::PathBuf;

use serde::Deserialize;
use updraft_secondary::Verification;

/// The largest file that is read, in bytes.
pub const MAX_SECONDARIES_FILE: u64 = 1 << 20;
/// The most secondaries; servers know no more of one device.
const MAX_SECONDARIES: usize = 99;

/// All secondaries of a vehicle.
#[derive(Debug, Clone, Default)]
pub struct SecondariesFile {
    /// Those that are spoken to over a network.
    pub ip: Vec<IpSecondary>,
    /// How long new ones of these are waited for, in seconds.
    pub wait_sec: u64,
    /// The port on which they may make themselves known meanwhile; 0: none.
    pub wait_port: u16,
    /// Those that live on the primary.
    pub local: Vec<LocalSecondary>,
    /// What has no effect.
    pub warnings: Vec<String>,
}

/// A secondary behind a network.
#[derive(Debug, Clone, Deserialize)]
pub struct IpSecondary {
    /// `HOST:PORT`.
    pub addr: String,
    /// How much it verifies.
    #[serde(default, deserialize_with = "verification")]
    pub verification_type: Verification,
    /// Certificates, where it is one of ours that speaks TLS.
    pub tls: Option<SecondaryTls>,
}

/// Certificates for TLS to a secondary, as files with PEM.
#[derive(Debug, Clone, Deserialize)]
pub struct SecondaryTls {
    /// The authority of the secondary's certificate.
    pub ca: PathBuf,
    /// The certificate of the primary.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// The name that the secondary's certificate is for. Empty: its host in `addr`.
    #[serde(default)]
    pub name: String,
}

/// A secondary on the primary: a file, or what an action handler puts in place.
#[derive(Debug, Clone, Deserialize)]
pub struct LocalSecondary {
    /// Whether only the Director is asked.
    #[serde(default)]
    pub partial_verifying: bool,
    /// How much it verifies, instead of that.
    #[serde(default, deserialize_with = "verification")]
    pub verification_type: Verification,
    /// Its serial. Empty: the id of its key.
    #[serde(default)]
    pub ecu_serial: String,
    /// Its hardware id.
    pub ecu_hardware_id: String,
    /// The folder of its state.
    pub full_client_dir: PathBuf,
    /// Its private key, PKCS#8 PEM, in that folder; made when it is not there.
    #[serde(default)]
    pub ecu_private_key: PathBuf,
    /// The file of its image.
    pub firmware_path: PathBuf,
    /// The file with the name of its image.
    pub target_name_path: PathBuf,
    /// The program that installs its images (`torizon-generic`).
    pub action_handler_path: Option<PathBuf>,
}

impl LocalSecondary {
    /// How much it verifies.
    pub fn verification(&self) -> Verification {
        if self.partial_verifying { Verification::Partial } else { self.verification_type }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct IpSection {
    secondaries_wait_port: u16,
    secondaries_wait_timeout: u64,
    secondaries: Vec<IpSecondary>,
}

/// Reads the file. The error says what is wrong with it.
pub fn parse_secondaries(bytes: &[u8]) -> Result<SecondariesFile, String> {
    if bytes.len() as u64 > MAX_SECONDARIES_FILE {
        return Err("it is over 1 MiB".to_owned());
    }
    let sections: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut file = SecondariesFile::default();
    for (kind, value) in sections {
        let malformed = |error: serde_json::Error| format!("{kind}: {error}");
        match kind.as_str() {
            "IP" => {
                let section: IpSection = serde_json::from_value(value).map_err(malformed)?;
                file.ip.extend(section.secondaries);
                file.wait_sec = section.secondaries_wait_timeout;
                file.wait_port = section.secondaries_wait_port;
            }
            "virtual" | "torizon-generic" => {
                let mut section: Vec<LocalSecondary> =
                    serde_json::from_value(value).map_err(malformed)?;
                for ecu in &mut section {
                    if kind == "virtual" {
                        ecu.action_handler_path = None;
                    } else if ecu.action_handler_path.is_none() {
                        return Err(format!("{kind}: there is no `action_handler_path`"));
                    }
                }
                file.local.extend(section);
            }
            _ => file.warnings.push(format!("secondaries of type `{kind}` are not known")),
        }
    }
    if file.ip.len() + file.local.len() > MAX_SECONDARIES {
        return Err(format!("there are more than {MAX_SECONDARIES} secondaries"));
    }
    Ok(file)
}

fn verification<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Verification, D::Error> {
    let name = String::deserialize(from)?;
    name.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_aktualizr_is_understood() {
        let file = parse_secondaries(
            br#"{"IP": {"secondaries_wait_port": 9040, "secondaries_wait_timeout": 20,
                 "secondaries": [{"addr": "10.0.0.2:9030", "verification_type": "Tuf"},
                                 {"addr": "brake:1"}]},
                 "virtual": [{"partial_verifying": true, "ecu_serial": "", "ecu_hardware_id": "h",
                 "full_client_dir": "/c", "ecu_private_key": "sec.priv", "ecu_public_key": "sec.pub",
                 "firmware_path": "/f", "target_name_path": "/n", "metadata_path": "/m"}],
                 "torizon-generic": [{"ecu_hardware_id": "t", "full_client_dir": "/t",
                 "firmware_path": "/f", "target_name_path": "/n", "action_handler_path": "/a"}],
                 "docker-compose": []}"#,
        )
        .unwrap();
        assert_eq!(file.ip[0].verification_type, Verification::Tuf);
        assert_eq!(file.ip[1].verification_type, Verification::Full);
        assert_eq!((file.wait_sec, file.wait_port), (20, 9040));
        assert_eq!((file.ip.len(), file.local.len()), (2, 2));
        assert_eq!(file.local[0].verification(), Verification::Partial);
        assert!(file.warnings[0].contains("docker-compose"));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for bad in [
            "",
            "[]",
            r#"{"IP": {"secondaries": [{}]}}"#,
            r#"{"IP": {"secondaries": [{"addr": "a:1", "verification_type": "Half"}]}}"#,
            r#"{"virtual": {}}"#,
            r#"{"torizon-generic": [{"ecu_hardware_id": "t", "full_client_dir": "/t",
                "firmware_path": "/f", "target_name_path": "/n"}]}"#,
        ] {
            assert!(parse_secondaries(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
