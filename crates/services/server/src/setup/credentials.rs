//! The credentials file: a zip with what a new device needs to find this server and to register
//! there, in the form of the aktualizr world.
//!
//! ```text
//! autoprov_credentials.p12   bootstrap certificate and key, empty password
//! autoprov.url               base URL of the device gateway
//! server_ca.pem              the CA that signed the server's certificate
//! tufrepo.url                URL of the Image repository
//! treehub.json               {"ostree": {"server": …}, "no_auth": true}
//! ```
//!
//! The one for an operator's tools (garage-push, garage-sign, uptane-sign) holds other members:
//!
//! ```text
//! treehub.json               {"ostree": {"server": …}, "oauth2": {"server", "client_id", "client_secret"}}
//! client_auth.p12            the operator's certificate and key, and the CA, empty password
//! tufrepo.url, api_gateway.url, autoprov.url   base URL of the server
//! server_ca.pem              the CA that signed the server's certificate
//! root.json                  the Image repository's root, once there is one
//! targets.pub, targets.sec   its targets key, when it is on the server and was asked for
//! ```

use std::io::{Cursor, Write as _};
use std::path::Path;

use jiff::SignedDuration;
use serde_json::json;
use updraft_api::Scope;
use updraft_crypto::pkcs12;
use updraft_crypto::tls::{CertificateAuthority, Validity};
use zip::write::SimpleFileOptions;

use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fleet::online_keys;
use crate::fleet::operators::{self, TokenOptions};
use crate::fleet::provision::certificate_hash;
use crate::fleet::read_text;
use crate::layout::Layout;
use crate::storage::{Database, devices};

/// What the credentials are to say.
#[derive(Debug, Clone)]
pub struct CredentialsOptions {
    /// The server's base URL, such as `https://updates.example:9443`.
    pub url: String,
    /// Days that devices may register with them.
    pub days: u16,
}

/// Makes a bootstrap certificate and writes the credentials file, readable by its owner only.
pub fn write_credentials(
    layout: &Layout,
    database: &Database,
    environment: &Environment,
    options: &CredentialsOptions,
    out: &Path,
) -> Result<()> {
    let url = base_url(&options.url)?;
    let action = "issue a bootstrap certificate";
    let ca_pem = read_text(&layout.ca_certificate())?;
    let authority = CertificateAuthority::from_pem(&ca_pem, &read_text(&layout.ca_key())?)
        .map_err(Error::crypto("read the certificate authority in tls/"))?;
    let now = environment.now();
    let name = format!("bootstrap-{}", environment.uuid().map_err(Error::random)?);
    let identity = authority
        .issue_device(&name, Validity::days(now, options.days.into()))
        .map_err(Error::crypto(action))?;
    let bundle = pkcs12::encode(&identity, &ca_pem, "").map_err(Error::crypto(action))?;
    let hash = certificate_hash(&identity.certificate_pem)?;
    let expires =
        now.checked_add(SignedDuration::from_hours(24 * i64::from(options.days))).unwrap_or(now);
    database.write(action, |tx| devices::insert_bootstrap(tx, &hash, now, expires))?;

    let treehub = json!({ "ostree": { "server": format!("{url}/treehub") }, "no_auth": true });
    let members: [(&str, Vec<u8>); 5] = [
        ("autoprov_credentials.p12", bundle),
        ("autoprov.url", url.as_bytes().to_vec()),
        ("server_ca.pem", ca_pem.into_bytes()),
        ("tufrepo.url", format!("{url}/repo").into_bytes()),
        ("treehub.json", treehub.to_string().into_bytes()),
    ];
    write_archive(&members, out)
}

/// What an operator's credentials are to say.
#[derive(Debug, Clone)]
pub struct OperatorCredentials {
    /// The server's base URL, such as `https://updates.example:9443`.
    pub url: String,
    /// Who the operator is: the name of the token in it.
    pub name: String,
    /// What the operator may do.
    pub scope: Scope,
    /// The delegated role to which the operator is limited.
    pub role: Option<String>,
    /// Days that they are good for.
    pub days: u16,
    /// Whether the private targets key goes with them, when it is here.
    pub targets_key: TargetsKey,
}

