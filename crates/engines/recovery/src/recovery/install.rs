//! Installs a package: gate, verification, script or bundle, and the result for the system.

use updraft_error::Kind;
use updraft_payload::{MAX_METADATA, METADATA_NAME, OtaMetadata};

use super::logs::write_last_install;
use super::{Options, Recovery};
use crate::block::forget_progress;
use crate::bundle::{bundle_of, install};
use crate::{Attempt, Ended, Error, Result, System, Updater, VerifiedPackage};

impl Recovery<'_> {
    /// The package that is meant. `None`: none.
    pub(super) fn package(&self, options: &Options) -> Result<Option<String>> {
        match (&options.update_package, options.sideload) {
            (Some(path), _) => Ok(Some(path.clone())),
            (None, false) => Ok(None),
            (None, true) => {
                let none = || {
                    let problem = "nobody said where such packages lie";
                    Error::entry("--sideload", Kind::NotFound, problem)
                };
                Ok(Some(self.settings.sideload.clone().ok_or_else(none)?))
            }
        }
    }

    /// Installs it, and writes what became of it.
    pub(super) fn install(&self, path: &str, options: &Options) -> Result<Ended> {
        let result = self.try_install(path, options);
        let told = match &result {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        write_last_install(&self.state, path, told, options.retry_count)?;
        result
    }

    fn try_install(&self, path: &str, options: &Options) -> Result<Ended> {
        let attempt = if options.retry_count == 0 { Attempt::First } else { Attempt::Again };
        self.say(&format!("installing {path}"));
        if attempt == Attempt::First {
            // Only before it begins: what was begun is ended.
            (self.settings.gate)().map_err(|reason| Error::Gate { reason })?;
            // Nobody knows what happened to the partitions since they were left.
            forget_progress(&self.state, Updater::has_begun(&self.state)?)?;
            let began = Options { retry_count: 1, ..options.clone() };
            self.control.change(|message| message.set_options(&began.lines()))?;
        }
        let (context, keys) = (&self.context, &self.settings.keys);
        let package = match path.strip_prefix('@') {
            // Where its blocks are, on a device whose file system nobody can read.
            Some(map) => {
                let map = self.system.path(map);
                VerifiedPackage::open_mapped(context, self.system, &map, keys)?
            }
            None => VerifiedPackage::open(context, &self.system.path(path), keys)?,
        };
        check_metadata(&package, self.system)?;
        if let Some(bundle) = bundle_of(&package)? {
            let state = (&self.state, attempt);
            install(&self.context, &package, &bundle, self.system, state)?;
            return Ok(Ended::Done { wipes_cache: false });
        }
        if !Updater::is_for(&package) {
            let problem = "it has neither a script nor a bundle: one with a payload is for devices with \
                           two slots";
            return Err(Error::entry(path, Kind::Unsupported, problem));
        }
        let updater = Updater::new(&self.context, &package, self.system, &self.state, attempt);
        updater.run()
    }
}

/// What a package says of itself has to fit the device, where both say it: for whom it is, and that it
/// brings no older security patch level unless it means to.
fn check_metadata(package: &VerifiedPackage, system: &System) -> Result<()> {
    let Some(text) = package.read(METADATA_NAME, MAX_METADATA)? else { return Ok(()) };
    let said = OtaMetadata::parse_text(&String::from_utf8_lossy(&text))?;
    let both = |name: &str, property: &str| {
        let own = system.properties.get(property).filter(|own| !own.is_empty())?;
        said.get(name).filter(|said| !said.is_empty()).map(|said| (said, own))
    };
    if let Some((devices, own)) = both("pre-device", "ro.product.device")
        && !devices.split('|').any(|device| device == own)
    {
        return Err(Error::entry(METADATA_NAME, Kind::Conflict, "it is for another device"));
    }
    let means_older = ["ota-downgrade", "spl-downgrade"]
        .iter()
        .any(|name| said.get(*name).is_some_and(|value| value == "yes"));
    // Dates of the form 2026-11-01 are in order as text.
    if let Some((level, own)) = both("post-security-patch-level", "ro.build.version.security_patch")
        && level < own
        && !means_older
    {
        return Err(Error::Untrusted(
            "it brings an older security patch level than the device has",
        ));
    }
    Ok(())
}
