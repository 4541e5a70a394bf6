//! Every key that aktualizr and aktualizr-lite read: each has its effect here, or is warned of.
#![allow(clippy::disallowed_methods, reason = "tests")]

use super::{AktualizrLoaded, AktualizrSources, load_aktualizr};
use crate::Result;
use crate::config::Settings;
use crate::lite::LiteSettings;

/// With a token, so that keys may be said to be in it.
const TOKEN: &str = "[p11]\nmodule = \"/m.so\"\nuptane_key_id = \"01\"\ntls_cacert_id = \"01\"\n\
                     tls_pkey_id = \"01\"\ntls_clientcert_id = \"01\"\n";
const FORCED: &str = "[uptane]\nforce_install_completion = true\n";

/// aktualizr's keys that have an effect, each with a value that is not its default.
const EFFECTIVE: [(&str, &str); 53] = [
    ("logger.loglevel", "4"),
    ("p11.module", "/other.so"),
    ("p11.pass", "1234"),
    ("p11.uptane_key_id", "02"),
    ("p11.tls_cacert_id", "02"),
    ("p11.tls_pkey_id", "02"),
    ("p11.tls_clientcert_id", "02"),
    ("tls.server", "https://x"),
    ("tls.server_url_path", "/url"),
    ("tls.ca_source", "pkcs11"),
    ("tls.pkey_source", "pkcs11"),
    ("tls.cert_source", "pkcs11"),
    ("provision.server", "https://x"),
    ("provision.p12_password", "secret"),
    ("provision.expiry_days", "7"),
    ("provision.provision_path", "/x.zip"),
    ("provision.device_id", "device"),
    ("provision.primary_ecu_serial", "serial"),
    ("provision.primary_ecu_hardware_id", "hardware"),
    ("provision.ecu_registration_endpoint", "https://x/ecus"),
    ("provision.mode", "SharedCredReuse"),
    ("uptane.polling_sec", "77"),
    ("uptane.director_server", "https://x/director"),
    ("uptane.repo_server", "https://x/repo"),
    ("uptane.key_source", "pkcs11"),
    ("uptane.key_type", "RSA4096"),
    ("uptane.force_install_completion", "1"),
    ("uptane.secondary_config_file", "/secondaries.json"),
    ("uptane.secondary_preinstall_wait_sec", "5"),
    ("uptane.enable_online_updates", "false"),
    ("uptane.enable_offline_updates", "true"),
    ("uptane.offline_updates_source", "/media/x"),
    // Torizon's.
    ("uptane.update_lock_file", "/lock"),
    ("pacman.type", "none"),
    ("pacman.os", "os"),
    ("pacman.sysroot", "/sysroot"),
    ("pacman.ostree_server", "https://x/treehub"),
    ("pacman.images_path", "/images"),
    ("pacman.packages_file", "/packages"),
    ("pacman.fake_need_reboot", "1"),
    ("storage.path", "/storage"),
    ("storage.sqldb_path", "other.db"),
    ("import.base_path", "/import"),
    ("import.uptane_private_key_path", "a"),
    ("import.uptane_public_key_path", "b"),
    ("import.tls_cacert_path", "c"),
    ("import.tls_pkey_path", "d"),
    ("import.tls_clientcert_path", "e"),
    ("telemetry.report_network", "false"),
    ("telemetry.report_config", "0"),
    ("bootloader.rollback_mode", "uboot_masked"),
    ("bootloader.reboot_sentinel_dir", "/sentinel"),
    ("bootloader.reboot_sentinel_name", "name"),
];

/// aktualizr's keys that have none, and Torizon's.
const WARNED: [(&str, &str); 8] = [
    ("pacman.booted", "0"),
    ("pacman.fake_fail_install", "true"),
    ("storage.uptane_metadata_path", "x"),
    ("storage.uptane_private_key_path", "x"),
    ("storage.uptane_public_key_path", "x"),
    ("storage.tls_cacert_path", "x"),
    ("storage.tls_pkey_path", "x"),
    ("storage.tls_clientcert_path", "x"),
];

/// Values with which this would be another device than the one that is meant.
const REFUSED: [(&str, &str); 2] = [("storage.type", "filesystem"), ("pacman.type", "debian")];

/// aktualizr-lite's own keys that have an effect.
const LITE_EFFECTIVE: [(&str, &str); 9] = [
    ("pacman.tags", "main"),
    ("pacman.callback_program", "/callback"),
    ("pacman.compose_apps", "one"),
    ("pacman.type", "ostree+compose_apps"),
    ("pacman.storage_watermark", "50"),
    ("pacman.ostree_update_block", "0"),
    ("pacman.booted", "0"),
    ("bootloader.rollback_mode", "fiovb"),
    ("storage.uptane_metadata_path", "/roots"),
];

