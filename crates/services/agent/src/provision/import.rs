//! An identity that was made elsewhere, and first roots that came with the device.

use std::path::{Path, PathBuf};

use updraft_crypto::tls::certificate_info;
use updraft_http::{Client, ClientOptions, Identity};
use updraft_tuf::{Repository, RoleName};

use crate::config::{KeySource, Settings};
use crate::gateway::client_options;
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

/// The identity to work with: the present one, or the one that somebody else (such as fioconfig
/// through EST) has put in the place of the files that were imported. It has to begin later than
/// the present one, which may have been renewed since, and to be for the same device and its key.
pub(crate) fn renewed(
    settings: &Settings,
    token: &Token,
    store: &Store,
    present: IdentityRecord,
) -> Result<IdentityRecord> {
    let path = &settings.import.tls_clientcert_path;
    if settings.tls.cert_source != KeySource::File || path.as_os_str().is_empty() {
        return Ok(present);
    }
    let there = match std::fs::read_to_string(settings.import.base_path.join(path)) {
        Ok(there) if Some(&there) != present.certificate_pem.as_ref() => there,
        _ => return Ok(present),
    };
    match follows(settings, token, &present, &there) {
        Ok(None) => Ok(present),
        Ok(Some(renewed)) => {
            tracing::info!(path = %path.display(), "the device's certificate was renewed");
            // Commit point: key and certificate together.
            store.renew_identity(&renewed)?;
            Ok(renewed)
        }
        Err(error) => {
            // Half written, perhaps: the present one goes on being used.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, path = %path.display(), "the certificate there is not used");
            Ok(present)
        }
    }
}

fn follows(
    settings: &Settings,
    token: &Token,
    present: &IdentityRecord,
    there: &str,
) -> Result<Option<IdentityRecord>> {
    let reading = "read the device's certificate";
    let info = |pem: &str| certificate_info(pem.as_bytes()).map_err(Error::below(reading));
    let old = info(present.certificate_pem.as_deref().unwrap_or_default())?;
    if info(there)?.not_before <= old.not_before {
        return Ok(None);
    }
    let identity = read_identity(settings, token)?;
    let problem = |problem: &str| {
        let path = settings.import.base_path.join(&settings.import.tls_clientcert_path);
        Error::Credentials { path, problem: problem.to_owned() }
    };
    if identity.device_id != present.device_id {
        return Err(problem("it is for another device"));
    }
    if settings.tls.pkey_source == KeySource::File {
        // A client is not made when key and certificate do not fit.
        Client::new(&ClientOptions {
            identity: Some(Identity {
                certificate_pem: there.as_bytes().to_vec(),
                private_key_pem: identity.private_key_pem.as_bytes().to_vec(),
            }),
            ..client_options(settings)
        })?;
    }
    Ok(Some(IdentityRecord { server: present.server.clone(), ..identity }))
}

/// The identity that [`identity`] takes over.
pub(crate) fn read_identity(settings: &Settings, token: &Token) -> Result<IdentityRecord> {
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use updraft_crypto::tls::{CertificateAuthority, Identity as Issued, Validity};

    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    fn put(folder: &Path, issued: &Issued) {
        std::fs::write(folder.join("client.pem"), &issued.certificate_pem).unwrap();
        std::fs::write(folder.join("pkey.pem"), &issued.private_key_pem).unwrap();
    }

    #[test]
    fn a_certificate_that_somebody_renewed_is_used_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.storage.path = folder.path().join("storage");
        settings.import.base_path = folder.path().to_owned();
        settings.import.tls_cacert_path = "root.crt".into();
        settings.import.tls_clientcert_path = "client.pem".into();
        settings.import.tls_pkey_path = "pkey.pem".into();
        let begin: jiff::Timestamp = NOW.parse().unwrap();
        let at =
            |days: i64| Validity::days(begin + jiff::SignedDuration::from_hours(24 * days), 30);
        let authority = CertificateAuthority::create("ca", at(0)).unwrap();
        std::fs::write(folder.path().join("root.crt"), authority.certificate_pem()).unwrap();
        let issue = |name: &str, days| authority.issue_device(name, at(days)).unwrap();
        let (first, second) = (issue("device-a", 2), issue("device-a", 4));
        put(folder.path(), &first);
        let store = Store::open(&settings.storage).unwrap();
        let token = Token::new(&settings);
        identity(&settings, &token, &store).unwrap();
        let now = || {
            let known = store.identity().unwrap().unwrap();
            let used = renewed(&settings, &token, &store, known).unwrap();
            assert_eq!(store.identity().unwrap().unwrap(), used);
            (used.certificate_pem.unwrap(), used.private_key_pem)
        };
        let pair =
            |issued: &Issued| (issued.certificate_pem.clone(), issued.private_key_pem.clone());
        assert_eq!(now(), pair(&first));
        // Half written: the certificate without its key.
        std::fs::write(folder.path().join("client.pem"), &second.certificate_pem).unwrap();
        assert_eq!(now(), pair(&first));
        put(folder.path(), &second);
        assert_eq!(now(), pair(&second));
        // An older one, another device's, and none.
        for other in [issue("device-a", 1), issue("device-b", 6)] {
            put(folder.path(), &other);
            assert_eq!(now(), pair(&second));
        }
        std::fs::remove_file(folder.path().join("client.pem")).unwrap();
        assert_eq!(now(), pair(&second));
    }
}
