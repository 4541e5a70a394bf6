//! A device with two slots in files, and a payload for it.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use updraft_http::testing::{Answer, Server};

pub(crate) const BLOCKS: usize = 2048;
/// What the operations of a full payload replace.
pub(crate) const PIECE: usize = 2 << 20;

/// A device with two slots; slot A works and runs.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) new: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut state = 7_u32;
        let noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let new: Vec<u8> = std::iter::repeat_with(noise).take(BLOCKS * 4096).collect();
        let mut world = Self { folder, new, payload: Vec::new() };
        std::fs::write(world.path("new.img"), &world.new).unwrap();
        world.clear();
        let mut misc = vec![0; 4096];
        // Slot A has the highest priority and works; the checksum is the last number.
        misc[2048..2062].copy_from_slice(&[95, 97, 0, 0, 66, 67, 65, 66, 1, 2, 0, 0, 0x8f, 0]);
        let crc = crc32(&misc[2048..2076]).to_le_bytes();
        misc[2076..2080].copy_from_slice(&crc);
        std::fs::write(world.path("misc"), misc).unwrap();
        for arguments in [
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"][..],
            &["ec", "-in", "key", "-pubout", "-out", "key.pub"],
        ] {
            let mut openssl = Command::new("openssl");
            openssl.args(arguments).current_dir(world.folder.path()).stderr(Stdio::null());
            assert!(openssl.status().unwrap().success());
        }
        let here = world.folder.path().display();
        let config = format!(
            "state = \"{here}/state\"\nkeys = [\"{here}/key.pub\"]\nrunning = \"a\"\n\
             updates = \"{here}/updates\"\n\
             [boot-control.misc]\npath = \"{here}/misc\"\n[partitions]\n\
             system = [\"{here}/system_a\", \"{here}/system_b\"]\n"
        );
        std::fs::write(world.path("slots.toml"), config).unwrap();
        let mut generate = Command::new(env!("CARGO_BIN_EXE_updraft"));
        generate.args([
            "payload",
            "generate",
            "p.bin",
            "--image",
            "system=new.img",
            "--key",
            "key",
        ]);
        let made = generate.current_dir(world.folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        world.payload = std::fs::read(world.path("p.bin")).unwrap();
        world
    }

    /// Both slots as they were.
    pub(crate) fn clear(&self) {
        for slot in ["system_a", "system_b"] {
            std::fs::write(self.path(slot), vec![0x11; self.new.len()]).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut updraft = Command::new(env!("CARGO_BIN_EXE_updraft"));
        updraft.args(["slots", "--config", "slots.toml"]).args(arguments);
        updraft.current_dir(self.folder.path());
        updraft
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints; it has to succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn start(&self, url: &str) -> Child {
        let mut command = self.command(&["apply", url]);
        command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn is_updated(&self) -> bool {
        std::fs::read(self.path("system_b")).unwrap() == self.new
    }

    /// Waits until what `status` tells is so.
    pub(crate) fn wait_for(&self, what: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.json(&["status"]);
            if what(&status) {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{status:#}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let each = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    };
    !bytes.iter().fold(u32::MAX, each)
}

/// A server that sends some of the payload on each connection, and then nothing.
pub(crate) fn slow_server(payload: &[u8], sent: usize) -> Server {
    let payload = payload.to_vec();
    Server::start(move |exchange| {
        if exchange.number % 2 == 1 {
            // The connection before ended: the next one hangs until somebody gives up.
            return Answer::Stall;
        }
        Answer::Cut(payload.clone(), sent)
    })
}
