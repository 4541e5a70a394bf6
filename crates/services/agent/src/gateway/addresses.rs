//! Where everything is: from the settings, with aktualizr's defaults below the gateway.

use crate::config::Settings;
use crate::{Error, Result};

/// The addresses of the server, without a `/` at their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The device gateway.
    pub server: String,
    /// The Director repository.
    pub director: String,
    /// The Image repository.
    pub repo: String,
    /// The OSTree repository.
    pub treehub: String,
    /// Where devices are registered.
    pub provision: String,
    /// Where ECUs are registered.
    pub ecus: String,
    /// Where certificates are renewed.
    pub est: String,
}

impl Addresses {
    /// The addresses; `known` is the gateway's that came with the credentials.
    pub fn new(settings: &Settings, known: Option<&str>) -> Result<Self> {
        let server = match (settings.tls.server.as_str(), known) {
            ("", None) => address_file(settings)?,
            ("", Some(known)) => known.to_owned(),
            (server, _) => server.to_owned(),
        };
        let server = trim(&server);
        let or = |text: &str, default: String| {
            if text.is_empty() { default } else { trim(text) }
        };
        let director = or(&settings.uptane.director_server, format!("{server}/director"));
        Ok(Self {
            repo: or(&settings.uptane.repo_server, format!("{server}/repo")),
            treehub: or(&settings.pacman.ostree_server, format!("{server}/treehub")),
            provision: or(&settings.provision.server, server.clone()),
            ecus: or(&settings.provision.ecu_registration_endpoint, format!("{director}/ecus")),
            est: or(&settings.est.server, format!("{server}/.well-known/est")),
            director,
            server,
        })
    }
}

fn address_file(settings: &Settings) -> Result<String> {
    let path = &settings.tls.server_url_path;
    if path.as_os_str().is_empty() {
        return Err(Error::Config {
            place: "tls.server".to_owned(),
            problem: "no server is named, neither here nor in the credentials file".to_owned(),
            hint: "write `server = \"https://HOST:PORT\"` into the section `[tls]`".to_owned(),
        });
    }
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|source| Error::Read { path: path.clone(), source })
}

fn trim(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}
