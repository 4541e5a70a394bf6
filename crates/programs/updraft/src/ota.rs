//! `updraft ota …`: OTA packages.

mod bundle;
mod hash;
mod input;
mod install;
mod reflash;
mod show;
mod sign;
mod verify;
mod zip;

use clap::{Args, Subcommand};
use updraft_terminal::{Result, Terminal};

/// Make, sign, verify and look into OTA packages, and have recovery install one.
///
/// A package is a zip file. One for devices with two slots holds a payload (see `updraft payload`); one
/// for devices with a single copy of their system holds what recovery does to it. Both are signed as a
/// whole, in the comment of the zip file, as Android's recovery and its `signapk` do.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft ota zip payload.bin ota.zip --device board --key release.pk8 --certificate release.x509.pem
  updraft ota show ota.zip
  updraft ota sign unsigned.zip ota.zip --key release.pk8 --certificate release.x509.pem
  updraft ota verify ota.zip --key release.x509.pem
  updraft ota verify ota.zip --key otacerts.zip
  updraft ota bundle root.zip --compatible board --release 2.1 --image /dev/disk/by-partlabel/root=root.img
  updraft ota install /cache/ota.zip --key otacerts.zip --misc /dev/disk/by-partlabel/misc")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Zip(zip::Zip),
    Show(show::Show),
    Hash(hash::Hash),
    Sign(sign::Sign),
    Verify(verify::Verify),
    Bundle(bundle::MakeBundle),
    Install(install::Install),
    Reflash(reflash::Reflash),
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Zip(zip) => zip.run(terminal),
            Command::Show(show) => show.run(terminal),
            Command::Hash(hash) => hash.run(terminal),
            Command::Sign(sign) => sign.run(terminal),
            Command::Verify(verify) => verify.run(terminal),
            Command::Bundle(bundle) => bundle.run(terminal),
            Command::Install(install) => install.run(terminal),
            Command::Reflash(reflash) => reflash.run(terminal),
        }
    }
}
