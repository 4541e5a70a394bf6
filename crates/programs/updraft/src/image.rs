//! `updraft image …`: from an ordinary root file system to a disk that boots.

mod build;
mod convert;

use clap::{Args, Subcommand};
use updraft_terminal::{Result, Terminal};

/// Make trees that can be deployed, and disk images with a deployment.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mmdebstrap --include=linux-image-amd64,systemd-sysv bookworm root
  updraft image convert root tree
  updraft ostree --repo=repo commit --branch=os/main --bootable tree
  updraft image build --repo repo os/main disk.img --boot-loader grub --root-size 4G")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(Box<build::Build>),
    Convert(convert::Convert),
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Build(build) => build.run(terminal),
            Command::Convert(convert) => convert.run(terminal),
        }
    }
}
