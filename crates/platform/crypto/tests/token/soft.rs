//! A token of SoftHSM in a folder of its own, filled by OpenSC's `pkcs11-tool`.
//!
//! SoftHSM finds its tokens by an environment variable, which a test cannot change for itself: it
//! runs once more as a child that has it ([`SoftToken::child`]).

use std::path::{Path, PathBuf};
use std::process::Command;

/// The module, where Debian has it.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The PIN of all tokens here.
pub(crate) const PIN: &str = "1234";
const FOLDER: &str = "UPDRAFT_TEST_TOKEN_FOLDER";

/// A token called `up`.
pub(crate) struct SoftToken {
    folder: PathBuf,
}

impl SoftToken {
    /// The token that the parent made; `None` in the parent.
    pub(crate) fn inherited() -> Option<Self> {
        let folder = std::env::var_os(FOLDER)?;
        Some(Self { folder: folder.into() })
    }

    /// Makes an empty token in `folder`.
    pub(crate) fn create(folder: &Path) -> Self {
        let token = Self { folder: folder.to_owned() };
        let tokens = folder.join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        std::fs::write(token.path("softhsm.conf"), text).unwrap();
        std::fs::write(token.path("pin"), PIN).unwrap();
        token.run(
            Command::new("softhsm2-util")
                .args(["--init-token", "--free", "--label", "up"])
                .args(["--pin", PIN, "--so-pin", "5678"]),
        );
        token
    }

    /// A file beside the token.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a key pair in the token.
    pub(crate) fn generate(&self, label: &str, id: &str, key_type: &str) {
        self.generate_for(label, id, key_type, &[]);
    }

    /// Makes a key pair that may be used like this.
    pub(crate) fn generate_for(&self, label: &str, id: &str, key_type: &str, usage: &[&str]) {
        let make = ["--keypairgen", "--key-type", key_type, "--id", id, "--label", label];
        self.tool(&[&make[..], usage].concat());
    }

    /// Puts a certificate beside a key.
    pub(crate) fn add_certificate(&self, label: &str, id: &str, der: &[u8]) {
        let file = self.path(&format!("{label}.der"));
        std::fs::write(&file, der).unwrap();
        let file = file.display().to_string();
        self.tool(&["--write-object", &file, "--type", "cert", "--id", id, "--label", label]);
    }

    fn tool(&self, arguments: &[&str]) {
        let login = ["--module", MODULE, "--token-label", "up", "--login", "--pin", PIN];
        self.run(Command::new("pkcs11-tool").args(login).args(arguments));
    }

    fn run(&self, command: &mut Command) {
        let output = command.env("SOFTHSM2_CONF", self.path("softhsm.conf")).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {stderr}");
    }

    /// The URI of an object; its PIN is in a file.
    pub(crate) fn uri(&self, label: &str) -> String {
        let pin = self.path("pin");
        format!(
            "pkcs11:token=up;object={label}?module-path={MODULE}&pin-source=file:{}",
            pin.display()
        )
    }

    /// Runs one test of this program, with the token; it must pass.
    pub(crate) fn child(&self, test: &str) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args(["--exact", test, "--nocapture"]).env(FOLDER, &self.folder);
        self.run(child);
    }
}
