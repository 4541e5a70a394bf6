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
    assert!(code == 3 && said.contains("hint: give --certificate"), "{code}: {said}");
    let (code, said) = world.fails("ota zip system.img x.zip --device a");
    assert!(code == 3 && said.contains("CrAU"), "{code}: {said}");
    let (code, _) = world.fails("ota zip signed.zip x.zip --device a");
    assert!(code == 6 && !world.path("x.zip").exists(), "{code}");
}

#[test]
fn recovery_is_told_of_a_bundle_only_when_it_is_signed() {
    let world = World::new();
    std::fs::write(world.path("misc"), vec![0; 4096]).unwrap();
    world.prints("ota bundle b.zip --compatible board --release 2 --image /dev/root=system.img");
    let install = "--key rsa.x509.pem --misc misc --cache cache --wipe-cache --reason it";
    let (code, _) = world.fails(&format!("ota install b.zip {install}"));
    assert!(code == 9 && std::fs::read(world.path("misc")).unwrap() == vec![0; 4096], "{code}");
    world.prints(&format!("ota sign b.zip signed.zip {SIGNED}"));
    world.prints(&format!("ota install signed.zip {install}"));
    let path = world.path("signed.zip").canonicalize().unwrap();
    let options = format!("--update_package={}\n--reason=it\n--wipe_cache\n", path.display());
    let command = std::fs::read_to_string(world.path("cache/recovery/command")).unwrap();
    assert_eq!(command, options);
    let misc = std::fs::read(world.path("misc")).unwrap();
    assert!(misc.starts_with(b"boot-recovery\0"));
    assert!(misc[64..].starts_with(format!("recovery\n{options}\0").as_bytes()));
    let (code, said) = world.fails("ota bundle x.zip --compatible b --release 2 --image rsa.pem");
    assert!(code == 2 && said.contains("expected the device"), "{code}: {said}");
}

#[test]
fn a_partition_is_written_when_it_is_another() {
    let world = World::new();
    std::fs::write(world.path("target"), vec![1; 4096]).unwrap();
    std::fs::write(world.path("image"), vec![2; 3000]).unwrap();
    let output = Command::new("sha1sum").arg(world.path("image")).output().unwrap();
    let hash = String::from_utf8(output.stdout).unwrap();
    let hash = hash.split(' ').next().unwrap();
    let spec = format!("EMMC:{}:3000:{hash}", world.path("target").display());
    let (code, said) = world.fails(&format!("ota reflash {spec} --image care_map.pb"));
    assert!(code == 3 && said.contains("nothing was written"), "{code}: {said}");
    world.prints(&format!("ota reflash {spec} --image image"));
    assert_eq!(
        std::fs::read(world.path("target")).unwrap(),
        [vec![2; 3000], vec![1; 1096]].concat()
    );
    // The image is not even read when all is well.
    world.prints(&format!("ota reflash {spec} --image missing"));
}
