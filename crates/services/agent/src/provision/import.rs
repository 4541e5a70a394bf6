//! An identity that was made elsewhere, and first roots that came with the device.

use std::path::{Path, PathBuf};

use updraft_crypto::tls::certificate_info;
use updraft_tuf::{Repository, RoleName};

use crate::config::{KeySource, Settings};
use crate::keys::Token;
use crate::store::{IdentityRecord, Store};
use crate::{Error, Result};

/// Takes over CA, certificate and key from the `[import]` section or the token.
pub(crate) fn identity(
    settings: &Settings,
    token: &Token,
    store: &Store,
) -> Result<IdentityRecord> {
    let identity = read_identity(settings, token)?;
    store.set_identity(&identity)?;
    Ok(identity)
}

/// The identity that [`identity`] takes over.
pub(super) fn read_identity(settings: &Settings, token: &Token) -> Result<IdentityRecord> {
    let (import, tls) = (&settings.import, &settings.tls);
    let files = [
        (&import.tls_cacert_path, tls.ca_source),
        (&import.tls_clientcert_path, tls.cert_source),
        (&import.tls_pkey_path, tls.pkey_source),
    ];
    if files.iter().any(|(path, source)| *source == KeySource::File && path.as_os_str().is_empty())
    {
        let problem = "there is neither a `provision.provision_path` nor the three keys \
                       `import.tls_cacert_path`, `tls_clientcert_path` and `tls_pkey_path`";
        return Err(Error::NotProvisioned { problem: problem.to_owned() });
    }
    let file = |path: &PathBuf| read(&import.base_path.join(path));
    let ca_pem = token.authority()?.map_or_else(|| file(&import.tls_cacert_path), Ok)?;
    let certificate_pem =
        token.certificate()?.map_or_else(|| file(&import.tls_clientcert_path), Ok)?;
    let private_key_pem = match tls.pkey_source {
        KeySource::File => file(&import.tls_pkey_path)?,
        KeySource::Pkcs11 => String::new(),
    };
    let path = import.base_path.join(&import.tls_clientcert_path);
    let problem = |problem: String| Error::Credentials { path: path.clone(), problem };
    let info =
        certificate_info(certificate_pem.as_bytes()).map_err(|error| problem(error.to_string()))?;
    let name = info.common_name.ok_or_else(|| problem("it has no common name".to_owned()))?;
    let chosen = &settings.provision.device_id;
    if !chosen.is_empty() && *chosen != name {
        return Err(problem(format!("it is for {name}, and `provision.device_id` is {chosen}")));
    }
    Ok(IdentityRecord {
        device_id: name,
        private_key_pem,
        request_pem: None,
        certificate_pem: Some(certificate_pem),
        ca_pem: Some(ca_pem),
        server: None,
    })
}

/// Takes over `repo/root.json` and `director/root.json`, unless roots are trusted already.
pub(crate) fn first_roots(settings: &Settings, store: &Store) -> Result<()> {
    let trusted = store.trusted_metadata()?;
    let base = &settings.import.base_path;
    for (repository, folder) in [(Repository::Image, "repo"), (Repository::Director, "director")] {
        if trusted.files(repository).get(&RoleName::Root).is_some() {
            continue;
        }
        let path = base.join(folder).join("root.json");
        match std::fs::read(&path) {
            Ok(bytes) => store.persist_metadata(repository, &RoleName::Root, &bytes)?,
            Err(error) if is_absent(&error) => {}
            Err(source) => return Err(Error::Read { path, source }),
        }
    }
    Ok(())
}

fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A text file.
pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|source| Error::Read { path: PathBuf::from(path), source })
}
