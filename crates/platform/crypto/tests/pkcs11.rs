//! Keys in a token: SoftHSM, with keys that OpenSC makes there. What they sign is verified by
//! aws-lc, which has never seen them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "token/soft.rs"]
mod soft;

use rustls::SignatureScheme;
use rustls::sign::SigningKey as _;
use soft::{MODULE, SoftToken};
use updraft_crypto::Verifier;
use updraft_crypto::pkcs11::{Scheme, TokenKey, TokenUri, certificates_pem};
use updraft_crypto::plain::SpkiKey;
use updraft_crypto::tls::{CertificateAuthority, Validity};
use updraft_error::{Classify, Kind};
use updraft_tuf::{KeyType, Sign, VerifySignature, pem_decode};

const KEYS: [(&str, &str, &str, KeyType); 3] = [
    ("ec", "01", "EC:prime256v1", KeyType::EcdsaP256),
    ("rsa", "02", "rsa:2048", KeyType::Rsa),
    ("ed", "03", "EC:edwards25519", KeyType::Ed25519),
];

fn validity() -> Validity {
    Validity::days("2024-01-01T00:00:00Z".parse().unwrap(), 36_500)
}

fn open(uri: &str) -> Result<TokenKey, updraft_crypto::Error> {
    TokenKey::open(&uri.parse::<TokenUri>().unwrap())
}

#[track_caller]
fn refused(uri: &str, kind: Kind) {
    let error = open(uri).unwrap_err();
    assert_eq!(error.kind(), kind, "{uri}: {error}");
    assert!(!error.to_string().contains("1235"), "{error}");
}

#[test]
fn keys_in_a_token_sign() {
    let folder = tempfile::tempdir().unwrap();
    let token = SoftToken::create(folder.path());
    for (label, id, key_type, _) in KEYS {
        token.generate(label, id, key_type);
    }
    token.generate("twice", "04", "EC:prime256v1");
    token.generate("twice", "05", "EC:prime256v1");
    token.generate("large", "06", "EC:secp384r1");
    let authority = CertificateAuthority::create("test", validity()).unwrap();
    let pem = authority.certificate_pem();
    std::fs::write(token.path("ca.pem"), pem).unwrap();
    token.add_certificate("ca", "07", &pem_decode("CERTIFICATE", pem).unwrap());
    token.child("child_signs");
    token.child("child_is_refused");
}

#[test]
fn child_signs() {
    let Some(token) = SoftToken::inherited() else { return };
    let authority = certificates_pem(&token.uri("ca;type=cert").parse().unwrap()).unwrap();
    assert_eq!(authority.trim(), std::fs::read_to_string(token.path("ca.pem")).unwrap().trim());
    for (label, id, _, key_type) in KEYS {
        let key = open(&token.uri(label)).unwrap();
        let by_id = open(&token.uri(&format!("{label};id=%{id};type=private"))).unwrap();
        assert_eq!((key.public(), key.public().key_type()), (by_id.public(), key_type));
        // As metadata is signed.
        let signature = Sign::sign(&key, b"message").unwrap();
        assert!(Verifier.verify(key.public(), b"message", &signature), "{label}");
        assert!(!Verifier.verify(key.public(), b"massage", &signature), "{label}");
        // As commits are.
        let plain = if key_type == KeyType::Rsa { Scheme::RsaPkcs1 } else { key.scheme() };
        let signature = key.sign_with(plain, b"message").unwrap();
        assert!(SpkiKey::from_der(key.spki_der()).unwrap().verify(b"message", &signature));
        // As handshakes are, in TLS 1.3 and 1.2.
        let offered = [
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::ED25519,
        ];
        let signer = key.choose_scheme(&offered).unwrap();
        let signature = signer.sign(b"handshake").unwrap();
        assert!(Verifier.verify(key.public(), b"handshake", &signature), "{label}");
        assert!(key.choose_scheme(&[SignatureScheme::ECDSA_NISTP384_SHA384]).is_none());
        assert!(format!("{key:?}").contains(label));
        // Threads take turns.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(key.sign_with(key.scheme(), b"m").is_ok()));
            }
        });
    }
}

#[test]
fn child_is_refused() {
    let Some(token) = SoftToken::inherited() else { return };
    refused(&token.uri("nobody"), Kind::NotFound);
    refused(&token.uri("ec;type=public"), Kind::NotFound);
    refused(&token.uri("ec").replace("token=up", "token=down"), Kind::NotFound);
    refused(&token.uri("ec;library-manufacturer=Acme"), Kind::NotFound);
    refused(&token.uri("twice"), Kind::Invalid);
    refused(&token.uri("large"), Kind::Unsupported);
    refused("pkcs11:object=ec?module-path=/nowhere.so", Kind::NotFound);
    let without = format!("pkcs11:token=up;object=ec?module-path={MODULE}");
    refused(&without, Kind::NotFound);
    refused(&format!("{without}&pin-value=1235"), Kind::Rejected);
    let none = certificates_pem(&token.uri("ec").parse().unwrap()).unwrap_err();
    assert_eq!(none.kind(), Kind::NotFound, "{none}");
    // After all this the right PIN still opens it.
    open(&format!("{without}&pin-value=1234")).unwrap();
}
