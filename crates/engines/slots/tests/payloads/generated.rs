//! Payloads that were made here: what they make, that they are always the same, and what an
//! independent reader makes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_crypto::KeyAlgorithm;
use updraft_payload::OperationKind as Kind;
use updraft_slots::{
    ApplyOptions, Device, FileSource, GenerateOptions, Head, Image, Mode, Places, Trust, apply,
    generate, sign, verify,
};
use updraft_task::Context;

use super::make::{signer, trusting};

/// Images of a few megabytes: text that compresses well, noise, zeros, and in the new one blocks that
/// moved, changed here and there, or are new.
fn images(folder: &Path) -> Vec<Image> {
    let mut state = 1_u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    };
    let words = b"what is in a file system is words, most of it; and again words. ";
    let text: Vec<u8> = words.iter().copied().cycle().take(700_000).collect();
    let mut old = [noise(1 << 20), text, vec![0; 1 << 19], noise(1 << 20)].concat();
    old.resize(old.len().next_multiple_of(4096), 7);
    let mut new = old.clone();
    new.rotate_right(40 * 4096);
    for at in (0..new.len()).step_by(300_007) {
        new[at] ^= 0x55;
    }
    // Here and there a block that is like nothing.
    for block in [300, 303, 310] {
        new[block * 4096..(block + 1) * 4096].copy_from_slice(&noise(4096));
    }
    let fresh = noise(300 << 10);
    new.extend_from_slice(&fresh);
    new.resize(new.len().next_multiple_of(4096) + (1 << 20), 0);
    let small = [7; 8192];
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let partition = |name: &str, old: &[u8], new: &[u8]| Image {
        partition: name.to_owned(),
        new: write(&format!("{name}.img"), new),
        old: Some(write(&format!("{name}.old"), old)),
    };
    vec![partition("system", &old, &new), partition("boot", &small, &small)]
}

fn full(images: &[Image]) -> Vec<Image> {
    images.iter().map(|image| Image { old: None, ..image.clone() }).collect()
}

fn make(images: &[Image], jobs: usize, output: &Path) -> Vec<u8> {
    let options = GenerateOptions {
        jobs,
        max_timestamp: 1_790_000_000,
        security_patch_level: Some("2026-11-01".to_owned()),
        ..GenerateOptions::default()
    };
    let properties = generate(&Context::silent(), images, &options, &[], output).unwrap();
    let mut source = FileSource::open(output).unwrap();
    let verified = verify(&Context::silent(), &mut source, &Trust::default()).unwrap();
    assert_eq!((verified.properties, verified.without_hash), (properties, 0));
    std::fs::read(output).unwrap()
}

fn applied(payload: &Path, images: &[Image], trust: &Trust) {
    let folder = tempfile::tempdir().unwrap();
    let places: BTreeMap<String, Places> = images
        .iter()
        .map(|image| {
            let target = folder.path().join(&image.partition);
            (image.partition.clone(), Places { target, source: image.old.clone() })
        })
        .collect();
    let mut options = ApplyOptions::new(folder.path());
    options.mode = Mode::Extract;
    let mut source = FileSource::open(payload).unwrap();
    apply(&Context::silent(), &mut source, trust, &places, &options).unwrap();
    for image in images {
        let made = std::fs::read(folder.path().join(&image.partition)).unwrap();
        assert!(made == std::fs::read(&image.new).unwrap(), "{} is another", image.partition);
    }
}

#[test]
fn payloads_make_their_images_and_are_always_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let deltas = images(folder.path());
    let output = folder.path().join("payload.bin");
    let mut sizes = Vec::new();
    for images in [full(&deltas), deltas] {
        let one = make(&images, 1, &output);
        assert!(make(&images, 3, &output) == one, "threads change the payload");
        applied(&output, &images, &Trust::default());
        sizes.push(one.len());
    }
    // Noise of 2.3 MiB cannot be made smaller; of it 312 KiB are new.
    assert!(sizes[0] > 2_300_000 && sizes[1] < 345_000, "{sizes:?}");
}

