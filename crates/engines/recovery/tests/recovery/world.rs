//! A device in a folder, and packages for it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use updraft_bootenv::BootloaderMessage;
use updraft_crypto::package::PackageSigner;
use updraft_recovery_engine::{
    ControlBlock, FileDevice, Next, Options, Outcome, Recovery, Result, Settings, System,
    TrustedKeys, request, sign,
};
use updraft_task::Context;

pub(crate) struct World(tempfile::TempDir);

/// A SHA-1 in hexadecimal.
pub(crate) fn sha1(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    let digest: [u8; 20] = sha1::Sha1::digest(bytes).into();
    hex::encode(digest)
}

/// Blocks of random bytes.
pub(crate) fn noise(seed: u64, blocks: usize) -> Vec<u8> {
    let mut chance = fastrand::Rng::with_seed(seed);
    (0..blocks * 4096).map(|_| chance.u8(..)).collect()
}

impl World {
    pub(crate) fn new() -> Self {
        // Thousands of syncs: in memory where that is possible.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let world = Self(folder.unwrap());
        for folder in ["dev/block/by-name", "cache", "data/user", "keys", "package"] {
            std::fs::create_dir_all(world.path(folder)).unwrap();
        }
        world.write("dev/block/by-name/misc", &vec![0; 64 << 10]);
        world.write("data/user/photo", b"photo");
        let script = "openssl ecparam -name prime256v1 -genkey -noout -out keys/key.pem && openssl req \
                      -new -x509 -sha256 -key keys/key.pem -out keys/x509.pem -days 99 -subj /CN=t";
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", script]).current_dir(world.0.path()).output().unwrap();
        assert!(output.status.success());
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn set_partition(&self, name: &str, bytes: &[u8]) {
        self.write(&format!("dev/block/by-name/{name}"), bytes);
    }

    pub(crate) fn partition(&self, name: &str) -> Vec<u8> {
        self.read(&format!("dev/block/by-name/{name}"))
    }

    /// Makes cache/ota.zip: by Python, and signed.
    pub(crate) fn package(&self, entries: &[(&str, &[u8])]) {
        let mut script = "import zipfile\nz = zipfile.ZipFile('unsigned.zip', 'w')\n".to_owned();
        for (index, (name, bytes)) in entries.iter().enumerate() {
            self.write(&format!("package/{index}"), bytes);
            // Patches have to be stored; the rest may be packed.
            let method = if name.ends_with("patch.dat") { 0 } else { 8 };
            let content = format!("open('package/{index}', 'rb').read()");
            writeln!(script, "z.writestr('{name}', {content}, {method})").unwrap();
        }
        script += "z.close()\n";
        let mut python = Command::new("python3");
        let status = python.args(["-c", &script]).current_dir(self.0.path()).status().unwrap();
        assert!(status.success());
        let certificate = String::from_utf8(self.read("keys/x509.pem")).unwrap();
        let signer = PackageSigner::new(&self.read("keys/key.pem"), &certificate).unwrap();
        let (from, to) = (self.path("unsigned.zip"), self.path("cache/ota.zip"));
        sign(&Context::silent(), &from, &signer, &to).unwrap();
    }

    pub(crate) fn script(&self, script: &str, entries: &[(&str, &[u8])]) {
        let script = ("META-INF/com/google/android/updater-script", script.as_bytes());
        self.package(&[&[script], entries].concat());
    }

    pub(crate) fn system(&self) -> System {
        let mut system = System { root: self.0.path().to_owned(), ..System::default() };
        for (name, value) in [
            ("ro.product.device", "board"),
            ("ro.build.version.security_patch", "2026-05-01"),
            ("compatible", "board"),
        ] {
            system.properties.insert(name.to_owned(), value.to_owned());
        }
        system
    }

    pub(crate) fn control(&self) -> ControlBlock {
        let misc = FileDevice::open(&self.path("dev/block/by-name/misc")).unwrap();
        ControlBlock::new(Box::new(misc))
    }

    pub(crate) fn message(&self) -> BootloaderMessage {
        self.control().read().unwrap()
    }

    /// As the system asks for an update.
    pub(crate) fn request(&self, options: &[&str]) {
        let words: Vec<String> = options.iter().map(|word| (*word).to_owned()).collect();
        request(&self.path("cache"), &self.control(), &Options::parse(&words)).unwrap();
    }

    pub(crate) fn run(&self) -> Result<Outcome> {
        self.run_if(&|| Ok(()))
    }

    /// One start of recovery on a device that says whether it may update.
    pub(crate) fn run_if(&self, gate: &dyn Fn() -> Result<(), String>) -> Result<Outcome> {
        let mut keys = TrustedKeys::default();
        keys.add_file(&self.path("keys/x509.pem")).unwrap();
        let settings = Settings {
            cache: self.path("cache"),
            data: Some(self.path("data")),
            misc: "/dev/block/by-name/misc".to_owned(),
            keys,
            sideload: Some("/cache/sideload.zip".to_owned()),
            gate,
            kernel_log: "the kernel's words\n".to_owned(),
        };
        let system = self.system();
        Recovery::new(&Context::silent(), &settings, &system)?.run(&[])
    }

    /// Starts recovery for as long as the boot loader does.
    pub(crate) fn run_until_the_system_starts(&self) {
        for _ in 0..10 {
            if !self.message().boots_recovery() {
                return;
            }
            let outcome = self.run().unwrap();
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
            assert!(matches!(outcome.next, Next::System | Next::Recovery));
        }
        panic!("recovery does not end");
    }
}