/// Whether a private targets key leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetsKey {
    /// It stays.
    Stays,
    /// A copy goes into the archive.
    Included,
}

/// Makes a token and a certificate for an operator's tools, and writes them with all that these
/// need to know of the server, readable by its owner only.
pub fn write_operator_credentials(
    layout: &Layout,
    database: &Database,
    environment: &Environment,
    options: &OperatorCredentials,
    out: &Path,
) -> Result<()> {
    let url = base_url(&options.url)?;
    let action = "issue an operator's certificate";
    let ca_pem = read_text(&layout.ca_certificate())?;
    let authority = CertificateAuthority::from_pem(&ca_pem, &read_text(&layout.ca_key())?)
        .map_err(Error::crypto("read the certificate authority in tls/"))?;
    let keys = match options.targets_key {
        TargetsKey::Stays => Vec::new(),
        TargetsKey::Included => online_keys::load_if_any(&layout.image_keys(), "targets")?,
    };
    let token_options =
        TokenOptions { scope: options.scope, role: options.role.clone(), days: Some(options.days) };
    let copy = token_options.clone();
    let token = operators::create_token(database, environment, &options.name, copy)?;
    let now = environment.now();
    let identity = authority
        .issue_device(&options.name, Validity::days(now, options.days.into()))
        .map_err(Error::crypto(action))?;
    let bundle = pkcs12::encode(&identity, &ca_pem, "").map_err(Error::crypto(action))?;
    let hash = certificate_hash(&identity.certificate_pem)?;
    let name = format!("{}-certificate", options.name);
    operators::admit_certificate(database, environment, &name, &hash, token_options)?;

    let treehub = json!({
        "ostree": { "server": format!("{url}/treehub/api/v3/") },
        "oauth2": {
            "server": format!("{url}/oauth2/token"),
            "client_id": options.name,
            "client_secret": token,
            "scope": options.scope.name(),
        },
    });
    let base = url.as_bytes().to_vec();
    let mut members: Vec<(&str, Vec<u8>)> = vec![
        ("treehub.json", treehub.to_string().into_bytes()),
        ("client_auth.p12", bundle),
        ("tufrepo.url", base.clone()),
        ("api_gateway.url", base.clone()),
        ("autoprov.url", base),
        ("server_ca.pem", ca_pem.into_bytes()),
    ];
    if let Some(image) = crate::fleet::image::stored(layout, database)? {
        members.extend(image.file("root.json").map(|root| ("root.json", root.to_vec())));
    }
    if let Some(key) = keys.iter().find_map(updraft_publish::PrivateKey::in_file) {
        let private = updraft_publish::private_key_json(key)
            .map_err(Error::crypto("export the targets key"))?;
        let public = updraft_publish::public_key_json(key.public());
        members.push(("targets.pub", public.to_string().into_bytes()));
        members.push(("targets.sec", private.to_string().into_bytes()));
    }
    write_archive(&members, out)
}

/// The URL without a slash at its end.
fn base_url(url: &str) -> Result<&str> {
    let url = url.trim_end_matches('/');
    if !url.starts_with("https://")
        || url.len() <= "https://".len()
        || url.contains(char::is_whitespace)
    {
        return Err(Error::invalid("the URL", "it must be https://HOST[:PORT]"));
    }
    Ok(url)
}

fn write_archive(members: &[(&str, Vec<u8>)], out: &Path) -> Result<()> {
    let archive = pack(members).map_err(|error| Error::Internal {
        action: "pack the credentials",
        reason: error.to_string(),
    })?;
    updraft_fs::atomic_write_path(out, &archive, 0o600)
        .map_err(Error::fs("write the credentials file"))
}

fn pack(members: &[(&str, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        archive.start_file(*name, SimpleFileOptions::default().unix_permissions(0o600))?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}
