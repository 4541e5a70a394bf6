//! `updraft ota bundle`.

use std::path::PathBuf;

use clap::Args;
use updraft_recovery_engine::{BundleImage, make_bundle};
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::input::SigningOptions;

/// Make a package that recovery writes to the partitions of a plain Linux device.
///
/// It has no script: each image is written to its device, all of it is verified afterwards, and a power
/// cut at any moment leads back to recovery, which goes on.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft ota bundle release.zip --compatible board --release 2.1 \\
      --image /dev/disk/by-partlabel/root=root.img --image /dev/disk/by-partlabel/boot=boot.img \\
      --key release.pk8 --certificate release.x509.pem")]
pub(super) struct MakeBundle {
    /// The package to write.
    output: PathBuf,
    /// The sort of device that it is for, as `compatible` in its recovery.toml says.
    #[arg(long, value_name = "NAME")]
    compatible: String,
    /// What people call the system that it brings.
    #[arg(long, value_name = "NAME")]
    release: String,
    /// A device and the image that it becomes; repeat for each, in the order in which they are written.
    #[arg(long, value_name = "DEVICE=PATH", required = true, value_parser = named)]
    image: Vec<(String, PathBuf)>,
    #[command(flatten)]
    signing: SigningOptions,
}

impl MakeBundle {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let signer = self.signing.read()?;
        if signer.is_none() {
            terminal
                .say("the package is not signed: recovery takes it after `updraft ota sign` only");
        }
        let images = self.image.iter().map(|(device, image)| {
            let (device, image) = (device.clone(), image.clone());
            BundleImage { device, image }
        });
        let (about, images) =
            ((&self.compatible[..], &self.release[..]), images.collect::<Vec<_>>());
        make_bundle(&terminal.context, about, &images, signer.as_ref(), &self.output)
            .with_context(|| format!("failed to make {}", self.output.display()))
    }
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((device, path)) if !device.is_empty() && !path.is_empty() => {
            Ok((device.to_owned(), PathBuf::from(path)))
        }
        _ => Err("expected the device, `=`, and a path".to_owned()),
    }
}
