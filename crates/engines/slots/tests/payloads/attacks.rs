//! Payloads that somebody changed on the way.

use updraft_crypto::KeyAlgorithm;
use updraft_error::{Classify as _, Kind};
use updraft_payload::Properties;
use updraft_slots::{Error, FileSource, Forward, Trust, Untrusted, properties, verify};
use updraft_task::Context;

use super::make::{World, delta, signer, trusting};

fn untrusted(result: Result<impl std::fmt::Debug, Error>) -> Untrusted {
    match result.unwrap_err() {
        Error::Untrusted(reason) => reason,
        other => panic!("refused for another reason: {other}"),
    }
}

#[test]
fn one_signature_by_one_key_is_enough() {
    let (rsa, ec, other) = (
        signer(KeyAlgorithm::Rsa2048),
        signer(KeyAlgorithm::EcdsaP256),
        signer(KeyAlgorithm::EcdsaP256),
    );
    let maker = delta();
    for signers in [&[&rsa][..], &[&ec], &[&other, &ec], &[&ec, &rsa]] {
        let payload = maker.signed(signers);
        let key = signers.last().unwrap();
        let world = World::of(&maker);
        world.apply(&payload, &trusting(&[key])).unwrap();
        world.assert_holds(&maker);
        world.apply(&payload, &trusting(&[&signer(KeyAlgorithm::EcdsaP256), key])).unwrap();
        // Nobody's key: before the first write.
        let world = World::of(&maker);
        let before = world.targets();
        let stranger = trusting(&[&signer(KeyAlgorithm::Rsa2048)]);
        assert_eq!(untrusted(world.apply(&payload, &stranger)), Untrusted::MetadataSignature);
        assert!(world.targets() == before);
    }
    let world = World::of(&maker);
    let unsigned = world.apply(&maker.unsigned(), &trusting(&[&ec]));
    assert_eq!(untrusted(unsigned), Untrusted::MetadataUnsigned);
}

#[test]
fn metadata_alone_that_is_signed_does_not_do() {
    let ec = signer(KeyAlgorithm::EcdsaP256);
    let mut maker = delta();
    let payload = maker.signed(&[&ec]);
    let source = |bytes: &[u8]| Forward::new(std::io::Cursor::new(bytes.to_vec()));
    let context = Context::silent();
    verify(&context, &mut source(&payload), &trusting(&[&ec])).unwrap();
    // A manifest without a place for the second signature, signed as metadata.
    maker.manifest.security_patch_level = Some("2026-11-01".to_owned());
    let whole = maker.signed(&[&ec]);
    let other = delta().signed(&[&ec]);
    let swapped = [&whole[..whole.len() - SIGNATURES], &other[other.len() - SIGNATURES..]].concat();
    let found = untrusted(verify(&context, &mut source(&swapped), &trusting(&[&ec])));
    assert_eq!(found, Untrusted::Signature);
}

/// Each byte of a signed payload is changed in turn.
#[test]
fn no_bit_can_be_flipped() {
    let ec = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let payload = maker.signed(&[&ec]);
    let trust = trusting(&[&ec]);
    let manifest = u64::from_be_bytes(payload[12..20].try_into().unwrap());
    let metadata = 24 + usize::try_from(manifest).unwrap();
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1 << (at % 8);
        let mut source = Forward::new(&changed[..]);
        if let Err(error) = verify(&Context::silent(), &mut source, &trust) {
            let refused = [Kind::Rejected, Kind::Invalid, Kind::Unsupported, Kind::Unavailable];
            assert!(refused.contains(&error.kind()), "byte {at}: {error}");
            continue;
        }
        let starts = [metadata, payload.len() - SIGNATURES];
        let is_around = starts.iter().any(|start| is_around_signature(&payload, at, *start));
        assert!(is_around, "byte {at} was changed, and nobody saw it");
    }
}

/// A message with one signature by P-256: 0a and its length, 12 48 and 72 bytes, 1d and four bytes
/// with the length without padding.
const SIGNATURES: usize = 81;

/// Whether a byte belongs to the message with a signature, but not to the signature: zeros that fill
/// it up, or what tells of them. A signature is taken however it is wrapped.
fn is_around_signature(payload: &[u8], at: usize, start: usize) -> bool {
    let unpadded = usize::from(payload[start + 77]);
    let signature = start + 4..start + 4 + unpadded;
    (start..start + SIGNATURES).contains(&at) && !signature.contains(&at)
}

