//! A device with two slots in files, and Android's boot control.

use std::path::PathBuf;

use updraft_crypto::plain::PrehashSigner;
use updraft_slots::boot_control::{BootControl, BootStatus, Misc, Slot};
use updraft_slots::{
    Engine, ErrorCode, FileSource, Headers, Overview, Result, SlotsConfig, Source, UpdateRequest,
};
use updraft_task::Context;

use super::make::Maker;

/// Slot A works and runs, slot B is never started.
const CONTROL: [u8; 32] = [
    0x5f, 0x61, 0, 0, 0x42, 0x43, 0x41, 0x42, 1, 2, 0, 0, 0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
];

pub(crate) struct Device {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) running: Slot,
    pub(crate) boot: u32,
    /// More lines for the configuration, before its tables.
    pub(crate) more: String,
}

impl Device {
    /// Slot A holds the old contents of the payload, and trusts the signer.
    pub(crate) fn new(maker: &Maker, signer: &PrehashSigner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let device = Self { folder, running: Slot::A, boot: 1, more: String::new() };
        let mut misc = vec![0; 4096];
        let mut control = CONTROL;
        let mut crc = updraft_crc32(&control[..28]).to_le_bytes();
        control[28..].swap_with_slice(&mut crc);
        misc[2048..2080].copy_from_slice(&control);
        std::fs::write(device.path("misc"), misc).unwrap();
        // What the payload leaves out is the same in both.
        for name in ["system_a", "system_b", "boot_a", "boot_b"] {
            std::fs::write(device.path(name), [1; 16]).unwrap();
        }
        for ((update, old), new) in
            maker.manifest.partitions.iter().zip(&maker.olds).zip(&maker.news)
        {
            let name = update.partition_name.clone().unwrap();
            let old = old.clone().unwrap_or_else(|| vec![0x5a; new.len()]);
            std::fs::write(device.path(&format!("{name}_a")), old).unwrap();
            std::fs::write(device.path(&format!("{name}_b")), vec![0xa5; new.len()]).unwrap();
        }
        let key = pem(signer.public().der());
        std::fs::write(device.path("key.pem"), key).unwrap();
        device
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn engine(&self) -> Engine {
        let folder = self.folder.path().display();
        let running = self.running;
        let more = &self.more;
        let text = format!(
            "state = \"{folder}/state\"\nkeys = [\"{folder}/key.pem\"]\ntries = 2\n\
             running = \"{running}\"\n{more}\n\
             [boot-control.misc]\npath = \"{folder}/misc\"\n[partitions]\n\
             system = [\"{folder}/system_a\", \"{folder}/system_b\"]\n\
             boot = [\"{folder}/boot_a\", \"{folder}/boot_b\"]\n"
        );
        let config = SlotsConfig::parse(&self.path("slots.toml"), &text).unwrap();
        let running = config.running_slot("", None);
        Engine::open(config, running, self.boot.to_string()).unwrap()
    }

    pub(crate) fn control(&self) -> Misc {
        Misc::new(self.path("misc"))
    }

    pub(crate) fn status(&self) -> BootStatus {
        self.control().status().unwrap()
    }

    pub(crate) fn overview(&self) -> Overview {
        self.engine().overview().unwrap()
    }

    /// As the boot loader does: the active slot is started, and one try taken off.
    pub(crate) fn restart(&mut self) -> Slot {
        let status = self.status();
        let slot = status.active.expect("a slot can be started");
        let mut misc = std::fs::read(self.path("misc")).unwrap();
        let own = if slot == Slot::A { 2060 } else { 2062 };
        if misc[own] & 0x80 == 0 {
            misc[own] -= 0x10;
        }
        let crc = updraft_crc32(&misc[2048..2076]).to_le_bytes();
        misc[2076..2080].copy_from_slice(&crc);
        std::fs::write(self.path("misc"), misc).unwrap();
        self.boot += 1;
        self.running = slot;
        slot
    }

    pub(crate) fn apply(&self, payload: &[u8], headers: &[&str]) -> Result<ErrorCode> {
        std::fs::write(self.path("payload.bin"), payload).unwrap();
        let mut source = FileSource::open(&self.path("payload.bin"))?;
        self.apply_from(&mut source, headers)
    }

    pub(crate) fn apply_from(
        &self,
        source: &mut dyn Source,
        headers: &[&str],
    ) -> Result<ErrorCode> {
        let headers = Headers::parse(headers.iter().copied())?;
        let request = UpdateRequest { origin: "payload.bin".to_owned(), headers, image: None };
        self.engine().apply(&Context::silent(), source, &request)
    }

    pub(crate) fn assert_updated(&self, maker: &Maker) {
        for (update, new) in maker.manifest.partitions.iter().zip(&maker.news) {
            let name = update.partition_name.as_deref().unwrap();
            let held = std::fs::read(self.path(&format!("{name}_b"))).unwrap();
            assert!(held == *new, "partition {name} holds something else");
        }
    }
}

fn pem(der: &[u8]) -> String {
    use std::fmt::Write as _;

    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - group.len()));
            for place in 0..4 {
                let digit = char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
                text.push(if place <= group.len() { digit } else { '=' });
            }
        }
        writeln!(text).unwrap();
    }
    text + "-----END PUBLIC KEY-----\n"
}

/// The checksum as it is defined, bit by bit.
fn updraft_crc32(bytes: &[u8]) -> u32 {
    let each = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    };
    !bytes.iter().fold(u32::MAX, each)
}
