//! Against GnuPG: its keys, its files and its signatures.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use updraft_openpgp::{Error, Keyring, Standing, sign, verify};
use updraft_task::Context;

const DATA: &[u8] = b"what is signed\n";
const DAY: u64 = 86_400;

/// A GnuPG home, whose agent ends with it.
struct Home(tempfile::TempDir);

impl Drop for Home {
    fn drop(&mut self) {
        let mut kill = Command::new("gpgconf");
        kill.arg("--homedir").arg(self.0.path()).args(["--kill", "gpg-agent"]);
        drop(kill.status());
    }
}

impl Home {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn gpg(&self, arguments: &[&str]) -> Vec<u8> {
        let mut gpg = Command::new("gpg");
        gpg.arg("--homedir").arg(self.path()).args(["--batch", "--quiet", "--passphrase", ""]);
        let output = gpg.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gpg {arguments:?}: {said}");
        output.stdout
    }

    /// Makes a key and gives its fingerprint.
    fn key(&self, user: &str, algorithm: &str, lasts: &str) -> String {
        self.gpg(&["--quick-gen-key", user, algorithm, "sign", lasts]);
        self.fingerprints(user).remove(0)
    }

    fn fingerprints(&self, user: &str) -> Vec<String> {
        let listed = self.gpg(&["--list-keys", "--with-colons", user]);
        let listed = String::from_utf8(listed).unwrap();
        let lines = listed.lines().filter(|line| line.starts_with("fpr:"));
        lines.map(|line| line.split(':').nth(9).unwrap().to_owned()).collect()
    }

    fn sign(&self, arguments: &[&str], key: &str) -> Vec<u8> {
        let file = self.path().join("data");
        std::fs::File::create(&file)
            .and_then(|mut f| std::io::Write::write_all(&mut f, DATA))
            .unwrap();
        let file = file.to_str().unwrap();
        let last = ["--local-user", key, "--detach-sign", "--output", "-", file];
        self.gpg(&[arguments, &last].concat())
    }

    fn keyring(&self) -> Keyring {
        Keyring::parse(&self.gpg(&["--export"])).unwrap()
    }

    fn revoke(&self, key: &str) {
        let file = self.path().join("openpgp-revocs.d").join(format!("{key}.rev"));
        let text = std::fs::read_to_string(file).unwrap().replace("\n:-----", "\n-----");
        let path = self.path().join("revocation.asc");
        std::fs::File::create(&path)
            .and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes()))
            .unwrap();
        self.gpg(&["--import", path.to_str().unwrap()]);
    }
}

#[allow(clippy::disallowed_methods, reason = "GnuPG signs with the time of the system")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn standing(keyring: &Keyring, data: &[u8], signature: &[u8], at: u64) -> Standing {
    let reports = verify(keyring, data, signature, at).unwrap();
    assert_eq!(reports.len(), 1);
    reports[0].standing
}

#[test]
fn signatures_of_all_sorts_of_keys_are_good_in_all_sorts_of_keyrings() {
    let home = Home::new();
    for (user, algorithm) in
        [("a@x", "rsa2048"), ("b@x", "ed25519"), ("c@x", "nistp256"), ("d@x", "dsa2048")]
    {
        let key = home.key(user, algorithm, "never");
        let signature = home.sign(&[], &key);
        let armored = home.sign(&["--armor"], &key);
        let keybox = std::fs::read(home.path().join("pubring.kbx")).unwrap();
        for keys in [home.gpg(&["--export"]), home.gpg(&["--export", "--armor"]), keybox] {
            let keyring = Keyring::parse(&keys).unwrap();
            assert_eq!(standing(&keyring, DATA, &signature, now()), Standing::Good, "{algorithm}");
            assert_eq!(standing(&keyring, DATA, &armored, now()), Standing::Good);
            assert_eq!(standing(&keyring, b"other", &signature, now()), Standing::Bad);
            let reports = verify(&keyring, DATA, &signature, now()).unwrap();
            assert!(reports[0].is_by(&key) && !reports[0].is_by("0123456789ABCDEF"));
        }
        assert_eq!(standing(&Keyring::new(), DATA, &signature, now()), Standing::KeyMissing);
    }
    assert_eq!(home.keyring().len(), 4);
}

