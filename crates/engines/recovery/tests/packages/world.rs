//! A folder with keys of OpenSSL, and packages that others made.

use std::path::{Path, PathBuf};
use std::process::Command;

use updraft_recovery_engine::{Result, TrustedKeys, VerifiedPackage};
use updraft_task::Context;

/// Where Debian's package `signapk` has it.
const SIGNAPK: &str = "/usr/share/signapk/signapk.jar";

/// A sort of key: how `openssl genpkey` makes it, and the hash that signs its certificate.
pub(crate) struct Sort {
    pub(crate) name: &'static str,
    options: &'static [&'static str],
    pub(crate) hash: &'static str,
}

const fn rsa(name: &'static str, options: &'static [&'static str], hash: &'static str) -> Sort {
    Sort { name, options, hash }
}

const E3: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"];
const E65537: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const LONG: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:4096"];
const P256: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// The versions of keys that recovery has, and a longer one.
pub(crate) const SORTS: [Sort; 6] = [
    rsa("v1", E3, "sha1"),
    rsa("v2", E65537, "sha1"),
    rsa("v3", E3, "sha256"),
    rsa("v4", E65537, "sha256"),
    rsa("v5", P256, "sha256"),
    rsa("rsa4096", LONG, "sha256"),
];

pub(crate) struct World(tempfile::TempDir);

impl World {
    pub(crate) fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        std::fs::write(world.path("hello"), b"hello, recovery").unwrap();
        world.python(
            "import zipfile\n\
             with zipfile.ZipFile('unsigned.zip', 'w') as z:\n\
             \x20z.write('hello', 'META-INF/com/android/metadata')\n\
             \x20z.write('hello', 'stored')\n\
             \x20z.write('hello', 'deflated', zipfile.ZIP_DEFLATED)\n",
        );
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes NAME.pem, NAME.pk8 and NAME.x509.pem.
    pub(crate) fn key(&self, sort: &Sort) {
        let Sort { name, options, .. } = sort;
        let [pem, pk8] = [format!("{name}.pem"), format!("{name}.pk8")];
        self.openssl(&[&["genpkey", "-out", &pem, "-algorithm"][..], options].concat());
        self.openssl(&[
            "pkcs8", "-in", &pem, "-topk8", "-outform", "DER", "-out", &pk8, "-nocrypt",
        ]);
        self.certificate(name, &format!("{name}.x509.pem"), sort.hash);
    }

    /// Makes a certificate for the key NAME.pem, which a hash signs.
    pub(crate) fn certificate(&self, name: &str, to: &str, hash: &str) {
        let (pem, hash) = (format!("{name}.pem"), format!("-{hash}"));
        let subject = format!("/CN={name}");
        self.openssl(&[
            "req", "-new", "-x509", &hash, "-key", &pem, "-out", to, "-days", "10000", "-subj",
            &subject,
        ]);
    }

    pub(crate) fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(arguments).current_dir(self.0.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
        output.stdout
    }

    pub(crate) fn python(&self, script: &str) {
        let mut python = Command::new("python3");
        let status = python.args(["-c", script]).current_dir(self.0.path()).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// Signs as recovery's own test suite does: by OpenSSL, with the hash that is told.
    pub(crate) fn openssl_signs(&self, name: &str, hash: &str, to: &str) {
        let whole = std::fs::read(self.path("unsigned.zip")).unwrap();
        std::fs::write(self.path("signed-bytes"), &whole[..whole.len() - 2]).unwrap();
        let (pem, certificate) = (format!("{name}.pem"), format!("{name}.x509.pem"));
        let der = self.openssl(&[
            "cms",
            "-sign",
            "-in",
            "signed-bytes",
            "-binary",
            "-noattr",
            "-outform",
            "DER",
            "-md",
            hash,
            "-signer",
            &certificate,
            "-inkey",
            &pem,
        ]);
        let start = u16::try_from(der.len() + 6).unwrap();
        let comment = start + 18;
        let package = [
            &whole[..whole.len() - 2],
            &comment.to_le_bytes(),
            b"signed by SignApk\0",
            &der,
            &start.to_le_bytes(),
            &[0xff, 0xff],
            &comment.to_le_bytes(),
        ];
        std::fs::write(self.path(to), package.concat()).unwrap();
    }

    /// Signs by Debian's signapk.
    pub(crate) fn signapk_signs(&self, name: &str, to: &str) {
        let mut java = Command::new("java");
        java.args(["-jar", SIGNAPK, "-w"]).current_dir(self.0.path());
        java.args([format!("{name}.x509.pem"), format!("{name}.pk8")]).args(["unsigned.zip", to]);
        let output = java.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether OpenSSL takes the signature of a package, by the rules of the footer.
    pub(crate) fn openssl_accepts(&self, package: &str, certificate: &str) -> bool {
        let bytes = std::fs::read(self.path(package)).unwrap();
        let number = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let (start, comment) = (number(bytes.len() - 6), number(bytes.len() - 2));
        assert_eq!(bytes[bytes.len() - 4..bytes.len() - 2], [0xff, 0xff]);
        assert_eq!(&bytes[bytes.len() - comment - 22..][..4], b"PK\x05\x06");
        std::fs::write(self.path("SIG"), &bytes[bytes.len() - start..bytes.len() - 6]).unwrap();
        std::fs::write(self.path("C"), &bytes[..bytes.len() - comment - 2]).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args("cms -verify -inform DER -binary -content C -in SIG -nointern".split(' '));
        openssl.args("-purpose any -out /dev/null -certfile".split(' '));
        openssl.arg(certificate).args(["-CAfile", certificate]).current_dir(self.0.path());
        openssl.output().unwrap().status.success()
    }

    pub(crate) fn keys(&self, files: &[&str]) -> Result<TrustedKeys> {
        let mut keys = TrustedKeys::default();
        files.iter().try_for_each(|file| keys.add_file(&self.path(file)))?;
        Ok(keys)
    }

    /// Whether one of the keys signed a package, also with SHA-1.
    pub(crate) fn accepts(&self, package: &str, files: &[&str]) -> bool {
        let keys = self.keys(files).unwrap().allowing_sha1();
        open(&self.path(package), &keys).is_ok()
    }
}

pub(crate) fn open(path: &Path, keys: &TrustedKeys) -> Result<VerifiedPackage> {
    VerifiedPackage::open(&Context::silent(), path, keys)
}
