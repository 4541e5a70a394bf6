//! A GnuPG home with keys for a test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A GnuPG home, whose agent ends with it.
pub(crate) struct Home(tempfile::TempDir);

impl Drop for Home {
    fn drop(&mut self) {
        let mut kill = Command::new("gpgconf");
        kill.arg("--homedir").arg(self.path()).args(["--kill", "gpg-agent"]);
        drop(kill.status());
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        // Short, because the agent's socket is in it.
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn gpg(&self, arguments: &[&str]) -> Vec<u8> {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(self.path()).args(["--batch", "--quiet", "--passphrase", ""]);
        let output = gpg.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {said}");
        output.stdout
    }

    /// Makes a key and gives its fingerprint. `more` comes before the command.
    pub(crate) fn key(&self, user: &str, algorithm: &str, lasts: &str, more: &[&str]) -> String {
        self.gpg(&[more, &["--quick-gen-key", user, algorithm, "sign", lasts]].concat());
        let listed = self.gpg(&["--list-keys", "--with-colons", user]);
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap().to_owned();
        line.split(':').nth(9).unwrap().to_owned()
    }

    pub(crate) fn revoke(&self, key: &str) {
        let file = self.path().join("openpgp-revocs.d").join(format!("{key}.rev"));
        let text = fs::read_to_string(file).unwrap().replace("\n:-----", "\n-----");
        let path = self.path().join("revocation.asc");
        fs::write(&path, text).unwrap();
        self.gpg(&["--import", path.to_str().unwrap()]);
    }

    /// Writes all public keys to a file in the folder; gives its path.
    pub(crate) fn export(&self, name: &str, keys: &[&str]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, self.gpg(&[&["--export"], keys].concat())).unwrap();
        path
    }
}
