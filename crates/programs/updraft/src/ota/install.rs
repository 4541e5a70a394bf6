//! `updraft ota install`.

use std::path::PathBuf;

use clap::Args;
use updraft_recovery_engine::{ControlBlock, Options, System, VerifiedPackage, request};
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::input::TrustOptions;

/// Have recovery install a package at the next start of the device.
///
/// The package is verified now, and again by recovery, which has keys of its own. Then the command file
/// is written, and last the control block in `misc`: from then on the boot loader starts recovery, until
/// the update is done.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft ota install /cache/ota.zip --key /etc/security/otacerts.zip \\
      --misc /dev/disk/by-partlabel/misc --reason 'release 2.1' && reboot")]
pub(super) struct Install {
    /// The package, on a file system that recovery mounts, too.
    package: PathBuf,
    #[command(flatten)]
    trust: TrustOptions,
    /// Its path in recovery, where that is another one.
    #[arg(long, value_name = "PATH")]
    path_in_recovery: Option<String>,
    /// The file system that recovery keeps its state on.
    #[arg(long, value_name = "FOLDER", default_value = "/cache")]
    cache: PathBuf,
    /// The partition with the control block.
    #[arg(long, value_name = "DEVICE")]
    misc: PathBuf,
    /// Remove the data of the user afterwards.
    #[arg(long)]
    wipe_data: bool,
    /// Empty the cache afterwards, but for logs.
    #[arg(long)]
    wipe_cache: bool,
    /// Turn the device off afterwards.
    #[arg(long)]
    shutdown_after: bool,
    /// Say in the log why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Install {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let failed = || format!("failed to install {}", self.package.display());
        let keys = self.trust.read()?;
        let package = self.package.canonicalize().with_context(failed)?;
        VerifiedPackage::open(&terminal.context, &package, &keys).with_context(failed)?;
        let path = self.path_in_recovery.clone();
        let options = Options {
            update_package: Some(path.unwrap_or_else(|| package.display().to_string())),
            wipe_data: self.wipe_data,
            wipe_cache: self.wipe_cache,
            shutdown_after: self.shutdown_after,
            reason: self.reason.clone(),
            ..Options::default()
        };
        let misc = self.misc.canonicalize().with_context(failed)?;
        let device = System { root: "/".into(), ..System::default() }
            .device(&misc.to_string_lossy())
            .with_context(failed)?;
        request(&self.cache, &ControlBlock::new(device), &options).with_context(failed)?;
        terminal.say("recovery installs it at the next start");
        Ok(())
    }
}
