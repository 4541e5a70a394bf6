//! Updates over the network.

use std::time::Duration;

use serde_json::json;
use updraft_fs::flock;
use updraft_tuf::Dialect;

use crate::site::{Device, Said, Site};

/// Between two looks at something that changes.
const LOOK: Duration = Duration::from_millis(20);

#[test]
fn a_device_follows_a_public_repository() {
    for dialect in [Dialect::Uptane, Dialect::Tuf] {
        let mut site = Site::new(dialect, &[1]);
        let device = site.device("device");
        device.settle("1");
        let v2 = site.release(2, &["main"]);
        site.release(3, &["other"]);
        let _ = device.callbacks();

        let listed = device.ends(16, &["check", "--json", "1"]).json();
        let reason = "Updating from test-board-lmp-1 to test-board-lmp-2";
        let app = |version: u32| json!([{"name": "shell", "on": true, "uri": format!("hub/f/shell@sha256:{version}")}]);
        assert_eq!(
            listed,
            json!([
                {"apps": app(1), "current": true, "name": "test-board-lmp-1", "version": 1},
                {"apps": app(2), "name": v2, "newer": true, "reason": reason, "selected": true,
                 "version": 2},
            ])
        );
        assert_eq!(device.ends(16, &["list", "--json", "1"]).json(), listed);
        let _ = device.callbacks();

        device.ends(100, &["update"]);
        device.ends(30, &["update"]);
        // Without the reboot there is nothing to confirm yet.
        device.ends(100, &["finalize"]);
        assert_eq!(device.runs().0, "test-board-lmp-1");
        device.boot();
        device.ends(30, &["update"]);
        device.ends(0, &["finalize"]);
        device.ends(40, &["run"]);
        assert_eq!(device.runs(), (v2, site.commit_of(2).to_owned()));
        let file = std::fs::read_to_string(device.path("storage/current-target")).unwrap();
        assert_eq!(
            file,
            "TARGET_NAME=\"test-board-lmp-2\"\nCUSTOM_VERSION=\"2\"\nLMP_MANIFEST_SHA=\"abc\"\n\
             TAG=\"main\"\n"
        );
        let common = "CURRENT_TARGET=FOLDER/storage/current-target";
        let one = format!("{common} CURRENT_TARGET_NAME=test-board-lmp-1");
        let two = format!("{common} CURRENT_TARGET_NAME=test-board-lmp-2");
        let about = "INSTALL_TARGET_NAME=test-board-lmp-2";
        assert_eq!(
            device.callbacks(),
            [
                format!("{one} MESSAGE=check-for-update-pre"),
                format!("{one} {about} MESSAGE=check-for-update-post RESULT=OK"),
                format!("{one} {about} MESSAGE=download-pre"),
                format!("{one} {about} MESSAGE=download-post RESULT=OK"),
                format!("{one} {about} MESSAGE=install-pre"),
                format!("{one} {about} MESSAGE=install-post RESULT=NEEDS_COMPLETION"),
                format!("{one} {about} MESSAGE=install-final-pre"),
                format!("{two} {about} MESSAGE=install-final-pre"),
                format!("{two} {about} MESSAGE=install-post RESULT=OK"),
            ]
        );
        device.ends(0, &["check"]);
        device.ends(0, &["update"]);
        device.ends(3, &["list"]);
    }
}

