//! uptane-generator: what it makes is followed by a client of Uptane.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jiff::Timestamp;
use serde_json::{Value, json};
use updraft_crypto::Verifier;
use updraft_tuf::{
    Dialect, Ecu, FirstRoot, Options, Outcome, Repository, Step, TrustedMetadata, UptaneUpdater,
};

const COMMIT: &str = "9ac4f3b1c0a1c0d2e7d2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8";

struct Folder {
    root: tempfile::TempDir,
    program: PathBuf,
    trusted: TrustedMetadata,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("uptane-generator");
        std::os::unix::fs::symlink(super::UPDRAFT, &program).unwrap();
        Self { root, program, trusted: TrustedMetadata::default() }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("uptane")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--path").arg(self.path()).arg("--command").args(words);
        command
    }

    fn run(&self, words: &[&str]) {
        let output = self.command(words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {error}");
    }

    fn fails(&self, words: &[&str]) {
        assert_eq!(self.command(words).output().unwrap().status.code(), Some(1), "{words:?}");
    }

    fn sign(&self, words: &[&str], text: &str) -> Output {
        let mut command = self.command(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path().join("repo").join(name)).unwrap()).unwrap()
    }

    /// What a client with these ECUs is told to install: serial and target.
    fn update(&mut self) -> Vec<(String, String)> {
        let ecu = |serial: &str, hardware: &str| Ecu {
            serial: serial.to_owned(),
            hardware_id: hardware.to_owned(),
        };
        let ecus = [ecu("main", "desktop"), ecu("second", "mcu")];
        let mut options = Options::new(Dialect::Uptane);
        options.first_root = FirstRoot::TrustOnFirstUse;
        let now = Timestamp::now();
        let mut updater = UptaneUpdater::new(self.trusted.clone(), &ecus, now, &options, Verifier);
        loop {
            match updater.next().unwrap() {
                Step::Fetch { repository, file_name, .. } => {
                    let base = match repository {
                        Repository::Director => "director",
                        Repository::Image => "repo",
                    };
                    match fs::read(self.path().join("repo").join(base).join(file_name)) {
                        Ok(bytes) => updater.received(&bytes).unwrap(),
                        Err(_) => updater.absent().unwrap(),
                    }
                }
                Step::Persist { repository, role, bytes } => {
                    self.trusted.files_mut(repository).insert(role, bytes);
                }
                Step::Delete { repository, role } => {
                    self.trusted.files_mut(repository).remove(&role);
                }
                Step::Done(Outcome::UpToDate) => return Vec::new(),
                Step::Done(Outcome::Update(targets)) => {
                    let told = targets.iter();
                    let mut told: Vec<_> = told
                        .map(|target| (target.ecu_serial.clone(), target.filepath.clone()))
                        .collect();
                    told.sort();
                    return told;
                }
            }
        }
    }
}

fn told(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(ecu, target)| ((*ecu).to_owned(), (*target).to_owned())).collect()
}