#[test]
fn every_cut_is_seen() {
    let ec = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let payload = maker.signed(&[&ec]);
    for end in 0..payload.len() {
        let mut source = Forward::new(&payload[..end]);
        verify(&Context::silent(), &mut source, &trusting(&[&ec])).unwrap_err();
    }
    let longer = [&payload[..], b"x"].concat();
    let found = verify(&Context::silent(), &mut Forward::new(&longer[..]), &trusting(&[&ec]));
    assert_eq!(untrusted(found), Untrusted::Trailing);
    // Of a file the size is known before anything is done.
    let world = World::of(&maker);
    let before = world.targets();
    assert_eq!(untrusted(world.apply(&longer, &Trust::default())), Untrusted::Trailing);
    let error = world.apply(&payload[..payload.len() - 1], &Trust::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(world.targets() == before);
}

#[test]
fn changed_data_is_not_used() {
    let maker = delta();
    let payload = maker.unsigned();
    let start = payload.len() - maker.data.len();
    for at in (start..payload.len()).step_by(17) {
        let mut changed = payload.clone();
        changed[at] ^= 0x10;
        let world = World::of(&maker);
        let error = world.apply(&changed, &Trust::default()).unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "byte {at}: {error}");
        // What was done before that is as good as it was.
        let done = world.path("state.json").exists();
        let applied = world.apply(&payload, &Trust::default()).unwrap();
        assert_eq!(applied.resumed_at > 0, done);
        world.assert_holds(&maker);
    }
}

#[test]
fn data_without_a_hash_is_not_used_when_somebody_is_trusted() {
    let ec = signer(KeyAlgorithm::EcdsaP256);
    let mut maker = delta();
    maker.manifest.partitions[0].operations[0].data_sha256_hash = None;
    let world = World::of(&maker);
    let before = world.targets();
    let found = untrusted(world.apply(&maker.signed(&[&ec]), &trusting(&[&ec])));
    assert_eq!(found, Untrusted::NoDataHash);
    assert!(world.targets() == before);
    world.apply(&maker.unsigned(), &Trust::default()).unwrap();
}

#[test]
fn properties_that_are_known_have_to_be_those() {
    let maker = delta();
    let payload = maker.unsigned();
    let world = World::of(&maker);
    let right = properties(&Context::silent(), &mut Forward::new(&payload[..])).unwrap();
    let apply = |properties: Properties| {
        world.apply(&payload, &Trust { keys: Vec::new(), properties: Some(properties) })
    };
    apply(right.clone()).unwrap();
    world.assert_holds(&maker);
    let wrong = |change: fn(&mut Properties)| {
        let mut properties = right.clone();
        change(&mut properties);
        untrusted(apply(properties))
    };
    assert_eq!(wrong(|it| it.metadata_size += 1), Untrusted::MetadataSize);
    assert_eq!(wrong(|it| it.metadata_sha256[0] ^= 1), Untrusted::MetadataHash);
    assert_eq!(wrong(|it| it.file_size += 1), Untrusted::Size);
    assert_eq!(wrong(|it| it.file_sha256[31] ^= 1), Untrusted::Hash);
}

#[test]
fn a_payload_that_makes_something_else_is_no_success() {
    let mut maker = delta();
    let info = maker.manifest.partitions[1].new_partition_info.as_mut().unwrap();
    info.hash = Some(vec![1; 32]);
    let world = World::of(&maker);
    let error = world.apply(&maker.unsigned(), &Trust::default()).unwrap_err();
    assert!(matches!(&error, Error::Result { partition } if partition == "boot"), "{error}");
    assert!(!world.path("state.json").exists());
}

#[test]
fn what_is_no_payload_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, [b'x'; 100]).unwrap();
    let found =
        verify(&Context::silent(), &mut FileSource::open(&path).unwrap(), &Trust::default());
    assert!(found.unwrap_err().to_string().contains("CrAU"));
    // A size that is a lie takes neither time nor memory.
    let mut lie = b"CrAU\0\0\0\0\0\0\0\x02".to_vec();
    lie.extend((16_u64 << 20).to_be_bytes());
    lie.extend([0; 4]);
    verify(&Context::silent(), &mut Forward::new(&lie[..]), &Trust::default()).unwrap_err();
}