#[test]
fn the_server_is_told_what_runs() {
    let site = Site::new(Dialect::Uptane, &[1]);
    let device = site.device("device");
    device.settle("1");
    device.ends(0, &["check"]);
    let log = site.server.log();
    let asked = log.iter().rfind(|exchange| exchange.path.ends_with("timestamp.json")).unwrap();
    for (name, value) in [
        ("x-ats-tags", "main"),
        ("x-ats-target", "test-board-lmp-1"),
        ("x-ats-ostreehash", site.commit_of(1)),
        ("x-ats-dockerapps", "shell"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    let pulled = log.iter().find(|exchange| exchange.path.contains("/objects/")).unwrap();
    assert_eq!(pulled.header("x-correlation-id"), Some("test-board-lmp-1"));
    assert!(log.iter().any(|exchange| exchange.path == "/treehub/download-urls"));
    // Nobody was asked to register this device, or told anything else.
    assert!(
        log.iter().all(|exchange| {
            exchange.method == "GET" || exchange.path == "/treehub/download-urls"
        })
    );
}

#[test]
fn a_server_that_knows_the_device_hears_of_each_step() {
    let site = Site::new(Dialect::Uptane, &[1]);
    std::fs::write(site.path("www/device"), r#"{"Name": "kitchen", "factory": "f"}"#).unwrap();
    let device = site.device("device");
    device.configure(&[("tls.server", &site.server.url())]);
    device.settle("1");
    let status = device.ends(0, &["status"]);
    assert!(status.out.contains("Device name: kitchen"), "{}", status.out);
    let log = site.server.log();
    let sent: Vec<_> = log
        .iter()
        .filter(|exchange| exchange.method != "GET")
        .map(|exchange| format!("{} {}", exchange.method, exchange.path))
        .collect();
    for expected in
        ["PUT /system_info", "PUT /system_info/config", "POST /apps-states", "POST /events"]
    {
        assert!(sent.iter().any(|one| one == expected), "{sent:?}");
    }
    let told = log.iter().find(|exchange| exchange.path == "/system_info/config").unwrap();
    let told = String::from_utf8(told.body.clone()).unwrap();
    assert!(told.contains("\ntags = \"main\"\n"), "{told}");
    let states = log.iter().find(|exchange| exchange.path == "/apps-states").unwrap();
    let states: serde_json::Value = serde_json::from_slice(&states.body).unwrap();
    assert_eq!((&states["ostree"], &states["apps"]), (&json!(""), &json!({})), "{states}");
    assert!(states["deviceTime"].as_str().unwrap().ends_with('Z'), "{states}");
    let plain = device.ends(0, &["status"]).out;
    let commit = site.commit_of(1);
    assert!(plain.contains(&format!("Active image is: 1\tsha256:{commit}\n")), "{plain}");
    let shown = device.ends(0, &["status", "--json", "1"]).json();
    let app = json!({"name": "shell", "on": true, "running": false, "uri": "hub/f/shell@sha256:1"});
    assert_eq!(shown["applied_target"]["version"], 1, "{shown}");
    assert_eq!(shown["applied_target"]["apps"], json!([app]), "{shown}");
    let events: Vec<serde_json::Value> = log
        .iter()
        .filter(|exchange| exchange.path == "/events")
        .flat_map(|exchange| serde_json::from_slice::<Vec<_>>(&exchange.body).unwrap())
        .collect();
    let ids: Vec<_> = events.iter().map(|one| one["eventType"]["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "MetadataUpdateCompleted",
            "EcuDownloadStarted",
            "EcuDownloadCompleted",
            "EcuInstallationStarted",
            "EcuInstallationApplied",
            "EcuInstallationCompleted"
        ]
    );
    let correlation = events[0]["event"]["correlationId"].as_str().unwrap();
    assert!(correlation.starts_with("1-") && correlation.len() <= 63, "{correlation}");
    for event in &events {
        let event = &event["event"];
        assert_eq!(event["correlationId"], correlation);
        assert_eq!(
            (&event["targetName"], &event["version"]),
            (&json!("test-board-lmp-1"), &json!("1"))
        );
    }
    assert_eq!(events[5]["event"]["success"], json!(true));
}

#[test]
fn a_failing_target_is_remembered_and_skipped() {
    let mut site = Site::new(Dialect::Uptane, &[1, 2]);
    let device = site.device("device");
    device.settle("1");
    device.ends(100, &["update"]);
    device.fall_back();
    let _ = device.callbacks();
    device.ends(110, &["finalize"]);
    let told = device.callbacks();
    assert!(told.last().unwrap().ends_with("MESSAGE=install-post RESULT=FAILED"), "{told:?}");
    assert_eq!(device.runs().0, "test-board-lmp-1");

    let listed = device.ends(0, &["check", "--json=1"]).json();
    assert_eq!((&listed[1]["failed"], &listed[1]["selected"]), (&json!(true), &json!(null)));
    device.ends(0, &["update"]);
    assert_eq!(device.runs().0, "test-board-lmp-1");
    // Who names it gets it once more; this time it comes up, and is ill.
    device.ends(100, &["update", "--update-name", "test-board-lmp-2"]);
    device.boot();
    std::fs::write(device.path("ill"), "").unwrap();
    let _ = device.callbacks();
    device.ends(120, &["finalize"]);
    let back = ("install-post", "FAILED", "2");
    assert_eq!(
        steps(&device),
        [
            ("install-final-pre", "", "2"),
            back,
            ("install-pre", "", "1"),
            ("install-post", "NEEDS_COMPLETION", "1"),
        ]
        .map(step)
    );
    std::fs::remove_file(device.path("ill")).unwrap();
    device.boot();
    device.ends(0, &["finalize"]);
    let last = [("install-final-pre", "", "1"), ("install-post", "OK", "1")];
    assert_eq!(steps(&device), last.map(step));
    assert_eq!(device.runs(), ("test-board-lmp-1".to_owned(), site.commit_of(1).to_owned()));
    device.ends(0, &["check"]);
    site.release(3, &["main"]);
    device.settle("3");
}

/// A step as the callback program hears of it: message, result, and the version it is about.
fn step((message, result, version): (&str, &str, &str)) -> (String, String, String) {
    (message.to_owned(), result.to_owned(), version.to_owned())
}

fn steps(device: &Device) -> Vec<(String, String, String)> {
    let told = device.callbacks();
    let word = |line: &str, name: &str| {
        let mut words = line.split(' ').filter_map(|word| word.strip_prefix(name));
        words.find_map(|word| word.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    let version =
        |line: &str| word(line, "INSTALL_TARGET_NAME").rsplit('-').next().map(str::to_owned);
    told.iter()
        .map(|line| {
            (word(line, "MESSAGE"), word(line, "RESULT"), version(line).unwrap_or_default())
        })
        .collect()
}

#[test]
fn rollback_returns_to_the_target_before() {
    let site = Site::new(Dialect::Uptane, &[1, 2, 3]);
    let device = site.device("device");
    device.settle("1");
    device.ends(21, &["rollback"]);
    device.settle("2");
    let _ = device.callbacks();
    device.ends(100, &["rollback"]);
    assert_eq!(
        steps(&device),
        [
            ("download-pre", "", "1"),
            ("download-post", "OK", "1"),
            ("install-pre", "", "1"),
            ("install-post", "NEEDS_COMPLETION", "1"),
        ]
        .map(step)
    );
    device.boot();
    device.ends(0, &["finalize"]);
    assert_eq!(device.runs().0, "test-board-lmp-1");
    let listed = device.ends(16, &["check", "--json", "1"]).json();
    assert_eq!(listed[1]["failed"], json!(true), "{listed}");
    // What waits for its reboot is taken back without one.
    device.ends(100, &["update"]);
    let _ = device.callbacks();
    device.ends(0, &["rollback"]);
    let taken_back =
        [("install-post", "FAILED", "3"), ("install-pre", "", "1"), ("install-post", "OK", "1")];
    assert_eq!(steps(&device), taken_back.map(step));
    device.ends(40, &["finalize"]);
    device.boot();
    assert_eq!(device.runs().0, "test-board-lmp-1");
    device.ends(0, &["check"]);
}

#[test]
fn targets_are_chosen_by_hardware_tags_name_and_version() {
    let mut site = Site::new(Dialect::Uptane, &[5]);
    let commit = site.commit_of(5).to_owned();
    let custom = |hardware: &[&str], format: &str| json!({"version": "9", "hardwareIds": hardware, "targetFormat": format, "tags": ["main"]});
    site.tuf.add_custom("other-9", &commit, custom(&["other"], "OSTREE"));
    site.tuf.add_custom("both-9", &commit, custom(&["test-board", "other"], "OSTREE"));
    site.tuf.add_custom("file-9", &commit, custom(&["test-board"], "BINARY"));
    site.release(7, &["devel", "main"]);
    site.release(8, &["devel"]);
    let device = site.device("device");
    let names = |said: crate::site::Said| -> Vec<String> {
        let json = said.json();
        let targets = json.as_array().unwrap().iter();
        targets.map(|target| target["name"].as_str().unwrap().to_owned()).collect()
    };
    let (v5, v7, v8) = ("test-board-lmp-5", "test-board-lmp-7", "test-board-lmp-8");
    assert_eq!(names(device.ends(16, &["check", "--json", "1"])), [v5, v7]);
    device.configure(&[("pacman.tags", "other, devel")]);
    assert_eq!(names(device.ends(16, &["list", "--json", "1"])), [v7, v8]);
    device.configure(&[("pacman.tags", "")]);
    assert_eq!(names(device.ends(16, &["list", "--json", "1"])), [v5, v7, v8]);
    device.configure(&[("pacman.tags", "nobody")]);
    device.ends(6, &["check"]);
    device.ends(6, &["update"]);
    device.configure(&[]);
    device.ends(20, &["update", "6"]);
    device.ends(20, &["pull", v8]);
    // Step by step.
    device.ends(80, &["install", "7"]);
    device.ends(0, &["pull", "7"]);
    device.ends(100, &["install", "7"]);
    device.boot();
    device.ends(0, &["run"]);
    assert_eq!(device.runs().0, v7);
    // The highest version of these tags is older: nothing is done by itself.
    device.configure(&[("pacman.tags", "stable")]);
    site.tuf.add_custom(
        "test-board-lmp-6",
        &commit,
        json!({"version": "6",
        "hardwareIds": ["test-board"], "targetFormat": "OSTREE", "tags": ["stable"]}),
    );
    site.save();
    device.ends(0, &["check"]);
    device.ends(0, &["update"]);
    device.ends(100, &["update", "6"]);
}

#[test]
fn the_same_commit_under_another_name_needs_no_reboot() {
    let mut site = Site::new(Dialect::Uptane, &[1]);
    let device = site.device("device");
    device.settle("1");
    let commit = site.commit_of(1).to_owned();
    site.tuf.add(2, &commit, &["main"]);
    site.save();
    device.ends(16, &["check"]);
    device.ends(0, &["update"]);
    assert_eq!(device.runs().0, "test-board-lmp-2");
    device.ends(0, &["check"]);
}

#[test]
fn who_holds_the_lock_delays_the_update() {
    let site = Site::new(Dialect::Uptane, &[1]);
    let device = site.device("device");
    let path = device.path("lock");
    let held = flock::try_exclusive(&path).unwrap().unwrap();
    let file = path.display().to_string();
    let mut command = device.command("aktualizr-lite", &["update", "--update-lockfile", &file]);
    let mut process = command.spawn().unwrap();
    let asked = || site.server.paths().iter().any(|path| path.ends_with("targets.json"));
    while !asked() {
        assert!(process.try_wait().unwrap().is_none(), "it ended before it asked");
        std::thread::sleep(LOOK);
    }
    for _ in 0..20 {
        assert!(process.try_wait().unwrap().is_none(), "it did not wait");
        std::thread::sleep(LOOK);
    }
    assert!(!site.server.paths().iter().any(|path| path.contains("/objects/")));
    drop(held);
    assert_eq!(process.wait().unwrap().code(), Some(100));
}

#[test]
fn metadata_that_is_not_trusted_has_its_code() {
    for dialect in [Dialect::Uptane, Dialect::Tuf] {
        let mut site = Site::new(dialect, &[1]);
        let device = site.device("device");
        let file = match dialect {
            Dialect::Uptane => site.metadata().join("targets.json"),
            Dialect::Tuf => site.metadata().join("1.targets.json"),
        };
        let good = std::fs::read(&file).unwrap();
        let evil = String::from_utf8(good.clone()).unwrap().replace("lmp-1\"", "lmp-9\"");
        std::fs::write(&file, evil).unwrap();
        let said = device.ends(11, &["update"]);
        assert!(said.err.contains("targets.json"), "{}", said.err);
        std::fs::write(&file, good).unwrap();
        device.settle("1");
        // The server is gone, and later its timestamp: what is stored still counts.
        site.release(2, &["main"]);
        device.ends(16, &["check"]);
        std::fs::remove_file(site.metadata().join("timestamp.json")).unwrap();
        device.ends(16, &["check"]);
        device.ends(100, &["update"]);
        site.device("new").ends(13, &["check"]);
    }
}

#[test]
fn a_pull_that_fails_has_its_code_and_does_not_mark_the_target() {
    let site = Site::new(Dialect::Uptane, &[1]);
    let device = site.device("device");
    let commit = site.commit_of(1);
    let (folder, name) = commit.split_at(2);
    let object = site.objects().join(format!("objects/{folder}/{name}.commit"));
    let good = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    device.ends(50, &["update"]);
    std::fs::write(&object, b"something else").unwrap();
    device.ends(70, &["pull"]);
    std::fs::write(&object, good).unwrap();
    device.settle("1");
}

#[test]
fn the_daemon_installs_reboots_and_finalizes() {
    let mut site = Site::new(Dialect::Uptane, &[1]);
    let device = site.device("device");
    device.configure(&[("bootloader.reboot_command", "/nowhere/reboot")]);
    let said = device.ends(1, &["daemon"]);
    assert!(said.err.contains("not executable"), "{}", said.err);
    device.configure(&[("uptane.repo_server", "")]);
    device.ends(1, &["daemon"]);
    device.configure(&[]);
    let once = || {
        let mut command = device.command("aktualizr-lite", &["daemon", "--interval", "1"]);
        command.env("AKLITE_TEST_RETURN_ON_SLEEP", "1").output().unwrap().status.code()
    };
    assert_eq!(once(), Some(0));
    assert!(device.path("rebooting").exists());
    // It does not go on before the reboot.
    assert_eq!(once(), Some(1));
    device.boot();
    assert_eq!(once(), Some(0));
    assert_eq!(device.runs().0, "test-board-lmp-1");
    std::fs::remove_file(device.path("rebooting")).unwrap();
    site.release(2, &["main"]);
    assert_eq!(once(), Some(0));
    device.boot();
    std::fs::write(device.path("ill"), "").unwrap();
    assert_eq!(once(), Some(0));
    assert!(device.path("rebooting").exists());
    std::fs::remove_file(device.path("ill")).unwrap();
    device.boot();
    assert_eq!(once(), Some(0));
    assert_eq!(device.runs().0, "test-board-lmp-1");
}

#[test]
fn the_boot_loader_is_told_by_its_variables() {
    let mut site = Site::new(Dialect::Uptane, &[1]);
    let commit = site.commit(2, |tree| {
        std::fs::create_dir_all(tree.join("usr/lib/firmware")).unwrap();
        let file = tree.join("usr/lib/firmware/version.txt");
        std::fs::write(file, "bootfirmware_version=3\n").unwrap();
    });
    site.tuf.add(2, &commit, &["main"]);
    site.save();
    let device = site.device("device");
    let printer = "cat FOLDER/var-$1 2>/dev/null";
    let setter = "echo \"$1=$2\" >> FOLDER/set; echo \"$2\" > FOLDER/var-$1";
    device.script("bin/fiovb_printenv", printer);
    device.script("bin/fiovb_setenv", setter);
    device.script("bin/fw_printenv", "cat FOLDER/var-$2 2>/dev/null");
    device.script("bin/fw_setenv", setter);
    let set = || {
        let text = std::fs::read_to_string(device.path("set")).unwrap_or_default();
        let _ = std::fs::remove_file(device.path("set"));
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    device.settle("1");
    assert!(set().is_empty());
    device.configure(&[("bootloader.rollback_mode", "fiovb")]);
    let variable = |name: &str, value: &str| {
        std::fs::write(device.path(&format!("var-{name}")), value).unwrap();
    };
    // Older boot firmware than what is installed is refused where that is asked for.
    variable("bootfirmware_version", "4");
    variable("rollback_protection", "1");
    device.ends(110, &["update"]);
    let listed = device.ends(0, &["check", "--json", "1"]);
    assert_eq!(listed.json()[1]["failed"], json!(true));
    assert!(set().is_empty());
    variable("bootfirmware_version", "2");
    device.ends(100, &["update", "2"]);
    assert_eq!(
        set(),
        ["bootcount=0", "upgrade_available=1", "rollback=0", "bootupgrade_available=1"]
    );
    device.boot();
    variable("bootcount", "1");
    device.ends(5, &["finalize"]);
    assert_eq!(set(), ["bootcount=0", "upgrade_available=0"]);
    device.ends(90, &["update", "1"]);
    device.configure(&[("bootloader.rollback_mode", "uboot_generic")]);
    variable("bootcount", "1");
    device.ends(100, &["update", "1"]);
    // What has its value already is not written to flash again.
    assert_eq!(set(), ["bootcount=0"]);
}

#[test]
fn roots_that_came_with_the_device_are_believed_and_no_others() {
    let site = Site::new(Dialect::Uptane, &[1]);
    let other = Site::new(Dialect::Uptane, &[1]);
    for folder in ["roots/ci/1.root.json", "import/repo/root.json"] {
        let device = site.device(&folder.replace('/', "-"));
        let root = |site: &Site| std::fs::read(site.metadata().join("1.root.json")).unwrap();
        let path = device.path(folder);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, root(&other)).unwrap();
        device.ends(11, &["check"]);
        std::fs::remove_dir_all(device.path("storage")).unwrap();
        std::fs::write(&path, root(&site)).unwrap();
        device.ends(16, &["check"]);
    }
}

#[test]
fn help_version_and_wrong_use() {
    let site = Site::new(Dialect::Uptane, &[]);
    let device = site.device("device");
    assert!(device.ends(0, &["--help"]).out.contains("Exit codes"));
    assert!(device.ends(0, &["--version"]).out.starts_with("Current aktualizr version is: "));
    assert!(device.ends(0, &[]).out.contains("finalize"));
    device.ends(1, &["check", "--no-such-option"]);
    device.ends(1, &["dance"]);
    device.ends(11, &["list"]);
    device.ends(11, &["pull"]);
    device.ends(40, &["finalize"]);
    let said = device.ends(0, &["status"]);
    assert!(said.out.contains("No active deployment found"), "{}", said.out);
    // Logs are where upstream has them; who reads JSON finds nothing else.
    assert!(said.out.contains("docker_prune"), "{}", said.out);
    assert_eq!(said.err, "");
    let mut command = device.command("aktualizr-lite", &["status"]);
    let said = Said::from(command.env("LOG_STDERR", "").output().unwrap());
    assert!(said.err.contains("docker_prune") && !said.out.contains("docker_prune"), "{said:?}");
    let said = device.ends(0, &["status", "--json", "1", "--loglevel", "0"]);
    assert!(said.json().is_object() && said.err.contains("docker_prune"), "{said:?}");
    assert!(device.ends(0, &["status", "--json", "1"]).json().is_object());
}
