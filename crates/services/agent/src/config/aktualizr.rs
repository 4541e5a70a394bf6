//! aktualizr's configuration, read unchanged and mapped onto ours.
//!
//! * Files: [`DEFAULT_FOLDERS`], or what the command line names; see [`files`]. Their syntax is
//!   in [`ini`].
//! * Sections and keys have the same names here and there. What is different is in [`adapt`].
//! * A key that has no effect is warned about and does not stop the device: the files were
//!   written for another program.

mod adapt;
#[cfg(test)]
mod every_key;
mod files;
mod ini;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use files::DEFAULT_FOLDERS;
pub use ini::{Entry, Malformed, parse};

use crate::Result;
use crate::config::load::Layers;
use crate::config::{Loaded, Origin, validate};

/// Everything that the settings may come from, weakest first.
#[derive(Debug, Clone, Default)]
pub struct AktualizrSources {
    /// Files, or folders of `*.toml`.
    pub paths: Vec<PathBuf>,
    /// Options as (`section.key`, value).
    pub options: Vec<(String, String)>,
    /// Keys beyond aktualizr's (`section.key`) that the program itself understands; it finds them
    /// in [`AktualizrLoaded::raw`].
    pub also_known: Vec<String>,
}

/// aktualizr's settings as ours.
#[derive(Debug, Clone, Default)]
pub struct AktualizrLoaded {
    /// The settings, where each comes from, and the files that were read.
    pub loaded: Loaded,
    /// What has no effect, one line each.
    pub warnings: Vec<String>,
    /// `section.key` → its value as it is written, of all keys.
    pub raw: BTreeMap<String, String>,
}

