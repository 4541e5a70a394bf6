//! Programs of a payload, run from its new partition, and the removal of the user's data.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use updraft_slots::boot_control::Slot;
use updraft_slots::{Ask, Error, ErrorCode, FileSource, Headers, Phase, UpdateRequest};
use updraft_task::{CancelToken, Context, Event, Progress};

use super::device::Device;
use super::make::{BLOCK, Maker, signer};
use updraft_crypto::KeyAlgorithm;
use updraft_crypto::plain::PrehashSigner;

fn program(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A file system with a program.
fn file_system(kind: &str, name: &str, text: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (tree, image) = (folder.path().join("tree"), folder.path().join("image"));
    let path = tree.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    program(&path, text);
    let mut maker;
    if kind == "ext4" {
        std::fs::write(&image, vec![0; 2 << 20]).unwrap();
        maker = Command::new("mke2fs");
        maker.args(["-q", "-t", "ext4", "-d"]).arg(&tree).arg(&image);
    } else {
        maker = Command::new("mkfs.erofs");
        maker.arg(&image).arg(&tree);
    }
    let done = maker.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut bytes = std::fs::read(image).unwrap();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// A payload whose `system` has a program, by its path in it.
fn payload(kind: &str, path: Option<&str>, text: &str) -> Maker {
    let image = file_system(kind, path.unwrap_or("postinst"), text);
    let mut maker = Maker::new(0);
    let blocks = u64::try_from(image.len() / BLOCK).unwrap();
    maker.partition("system", None, &image).operation(
        updraft_payload::OperationKind::Replace,
        Some(&image),
        &[],
        &[(0, blocks)],
    );
    let system = maker.manifest.partitions.last_mut().unwrap();
    system.run_postinstall = Some(true);
    system.postinstall_path = path.map(str::to_owned);
    system.filesystem_type = (kind == "ext4").then(|| kind.to_owned());
    maker
}

fn device(maker: &Maker, key: &PrehashSigner) -> Device {
    let device = Device::new(maker, key);
    Device { more: "postinstall = \"run\"".to_owned(), ..device }
}

/// What a program of the device leaves is in this folder, which it sees as well.
fn report(device: &Device) -> std::path::PathBuf {
    device.path("report")
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_program_is_run_from_the_new_slot_which_stays_as_it_was_verified() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    for (kind, path) in [("ext4", Some("bin/after")), ("erofs", None)] {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let text = format!(
            "echo \"$0 $1 $2 $(pwd)\" > {told}\ntouch \"$0.new\" 2>> {told}\n\
             echo global_progress 0.5 >&$2",
            told = told.display()
        );
        let maker = payload(kind, path, &text);
        let device = device(&maker, &key);
        device.apply(&maker.signed(&[&key]), &[]).unwrap();
        let (first, rest) = {
            let told = text_of(&told);
            let (first, rest) = told.split_once('\n').unwrap();
            (first.to_owned(), rest.to_owned())
        };
        let mounted = device.path("state").join("postinstall");
        let wanted = format!("{}/{} 1 3 /", mounted.display(), path.unwrap_or("postinst"));
        assert_eq!(first, wanted);
        assert!(rest.contains("Read-only file system"), "{rest}");
        device.assert_updated(&maker);
        assert_eq!(device.overview().phase, Phase::NeedReboot);
        assert_eq!(device.status().active, Some(Slot::B));
        assert!(std::fs::read_dir(mounted).unwrap().next().is_none(), "nothing stays mounted");
    }
}

#[test]
fn one_that_fails_is_the_end_of_the_update_unless_it_may() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    for (exit, code) in [(1, 5), (3, 19), (4, 43)] {
        let maker = payload("ext4", None, &format!("echo no room >&2\nexit {exit}"));
        let device = device(&maker, &key);
        let error = device.apply(&maker.signed(&[&key]), &[]).unwrap_err();
        assert_eq!(ErrorCode::of(&error), ErrorCode(code), "{error}");
        let said = error.to_string();
        assert!(
            said.contains("postinst of partition system") && said.contains("no room"),
            "{said}"
        );
        assert_eq!(device.status().active, Some(Slot::A));
        assert!(!device.status().slots[1].is_bootable);
    }
    let mut maker = payload("ext4", None, "exit 1");
    maker.manifest.partitions[0].postinstall_optional = Some(true);
    let device = device(&maker, &key);
    device.apply(&maker.signed(&[&key]), &[]).unwrap();
    let log = device.engine().log().unwrap();
    let noted = log.iter().any(|entry| entry.message.contains("which it may"));
    assert!(noted, "{log:?}");
}

#[test]
fn what_was_written_is_not_fetched_again_for_a_program_that_failed() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("flag");
    let maker = payload("ext4", None, &format!("test -e {}", flag.display()));
    let device = device(&maker, &key);
    let bytes = maker.signed(&[&key]);
    device.apply(&bytes, &[]).unwrap_err();
    std::fs::write(&flag, "").unwrap();
    std::fs::write(device.path("payload.bin"), &bytes).unwrap();
    let mut counted = Counted {
        inner: FileSource::open(&device.path("payload.bin")).unwrap(),
        read: Arc::default(),
    };
    let read = Arc::clone(&counted.read);
    device.apply_from(&mut counted, &[]).unwrap();
    let read = *read.lock().unwrap();
    assert!(read < bytes.len() / 4, "{read} of {} bytes were read again", bytes.len());
    device.assert_updated(&maker);
}

