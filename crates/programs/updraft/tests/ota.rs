//! `updraft ota`, as people and scripts call it. OpenSSL makes keys, Python reads packages.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        let image: Vec<u8> = (0..600_u32).flat_map(|at| [(at * at % 251) as u8; 4096]).collect();
        std::fs::write(world.path("system.img"), image).unwrap();
        std::fs::write(world.path("care_map.pb"), b"care").unwrap();
        for line in [
            "openssl genrsa -out rsa.pem 2048",
            "openssl req -new -x509 -sha256 -key rsa.pem -out rsa.x509.pem -days 9999 -subj /CN=t",
            "openssl pkcs8 -in rsa.pem -topk8 -outform DER -out rsa.pk8 -nocrypt",
        ] {
            let mut words = line.split(' ');
            let mut openssl = Command::new(words.next().unwrap());
            assert!(
                openssl.args(words).current_dir(world.0.path()).output().unwrap().status.success()
            );
        }
        world.prints(
            "payload generate payload.bin --image system=system.img --key rsa.pem \
             --max-timestamp 1790000000 --security-patch-level 2026-11-01",
        );
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        let mut updraft = Command::new(env!("CARGO_BIN_EXE_updraft"));
        updraft.args(arguments.split_whitespace()).current_dir(self.0.path()).output().unwrap()
    }

    fn prints(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, arguments: &str) -> (i32, String) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    }
}

const ZIP: &str = "ota zip payload.bin ota.zip --device board --post-build maker/board:2 \
                   --care-map care_map.pb --property POWERWASH=1";
const SIGNED: &str = "--key rsa.pk8 --certificate rsa.x509.pem";

#[test]
fn every_range_of_a_package_is_what_it_says() {
    let world = World::new();
    for signing in ["", SIGNED] {
        world.prints(&format!("{ZIP} {signing}"));
        let zip = std::fs::read(world.path("ota.zip")).unwrap();
        let script = "import zipfile\n\
                      z = zipfile.ZipFile('ota.zip')\n\
                      assert z.testzip() is None\n\
                      for i in z.infolist():\n\
                      \x20assert i.compress_type == 0\n\
                      \x20print(i.filename)\n\
                      z.extractall('out')\n";
        let mut python = Command::new("python3");
        let output = python.args(["-c", script]).current_dir(world.0.path()).output().unwrap();
        let names = String::from_utf8(output.stdout).unwrap();
        let sorted: Vec<&str> = names.lines().collect();
        assert!(sorted.is_sorted() && sorted.contains(&"care_map.pb"), "{names}");
        let json: Value = serde_json::from_str(&world.prints("ota show ota.zip --json")).unwrap();
        let ranges = json["ranges"].as_array().unwrap();
        assert_eq!(ranges.len(), 6 + 5, "{json}");
        let payload = std::fs::read(world.path("payload.bin")).unwrap();
        for range in ranges {
            let number = |name: &str| usize::try_from(range[name].as_u64().unwrap()).unwrap();
            let (start, size) = (number("offset"), number("size"));
            let bytes = &zip[start..start + size];
            let wanted = match range["name"].as_str().unwrap() {
                // Header, manifest and the signature of both: an RSA-2048 one has 267 bytes.
                "payload_metadata.bin" => {
                    let manifest = u64::from_be_bytes(payload[12..20].try_into().unwrap());
                    payload[..24 + usize::try_from(manifest).unwrap() + 267].to_vec()
                }
                name @ ("metadata" | "metadata.pb") => {
                    std::fs::read(world.path("out/META-INF/com/android").join(name)).unwrap()
                }
                name => std::fs::read(world.path("out").join(name)).unwrap(),
            };
            assert!(bytes == wanted && range["right"] == true, "{range}");
        }
        assert_eq!(json["signed_bytes"].is_u64(), !signing.is_empty());
    }
    let first = std::fs::read(world.path("ota.zip")).unwrap();
    world.prints(&format!("{ZIP} {SIGNED}"));
    assert!(first == std::fs::read(world.path("ota.zip")).unwrap(), "made twice, not the same");
}

#[test]
fn a_package_is_signed_verified_and_its_payload_applied() {
    let world = World::new();
    world.prints(ZIP);
    let (code, said) = world.fails("ota verify ota.zip --key rsa.x509.pem");
    assert!(code == 9 && said.contains("footer"), "{code}: {said}");
    world.prints(&format!("ota sign ota.zip signed.zip {SIGNED}"));
    world.prints("ota verify signed.zip --key rsa.x509.pem");
    let shown = world.prints("ota show signed.zip");
    for words in [
        "AB package, signed over",
        "pre-device: board",
        "post-timestamp: 1790000000",
        "post-security-patch-level: 2026-11-01",
        "payload_metadata.bin",
        "right",
    ] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    assert!(!shown.contains("WRONG"), "{shown}");
    let properties = world.prints("payload properties signed.zip");
    let mut python = Command::new("python3");
    let script = "import zipfile; print(zipfile.ZipFile('signed.zip').read('payload_properties.txt').decode(), end='')";
    let output = python.args(["-c", script]).current_dir(world.0.path()).output().unwrap();
    let own = String::from_utf8(output.stdout).unwrap();
    assert_eq!(own, format!("{properties}POWERWASH=1\n"));
    world.prints("payload extract signed.zip --output images");
    let image = std::fs::read(world.path("images/system.img")).unwrap();
    assert!(image == std::fs::read(world.path("system.img")).unwrap());

    let (code, said) = world.fails("ota sign ota.zip x.zip");
    assert!(code == 3 && said.contains("hint: give --key"), "{code}: {said}");
    let (code, said) = world.fails("ota zip system.img x.zip --device a");
    assert!(code == 3 && said.contains("CrAU"), "{code}: {said}");
    let (code, _) = world.fails("ota zip signed.zip x.zip --device a");
    assert!(code == 6 && !world.path("x.zip").exists(), "{code}");
}
