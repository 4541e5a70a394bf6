//! Updates from a folder.

use updraft_tuf::Dialect;

use crate::site::Site;
use crate::tuf::in_hours;

const NAMES: [&str; 2] = ["test-board-lmp-1", "test-board-lmp-2"];

#[test]
fn a_bundle_updates_a_device_without_a_network() {
    for dialect in [Dialect::Uptane, Dialect::Tuf] {
        let site = Site::new(dialect, &[1, 2]);
        let device = site.device("device");
        device.settle("1");
        device.configure(&[
            ("uptane.repo_server", ""),
            ("pacman.ostree_server", "http://127.0.0.1:1/treehub"),
        ]);
        let bundle = site.bundle(2);
        let statement = site.tuf.statement(&NAMES, "main", in_hours(10));
        std::fs::write(bundle.join("tuf/bundle-targets.json"), statement).unwrap();
        let folder = bundle.display().to_string();
        let listed = device.ends(16, &["check", "--json", "1", "--src-dir", &folder]).json();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        device.ends(100, &["update", "--src-dir", &folder]);
        device.boot();
        device.ends(0, &["finalize"]);
        assert_eq!(device.runs().0, NAMES[1]);
        device.ends(0, &["update", "--src-dir", &folder]);
        device.offline(0, &["install", "--src-dir", &folder]);
        let shown = device.offline(0, &["current"]);
        assert!(shown.out.contains("Target: test-board-lmp-2"), "{}", shown.out);
    }
}

#[test]
fn a_bundle_that_is_tampered_with_or_not_for_this_device_is_refused() {
    let site = Site::new(Dialect::Uptane, &[1, 2]);
    let device = site.device("device");
    device.settle("1");
    let bundle = site.bundle(2);
    let folder = bundle.display().to_string();
    let file = bundle.join("tuf/bundle-targets.json");
    let ends = |code: i32, statement: &[u8]| {
        std::fs::write(&file, statement).unwrap();
        device.ends(code, &["check", "--src-dir", &folder]);
        device.ends(code, &["update", "--src-dir", &folder]);
        assert_eq!(device.runs().0, NAMES[0]);
    };
    let good = site.tuf.statement(&NAMES, "main", in_hours(10));
    let text = String::from_utf8(good.clone()).unwrap();
    ends(15, text.replace("\"ci\"", "\"no\"").as_bytes());
    ends(15, b"{}");
    ends(15, &Site::new(Dialect::Uptane, &[]).tuf.statement(&NAMES, "main", in_hours(10)));
    ends(15, &site.tuf.statement(&NAMES, "devel", in_hours(10)));
    ends(12, &site.tuf.statement(&NAMES, "main", in_hours(-1)));
    ends(6, &site.tuf.statement(&["another"], "main", in_hours(10)));
    std::fs::write(&file, &good).unwrap();

    let targets = bundle.join("tuf/targets.json");
    let whole = std::fs::read_to_string(&targets).unwrap();
    // Stored metadata that is as new needs no file of the bundle: a device that was never online.
    let fresh = site.device("fresh");
    std::fs::write(&targets, whole.replace("lmp-2\"", "lmp-9\"")).unwrap();
    fresh.ends(11, &["check", "--src-dir", &folder]);
    std::fs::remove_file(&targets).unwrap();
    fresh.ends(14, &["check", "--src-dir", &folder]);
    std::fs::write(&targets, &whole).unwrap();
    fresh.ends(16, &["check", "--src-dir", &folder]);

    // Content that is not what was signed.
    let objects = bundle.join("ostree_repo/objects");
    let commit = site.commit_of(2);
    let (start, rest) = commit.split_at(2);
    let object = objects.join(start).join(format!("{rest}.commit"));
    let bytes = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    device.ends(8, &["update", "--src-dir", &folder]);
    std::fs::write(&object, bytes).unwrap();
    let content = std::fs::read_dir(&objects)
        .unwrap()
        .flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "dirtree"))
        .unwrap();
    let mut bytes = std::fs::read(&content).unwrap();
    bytes[0] ^= 1;
    std::fs::remove_file(&content).unwrap();
    std::fs::write(&content, bytes).unwrap();
    assert_eq!(fresh.run(&["update", "--src-dir", &folder]).code, 70);
}

#[test]
fn a_bundle_does_not_take_a_device_back() {
    let site = Site::new(Dialect::Uptane, &[1]);
    let old = site.bundle(1);
    let mut site = site;
    site.release(2, &["main"]);
    let device = site.device("device");
    device.settle("2");
    let folder = old.display().to_string();
    // Its metadata is older than what the device knows, which counts; so does its content.
    device.ends(102, &["update", "--src-dir", &folder]);
    device.offline(102, &["install", "-s", &folder]);
    assert_eq!(device.runs().0, NAMES[1]);
    device.offline(100, &["install", "-s", &folder, "-f"]);
    device.fall_back();
    device.offline(99, &["run"]);
    device.offline(0, &["run"]);
    assert_eq!(device.runs().0, NAMES[1]);
}
