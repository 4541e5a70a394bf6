//! Certificates and PKCS#12 against rustls and, where it is installed, the openssl program.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use updraft_crypto::tls::{
    CertificateAuthority, Validity, certificate_info, certificate_request, is_for_request, provider,
};
use updraft_crypto::{Identity, pkcs12};

fn now() -> Timestamp {
    // rustls reads the system clock, so these certificates are valid for as long as it can say.
    "2024-01-01T00:00:00Z".parse().unwrap()
}

fn validity() -> Validity {
    Validity::days(now(), 36_500)
}

fn roots(authority: &CertificateAuthority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let der = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
    roots.add(der).unwrap();
    roots
}

fn chain(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.private_key_pem.as_bytes()).unwrap();
    (vec![certificate], key)
}

/// Shakes hands in memory; returns the device id that the server sees.
fn handshake(
    authority: &CertificateAuthority,
    server: &Identity,
    device: &Identity,
) -> Result<String, rustls::Error> {
    let (certs, key) = chain(server);
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)), provider())
            .build()
            .unwrap();
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certs, key)?;
    let (certs, key) = chain(device);
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authority))
        .with_client_auth_cert(certs, key)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    let name = ServerName::try_from("gateway.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut wire = Vec::new();
    for _ in 0..10 {
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        wire.clear();
        server.process_new_packets()?;
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        wire.clear();
        client.process_new_packets()?;
    }
    client.writer().write_all(b"hello").unwrap();
    client.write_tls(&mut wire).unwrap();
    server.read_tls(&mut wire.as_slice()).unwrap();
    server.process_new_packets()?;
    let mut hello = [0; 5];
    server.reader().read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
    let peer = server.peer_certificates().unwrap().first().unwrap().clone();
    Ok(certificate_info(&peer).unwrap().common_name.unwrap())
}

#[test]
fn devices_and_server_shake_hands() {
    let authority = CertificateAuthority::create("Updraft CA", validity()).unwrap();
    let authority =
        CertificateAuthority::from_pem(authority.certificate_pem(), &authority.key_pem()).unwrap();
    let names = ["gateway.example".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let server = authority.issue_server(&names, validity()).unwrap();
    let device = authority.issue_device("device-1", validity()).unwrap();
    assert_eq!(handshake(&authority, &server, &device).unwrap(), "device-1");

    let (request, private_key_pem) = certificate_request("I am root").unwrap();
    let certificate_pem =
        authority.issue_device_for_request(&request, "device-2", validity()).unwrap();
    assert!(is_for_request(&certificate_pem, &request).unwrap());
    let (other, _) = certificate_request("I am root").unwrap();
    assert!(!is_for_request(&certificate_pem, &other).unwrap());
    let device = Identity { certificate_pem, private_key_pem };
    assert_eq!(handshake(&authority, &server, &device).unwrap(), "device-2");

    // A device cannot pretend to be the server, and a stranger's certificate is refused.
    assert!(handshake(&authority, &device, &device).is_err());
    let stranger = CertificateAuthority::create("Updraft CA", validity()).unwrap();
    let foreign = stranger.issue_device("device-1", validity()).unwrap();
    assert!(handshake(&authority, &server, &foreign).is_err());
}

#[test]
fn a_request_must_be_signed_by_its_own_key() {
    let authority = CertificateAuthority::create("CA", validity()).unwrap();
    let (request, _) = certificate_request("x").unwrap();
    let mut der = updraft_tuf::pem_decode("CERTIFICATE REQUEST", &request).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let forged = updraft_tuf::pem_encode("CERTIFICATE REQUEST", &der);
    assert!(authority.issue_device_for_request(&forged, "d", validity()).is_err());
    assert!(authority.issue_device_for_request("nothing", "d", validity()).is_err());
}

#[test]
fn names_and_times_are_checked() {
    let authority = CertificateAuthority::create("CA", validity()).unwrap();
    for name in ["", "a\nb", &"x".repeat(65)] {
        assert!(authority.issue_device(name, validity()).is_err(), "{name:?}");
    }
    assert!(authority.issue_server(&[], validity()).is_err());
    let backwards = Validity { not_before: now(), not_after: now() };
    assert!(authority.issue_device("d", backwards).is_err());
    let info = certificate_info(
        authority.issue_device("d", validity()).unwrap().certificate_pem.as_bytes(),
    )
    .unwrap();
    assert_eq!(info.common_name.as_deref(), Some("d"));
    assert_eq!(info.not_before, "2023-12-31T23:00:00Z".parse::<Timestamp>().unwrap());
    assert!(certificate_info(b"junk").is_err());
}

#[test]
fn pkcs12_round_trips() {
    let authority = CertificateAuthority::create("CA", validity()).unwrap();
    let device = authority.issue_device("device-1", validity()).unwrap();
    for password in ["", "geheim"] {
        let file = pkcs12::encode(&device, authority.certificate_pem(), password).unwrap();
        let contents = pkcs12::decode(&file, password).unwrap();
        let (certs, key) = chain(&contents.identity);
        assert_eq!((certs, key), chain(&device));
        let ca = contents.ca_pem.unwrap();
        assert_eq!(
            CertificateDer::from_pem_slice(ca.as_bytes()).unwrap(),
            CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap()
        );
        assert!(pkcs12::decode(&file, "wrong").is_err());
        assert!(pkcs12::decode(&file[..file.len() - 9], password).is_err());
    }
}

#[test]
fn openssl_reads_our_pkcs12_and_we_read_its() {
    if Command::new("openssl").arg("version").output().is_err() {
        // The round trip above still covers both directions.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let authority = CertificateAuthority::create("CA", validity()).unwrap();
    let device = authority.issue_device("device-1", validity()).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        std::fs::File::create(path(name)).unwrap().write_all(bytes).unwrap();
    };
    put("ours.p12", &pkcs12::encode(&device, authority.certificate_pem(), "").unwrap());
    put("cert.pem", device.certificate_pem.as_bytes());
    put("key.pem", device.private_key_pem.as_bytes());
    put("ca.pem", authority.certificate_pem().as_bytes());
    let run = |line: &str| {
        let words = line.split(' ').map(|word| if word == "_" { "" } else { word });
        let output = Command::new("openssl").args(words).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = run(&format!("pkcs12 -in {} -passin pass: -nodes", path("ours.p12")));
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{text}");
    assert!(text.contains("BEGIN PRIVATE KEY"));
    let chain_check = run(&format!("verify -CAfile {} {}", path("ca.pem"), path("cert.pem")));
    assert!(chain_check.contains("OK"));
    for extra in ["", " -legacy"] {
        run(&format!(
            "pkcs12 -export -inkey {} -in {} -certfile {} -passout pass:pw -out {}{extra}",
            path("key.pem"),
            path("cert.pem"),
            path("ca.pem"),
            path("theirs.p12")
        ));
        let contents = pkcs12::decode(&std::fs::read(path("theirs.p12")).unwrap(), "pw").unwrap();
        assert_eq!(chain(&contents.identity).0, chain(&device).0, "{extra}");
        assert!(contents.ca_pem.is_some());
    }
}