#[test]
fn what_is_expired_or_revoked_is_not_good() {
    let home = Home::new();
    let brief = home.key("brief@x", "ed25519", "2d");
    let signature = home.sign(&["--default-sig-expire", "1d"], &brief);
    let lasting = home.sign(&[], &brief);
    let keyring = home.keyring();
    assert_eq!(standing(&keyring, DATA, &signature, now()), Standing::Good);
    assert_eq!(standing(&keyring, DATA, &signature, now() + DAY), Standing::Expired);
    assert_eq!(standing(&keyring, DATA, &lasting, now() + DAY), Standing::Good);
    assert_eq!(standing(&keyring, DATA, &lasting, now() + 2 * DAY), Standing::KeyExpired);
    assert_eq!(standing(&keyring, DATA, &lasting, now() - DAY), Standing::Bad, "not made yet");
    home.revoke(&brief);
    let mut known = keyring;
    assert_eq!(known.merge(home.keyring()), 0);
    assert_eq!(
        standing(&known, DATA, &lasting, now()),
        Standing::KeyRevoked,
        "a merged revocation"
    );
}

#[test]
fn subkeys_sign_while_their_primary_key_vouches_for_them() {
    let home = Home::new();
    home.gpg(&["--quick-gen-key", "s@x", "rsa2048", "cert", "never"]);
    let primary = home.fingerprints("s@x").remove(0);
    home.gpg(&["--quick-add-key", &primary, "ed25519", "sign", "1d"]);
    home.gpg(&["--quick-add-key", &primary, "cv25519", "encr", "never"]);
    let signature = home.sign(&[], &primary);
    let keyring = home.keyring();
    let report = verify(&keyring, DATA, &signature, now()).unwrap().remove(0);
    assert!(report.is_good());
    assert_eq!(report.primary.as_deref(), Some(primary.as_str()));
    assert_ne!(report.fingerprint, report.primary);
    assert!(report.is_by(&primary) && report.is_by(&report.key_id));
    assert_eq!(standing(&keyring, DATA, &signature, now() + DAY), Standing::KeyExpired);
    let listed = keyring.list(now());
    assert_eq!((listed.len(), listed[0].subkeys.len()), (1, 2));
    home.revoke(&primary);
    assert_eq!(standing(&home.keyring(), DATA, &signature, now()), Standing::KeyRevoked);
    assert!(home.keyring().list(now())[0].subkeys[0].revoked);
}

#[test]
fn weak_and_malformed_signatures_are_refused() {
    let home = Home::new();
    let key = home.key("w@x", "rsa2048", "never");
    let keyring = home.keyring();
    let sha1 = home.sign(&["--digest-algo", "SHA1"], &key);
    assert_eq!(standing(&keyring, DATA, &sha1, now()), Standing::Bad);
    let text = home.sign(&["--textmode"], &key);
    assert_eq!(standing(&keyring, DATA, &text, now()), Standing::Bad);
    let good = home.sign(&[], &key);
    for bad in [&b""[..], b"garbage", &good[..40]] {
        assert!(matches!(verify(&keyring, DATA, bad, now()), Err(Error::NoSignature)));
    }
    let other = verify(&keyring, DATA, &home.gpg(&["--export"]), now()).unwrap();
    assert!(other.iter().all(|report| report.standing == Standing::Bad), "they sign keys");
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        let reports = verify(&keyring, DATA, &flipped, now()).unwrap_or_default();
        // What is not signed (hints about the signer) may change without harm.
        let harmless = reports.iter().all(|report| !report.is_good() || report.is_by(&key));
        assert!(harmless, "byte {at}");
    }
    let long = vec![0; updraft_openpgp::MAX_SIGNATURE + 1];
    assert!(matches!(verify(&keyring, DATA, &long, now()), Err(Error::TooLarge { .. })));
}

#[test]
fn a_key_of_a_home_signs() {
    let home = Home::new();
    let key = home.key("Signer <s@x>", "ed25519", "never");
    let ctx = Context::silent();
    for id in [key.as_str(), &key[24..]] {
        let signature = sign::detached(&ctx, Some(home.path()), id, DATA).unwrap();
        assert_eq!(standing(&home.keyring(), DATA, &signature, now()), Standing::Good);
    }
    let missing = sign::detached(&ctx, Some(home.path()), "DEADBEEF", DATA).unwrap_err();
    assert!(matches!(missing, Error::NoSecretKey { .. }), "{missing}");
    let short = sign::detached(&ctx, Some(home.path()), "FOO", DATA).unwrap_err();
    assert!(matches!(short, Error::BadKeyId { .. }), "{short}");
    home.revoke(&key);
    let revoked = sign::detached(&ctx, Some(home.path()), &key, DATA).unwrap_err();
    assert_eq!(revoked.to_string(), "Failure signing commit file: GPGME: Unusable secret key");
}
