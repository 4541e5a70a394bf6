//! Keys in a token: SoftHSM, with keys that OpenSC makes there. What they sign is verified by
//! aws-lc, which has never seen them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "token/soft.rs"]
mod soft;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::SignatureScheme;
use rustls::sign::SigningKey as _;
use soft::{MODULE, SoftToken};
use updraft_crypto::image_cipher::{self, CONTENT_ENCRYPTION, seal};
use updraft_crypto::pkcs11::{Scheme, TokenKey, TokenUri, certificates_pem};
use updraft_crypto::plain::SpkiKey;
use updraft_crypto::tls::{CertificateAuthority, Validity};
use updraft_crypto::{IMAGE_CIPHER, ImageKey, KeyEncryption, Verifier};
use updraft_error::{Classify, Kind};
use updraft_tuf::{EncryptedImage, Hashes, KeyType, PublicKey, Sign, VerifySignature, pem_decode};

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
fn keys_in_a_token_open_what_is_encrypted_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let token = SoftToken::create(folder.path());
    for (label, id, key_type, usage) in [
        ("rsa", "01", "rsa:2048", "--usage-decrypt"),
        ("ec", "02", "EC:prime256v1", "--usage-derive"),
        ("rsa-other", "03", "rsa:2048", "--usage-decrypt"),
        ("ec-other", "04", "EC:prime256v1", "--usage-derive"),
        ("ec-signs", "06", "EC:prime256v1", "--usage-sign"),
        ("ed", "07", "EC:edwards25519", "--usage-sign"),
    ] {
        token.generate_for(label, id, key_type, &["--usage-sign", usage]);
    }
    token.child("child_opens");
}

/// What the Director would say of an image whose key is wrapped like this.
fn told(wrapped: &[u8], public: &PublicKey) -> EncryptedImage {
    EncryptedImage {
        filename: "fw.enc".to_owned(),
        length: 0,
        hashes: Hashes::default(),
        uri: None,
        method: IMAGE_CIPHER.to_owned(),
        key: BASE64_STANDARD.encode(wrapped),
        key_encryption: Some(KeyEncryption::of(public.key_type()).name().to_owned()),
        content_encryption: Some(CONTENT_ENCRYPTION.to_owned()),
    }
}

#[test]
fn child_opens() {
    let Some(token) = SoftToken::inherited() else { return };
    let sealed = |key: ImageKey| {
        let mut ciphertext = Vec::new();
        seal(key, &mut &b"firmware"[..], &mut ciphertext).unwrap();
        ciphertext
    };
    for label in ["rsa", "ec"] {
        let (own, other) = (
            open(&token.uri(label)).unwrap(),
            open(&token.uri(&format!("{label}-other"))).unwrap(),
        );
        let key = ImageKey::generate().unwrap();
        let wrapped = key.wrap(own.public()).unwrap();
        let ciphertext = sealed(key);
        let opened = own.image_key(&told(&wrapped, own.public())).unwrap();
        let mut image = Vec::new();
        image_cipher::open(&opened, &mut &*ciphertext, &mut image).unwrap();
        assert_eq!(image, b"firmware", "{label}");
        let refused = |key: &TokenKey, wrapped: &[u8]| {
            let error = key.image_key(&told(wrapped, key.public())).unwrap_err();
            assert_eq!(error.kind(), Kind::Rejected, "{label}: {error}");
        };
        refused(&other, &wrapped);
        for at in [70, wrapped.len() - 1] {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            refused(&own, &changed);
        }
        for length in [1, 65, 66, wrapped.len() - 1] {
            refused(&own, &wrapped[..length]);
        }
    }
    for label in ["ec-signs", "ed"] {
        let own = open(&token.uri(label)).unwrap();
        let wrapped = ImageKey::generate().unwrap().wrap(own.public()).unwrap();
        let error = own.image_key(&told(&wrapped, own.public())).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{label}: {error}");
        assert!(error.to_string().contains("only sign"), "{error}");
    }
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
        // As payloads and packages are, by their hash.
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"message");
        let by_hash = match key_type {
            KeyType::Rsa => Some(Scheme::RsaPkcs1Hash),
            KeyType::EcdsaP256 => Some(Scheme::EcdsaP256Hash),
            KeyType::Ed25519 => None,
        };
        if let Some(scheme) = by_hash {
            let signature = key.sign_with(scheme, hash.as_ref()).unwrap();
            assert!(SpkiKey::from_der(key.spki_der()).unwrap().verify(b"message", &signature));
        }
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
