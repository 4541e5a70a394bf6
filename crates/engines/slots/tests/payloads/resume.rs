//! An apply that ends anywhere goes on from there.

use std::cell::Cell;
use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use updraft_crypto::KeyAlgorithm;
use updraft_fs::fault::{self, Fault};
use updraft_payload::OperationKind as Kind;
use updraft_slots::{Result, Source, Trust};

use super::make::{BLOCK, Maker, World, delta, signer, trusting};

/// A payload in memory that breaks off, and tells how many bytes were read of it.
struct Flaky<'a> {
    bytes: &'a [u8],
    end: usize,
    read: &'a Cell<usize>,
}

struct Part<'a>(&'a [u8], &'a Cell<usize>);

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // A few bytes at a time, as a slow network gives them.
        let most = buffer.len().min(7);
        let read = self.0.read(&mut buffer[..most])?;
        self.1.set(self.1.get() + read);
        Ok(read)
    }
}

impl Source for Flaky<'_> {
    fn open(&mut self, offset: u64) -> Result<Box<dyn Read + '_>> {
        let start = usize::try_from(offset).unwrap();
        let bytes = self.bytes.get(start..self.end).unwrap_or_default();
        Ok(Box::new(Part(bytes, self.read)))
    }
}

#[test]
fn a_connection_that_breaks_off_at_any_byte_is_gone_on_from() {
    let ec = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    let payload = maker.signed(&[&ec]);
    let trust = trusting(&[&ec]);
    let head = payload.len() - maker.data.len() - 81;
    let largest = 512 + 7;
    for end in (0..payload.len()).step_by(29) {
        let world = World::of(&maker);
        let read = Cell::new(0);
        world.apply_from(&mut Flaky { bytes: &payload, end, read: &read }, &trust).unwrap_err();
        let first = read.take();
        let applied = world
            .apply_from(&mut Flaky { bytes: &payload, end: payload.len(), read: &read }, &trust)
            .unwrap();
        world.assert_holds(&maker);
        // The metadata is read again, and at most the data of one operation.
        assert!(first + read.get() <= payload.len() + head.min(end) + largest, "cut at {end}");
        assert!(applied.resumed_at > 0 || end <= head + largest, "cut at {end}");
    }
}

/// A payload whose reader dies in the midst, and with it all that is not recorded.
struct Deadly<'a>(Flaky<'a>);

struct DeadlyPart<'a>(Box<dyn Read + 'a>);

impl Read for DeadlyPart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        assert!(read > 0, "the power is cut");
        Ok(read)
    }
}

impl Source for Deadly<'_> {
    fn open(&mut self, offset: u64) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(DeadlyPart(self.0.open(offset)?)))
    }
}

#[test]
fn after_a_power_cut_no_more_is_read_again_than_the_largest_operation_has() {
    const LEAST: usize = 64 << 10;
    let update = |sizes: &[usize]| {
        let mut maker = Maker::new(0);
        let new: Vec<u8> =
            sizes.iter().zip(0_u8..).flat_map(|(size, byte)| vec![byte; size * BLOCK]).collect();
        maker.partition("system", None, &new);
        let mut at = 0;
        for (size, byte) in sizes.iter().zip(0_u8..) {
            let length = *size as u64;
            maker.operation(Kind::Replace, Some(&vec![byte; size * BLOCK]), &[], &[(at, length)]);
            at += length;
        }
        maker
    };
    // In blocks: all small, or one as large as four times what may be read twice.
    for sizes in [vec![16; 60], [vec![16; 30], vec![4 * LEAST / BLOCK], vec![100; 10]].concat()] {
        let maker = update(&sizes);
        let payload = maker.unsigned();
        let head = payload.len() - maker.data.len();
        let most = (sizes.iter().max().unwrap() * BLOCK).max(LEAST);
        for end in (head + LEAST..payload.len()).step_by(9973) {
            let mut world = World::of(&maker);
            world.options.checkpoint_bytes = u64::MAX;
            world.options.checkpoint_data_bytes = Some(1 << 20);
            let read = Cell::new(0);
            let mut deadly = Deadly(Flaky { bytes: &payload, end, read: &read });
            let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                world.apply_from(&mut deadly, &Trust::default())
            }));
            assert!(died.is_err(), "cut at {end}");
            let first = read.take();
            let mut whole = Flaky { bytes: &payload, end: payload.len(), read: &read };
            world.apply_from(&mut whole, &Trust::default()).unwrap();
            world.assert_holds(&maker);
            let again = first + read.get() - payload.len() - head;
            assert!(again <= most, "cut at {end}: {again} bytes are read again, of {most}");
        }
    }
}

