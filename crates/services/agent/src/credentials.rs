//! The credentials file that new devices of a fleet share.
//!
//! ```text
//! credentials.zip
//!   autoprov_credentials.p12   bootstrap certificate and key, allowed to register devices only
//!   autoprov.url               the gateway's address
//!   server_ca.pem              the server's authority
//!   root.json                  optional: the Image repository's first root
//!   …                          what operators need; not read here
//! ```

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use updraft_crypto::{Identity, pkcs12};
use zip::ZipArchive;

use crate::{Error, Result};

/// The largest member that is read, in bytes.
const MEMBER_LIMIT: u64 = 1 << 20;

/// What a credentials file gives a device.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The bootstrap identity.
    pub bootstrap: Identity,
    /// The authorities that sign the server's certificate, PEM.
    pub ca_pem: String,
    /// The gateway's address.
    pub server: Option<String>,
    /// The Image repository's first root.
    pub image_root: Option<Vec<u8>>,
}

impl Credentials {
    /// Reads a credentials file; `password` protects its PKCS#12 member.
    pub fn read(path: &Path, password: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Credentials { path: path.to_owned(), problem };
        let file =
            File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let mut archive = ZipArchive::new(file).map_err(|error| refuse(error.to_string()))?;
        let mut member = |name| member(&mut archive, name).map_err(refuse);
        let p12 = member("autoprov_credentials.p12")?
            .ok_or_else(|| refuse("it has no autoprov_credentials.p12".to_owned()))?;
        let contents = pkcs12::decode(&p12, password)
            .map_err(|error| refuse(format!("autoprov_credentials.p12: {error}")))?;
        let server_ca = text(member("server_ca.pem")?);
        let ca_pem = server_ca
            .or(contents.ca_pem)
            .ok_or_else(|| refuse("it has neither server_ca.pem nor a CA in its p12".to_owned()))?;
        let server = text(member("autoprov.url")?).map(|url| url.trim().to_owned());
        let image_root = member("root.json")?;
        Ok(Self {
            bootstrap: contents.identity,
            ca_pem,
            server: server.filter(|url| !url.is_empty()),
            image_root,
        })
    }
}

impl Credentials {
    /// The gateway's address in a credentials file, whatever else there is still in it.
    pub(crate) fn server_in(path: &Path) -> Option<String> {
        let mut archive = ZipArchive::new(File::open(path).ok()?).ok()?;
        let url = text(member(&mut archive, "autoprov.url").ok()?)?;
        Some(url.trim().to_owned()).filter(|url| !url.is_empty())
    }
}

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.and_then(|bytes| String::from_utf8(bytes).ok())
}

fn member(archive: &mut ZipArchive<File>, name: &str) -> Result<Option<Vec<u8>>, String> {
    let found = match archive.by_name(name) {
        Ok(found) => found,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(format!("{name}: {error}")),
    };
    let mut bytes = Vec::new();
    found
        .take(MEMBER_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > MEMBER_LIMIT {
        return Err(format!("{name} is over 1 MiB"));
    }
    Ok(Some(bytes))
}
