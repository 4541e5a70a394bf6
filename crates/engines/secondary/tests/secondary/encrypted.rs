//! Images that are encrypted for this ECU, and what a primary can try with them; images that have a
//! SHA-512 only.
#![allow(clippy::unwrap_used, missing_docs)]

use sha2::{Digest as _, Sha512};
use updraft_crypto::{KeyAlgorithm, SigningKey};
use updraft_publish::encrypt_image;
use updraft_secondary::{Ecu, Error, Installation, Verification};
use updraft_tuf::{EncryptedImage, Hashes, PublicKey, TrustedMetadata};

use crate::vehicle::{HARDWARE, Home, SERIAL, Vehicle, now};
use crate::{ctx, give, reported};

fn encrypt(ecu: &PublicKey, image: &[u8]) -> (EncryptedImage, Vec<u8>) {
    let mut ciphertext = Vec::new();
    let told = encrypt_image(ecu, "fw.enc", &mut &*image, &mut ciphertext).unwrap();
    (told, ciphertext)
}

/// Metadata that assigns `image` as this ciphertext.
fn assign(
    vehicle: &mut Vehicle,
    name: &str,
    image: &[u8],
    told: &EncryptedImage,
) -> TrustedMetadata {
    vehicle.publish(name, image, HARDWARE, "1");
    vehicle.assign_edited(name, image, |target| {
        for (member, value) in told.to_members() {
            target["custom"]["ecuIdentifiers"][SERIAL][member] = value;
        }
    })
}

fn install(ecu: &mut Ecu) -> Result<Installation, Error> {
    ecu.install(&ctx(), b"", now())
}

#[test]
fn an_encrypted_image_is_opened_by_the_ecu_that_it_is_for() {
    // The Image repository alone tells of no ciphertext.
    for verification in [Verification::Full, Verification::Partial] {
        let (mut vehicle, home) = (Vehicle::new(), Home::new());
        let mut ecu = home.ecu(verification);
        let image = b"a secret firmware".repeat(9000);
        let (told, ciphertext) = encrypt(ecu.public_key(), &image);
        let all = assign(&mut vehicle, "fw-1", &image, &told);
        ecu.put_metadata(&all, now()).unwrap();
        for piece in ciphertext.chunks(1000) {
            ecu.receive(piece, now()).unwrap();
        }
        assert_eq!(install(&mut ecu).unwrap(), Installation::Done);
        assert!(home.firmware().unwrap() == image, "{verification:?}");
        let report = reported(&mut ecu);
        let sha256 = updraft_crypto::sha256_hex(&image);
        assert_eq!(report["installed_image"]["fileinfo"]["hashes"]["sha256"], sha256);
        let names = std::fs::read_dir(home.path("state/images")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [sha256.as_str()], "a ciphertext stayed");
    }
}

#[test]
fn what_was_swapped_changed_cut_or_decrypts_to_something_else_is_never_installed() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    let mut ecu = home.ecu(Verification::Full);
    let (own, other) =
        (ecu.public_key().clone(), SigningKey::generate(KeyAlgorithm::Ed25519).unwrap());
    let image = b"image".repeat(100);
    let lie = b"other".repeat(100);
    let (told, right) = encrypt(&own, &image);
    let refused = |ecu: &mut Ecu, all: &TrustedMetadata, bytes: &[u8], why: &str| {
        let error = give(ecu, all, bytes).unwrap_err();
        assert!(error.chain().contains(why), "{}", error.chain());
        assert!(matches!(install(ecu), Err(Error::Incomplete { .. })), "{why}");
        assert_eq!(home.firmware(), None, "{why}");
    };

    // Not the ciphertext that the Director means: changed, too long, or the plain image.
    let all = assign(&mut vehicle, "fw-1", &image, &told);
    let mut changed = right.clone();
    changed[7] ^= 1;
    refused(&mut ecu, &all, &changed, "hash");
    assert!(reported(&mut ecu)["attacks_detected"].as_str().unwrap().contains("hash"));
    refused(&mut ecu, &all, &[&right[..], b"!"].concat(), "length");
    give(&mut ecu, &all, &right[..right.len() - 1]).unwrap();
    assert!(matches!(install(&mut ecu), Err(Error::Incomplete { .. })));
    give(&mut ecu, &all, &image).unwrap();
    assert!(matches!(install(&mut ecu), Err(Error::Incomplete { .. })), "it took the plain image");

    // The Director means what another ECU was to get: the key is not for this one.
    let (for_other, theirs) = encrypt(other.public(), &image);
    let all = assign(&mut vehicle, "fw-1", &image, &for_other);
    refused(&mut ecu, &all, &theirs, "not encrypted for this ECU");
    // This ECU's key with another ciphertext.
    let mixed = EncryptedImage { key: told.key.clone(), ..for_other };
    let all = assign(&mut vehicle, "fw-1", &image, &mixed);
    refused(&mut ecu, &all, &theirs, "changed or cut");
    // A ciphertext that was cut before it was signed.
    let cut = &right[..right.len() - 16];
    let short =
        EncryptedImage { length: cut.len() as u64, hashes: Hashes::of(cut), ..told.clone() };
    let all = assign(&mut vehicle, "fw-1", &image, &short);
    refused(&mut ecu, &all, cut, "changed or cut");
    // A good ciphertext of something that the Image repository never signed.
    let (of_lie, ciphertext) = encrypt(&own, &lie);
    let all = assign(&mut vehicle, "fw-1", &image, &of_lie);
    refused(&mut ecu, &all, &ciphertext, "hash");
    assert!(reported(&mut ecu)["attacks_detected"].as_str().unwrap().contains("hash"));
    // A way of encrypting that nobody here knows.
    let unknown = EncryptedImage { content_encryption: Some("rot13".to_owned()), ..told.clone() };
    let all = assign(&mut vehicle, "fw-1", &image, &unknown);
    refused(&mut ecu, &all, &right, "rot13");

    let all = assign(&mut vehicle, "fw-1", &image, &told);
    give(&mut ecu, &all, &right).unwrap();
    install(&mut ecu).unwrap();
    assert_eq!(home.firmware().unwrap(), image);
}

#[test]
fn an_image_with_a_sha512_only_is_known_by_it() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    let mut ecu = home.ecu(Verification::Full);
    let sha512 = hex::encode(Sha512::digest(b"five"));
    let hashes = Hashes::from_digest(&sha512);
    vehicle.publish_with("fw-5", (4, hashes), HARDWARE, "5");
    let assign = |vehicle: &mut Vehicle| {
        vehicle.assign_edited("fw-5", b"five", |target| {
            target["hashes"] = serde_json::json!({ "sha512": sha512 });
        })
    };
    let all = assign(&mut vehicle);
    give(&mut ecu, &all, b"five").unwrap();
    install(&mut ecu).unwrap();
    assert_eq!(home.firmware().unwrap(), b"five");
    let report = reported(&mut ecu);
    assert_eq!(report["installed_image"]["fileinfo"]["hashes"]["sha512"], sha512);
    // The same again is nothing new, and no other content under the old name.
    let all = assign(&mut vehicle);
    ecu.put_metadata(&all, now()).unwrap();
    assert!(matches!(install(&mut ecu), Err(Error::NothingAssigned)));
    assert_eq!(reported(&mut ecu)["attacks_detected"], "");
}