/// aktualizr-lite's keys about apps, which are listed and not installed.
const LITE_WARNED: [&str; 18] = [
    "pacman.compose_apps_root",
    "pacman.compose_apps_tree",
    "pacman.compose_apps_proxy",
    "pacman.compose_apps_proxy_ca",
    "pacman.create_apps_tree",
    "pacman.create_containers_before_reboot",
    "pacman.composectl_bin",
    "pacman.docker_compose_bin",
    "pacman.docker_images_reload_cmd",
    "pacman.docker_prune",
    "pacman.enforce_composeapp_engine",
    "pacman.force_update",
    "pacman.hub_auth_creds_endpoint",
    "pacman.images_data_root",
    "pacman.reset_apps",
    "pacman.reset_apps_root",
    "pacman.skopeo_bin",
    "pacman.stop_apps_before_update",
];

fn load(before: &str, pair: Option<(&str, &str)>, also_known: &[&str]) -> AktualizrLoaded {
    try_load(before, pair, also_known).unwrap_or_else(|error| panic!("{pair:?}: {error:?}"))
}

fn try_load(
    before: &str,
    pair: Option<(&str, &str)>,
    also_known: &[&str],
) -> Result<AktualizrLoaded> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sota.toml");
    let own = pair.map(|(key, value)| {
        let (section, name) = key.split_once('.').unwrap();
        format!("[{section}]\n{name} = \"{value}\"\n")
    });
    std::fs::write(&file, format!("{before}{}", own.unwrap_or_default())).unwrap();
    let also_known = also_known.iter().map(|key| (*key).to_owned()).collect();
    let sources = AktualizrSources { paths: vec![file], options: Vec::new(), also_known };
    load_aktualizr(&sources)
}

fn settings(read: AktualizrLoaded) -> Settings {
    read.loaded.settings
}

#[test]
fn every_key_of_aktualizr_has_its_effect_or_is_warned_of() {
    let default = settings(load(TOKEN, None, &[]));
    for pair in EFFECTIVE {
        let read = load(TOKEN, Some(pair), &[]);
        assert_eq!(read.warnings, Vec::<String>::new(), "{pair:?}");
        assert_ne!(settings(read), default, "{pair:?} changes nothing");
    }
    for pair in WARNED {
        let read = load(TOKEN, Some(pair), &[]);
        assert!(read.warnings.iter().any(|line| line.contains(pair.0)), "{pair:?} is swallowed");
        assert_eq!(settings(read), default, "{pair:?} changes something");
    }
    for pair in REFUSED {
        assert!(try_load(TOKEN, Some(pair), &[]).is_err(), "{pair:?} is taken");
    }
    // What aktualizr writes for `tls_cacert_id`.
    let written = settings(load("", Some(("p11.tls_ca_id", "02")), &[]));
    assert_eq!(written.p11.tls_cacert_id, "02");
    // Of both in one file the name counts that aktualizr reads.
    let both = settings(load(TOKEN, Some(("p11.tls_ca_id", "02")), &[]));
    assert_eq!(both.p11.tls_cacert_id, "01");
    let dumped = TOKEN.replace("tls_cacert_id", "tls_ca_id");
    let both = settings(load(&dumped, Some(("p11.tls_cacert_id", "02")), &[]));
    assert_eq!(both.p11.tls_cacert_id, "02");
    // Only where a reboot is asked for.
    let command = ("bootloader.reboot_command", "/bin/true");
    let forced = settings(load(FORCED, Some(command), &[]));
    assert_eq!(forced.bootloader.reboot_command, "/bin/true");
}

#[test]
fn every_key_of_aktualizr_lite_has_its_effect_or_is_warned_of() {
    let lite = |pair| {
        let read = load("", pair, &LiteSettings::KEYS);
        (read.warnings, LiteSettings::new(read.loaded.settings, &read.raw))
    };
    let (_, default) = lite(None);
    for pair in LITE_EFFECTIVE {
        let (warnings, settings) = lite(Some(pair));
        assert_eq!(warnings, Vec::<String>::new(), "{pair:?}");
        if pair.0 == "pacman.type" && default.has_apps {
            // Docker is on this machine: it is what holds anyway.
            continue;
        }
        // What the server is told about the configuration is no effect.
        let own = default.own.clone();
        assert_ne!(LiteSettings { own, ..settings }, default, "{pair:?} changes nothing");
    }
    assert_eq!(LITE_EFFECTIVE.len(), LiteSettings::KEYS.len(), "a key is in one list only");
    for key in LITE_WARNED {
        let (warnings, _) = lite(Some((key, "1")));
        assert!(warnings.iter().any(|line| line.contains(key)), "{key} is swallowed");
    }
}
