//! `updraft payload generate`.

use std::path::PathBuf;

use clap::Args;
use updraft_error::Kind;
use updraft_slots::{Device, GenerateOptions, Image};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::input::{SigningOptions, named};
use super::properties::Report;

/// Make a payload of partition images.
///
/// Without --old it is a full one: its operations replace, and pieces of 2 MiB are compressed by
/// whatever makes them smallest. With the images that devices have now it is a delta: blocks of zeros
/// and blocks that the old image has cost next to nothing, and what changed is patched. An image has
/// whole blocks of 4096 bytes. The same images make the same payload.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft payload generate payload.bin --image system=system.img --image boot=boot.img
  updraft payload generate payload.bin --image system=new/system.img --old system=old/system.img \\
      --key release.key --max-timestamp 1790000000")]
pub(super) struct Generate {
    /// The payload to write.
    output: PathBuf,
    /// The new image of a partition; repeat for each, in the order in which they are to be written.
    #[arg(long, value_name = "NAME=PATH", required = true, value_parser = named)]
    image: Vec<(String, PathBuf)>,
    /// The image of a partition that devices have now; repeat for each.
    #[arg(long, value_name = "NAME=PATH", value_parser = named)]
    old: Vec<(String, PathBuf)>,
    #[command(flatten)]
    signing: SigningOptions,
    /// The time of the build, in seconds since 1970: devices refuse what is older than what they run.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    max_timestamp: i64,
    /// The security patch level of the build, such as 2026-11-01.
    #[arg(long, value_name = "DATE")]
    security_patch_level: Option<String>,
    /// Partitions that are not named stay as they are.
    #[arg(long)]
    partial: bool,
    /// The newest minor version of payloads that the devices know, for deltas (2 to 9) and partial
    /// payloads (7 to 9): 3 and less patch by bsdiff with bzip2 only. [default: 6, or 7 with --partial]
    #[arg(long, value_name = "N")]
    minor_version: Option<u32>,
    /// The memory that the devices can spare for one operation, such as 8M: operations become smaller with
    /// less of it, and the payload larger. At least 2M.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = updraft_image::parse_size)]
    device_memory: u64,
    /// How many threads work; as many as there are processors if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

impl Generate {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let options = GenerateOptions {
            max_timestamp: self.max_timestamp,
            security_patch_level: self.security_patch_level.clone(),
            is_partial: self.partial,
            jobs: self.jobs.unwrap_or_else(processors),
            device: Device { minor_version: self.minor_version, memory: Some(self.device_memory) },
        };
        let images = self.images()?;
        let signers = self.signing.read()?;
        let properties =
            updraft_slots::generate(&terminal.context, &images, &options, &signers, &self.output)
                .with_context(|| format!("failed to make {}", self.output.display()))?;
        if signers.is_empty() {
            terminal.say("the payload is not signed: devices take it by its properties only");
        }
        terminal
            .show(&Report::of(&properties), |_| terminal.line(properties.to_string().trim_end()))
    }

    fn images(&self) -> Result<Vec<Image>> {
        let stray =
            |(name, _): &&(String, PathBuf)| !self.image.iter().any(|(image, _)| image == name);
        if let Some((name, _)) = self.old.iter().find(stray) {
            let message = format!("partition {name} has an old image and no new one");
            return Err(Failure::new(Kind::Invalid, message));
        }
        let old = |name: &str| {
            let found = self.old.iter().find(|(partition, _)| partition == name);
            found.map(|(_, path)| path.clone())
        };
        let images = self.image.iter().map(|(name, new)| Image {
            partition: name.clone(),
            new: new.clone(),
            old: old(name),
        });
        Ok(images.collect())
    }
}
