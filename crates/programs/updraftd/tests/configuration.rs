//! Settings from files, drop-ins, the environment and options, and what is said when one is wrong.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

fn updraftd(config: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_updraftd"));
    command.env("NO_COLOR", "1").arg("--config").arg(config).args(arguments);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    Answer {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("updraftd.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// `section.key` → (value, origin).
fn effective(
    config: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    key: &str,
) -> (Value, String) {
    let all = [arguments, &["config", "show", "--effective", "--json"]].concat();
    let answer = updraftd(config, &all, environment);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let list: Vec<Value> = serde_json::from_str(&answer.out).unwrap();
    let found = list.into_iter().find(|setting| setting["key"] == key).unwrap();
    (found["value"].clone(), found["origin"].as_str().unwrap().to_owned())
}

#[test]
fn later_sources_win_and_each_setting_names_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "[uptane]\npolling_sec = 1\n");
    let key = "uptane.polling_sec";
    let shown = |arguments: &[&str], environment: &[(&str, &str)]| {
        effective(&config, arguments, environment, key)
    };
    let (value, origin) = shown(&[], &[]);
    assert_eq!((value, origin.ends_with("updraftd.toml:2")), (1.into(), true), "{origin}");
    let drop_ins = folder.path().join("updraftd.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(drop_ins.join("10-a.toml"), "[uptane]\npolling_sec = 2\n").unwrap();
    std::fs::write(drop_ins.join("20-b.toml"), "\n\n[uptane]\npolling_sec = 3\n").unwrap();
    std::fs::write(drop_ins.join("30-ignored.txt"), "nonsense").unwrap();
    let (value, origin) = shown(&[], &[]);
    assert_eq!((value, origin.ends_with("20-b.toml:4")), (3.into(), true), "{origin}");
    let environment = [("UPDRAFTD_UPTANE_POLLING_SEC", "4")];
    let (value, origin) = shown(&[], &environment);
    assert_eq!((value, origin.as_str()), (4.into(), "environment UPDRAFTD_UPTANE_POLLING_SEC"));
    let (value, origin) = shown(&["--set", "uptane.polling_sec=5"], &environment);
    assert_eq!((value, origin.as_str()), (5.into(), "command line"));
}

#[test]
fn secrets_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "[provision]\np12_password = \"hunter2\"\n");
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--effective"],
        &["config", "show", "--effective", "--json"],
        &["config", "check"],
        &["status"],
    ] {
        let answer = updraftd(&config, arguments, &[]);
        assert!(!answer.out.contains("hunter2") && !answer.err.contains("hunter2"));
    }
    let answer = updraftd(&config, &["config", "show"], &[]);
    assert!(answer.out.contains("p12_password = \"(hidden)\""), "{}", answer.out);
}

#[test]
fn what_is_wrong_is_named_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    for (text, place, problem) in [
        (
            "[uptane]\npolling_sec = 1\npoling_sec = 2\n",
            "updraftd.toml:3",
            "unknown field `poling_sec`",
        ),
        ("[uptan]\n", "updraftd.toml:1", "unknown field `uptan`"),
        ("[uptane]\n\npolling_sec = \"often\"\n", "updraftd.toml:3", "invalid type"),
        ("[uptane]\npolling_sec = 0\n", "updraftd.toml:2", "not between"),
        ("[tls]\nserver = \"updates.example\"\n", "updraftd.toml:2", "not an address"),
        ("[pacman]\ntype = \"rpm\"\n", "updraftd.toml:2", "`slots` and `none` only"),
        ("[uptane\n", "updraftd.toml:1", ""),
        ("[health]\nchecks = [{ name = \"a\", command = [] }]\n", "updraftd.toml:2", "no command"),
    ] {
        let config = file(folder.path(), text);
        for arguments in [&["config", "check"][..], &["run-once"], &["status"]] {
            let answer = updraftd(&config, arguments, &[]);
            assert_eq!(answer.code, Some(3), "{text}: {}", answer.err);
            assert!(answer.err.starts_with("error: "), "{}", answer.err);
            assert!(answer.err.contains(place), "{place} is not named: {}", answer.err);
            assert!(answer.err.contains(problem), "{problem} is not said: {}", answer.err);
            assert!(answer.err.contains("\nhint: "), "no way out: {}", answer.err);
        }
    }
    let config = file(folder.path(), "");
    let answer = updraftd(&config, &["config", "check"], &[("UPDRAFTD_UPTANE_NAP", "1")]);
    assert_eq!(answer.code, Some(3));
    assert!(answer.err.contains("UPDRAFTD_UPTANE_NAP"), "{}", answer.err);
    let answer = updraftd(&config, &["--set", "nonsense", "config", "check"], &[]);
    assert_eq!(answer.code, Some(3));
    assert!(answer.err.contains("SECTION.KEY=VALUE"), "{}", answer.err);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let answer = updraftd(&folder.path().join("absent.toml"), &["config", "check"], &[]);
    assert_eq!(answer.code, Some(4), "{}", answer.err);
    assert!(answer.err.contains("absent.toml"), "{}", answer.err);
    assert!(answer.err.contains("\nhint: "), "no way out: {}", answer.err);
}

/// The sample names every setting, with its default.
#[test]
fn the_sample_configuration_is_complete_and_says_the_defaults() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../packaging/updraftd.toml");
    let answer = updraftd(&sample, &["config", "check"], &[]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let text = std::fs::read_to_string(&sample).unwrap();
    let awake: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n");
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), &awake);
    let show = ["config", "show", "--effective", "--json"];
    let list = |config: &Path| -> Vec<(String, Value, String)> {
        let answer = updraftd(config, &show, &[]);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        let list: Vec<Value> = serde_json::from_str(&answer.out).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list.iter().map(|s| (text(&s["key"]), s["value"].clone(), text(&s["origin"]))).collect()
    };
    let empty = folder.path().join("empty.toml");
    std::fs::write(&empty, "").unwrap();
    let (set, default) = (list(&config), list(&empty));
    assert_eq!(set.len(), default.len());
    for ((key, value, origin), (_, wanted, _)) in set.iter().zip(&default) {
        assert_ne!(origin, "default", "{key} is missing in the sample");
        assert_eq!(value, wanted, "{key} has another default");
    }
}

#[test]
fn the_service_manager_hears_that_the_service_runs_lives_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, notify) = (folder.path().join("state"), folder.path().join("notify"));
    // It has nothing to find its identity with, and ends.
    let text = format!(
        "[storage]\npath = {storage:?}\n\n[pacman]\nos = \"os\"\nsysroot = {:?}\n",
        folder.path().join("none")
    );
    let config = file(folder.path(), &text);
    let listener = UnixDatagram::bind(&notify).unwrap();
    listener.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let answer = updraftd(
        &config,
        &["run"],
        &[("NOTIFY_SOCKET", notify.to_str().unwrap()), ("WATCHDOG_USEC", "60000000")],
    );
    assert_ne!(answer.code, Some(0), "{}", answer.out);
    let mut said = Vec::new();
    while said.last().is_none_or(|text| text != "STOPPING=1") {
        let mut buffer = [0; 64];
        let length = listener.recv(&mut buffer).unwrap();
        said.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert_eq!(said.first().unwrap(), "READY=1");
    // It may have ended before it came to that.
    assert!(said[1..said.len() - 1].iter().all(|text| text == "WATCHDOG=1"), "{said:?}");
}