#[test]
fn a_full_payload_replaces_and_a_delta_does_all() {
    let folder = tempfile::tempdir().unwrap();
    let deltas = images(folder.path());
    let output = folder.path().join("payload.bin");
    let kinds = |images: &[Image]| {
        make(images, 2, &output);
        let mut source = FileSource::open(&output).unwrap();
        let head = Head::read(&mut source, &Trust::default()).unwrap();
        let operations = head.manifest.partitions.iter().flat_map(|it| it.operations.clone());
        let mut kinds: Vec<Kind> = operations.map(|operation| operation.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(head.manifest.about.max_timestamp, Some(1_790_000_000));
        (head.manifest.minor_version, kinds)
    };
    let (minor, replaced) = kinds(&full(&deltas));
    assert_eq!(minor, 0);
    assert!(replaced.iter().all(|kind| kind.name().starts_with("REPLACE")), "{replaced:?}");
    let (minor, done) = kinds(&deltas);
    assert_eq!(minor, 6);
    assert!(done.contains(&Kind::Zero) && done.contains(&Kind::SourceCopy), "{done:?}");
    assert!(done.contains(&Kind::BrotliBsdiff) || done.contains(&Kind::SourceBsdiff), "{done:?}");
}

#[test]
fn a_payload_is_what_its_devices_know_and_can_afford() {
    let folder = tempfile::tempdir().unwrap();
    let images = images(folder.path());
    let output = folder.path().join("payload.bin");
    let mut sizes = Vec::new();
    for (minor, memory) in [(2, 2 << 20), (3, 8 << 20), (4, 8 << 20), (9, 64 << 20)] {
        let device = Device { minor_version: Some(minor), memory: Some(memory) };
        let options = GenerateOptions { device, ..GenerateOptions::default() };
        generate(&Context::silent(), &images, &options, &[], &output).unwrap();
        applied(&output, &images, &Trust::default());
        let mut source = FileSource::open(&output).unwrap();
        let head = Head::read(&mut source, &Trust::default()).unwrap();
        assert_eq!(head.manifest.minor_version, minor);
        for operation in head.manifest.partitions.iter().flat_map(|it| &it.operations) {
            let newer = match operation.kind {
                Kind::ReplaceXz => 3,
                Kind::Zero | Kind::BrotliBsdiff => 4,
                Kind::Replace | Kind::ReplaceBz | Kind::SourceCopy | Kind::SourceBsdiff => 2,
                other => panic!("{other:?}"),
            };
            assert!(newer <= minor, "{operation:?}");
            // Other readers write what replaces into one place.
            let is_replaced = operation.kind.name().starts_with("REPLACE");
            assert!(!is_replaced || operation.destinations.len() == 1, "{operation:?}");
            let blocks: u64 = operation.destinations.iter().map(|extent| extent.count).sum();
            let is_made = !matches!(operation.kind, Kind::Zero | Kind::SourceCopy);
            assert!(!is_made || blocks * 4096 <= memory / 8, "{operation:?}");
        }
        sizes.push(std::fs::metadata(&output).unwrap().len());
    }
    // But for how little bzip2 makes of noise that lies in several places.
    assert!(sizes.is_sorted_by(|one, other| one + one / 100 >= *other), "{sizes:?}");
    let device = Device { minor_version: Some(1), memory: None };
    let options = GenerateOptions { device, ..GenerateOptions::default() };
    let error = generate(&Context::silent(), &images, &options, &[], &output).unwrap_err();
    assert!(error.to_string().contains("minor version 1"), "{error}");
}

#[test]
fn a_partial_payload_has_a_version_that_may_be_partial() {
    let folder = tempfile::tempdir().unwrap();
    let images = full(&images(folder.path()));
    let output = folder.path().join("payload.bin");
    let options = GenerateOptions { is_partial: true, ..GenerateOptions::default() };
    generate(&Context::silent(), &images, &options, &[], &output).unwrap();
    let head = Head::read(&mut FileSource::open(&output).unwrap(), &Trust::default()).unwrap();
    assert_eq!((head.manifest.minor_version, head.manifest.about.partial_update), (7, Some(true)));
    applied(&output, &images, &Trust::default());
}

#[test]
fn a_payload_is_signed_and_signed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let images = images(folder.path());
    let (one, two) = (signer(KeyAlgorithm::Rsa2048), signer(KeyAlgorithm::EcdsaP256));
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let trust = [trusting(&[&one]), trusting(&[&two])];
    let check = |path: &Path, trust: &Trust| {
        verify(&Context::silent(), &mut FileSource::open(path).unwrap(), trust).is_ok()
    };
    let options = GenerateOptions::default();
    generate(&Context::silent(), &full(&images), &options, &[one], &first).unwrap();
    assert!(check(&first, &trust[0]) && !check(&first, &trust[1]));
    applied(&first, &full(&images), &trust[0]);
    sign(&mut FileSource::open(&first).unwrap(), &[two], &second).unwrap();
    assert!(!check(&second, &trust[0]) && check(&second, &trust[1]));
    // Without keys the signatures are gone, and it is what it was before any.
    sign(&mut FileSource::open(&second).unwrap(), &[], &second).unwrap();
    generate(&Context::silent(), &full(&images), &options, &[], &first).unwrap();
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap());
}

#[test]
fn images_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("new");
    let output = folder.path().join("payload.bin");
    for (bytes, text) in [(&[1; 100][..], "no blocks"), (&[], "no blocks")] {
        std::fs::write(&new, bytes).unwrap();
        let image = Image { partition: "x".to_owned(), new: new.clone(), old: None };
        let options = GenerateOptions::default();
        let error = generate(&Context::silent(), &[image], &options, &[], &output).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(!output.exists());
    }
}

/// An independent reader, of PyPI. It knows full payloads only, and tells of damage by its exit code.
const DUMPER: &str = "android-payload-dumper==2.3.0";
/// Names its folder, so that other versions get an environment of their own.
const ENVIRONMENT: &str = "android-payload-dumper-2.3.0";

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// The program of that package, in an environment of its own.
fn dumper() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(ENVIRONMENT);
    let ready = folder.join("ready");
    if !ready.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", DUMPER];
        run(Command::new(folder.join("bin/python3")).args(install));
        std::fs::write(&ready, b"").unwrap();
    }
    folder.join("bin/payload-dumper")
}

#[test]
fn an_independent_reader_makes_the_same_images_of_a_full_payload() {
    let folder = tempfile::tempdir().unwrap();
    let images = full(&images(folder.path()));
    let payload = folder.path().join("payload.bin");
    let options = GenerateOptions::default();
    let keys = [signer(KeyAlgorithm::Rsa2048)];
    generate(&Context::silent(), &images, &options, &keys, &payload).unwrap();
    let out = folder.path().join("out");
    run(Command::new(dumper()).arg(&payload).arg("-o").arg(&out));
    for image in images {
        let made = std::fs::read(out.join(format!("{}.img", image.partition))).unwrap();
        assert!(made == std::fs::read(&image.new).unwrap(), "{} is another", image.partition);
    }
}