#[test]
fn a_client_follows_what_uptane_generator_makes() {
    let mut folder = Folder::new();
    folder.run(&["generate", "--keytype", "ED25519", "--expires", "3021-07-04T00:00:00Z"]);
    folder.fails(&["generate"]);
    for file in ["director/1.root.json", "director/manifest", "repo/timestamp.json"] {
        assert!(folder.path().join("repo").join(file).exists(), "{file}");
    }
    let kind = fs::read_to_string(folder.path().join("keys/image/targets/key_type")).unwrap();
    assert_eq!(kind, "\"ED25519\"");
    assert_eq!(folder.update(), told(&[]));

    // An image with content, one without, and one that a role of a role lists.
    let image = folder.root.path().join("fw.bin");
    fs::write(&image, "firmware").unwrap();
    let file = image.to_str().unwrap();
    folder.run(&["image", "--filename", file, "--targetname", "a/fw.bin", "--hwid", "mcu"]);
    assert_eq!(fs::read(folder.path().join("repo/repo/targets/a/fw.bin")).unwrap(), b"firmware");
    let os = ["image", "--targetname", "os", "--hwid", "desktop", "--targetlength", "0"];
    folder.run(&[&os[..], &["--targetsha256", COMMIT, "--customversion", "3"]].concat());
    folder.fails(&os);
    folder.fails(&["image", "--filename", file, "--targetname", "../../x", "--hwid", "mcu"]);
    let delegate = |name, parent, pattern| {
        ["adddelegation", "--dname", name, "--dparent", parent, "--dpattern", pattern]
    };
    folder.run(&delegate("team", "targets", "team-*"));
    folder.run(&[&delegate("inner", "team", "team-in*")[..], &["--keytype", "ED25519"]].concat());
    folder.fails(&delegate("team", "targets", "x"));
    folder.fails(&delegate("../x", "targets", "x"));
    let inner = ["image", "--filename", file, "--hwid", "mcu", "--dname", "inner", "--targetname"];
    folder.run(&[&inner[..], &["team-in-fw"]].concat());
    folder.fails(&[&inner[..], &["other"]].concat());
    let meta = folder.read("repo/snapshot.json")["signed"]["meta"].clone();
    let listed: Vec<_> = meta.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(listed, ["inner.json", "root.json", "targets.json", "team.json"]);
    let custom = &folder.read("repo/targets.json")["signed"]["targets"]["os"]["custom"];
    assert_eq!((&custom["targetFormat"], &custom["version"]), (&json!("OSTREE"), &json!(3)));

    // Nothing counts before it is signed.
    let assign = |target, serial, hardware| {
        ["addtarget", "--targetname", target, "--serial", serial, "--hwid", hardware]
    };
    folder.run(&["emptytargets", "--correlationid", "urn:here-ota:campaign:1"]);
    folder.run(&assign("os", "main", "desktop"));
    folder.run(&assign("team-in-fw", "second", "mcu"));
    folder.fails(&assign("none", "second", "mcu"));
    assert_eq!(folder.update(), told(&[]));
    folder.run(&["signtargets"]);
    assert_eq!(folder.update(), told(&[("main", "os"), ("second", "team-in-fw")]));
    let targets = folder.read("director/targets.json")["signed"].clone();
    assert_eq!(targets["custom"]["correlationId"], "urn:here-ota:campaign:1");
    assert_eq!(targets["targets"]["os"]["custom"].get("version"), None);

    // New root keys, vouched for by the old ones; new versions of roles.
    for repository in ["director", "image"] {
        let root = ["--repotype", repository, "--keyname", "root"];
        folder.run(&[&["rotate", "--keytype", "ED25519"], &root[..]].concat());
        folder.run(&[&["refresh"], &root[..]].concat());
    }
    folder.run(&["refresh", "--repotype", "image", "--keyname", "targets"]);
    folder.fails(&["rotate", "--repotype", "image", "--keyname", "targets"]);
    assert_eq!(folder.read("repo/root.json")["signed"]["version"], 3);
    assert_eq!(folder.update(), told(&[("main", "os"), ("second", "team-in-fw")]));

    // A delegation that is taken back takes the Director's targets along.
    folder.run(&["revokedelegation", "--dname", "inner"]);
    assert_eq!(folder.update(), told(&[("main", "os")]));
    // Another role of its name goes on with its versions.
    folder.run(&[
        "adddelegation",
        "--dname",
        "inner",
        "--dpattern",
        "inner/*",
        "--keytype",
        "ED25519",
    ]);
    assert!(folder.read("repo/delegations/inner.json")["signed"]["version"].as_u64() > Some(1));
    folder.run(&["oldtargets"]);
    folder.run(&assign("a/fw.bin", "second", "mcu"));
    folder.run(&["signtargets"]);
    assert_eq!(folder.update(), told(&[("main", "os"), ("second", "a/fw.bin")]));
    folder.run(&["addcampaigns"]);
    let text = fs::read_to_string(folder.path().join("campaigns.json")).unwrap();
    assert!(text.contains("DESCRIPTION"), "{text}");
}