/// Reads all files and options.
pub fn load_aktualizr(sources: &AktualizrSources) -> Result<AktualizrLoaded> {
    let mut layers = Layers::default();
    let mut given = Vec::new();
    for file in files::find(&sources.paths)? {
        for entry in files::entries(&file)? {
            let key = format!("{}.{}", entry.section, entry.key);
            given.push((key, entry.value, Origin::File(file.clone(), entry.line)));
        }
        layers.files.push(file);
    }
    for (key, value) in &sources.options {
        given.push((key.clone(), value.clone(), Origin::Option));
    }
    // The last one wins; only it has to be right.
    let mut last: BTreeMap<String, (String, Origin)> = BTreeMap::new();
    for (key, value, origin) in given {
        last.insert(key, (value, origin));
    }
    let raw = last.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect();
    let mut warnings = Vec::new();
    adapt::defaults(&mut layers, &last)?;
    for (key, (value, origin)) in &last {
        if let Some(problem) = adapt::set(&mut layers, key, value, origin, &sources.also_known)? {
            warnings.push(format!("{origin}: {key}: {problem}"));
        }
    }
    let mut loaded = layers.finish()?;
    adapt::finish(&mut loaded, &raw);
    validate::check(&loaded)?;
    Ok(AktualizrLoaded { loaded, warnings, raw })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Error;
    use crate::config::{DirectorMetadata, ProvisionMode, UptaneKeyType};

    fn load(text: &str, options: &[(&str, &str)]) -> Result<AktualizrLoaded> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sota.toml");
        std::fs::write(&file, text).unwrap();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let options = options.iter().map(owned).collect();
        load_aktualizr(&AktualizrSources { paths: vec![file], options, also_known: Vec::new() })
    }

    fn warned(read: &AktualizrLoaded, key: &str) -> bool {
        read.warnings.iter().any(|warning| warning.contains(key))
    }

    #[test]
    fn the_configuration_of_a_small_device_is_read_unchanged() {
        let read = load(
            "[tls]\nserver = \"https://localhost:18543\"\n[import]\nbase_path = \"import\"\n\
             tls_cacert_path = \"ca.pem\"\ntls_pkey_path = \"pkey.pem\"\n\
             tls_clientcert_path = \"client.pem\"\n[provision]\nprimary_ecu_serial = \"ECU001\"\n\
             primary_ecu_hardware_id = \"hw-001\"\n[storage]\npath = \"storage\"\n\
             [pacman]\ntype = \"none\"\nimages_path = \"storage/images\"\n\
             [uptane]\nkey_type = \"ED25519\"\npolling_sec = 1\n\
             [bootloader]\nreboot_sentinel_dir = \"sentinel\"\n[logger]\nloglevel = 1\n",
            &[],
        )
        .unwrap();
        assert_eq!(read.warnings, Vec::<String>::new());
        let settings = &read.loaded.settings;
        assert_eq!(settings.tls.server, "https://localhost:18543");
        assert_eq!(settings.import.base_path, Path::new("import"));
        assert_eq!(settings.pacman.images_path, Path::new("storage/images"));
        assert!(!settings.pacman.is_ostree());
        assert_eq!(settings.uptane.key_type, UptaneKeyType::Ed25519);
        assert_eq!((settings.uptane.polling_sec, settings.logger.loglevel), (1, 1));
        assert_eq!(settings.storage.aktualizr_database().unwrap(), Path::new("storage/sql.db"));
    }

    #[test]
    fn defaults_are_aktualizrs() {
        let settings = load("", &[]).unwrap().loaded.settings;
        assert_eq!(settings.uptane.key_type, UptaneKeyType::Rsa2048);
        assert_eq!(settings.uptane.director_metadata, DirectorMetadata::Auto);
        assert_eq!(settings.bootloader.reboot_command, "");
        assert_eq!(settings.storage.sqldb_path, Path::new("updraft.db"));
        let forced = "[uptane]\nforce_install_completion = 1\n";
        let settings = load(forced, &[]).unwrap().loaded.settings;
        assert_eq!(settings.bootloader.reboot_command, "/sbin/reboot");
        let own = "[bootloader]\nreboot_command = \"reboot -f\"\n";
        let settings = load(own, &[]).unwrap().loaded.settings;
        assert_eq!(settings.bootloader.reboot_command, "", "it is run only when forced");
    }

    #[test]
    fn values_are_read_as_leniently_as_upstream_reads_them() {
        let read = load(
            "[uptane]\npolling_sec = \"7\" # seconds\nforce_install_completion = true\n\
             [provision]\nexpiry_days = \"36000\"\nmode = devicecred\n[logger]\nloglevel = 9\n\
             [telemetry]\nreport_network = 0\n[storage]\nsqldb_path = \"other.db\"\n",
            &[("uptane.polling_sec", "8"), ("uptane.key_type", "rsa4096")],
        )
        .unwrap();
        let settings = &read.loaded.settings;
        assert_eq!(settings.uptane.polling_sec, 8, "the command line wins");
        assert_eq!(settings.uptane.key_type, UptaneKeyType::Rsa4096);
        assert!(settings.uptane.force_install_completion && !settings.telemetry.report_network);
        assert_eq!(settings.provision.mode, ProvisionMode::DeviceCred);
        assert_eq!((settings.provision.expiry_days, settings.logger.loglevel), (36_000, 5));
        assert!(settings.storage.aktualizr_database().unwrap().ends_with("other.db"));
        assert_eq!(settings.storage.sqldb_path, Path::new("updraft.db"));
        assert_eq!(read.warnings, Vec::<String>::new());
    }

    #[test]
    fn what_has_no_effect_is_warned_about_and_stops_nothing() {
        let read = load(
            "stray = 1\n[uptane]\npolling_sec = often\nenable_offline_updates = false\n\
             [p11]\nmodule = \"\"\npass = \"1234\"\n[pacman]\nbooted = \"1\"\n[new]\nthing = 1\n\
             [storage]\nuptane_metadata_path = \"metadata\"\n",
            &[],
        )
        .unwrap();
        for key in [".stray", "uptane.polling_sec", "pacman.booted", "new.thing", "storage.uptane"]
        {
            assert!(warned(&read, key), "{key}: {:?}", read.warnings);
        }
        assert!(!warned(&read, "p11."));
        assert_eq!(read.loaded.settings.p11.pass, "1234");
        assert_eq!(read.loaded.settings.uptane.polling_sec, 10);
        assert_eq!(read.raw["new.thing"], "1");
    }

    #[test]
    fn what_would_make_another_device_of_it_is_refused() {
        for text in [
            "[tls]\npkey_source = \"pkcs11\"\n",
            "[pacman]\ntype = \"debian\"\n",
            "[tls]\nserver = \"nonsense\"\n",
            "[tls\n",
            "word\n",
        ] {
            let refused = load(text, &[]);
            assert!(matches!(refused, Err(Error::Config { .. })), "{text}: {refused:?}");
        }
    }

    #[test]
    fn later_folders_hide_files_and_names_decide_the_order() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |folder: &tempfile::TempDir, name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write(&first, "10-a.toml", "[uptane]\npolling_sec = 1\n[pacman]\nos = \"hidden\"\n");
        write(&first, "90-z.toml", "[logger]\nloglevel = 3\n");
        write(&second, "10-a.toml", "[uptane]\npolling_sec = 2\n");
        write(&second, "20-b.toml", "[logger]\nloglevel = 4\n[uptane]\nkey_type = ED25519\n");
        write(&second, "30-c.txt", "nonsense");
        let paths = [first.path(), second.path()].map(Path::to_owned).to_vec();
        let read = load_aktualizr(&AktualizrSources { paths, ..Default::default() }).unwrap();
        let settings = read.loaded.settings;
        assert_eq!((settings.uptane.polling_sec, settings.logger.loglevel), (2, 3));
        assert_eq!(settings.pacman.os, "");
        assert_eq!(read.loaded.files.len(), 3);
    }
}
