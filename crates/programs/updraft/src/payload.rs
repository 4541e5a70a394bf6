//! `updraft payload …`: Android's A/B payloads.

mod apply;
mod extract;
mod generate;
mod hash;
mod input;
mod properties;
mod show;
mod sign;
mod verify;

use clap::{Args, Subcommand};
use updraft_terminal::{Result, Terminal};

/// Look into Android's A/B payloads, verify, apply and make them.
///
/// A payload says, step by step, how the partitions of the slot that is not running get their new
/// content: a full one from nothing, a delta from the partitions of the slot that is running.
/// Wherever one is read it may also be in an OTA package (a zip file with payload.bin in it).
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft payload show ota.zip
  updraft payload verify ota.zip --key release.x509.pem
  updraft payload properties payload.bin > payload_properties.txt
  updraft payload extract ota.zip --output images
  updraft payload extract delta.zip --old images --output new-images
  updraft payload apply ota.zip --key release.x509.pem --state /data/ota/progress.json \\
      --target system=/dev/disk/by-partlabel/system_b --target boot=/dev/disk/by-partlabel/boot_b
  updraft payload generate payload.bin --image system=new.img --old system=old.img --key release.key
  curl -sS https://example.org/payload.bin | updraft payload apply - --key release.pem …")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Show),
    Verify(verify::Verify),
    Properties(properties::Properties),
    Extract(extract::Extract),
    Apply(apply::Apply),
    Generate(generate::Generate),
    Hash(hash::Hash),
    Sign(sign::Sign),
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Show(show) => show.run(terminal),
            Command::Verify(verify) => verify.run(terminal),
            Command::Properties(properties) => properties.run(terminal),
            Command::Extract(extract) => extract.run(terminal),
            Command::Apply(apply) => apply.run(terminal),
            Command::Generate(generate) => generate.run(terminal),
            Command::Hash(hash) => hash.run(terminal),
            Command::Sign(sign) => sign.run(terminal),
        }
    }
}