#[test]
fn a_revocation_that_was_cut_off_is_done_again() {
    let mut folder = Folder::new();
    folder.run(&["generate", "--keytype", "ED25519", "--expires", "3021-07-04T00:00:00Z"]);
    let image = folder.root.path().join("fw.bin");
    fs::write(&image, "firmware").unwrap();
    // The order in which these change; each failure is a step further.
    let files = ["director/snapshot", "director/timestamp", "repo/snapshot", "repo/timestamp"];
    for broken in files {
        let delegate = ["adddelegation", "--dname", "team", "--dpattern", "team-*"];
        folder.run(&[&delegate[..], &["--keytype", "ED25519"]].concat());
        let add = ["image", "--filename", image.to_str().unwrap(), "--targetname", "team-fw"];
        folder.run(&[&add[..], &["--hwid", "mcu", "--dname", "team"]].concat());
        let assign = ["addtarget", "--targetname", "team-fw", "--serial", "second"];
        folder.run(&[&assign[..], &["--hwid", "mcu"]].concat());
        folder.run(&["signtargets"]);
        assert_eq!(folder.update(), told(&[("second", "team-fw")]), "{broken}");

        let file = folder.path().join("repo").join(format!("{broken}.json"));
        let aside = folder.root.path().join("aside");
        fs::rename(&file, &aside).unwrap();
        fs::create_dir(&file).unwrap();
        folder.fails(&["revokedelegation", "--dname", "team"]);
        fs::remove_dir(&file).unwrap();
        fs::rename(&aside, &file).unwrap();
        if broken.starts_with("director") {
            // Nothing has changed for who asks the Image repository.
            let roles = folder.read("repo/targets.json")["signed"]["delegations"]["roles"].clone();
            assert_eq!(roles[0]["name"], "team");
        }
        folder.run(&["revokedelegation", "--dname", "team"]);
        assert_eq!(folder.update(), told(&[]), "{broken}");
        assert!(!folder.path().join("keys/image/team").exists());
        assert!(!folder.path().join("repo/repo/delegations/team.json").exists());
    }
    folder.fails(&["revokedelegation", "--dname", "team"]);
}

#[test]
fn any_json_is_signed_and_words_do_for_options() {
    let folder = Folder::new();
    // The default is RSA with 2048 bits, as its users expect.
    let words = |words: &[&str]| {
        let mut command = Command::new(&folder.program);
        command.current_dir(folder.root.path()).args(words).output().unwrap()
    };
    let output = words(&["generate", "uptane"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(words(&["generate"]).status.code(), Some(1));
    assert_eq!(words(&["nonsense", "uptane"]).status.code(), Some(1));
    assert_eq!(words(&[]).status.code(), Some(0));
    assert!(Path::new(&folder.path()).join("keys/director/root/private.key").exists());
    let sign = ["sign", "--repotype", "director", "--keyname", "targets"];
    let once = folder.sign(&sign, r#"{ "b": 1, "a": "x" }"#);
    assert!(once.status.success());
    let once = String::from_utf8(once.stdout).unwrap();
    let signed: Value = serde_json::from_str(&once).unwrap();
    assert_eq!(signed["signed"], json!({ "a": "x", "b": 1 }));
    assert_eq!(signed["signatures"][0]["method"], "rsassa-pss");
    let twice = ["sign", "--repotype", "director", "--keyname", "root"];
    let twice: Value = serde_json::from_slice(&folder.sign(&twice, &once).stdout).unwrap();
    assert_eq!(twice["signatures"].as_array().unwrap().len(), 2);
    assert_eq!(folder.sign(&sign, "no JSON").status.code(), Some(1));
}
