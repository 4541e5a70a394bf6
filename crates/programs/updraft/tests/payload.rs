//! `updraft payload`, as people and scripts call it. OpenSSL makes the keys and judges signatures.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

struct World(tempfile::TempDir);

impl World {
    /// Images of two versions, and keys.
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        let old: Vec<u8> = (0..600_u32).flat_map(|at| [(at * at % 251) as u8; 4096]).collect();
        let mut new = old.clone();
        new[5000] ^= 1;
        new.truncate(590 * 4096);
        new.resize(620 * 4096, 0);
        for (name, bytes) in
            [("old/system.img", &old[..]), ("system.img", &new), ("boot.img", &[9; 8192])]
        {
            let path = world.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        world.openssl(&["genrsa", "-out", "rsa.key", "2048"]);
        world.openssl(&["rsa", "-in", "rsa.key", "-pubout", "-out", "rsa.pub"]);
        world.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.key"]);
        let subject =
            ["req", "-new", "-x509", "-key", "ec.key", "-out", "ec.pem", "-subj", "/CN=t"];
        world.openssl(&subject);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> bool {
        let mut openssl = Command::new("openssl");
        openssl.args(arguments).current_dir(self.0.path()).stderr(Stdio::null());
        openssl.stdout(Stdio::null()).status().unwrap().success()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut updraft = Command::new(env!("CARGO_BIN_EXE_updraft"));
        updraft.arg("payload").args(arguments.split_whitespace()).current_dir(self.0.path());
        updraft
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints; it has to succeed.
    fn prints(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and what it complains of.
    fn fails(&self, arguments: &str) -> (i32, String) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    }

    fn same(&self, one: &str, other: &str) -> bool {
        std::fs::read(self.path(one)).unwrap() == std::fs::read(self.path(other)).unwrap()
    }
}

const FULL: &str = "generate full.bin --image system=system.img --image boot=boot.img \
                    --security-patch-level 2026-11-01 --max-timestamp 1790000000";
const DELTA: &str = "generate delta.bin --image system=system.img --old system=old/system.img";

#[test]
fn a_payload_is_made_shown_extracted_and_applied() {
    let world = World::new();
    let properties = world.prints(FULL);
    assert_eq!(world.prints("properties full.bin"), properties);
    std::fs::write(world.path("payload_properties.txt"), &properties).unwrap();
    world.prints("verify full.bin --properties payload_properties.txt");

    let shown = world.prints("show full.bin");
    for text in ["full payload", "not signed", "2026-11-01", "2026-09-21", "boot", "REPLACE"] {
        assert!(shown.contains(text), "{text} is not in\n{shown}");
    }
    let json: Value = serde_json::from_str(&world.prints("show full.bin --json")).unwrap();
    assert_eq!(json["kind"], "full");
    assert_eq!(json["partitions"][0]["name"], "system");
    assert_eq!(json["partitions"][0]["new"]["size"], 620 * 4096);

    world.prints("extract full.bin --output out --partition boot");
    assert!(world.same("out/boot.img", "boot.img") && !world.path("out/system.img").exists());
    world.prints("extract full.bin --output out");
    assert!(world.same("out/system.img", "system.img"));

    world.prints(DELTA);
    world.prints("extract delta.bin --old old --output out2");
    assert!(world.same("out2/system.img", "system.img"));
    let (full, delta) = (size(&world.path("full.bin")), size(&world.path("delta.bin")));
    assert!(delta < full, "{delta} bytes of a delta, {full} of a full payload");

    std::fs::write(world.path("slot"), vec![1; 620 * 4096]).unwrap();
    let json = world.prints(
        "apply delta.bin --unverified --json --state state --target system=slot \
         --source system=old/system.img",
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["partitions"][0]["path"], "slot");
    assert!(world.same("slot", "system.img") && !world.path("state").exists());
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn signatures_are_those_that_openssl_accepts() {
    let world = World::new();
    world.prints(&format!("{FULL} --key rsa.key"));
    world.prints("verify full.bin --key rsa.pub");
    let payload = std::fs::read(world.path("full.bin")).unwrap();
    let manifest =
        usize::try_from(u64::from_be_bytes(payload[12..20].try_into().unwrap())).unwrap();
    let metadata = 24 + manifest;
    // 0a and two bytes of length, 12 and two bytes of length, 256 bytes, 1d and four bytes.
    let signature = |start: usize| &payload[start + 6..start + 6 + 256];
    let end = payload.len() - 267;
    let signed = [&payload[..metadata], &payload[metadata + 267..end]].concat();
    for (bytes, start) in [(&payload[..metadata], metadata), (&signed, end)] {
        std::fs::write(world.path("bytes"), bytes).unwrap();
        std::fs::write(world.path("signature"), signature(start)).unwrap();
        let verify = ["dgst", "-sha256", "-verify", "rsa.pub", "-signature", "signature", "bytes"];
        assert!(world.openssl(&verify));
    }

    world.prints("sign full.bin ec.bin --key ec.key --key rsa.key");
    world.prints("verify ec.bin --key ec.pem");
    world.prints("verify ec.bin --key rsa.pub");
    let (code, said) = world.fails("verify full.bin --key ec.pem");
    assert_eq!(code, 9, "{said}");
    assert!(said.contains("no signature of its metadata"), "{said}");
}

#[test]
fn a_payload_comes_by_a_pipe_or_in_a_package() {
    let world = World::new();
    world.prints(&format!("{FULL} --key ec.key"));
    std::fs::write(world.path("system.slot"), vec![1; 620 * 4096]).unwrap();
    std::fs::write(world.path("boot.slot"), vec![1; 10_000]).unwrap();
    let mut child = world
        .command("apply - --key ec.pem --target system=system.slot --target boot=boot.slot")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let payload = std::fs::read(world.path("full.bin")).unwrap();
    child.stdin.take().unwrap().write_all(&payload).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(world.same("system.slot", "system.img"));
    // A target may be longer; the rest stays.
    let boot = std::fs::read(world.path("boot.slot")).unwrap();
    assert_eq!(boot, [&[9; 8192][..], &[1; 1808]].concat());

    std::fs::rename(world.path("full.bin"), world.path("payload.bin")).unwrap();
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-c", "ota.zip", "payload.bin"]).current_dir(world.0.path());
    assert!(python.status().unwrap().success());
    // This program compresses.
    let (code, said) = world.fails("verify ota.zip --key ec.pem");
    assert!(code == 3 && said.contains("compressed"), "{code}: {said}");
    let script = "import zipfile; zipfile.ZipFile('ota.zip', 'w').write('payload.bin')";
    let mut python = Command::new("python3");
    assert!(python.args(["-c", script]).current_dir(world.0.path()).status().unwrap().success());
    world.prints("verify ota.zip --key ec.pem");
    world.prints("extract ota.zip --output out");
    assert!(world.same("out/boot.img", "boot.img"));
}

#[test]
fn what_is_refused_has_its_exit_code_and_a_way_out() {
    let world = World::new();
    world.prints(DELTA);
    let (code, said) = world.fails("apply delta.bin --target system=slot");
    assert!(code == 9 && said.contains("hint: give --key"), "{code}: {said}");
    let (code, said) = world.fails("apply delta.bin --unverified --target system");
    assert!(code == 2 && said.contains("expected the partition's name"), "{code}: {said}");
    // No file is made where a device was meant.
    let (code, _) = world
        .fails("apply delta.bin --unverified --target system=slot --source system=old/system.img");
    assert!(code == 4 && !world.path("slot").exists(), "{code}");
    let (code, said) = world.fails("extract delta.bin --output out");
    assert!(code == 4 && said.contains("old content"), "{code}: {said}");
    std::fs::write(world.path("old/system.img"), vec![3; 600 * 4096]).unwrap();
    let (code, said) = world.fails("extract delta.bin --old old --output out");
    assert!(code == 5 && said.contains("not that for which"), "{code}: {said}");
    assert_eq!(std::fs::read_dir(world.path("out")).unwrap().count(), 0);
    let (code, said) = world.fails("show system.img");
    assert!(code == 3 && said.contains("CrAU"), "{code}: {said}");
    let (code, _) = world.fails("show missing.bin");
    assert_eq!(code, 4);
    let (code, said) = world.fails("extract delta.bin --old old --partition vendor");
    assert!(code == 4 && said.contains("hint: it has system"), "{code}: {said}");
}
