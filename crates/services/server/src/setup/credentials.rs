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

use std::io::{Cursor, Write as _};
use std::path::Path;

use jiff::SignedDuration;
use serde_json::json;
use updraft_crypto::pkcs12;
use updraft_crypto::tls::{CertificateAuthority, Validity};
use zip::write::SimpleFileOptions;

use crate::environment::Environment;
use crate::error::{Error, Result};
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
    let url = options.url.trim_end_matches('/');
    if !url.starts_with("https://")
        || url.len() <= "https://".len()
        || url.contains(char::is_whitespace)
    {
        return Err(Error::invalid("the URL", "it must be https://HOST[:PORT]"));
    }
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
    let archive = pack(&members).map_err(|error| Error::Internal {
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