struct Counted {
    inner: FileSource,
    read: Arc<Mutex<usize>>,
}

struct CountedReader<'a>(Box<dyn std::io::Read + 'a>, Arc<Mutex<usize>>);

impl std::io::Read for CountedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        *self.1.lock().unwrap() += read;
        Ok(read)
    }
}

impl updraft_slots::Source for Counted {
    fn open(&mut self, offset: u64) -> updraft_slots::Result<Box<dyn std::io::Read + '_>> {
        let read = Arc::clone(&self.read);
        Ok(Box::new(CountedReader(self.inner.open(offset)?, read)))
    }

    fn size(&self) -> Option<u64> {
        self.inner.size()
    }
}

#[test]
fn nothing_is_run_that_the_device_does_not_want() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let maker = payload("ext4", None, &format!("echo >> {}", told.display()));
    let bytes = maker.signed(&[&key]);
    let mut device = device(&maker, &key);
    device.more = String::new();
    let error = device.apply(&bytes, &[]).unwrap_err();
    let Error::Refused(obstacles) = &error else { panic!("{error}") };
    assert!(obstacles[0].code.0 == 5 && obstacles[0].way_out.contains("RUN_POST_INSTALL=0"));
    device.apply(&bytes, &["RUN_POST_INSTALL=0"]).unwrap();
    device.engine().reset().unwrap();
    device.more = "postinstall = \"skip\"".to_owned();
    device.apply(&bytes, &[]).unwrap();
    assert!(!told.exists());
}

#[test]
fn a_path_that_leads_out_is_refused_before_anything_is_written() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    for path in ["/bin/sh", "../../bin/sh", "a/../../b"] {
        let mut maker = payload("ext4", None, "exit 0");
        maker.manifest.partitions[0].postinstall_path = Some(path.to_owned());
        let device = device(&maker, &key);
        let error = device.apply(&maker.signed(&[&key]), &[]).unwrap_err();
        assert!(matches!(error, Error::Refused(_)) && error.to_string().contains(path), "{error}");
        assert_eq!(device.overview().phase, Phase::Idle);
    }
}

#[test]
fn what_is_no_file_system_is_told() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let mut maker = Maker::new(0);
    maker.partition("system", None, &[7; BLOCK * 8]).operation(
        updraft_payload::OperationKind::Replace,
        Some(&[7; BLOCK * 8]),
        &[],
        &[(0, 8)],
    );
    maker.manifest.partitions[0].run_postinstall = Some(true);
    let device = device(&maker, &key);
    let error = device.apply(&maker.signed(&[&key]), &[]).unwrap_err();
    assert_eq!(ErrorCode::of(&error), ErrorCode(63), "{error}");
}

