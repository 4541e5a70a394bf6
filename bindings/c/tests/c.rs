//! The C interface: its header is that of the code, and a C program that uses it updates a device.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use harness::{Answer, DeviceOptions, Site};

/// When set, the header is written anew instead of compared.
const WRITE: &str = "UPDRAFT_WRITE_HEADER";

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_header_is_that_of_the_code() {
    let config = cbindgen::Config::from_root_or_default(here());
    let bindings =
        cbindgen::Builder::new().with_crate(here()).with_config(config).generate().unwrap();
    let mut written = Vec::new();
    bindings.write(&mut written);
    let path = here().join("include/updraft.h");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let header = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        header.as_bytes() == written,
        "include/updraft.h is old; write it anew: {WRITE}=1 cargo test -p updraft-c header"
    );
    // Every function of aktualizr's header is there, as it has them.
    let flat = header.split_whitespace().collect::<Vec<_>>().join(" ").replace("struct ", "");
    for function in [
        "Aktualizr *Aktualizr_create_from_cfg(Config *cfg);",
        "Aktualizr *Aktualizr_create_from_path(const char *config_path);",
        "int Aktualizr_initialize(Aktualizr *a);",
        "int Aktualizr_uptane_cycle(Aktualizr *a);",
        "void Aktualizr_destroy(Aktualizr *a);",
        "int Aktualizr_set_signal_handler(Aktualizr *a, void (*handler)(const char *event_name));",
        "Campaign *Aktualizr_campaigns_check(Aktualizr *a);",
        "int Aktualizr_campaign_accept(Aktualizr *a, Campaign *c);",
        "int Aktualizr_campaign_postpone(Aktualizr *a, Campaign *c);",
        "int Aktualizr_campaign_decline(Aktualizr *a, Campaign *c);",
        "void Aktualizr_campaign_free(Campaign *c);",
        "Updates *Aktualizr_updates_check(Aktualizr *a);",
        "void Aktualizr_updates_free(Updates *u);",
        "size_t Aktualizr_get_targets_num(Updates *u);",
        "Target *Aktualizr_get_nth_target(Updates *u, size_t n);",
        "const char *Aktualizr_get_target_name(Target *t);",
        "void Aktualizr_free_target_name(const char *n);",
        "int Aktualizr_download_target(Aktualizr *a, Target *t);",
        "int Aktualizr_install_target(Aktualizr *a, Target *t);",
        "int Aktualizr_send_manifest(Aktualizr *a, const char *manifest);",
        "int Aktualizr_send_device_data(Aktualizr *a);",
        "StorageTargetHandle *Aktualizr_open_stored_target(Aktualizr *a, const Target *t);",
        "size_t Aktualizr_read_stored_target(StorageTargetHandle *handle, uint8_t *buf, size_t size);",
        "int Aktualizr_close_stored_target(StorageTargetHandle *handle);",
        "Pause_Status_C Aktualizr_pause(Aktualizr *a);",
        "Pause_Status_C Aktualizr_resume(Aktualizr *a);",
        "void Aktualizr_abort(Aktualizr *a);",
    ] {
        assert!(flat.contains(function), "{function}\n{header}");
    }
}

/// Compiles the example, strictly.
fn example(folder: &Path) -> Result<PathBuf> {
    // target/debug/deps/TEST, and the library beside it.
    let libraries = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let program = folder.join("agent");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"]).arg(&program);
    cc.arg("-I").arg(here().join("include")).arg(here().join("examples/agent.c"));
    cc.arg(format!("-L{}", libraries.display())).arg("-lupdraft_c");
    cc.arg(format!("-Wl,-rpath,{}", libraries.display()));
    Answer::good(&mut cc)?;
    Ok(program)
}

#[test]
fn a_program_in_c_updates_a_device() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = example(folder.path())?;
    let site = Site::start(folder.path(), 1)?;
    let device = site.device("from-c", &DeviceOptions::default())?;
    let run = || Answer::of(Command::new(&program).arg(device.configuration_file()));

    // Its vehicle has another ECU.
    let at = |name: &str| folder.path().join(name).display().to_string();
    let gauge = format!(
        r#"{{"virtual": [{{"ecu_serial": "gauge-1", "ecu_hardware_id": "gauge",
        "full_client_dir": "{}", "firmware_path": "{}", "target_name_path": "{}"}}]}}"#,
        at("gauge"),
        at("gauge.img"),
        at("gauge.name")
    );
    std::fs::write(at("secondaries.json"), gauge)?;
    let drop_in = device.configuration_file().with_extension("d");
    std::fs::create_dir_all(&drop_in)?;
    let text = format!("[uptane]\nsecondary_config_file = \"{}\"\n", at("secondaries.json"));
    std::fs::write(drop_in.join("vehicle.toml"), text)?;

    // It provisions itself, and nothing is assigned yet.
    let first = run()?;
    ensure!(first.code == 0 && first.out.contains("0 updates"), "{} {}", first.out, first.err);
    let with_note = |serial: &str| {
        let mut command = Command::new(&program);
        Answer::of(command.arg(device.configuration_file()).args([serial, "behind the wheel"]))
    };
    let noted = with_note("gauge-1")?;
    ensure!(noted.out.contains(r#""data":"behind the wheel""#), "{} {}", noted.out, noted.err);
    ensure!(noted.out.contains(r#""kind":"virtual""#), "{}", noted.out);
    let nobody = with_note("nobody")?;
    ensure!(nobody.code == 1 && nobody.err.contains("nobody"), "{}", nobody.err);
    site.assign("from-c", "v1")?;
    let second = run()?;
    ensure!(second.code == 0, "{} {}", second.out, second.err);
    let mut events = second.out.lines().filter_map(|line| line.strip_prefix("event "));
    for name in [
        "SendDeviceDataComplete",
        "UpdateCheckComplete",
        "DownloadProgressReport",
        "DownloadTargetComplete",
        "AllDownloadsComplete",
        "InstallStarted",
        "AllInstallsComplete",
        "PutManifestComplete",
    ] {
        ensure!(events.any(|event| event == name), "no {name} in its place: {}", second.out);
    }
    ensure!(device.status()?["reboot_required"] == true, "{}", device.status()?);
    device.boot()?;
    device.run_once()?;
    ensure!(device.booted_commit()? == site.commit("v1"), "v1 is not booted");
    // What goes wrong is said.
    let bad = Answer::of(Command::new(&program).arg(folder.path().join("nowhere.toml")))?;
    ensure!(bad.code == 1 && bad.err.contains("nowhere.toml"), "{}", bad.err);
    Ok(())
}