#[test]
fn a_write_that_fails_at_any_time_is_gone_on_from() {
    let maker = delta();
    let payload = maker.unsigned();
    let mut resumed = 0;
    for operations in 0.. {
        let world = World::of(&maker);
        std::fs::write(world.path("payload.bin"), &payload).unwrap();
        let injection = fault::Injection::after(operations, Fault::Broken);
        let first = world.apply(&payload, &Trust::default());
        let struck = injection.has_struck() && first.is_err();
        drop(injection);
        if !struck {
            first.unwrap();
            assert!(operations > 20, "only {operations} writes were counted");
            break;
        }
        let applied = world.apply(&payload, &Trust::default()).unwrap();
        resumed += usize::from(applied.resumed_at > 0);
        world.assert_holds(&maker);
        assert!(!world.path("state.json").exists());
    }
    assert!(resumed > 10, "it went on only {resumed} times");
}

const FOLDER: &str = "UPDRAFT_TEST_KILLED_FOLDER";
const LIVES: &str = "UPDRAFT_TEST_KILLED_AFTER";

/// What the test below runs in a process of its own, and kills.
#[test]
fn killed_process() {
    let (Ok(folder), Ok(lives)) = (std::env::var(FOLDER), std::env::var(LIVES)) else { return };
    let maker = delta();
    let mut world = World::of(&maker);
    world.move_to(&folder);
    fault::kill_process_after(lives.parse().unwrap());
    let path = std::path::Path::new(&folder).join("payload.bin");
    let mut source = updraft_slots::FileSource::open(&path).unwrap();
    world.apply_from(&mut source, &Trust::default()).unwrap();
}

#[test]
fn a_process_that_is_killed_at_any_time_is_gone_on_from() {
    let maker = delta();
    let payload = maker.unsigned();
    let mut resumed = 0;
    for lives in 0.. {
        let world = World::of(&maker);
        std::fs::write(world.path("payload.bin"), &payload).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "resume::killed_process"]);
        child.env(FOLDER, world.path("")).env(LIVES, lives.to_string());
        let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        if status.success() {
            world.assert_holds(&maker);
            assert!(lives > 20, "only {lives} writes were counted");
            break;
        }
        assert_eq!(status.signal(), Some(9), "after {lives} writes");
        let applied = world.apply(&payload, &Trust::default()).unwrap();
        resumed += usize::from(applied.resumed_at > 0);
        world.assert_holds(&maker);
    }
    assert!(resumed > 10, "it went on only {resumed} times");
}

#[test]
fn a_record_of_something_else_is_not_gone_on_from() {
    let maker = delta();
    let payload = maker.unsigned();
    let stopped = |world: &World| {
        let injection = fault::Injection::after(30, Fault::Broken);
        world.apply(&payload, &Trust::default()).unwrap_err();
        drop(injection);
        assert!(world.path("state.json").exists());
    };
    // Another payload.
    let world = World::of(&maker);
    stopped(&world);
    let mut other = delta();
    other.manifest.security_patch_level = Some("2026-11-01".to_owned());
    assert_eq!(world.apply(&other.unsigned(), &Trust::default()).unwrap().resumed_at, 0);
    world.assert_holds(&other);
    // Another target.
    let mut world = World::of(&maker);
    stopped(&world);
    let target = world.path("elsewhere");
    std::fs::write(&target, [1; 1024]).unwrap();
    world.places.get_mut("boot").unwrap().target = target;
    assert_eq!(world.apply(&payload, &Trust::default()).unwrap().resumed_at, 0);
    world.assert_holds(&maker);
    // Damage.
    let world = World::of(&maker);
    stopped(&world);
    std::fs::write(world.path("state.json"), b"{").unwrap();
    assert_eq!(world.apply(&payload, &Trust::default()).unwrap().resumed_at, 0);
    world.assert_holds(&maker);
}
