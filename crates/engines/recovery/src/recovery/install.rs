//! Installs a package: gate, verification, script or bundle, and the result for the system.

use updraft_error::Kind;

use super::logs::write_last_install;
use super::{Next, Options, Recovery};
use crate::block::forget_progress;
use crate::bundle::{bundle_of, install};
use crate::{Attempt, Ended, Error, Package, Result, Updater};

impl Recovery<'_> {
    /// The package that is meant. `None`: none.
    pub(super) fn package(&self, options: &Options) -> Result<Option<String>> {
        match (&options.update_package, options.sideload) {
            (Some(path), _) if path.starts_with('@') => {
                let problem = "block maps of encrypted file systems are not read: put the package \
                               onto one that recovery can mount";
                Err(Error::entry(path, Kind::Unsupported, problem))
            }
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

    /// Installs it, and writes what became of it. [`Next::Recovery`]: it goes on after another start.
    pub(super) fn install(&self, path: &str, options: &Options) -> Result<Next> {
        let result = self.try_install(path, options);
        let told = match &result {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        write_last_install(&self.state, path, told, options.retry_count)?;
        result
    }

    fn try_install(&self, path: &str, options: &Options) -> Result<Next> {
        let attempt = if options.retry_count == 0 { Attempt::First } else { Attempt::Again };
        self.say(&format!("installing {path}"));
        if attempt == Attempt::First {
            // Only before it begins: what was begun is ended.
            (self.settings.gate)().map_err(|reason| Error::Gate { reason })?;
            // Nobody knows what happened to the partitions since they were left.
            forget_progress(&self.state)?;
            let began = Options { retry_count: 1, ..options.clone() };
            self.control.change(|message| message.set_options(&began.lines()))?;
        }
        let own = self.system.path(path);
        let package = Package::open_verified(&self.context, &own, &self.settings.keys)?;
        if let Some(bundle) = bundle_of(&package)? {
            let state = (&self.state, attempt);
            install(&self.context, &package, &bundle, self.system, state)?;
            return Ok(Next::System);
        }
        if !Updater::is_for(&package) {
            let problem = "it has neither a script nor a bundle: one with a payload is for devices with \
                           two slots";
            return Err(Error::entry(path, Kind::Unsupported, problem));
        }
        let updater = Updater::new(&self.context, &package, self.system, &self.state, attempt);
        Ok(match updater.run()? {
            Ended::Done => Next::System,
            Ended::RebootIntoRecovery => Next::Recovery,
        })
    }
}