/// Hears which thousandths are told.
#[derive(Default)]
struct Heard(Mutex<Vec<u64>>);

impl Progress for Heard {
    fn report(&self, event: &Event) {
        if let Event::Advanced { done, .. } = event {
            self.0.lock().unwrap().push(*done);
        }
    }
}

#[test]
fn a_running_program_tells_how_far_it_is_and_is_paused_and_cancelled() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let text = format!(
        "echo global_progress 0.55 >&3\nfor i in $(seq 3000); do echo >> {}; sleep 0.02; done",
        told.display()
    );
    let maker = payload("ext4", None, &text);
    let device = device(&maker, &key);
    std::fs::write(device.path("payload.bin"), maker.signed(&[&key])).unwrap();
    let lines = || std::fs::metadata(&told).map_or(0, |about| about.len());
    let wait = |wanted: &dyn Fn() -> bool| {
        let start = std::time::Instant::now();
        while !wanted() {
            assert!(start.elapsed() < Duration::from_secs(30), "it did not come to that");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let heard = Arc::new(Heard::default());
    let context = Context::new(CancelToken::new(), heard.clone());
    std::thread::scope(|scope| {
        let applying = scope.spawn(|| {
            let mut source = FileSource::open(&device.path("payload.bin")).unwrap();
            let headers = Headers::parse([]).unwrap();
            let request = UpdateRequest { origin: "x".to_owned(), headers, image: None };
            device.engine().apply(&context, &mut source, &request)
        });
        wait(&|| lines() > 3);
        device.engine().ask(Ask::Suspend).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let before = lines();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(lines(), before, "it stands still");
        device.engine().ask(Ask::Resume).unwrap();
        wait(&|| lines() > before + 3);
        device.engine().ask(Ask::Cancel).unwrap();
        let error = applying.join().unwrap().unwrap_err();
        assert_eq!(ErrorCode::of(&error), ErrorCode(48), "{error}");
    });
    let ended = lines();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lines(), ended, "it was ended");
    assert!(heard.0.lock().unwrap().contains(&995), "{:?}", heard.0.lock().unwrap());
}

/// A device that removes the user's data, and remembers what it was told.
fn washing(maker: &Maker, key: &PrehashSigner) -> Device {
    let mut device = Device::new(maker, key);
    let wash = device.path("wash");
    program(&wash, &format!("echo $1 $2 >> {}", report(&device).display()));
    device.more = format!("powerwash = \"{}\"", wash.display());
    device
}

#[test]
fn data_is_to_be_removed_once_the_slot_is_the_next() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = super::make::delta();
    let device = washing(&maker, &key);
    let bytes = maker.signed(&[&key]);
    device.apply(&bytes, &["POWERWASH=1", "SWITCH_SLOT_ON_REBOOT=0"]).unwrap();
    assert_eq!(text_of(&report(&device)), "");
    device.engine().switch(&Context::silent()).unwrap();
    assert_eq!(text_of(&report(&device)), "schedule b\n");
    device.engine().switch_back().unwrap();
    assert_eq!(text_of(&report(&device)), "schedule b\ncancel b\n");
    device.engine().switch(&Context::silent()).unwrap();
    device.engine().reset().unwrap();
    assert_eq!(text_of(&report(&device)), "schedule b\ncancel b\nschedule b\ncancel b\n");
    device.apply(&bytes, &[]).unwrap();
    device.engine().reset().unwrap();
    assert_eq!(text_of(&report(&device)).lines().count(), 4, "nobody asked for it");
}

#[test]
fn a_device_that_cannot_remove_data_does_not_switch() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = super::make::delta();
    let device = washing(&maker, &key);
    program(&device.path("wash"), "echo the card is read-only >&2; exit 1");
    let error = device.apply(&maker.signed(&[&key]), &["POWERWASH=1"]).unwrap_err();
    assert_eq!(ErrorCode::of(&error), ErrorCode(41), "{error}");
    assert!(error.to_string().contains("the card is read-only"), "{error}");
    assert_eq!(device.status().active, Some(Slot::A));
}
