//! A GnuPG home with one key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The home; its agent ends with it.
pub(crate) struct Keys {
    home: tempfile::TempDir,
    /// The key's fingerprint.
    pub(crate) fingerprint: String,
    /// The public key in a file.
    pub(crate) public: PathBuf,
}

impl Drop for Keys {
    fn drop(&mut self) {
        let mut kill = Command::new("gpgconf");
        kill.arg("--homedir").arg(self.home.path()).args(["--kill", "gpg-agent"]);
        drop(kill.status());
    }
}

impl Keys {
    pub(crate) fn new() -> Self {
        // Short, because the agent's socket is in it.
        let home = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        gpg(home.path(), &["--quick-gen-key", "a@example.org", "ed25519", "sign", "never"]);
        let listed = gpg(home.path(), &["--list-keys", "--with-colons"]);
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        let fingerprint = line.split(':').nth(9).unwrap().to_owned();
        let public = home.path().join("public.gpg");
        fs::write(&public, gpg(home.path(), &["--export"])).unwrap();
        Self { home, fingerprint, public }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }
}

fn gpg(home: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut gpg = Command::new("gpg");
    gpg.arg("--homedir").arg(home).args(["--batch", "--quiet", "--passphrase", ""]);
    let output = gpg.args(arguments).output().expect("the Debian package gnupg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gpg {arguments:?}: {said}");
    output.stdout
}
