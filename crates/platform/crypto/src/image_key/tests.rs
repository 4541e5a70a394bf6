//! Keys that are wrapped and opened, by us and by others.

use std::process::Command;

use super::*;
use crate::KeyAlgorithm;

fn told(encryption: &str, wrapped: &[u8]) -> EncryptedImage {
    EncryptedImage {
        filename: "fw.enc".to_owned(),
        length: 0,
        hashes: updraft_tuf::Hashes::default(),
        uri: None,
        method: CIPHER.to_owned(),
        key: BASE64_STANDARD.encode(wrapped),
        key_encryption: Some(encryption.to_owned()),
        content_encryption: Some(CONTENT_ENCRYPTION.to_owned()),
    }
}

fn unwrap(own: &SigningKey, encryption: &str, wrapped: &[u8]) -> Result<ImageKey, Error> {
    own.image_key(&told(encryption, wrapped))
}

fn same(one: &ImageKey, other: &ImageKey) -> bool {
    one.0 == other.0
}

#[test]
fn only_the_ecu_for_which_a_key_is_wrapped_opens_it() {
    let key = ImageKey::generate().unwrap();
    for algorithm in [KeyAlgorithm::Ed25519, KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048] {
        let (own, other) =
            (SigningKey::generate(algorithm).unwrap(), SigningKey::generate(algorithm).unwrap());
        let name = KeyEncryption::of(own.public().key_type()).name();
        let wrapped = key.wrap(own.public()).unwrap();
        assert!(same(&unwrap(&own, name, &wrapped).unwrap(), &key), "{algorithm}");
        let refused = unwrap(&other, name, &wrapped).unwrap_err();
        assert!(matches!(refused, Error::Undecryptable { .. }), "{algorithm}: {refused}");
        for at in [0, wrapped.len() / 2, wrapped.len() - 1] {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            unwrap(&own, name, &changed).unwrap_err();
        }
        for length in [0, 1, 31, 32, 65, wrapped.len() - 1] {
            unwrap(&own, name, &wrapped[..length]).unwrap_err();
        }
        unwrap(&own, name, &[0; MAX_WRAPPED + 1]).unwrap_err();
        unwrap(&own, "rsa-oaep-sha1", &wrapped).unwrap_err();
    }
    assert_eq!(format!("{key:?}"), "ImageKey");
}

#[test]
fn points_of_a_small_group_are_refused() {
    // The neutral element, and a point of order two.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    for point in [neutral, minus_one] {
        assert_eq!(montgomery(&point).filter(|it| it.iter().any(|byte| *byte != 0)), None);
        let ecu = PublicKey::new(KeyType::Ed25519, point.to_vec()).unwrap();
        ImageKey::generate().unwrap().wrap(&ecu).unwrap_err();
    }
}

#[test]
fn openssl_opens_what_is_wrapped_for_rsa() {
    let folder = tempfile::tempdir().unwrap();
    let own = SigningKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    let key = ImageKey::generate().unwrap();
    let (pem, wrapped) = (folder.path().join("key.pem"), folder.path().join("wrapped"));
    std::fs::write(&pem, own.to_pkcs8_pem().unwrap()).unwrap();
    std::fs::write(&wrapped, key.wrap(own.public()).unwrap()).unwrap();
    let opened = Command::new("openssl")
        .args(["pkeyutl", "-decrypt", "-pkeyopt", "rsa_padding_mode:oaep"])
        .args(["-pkeyopt", "rsa_oaep_md:sha256", "-inkey"])
        .args([&pem, std::path::Path::new("-in"), &wrapped])
        .output()
        .unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    assert_eq!(opened.stdout, *key.0);
}

/// Made with the HPKE of Python's `cryptography`, from private keys that are all ones.
#[test]
fn what_another_implementation_wrapped_is_opened() {
    for (private, name, wrapped) in VECTORS {
        let own = SigningKey::from_pkcs8_der(&hex::decode(private).unwrap()).unwrap();
        let opened = unwrap(&own, name, &hex::decode(wrapped).unwrap()).unwrap();
        assert_eq!(*opened.0, [7; KEY], "{name}");
    }
}

pub(super) const VECTORS: [(&str, &str, &str); 2] = [
    (
        "302e020100300506032b6570042204200101010101010101010101010101010101010101010101010101010101010101",
        "hpke-x25519",
        "dd318cac074b279ea8a861907990458cdc40d95d22b9d48a034e8873eb993c6ad35f9cc48fcf9e58e346f216d96597548a3962b8056296455ab0543d410cfed8b50c8875ab14c9ac3b1bee32f711fec7",
    ),
    (
        "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b02010104200101010101010101010101010101010101010101010101010101010101010101a144034200046ff03b949241ce1dadd43519e6960e0a85b41a69a05c328103aa2bce1594ca163c4f753a55bf01dc53f6c0b0c7eee78b40c6ff7d25a96e2282b989cef71c144a",
        "hpke-p256",
        "04ef3501e48bfd7a3b8a18e23157678460967d828257a7d81dae24bbc0fdeb3e8ffe168b7fb9dd8ea98695f70a8b60cd7be307c2d83692230c02a78972c0a25b8cd3cd5fafc864751362c27b081af163840bdfa1b10ed06ec9d82225a3ea1a30bf5bde9c52d3e570e9b11e553d1f811ded",
    ),
];
