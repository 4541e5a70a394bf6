//! Payloads and packages signed by keys that are elsewhere: in a token, behind a program, and with
//! somebody who gets a hash and gives back a signature. OpenSSL plays them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../../../platform/crypto/tests/token/soft.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod soft;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use soft::{MODULE, SoftToken};

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        let image: Vec<u8> = (0..90_u32).flat_map(|at| [(at * at % 251) as u8; 4096]).collect();
        std::fs::write(world.path("system.img"), image).unwrap();
        world.openssl("genrsa -out rsa.pem 2048");
        world.openssl("rsa -in rsa.pem -pubout -out rsa.pub");
        world.openssl(
            "req -new -x509 -sha256 -key rsa.pem -out rsa.x509.pem -days 9999 -subj /CN=t",
        );
        world.openssl("ecparam -name prime256v1 -genkey -noout -out ec.pem");
        world.openssl("ec -in ec.pem -pubout -out ec.pub");
        world.good("payload generate p.bin --image system=system.img");
        world.good("ota zip p.bin p.zip --device board");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(arguments.split_whitespace()).current_dir(self.0.path());
        let output = openssl.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {said}");
    }

    fn run(&self, arguments: &str) -> Output {
        let mut updraft = Command::new(env!("CARGO_BIN_EXE_updraft"));
        updraft.args(arguments.split_whitespace()).current_dir(self.0.path());
        updraft.env("SOFTHSM2_CONF", self.path("softhsm.conf")).output().unwrap()
    }

    fn good(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A program that signs a hash by this key.
    fn program(&self, name: &str, key: &str) {
        let here = self.0.path().display();
        let text = format!(
            "#!/bin/sh\nexec openssl pkeyutl -sign -inkey {here}/{key} -pkeyopt digest:sha256 \
             -in /dev/stdin\n"
        );
        std::fs::write(self.path(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }
}

fn helper() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_updraft")).with_file_name("updraftd-keys");
    assert!(program.exists(), "build it first: cargo build -p updraftd-keys");
    program.display().to_string()
}

#[test]
fn somebody_elsewhere_gets_hashes_and_gives_signatures() {
    let world = World::new();
    for (key, length) in [("rsa", 256), ("ec", 72)] {
        let hash = format!(
            "payload hash p.bin --public-key {key}.pub --metadata-hash m.hash --payload-hash p.hash"
        );
        let told = world.good(&hash);
        for (name, label) in [("m", "metadata"), ("p", "payload")] {
            let hash = std::fs::read(world.path(&format!("{name}.hash"))).unwrap();
            assert!(hash.len() == 32 && told.contains(&hex::encode(hash)), "{label}: {told}");
            world.openssl(&format!(
                "pkeyutl -sign -inkey {key}.pem -pkeyopt digest:sha256 -in {name}.hash -out {name}.sig"
            ));
            let signature = std::fs::read(world.path(&format!("{name}.sig"))).unwrap();
            assert!(signature.len() <= length);
        }
        // In whatever order.
        world.good(&format!(
            "payload sign p.bin signed.bin --public-key {key}.pub --signature p.sig --signature m.sig"
        ));
        world.good(&format!("payload verify signed.bin --key {key}.pub"));
        if key == "rsa" {
            // RSA signs alike each time.
            world.good("payload sign p.bin direct.bin --key rsa.pem");
            let read = |name: &str| std::fs::read(world.path(name)).unwrap();
            assert!(read("signed.bin") == read("direct.bin"));
        }
    }
    let said = world.refused("payload sign p.bin x.bin --public-key rsa.pub --signature p.sig");
    assert!(said.contains("none is that of the hash"), "{said}");
    let said = world.refused("payload sign p.bin x.bin --public-key rsa.pub");
    assert!(said.contains("1 public keys are given, and 0 programs"), "{said}");
    assert!(!world.path("x.bin").exists());

    world.good("ota hash p.zip --output z.hash");
    world.openssl("pkeyutl -sign -inkey rsa.pem -pkeyopt digest:sha256 -in z.hash -out z.sig");
    world.good("ota sign p.zip signed.zip --certificate rsa.x509.pem --signature z.sig");
    world.good("ota verify signed.zip --key rsa.x509.pem");
    let said = world.refused("ota sign p.zip x.zip --certificate rsa.x509.pem --signature p.sig");
    assert!(said.contains("none is that of the hash"), "{said}");
}

#[test]
fn a_program_signs() {
    let world = World::new();
    world.program("sign-rsa", "rsa.pem");
    world.program("sign-ec", "ec.pem");
    world.good(
        "payload generate two.bin --image system=system.img --public-key rsa.pub --signer ./sign-rsa \
         --public-key ec.pub --signer ./sign-ec",
    );
    world.good("payload verify two.bin --key rsa.pub");
    world.good("payload verify two.bin --key ec.pub");
    world.good("ota sign p.zip signed.zip --certificate rsa.x509.pem --signer ./sign-rsa");
    world.good("ota verify signed.zip --key rsa.x509.pem");
    // One that signs by another key, one that fails, one that is not there.
    let sign = "payload sign p.bin x.bin --public-key rsa.pub --signer";
    let said = world.refused(&format!("{sign} ./sign-ec"));
    assert!(said.contains("not one of the hash by this key"), "{said}");
    world.program("sign-none", "none.pem");
    let said = world.refused(&format!("{sign} ./sign-none"));
    assert!(said.contains("sign by ./sign-none"), "{said}");
    let said = world.refused(&format!("{sign} ./none"));
    assert!(said.contains("./none"), "{said}");
    assert!(!world.path("x.bin").exists());
}

#[test]
fn keys_in_a_token_sign() {
    let world = World::new();
    let token = SoftToken::create(world.0.path());
    let helper = helper();
    for (label, id, kind) in [("rsa-key", "01", "rsa:2048"), ("ec-key", "02", "EC:prime256v1")] {
        token.generate(label, id, kind);
        let mut tool = Command::new("pkcs11-tool");
        tool.args(["--module", MODULE, "--token-label", "up", "--read-object", "--type", "pubkey"]);
        tool.args(["--label", label, "--output-file", "t.der"]).current_dir(world.0.path());
        let read = tool.env("SOFTHSM2_CONF", world.path("softhsm.conf")).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        world.openssl("pkey -pubin -inform DER -in t.der -out t.pub");
        // By another key; whose it is does not count.
        world.openssl(
            "x509 -new -subj /CN=t -force_pubkey t.pub -key rsa.pem -sha256 -days 99 -out t.x509.pem",
        );
        let key = format!("--key {} --key-helper {helper}", token.uri(label));
        world.good(&format!("payload sign p.bin signed.bin {key}"));
        world.good("payload verify signed.bin --key t.pub");
        let certified = if kind.starts_with("rsa") { "t.x509.pem" } else { "ec.x509.pem" };
        if !kind.starts_with("rsa") {
            world.openssl(
                "x509 -new -subj /CN=t -force_pubkey t.pub -key ec.pem -sha256 -days 99 -out ec.x509.pem",
            );
        }
        world.good(&format!("ota sign p.zip signed.zip {key} --certificate {certified}"));
        world.good(&format!("ota verify signed.zip --key {certified}"));
        let said = world.refused(&format!("ota sign p.zip x.zip {key} --certificate rsa.x509.pem"));
        assert!(said.contains("not that of the certificate"), "{said}");
    }
    let key = format!("--key {} --key-helper {helper}", token.uri("no-key"));
    let said = world.refused(&format!("payload sign p.bin x.bin {key}"));
    assert!(said.contains("there is no such private key"), "{said}");
}
