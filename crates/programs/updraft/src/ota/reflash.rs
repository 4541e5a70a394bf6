//! `updraft ota reflash`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_error::Kind;
use updraft_recovery_engine::{
    PartitionSpec, System, flash_partition, partition_is, patch_partition,
};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

/// The largest file that is read, in bytes.
const MAX: u64 = 256 << 20;

/// Make a partition what it should be, unless it is: recovery, after each start of the system.
///
/// A partition is told as EMMC:DEVICE:SIZE:SHA1. It is made of another one by a patch of bsdiff or
/// imgdiff, or written whole. Nothing is written before the result is known to be right.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft ota reflash EMMC:/dev/block/by-name/recovery:33554432:SHA1 --patch recovery-from-boot.p \\
      --source EMMC:/dev/block/by-name/boot:33554432:SHA1 --state /cache/recovery
  updraft ota reflash EMMC:/dev/block/by-name/recovery:33554432:SHA1 --image recovery.img")]
pub(super) struct Reflash {
    /// The partition, and what it should be.
    #[arg(value_name = "EMMC:DEVICE:SIZE:SHA1")]
    target: String,
    /// Write this image.
    #[arg(long, value_name = "FILE", conflicts_with = "patch", required_unless_present = "patch")]
    image: Option<PathBuf>,
    /// Apply this patch.
    #[arg(long, value_name = "FILE", requires = "source")]
    patch: Option<PathBuf>,
    /// What it is applied to.
    #[arg(long, value_name = "EMMC:DEVICE:SIZE:SHA1")]
    source: Option<String>,
    /// More of the source for the second piece of a patch of imgdiff.
    #[arg(long, value_name = "FILE")]
    bonus: Option<PathBuf>,
    /// Where the source is saved until the target is written.
    #[arg(long, value_name = "FOLDER", default_value = "/cache/recovery")]
    state: PathBuf,
}

impl Reflash {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let system = System { root: "/".into(), ..System::default() };
        let target = PartitionSpec::parse(&self.target)?;
        if partition_is(&system, &target)? {
            terminal.say("it is what it should be");
            return Ok(());
        }
        if let Some(image) = &self.image {
            flash_partition(&system, &target, &bytes(image)?)?;
            return Ok(());
        }
        let (Some(patch), Some(source)) = (&self.patch, &self.source) else {
            return Err(Failure::new(Kind::Invalid, "neither an image nor a patch is given"));
        };
        let source = PartitionSpec::parse(source)?;
        let bonus = self.bonus.as_deref().map(bytes).transpose()?.unwrap_or_default();
        let state = updraft_fs::Dir::create_all(&self.state, 0o770)?;
        patch_partition(&system, &state, &target, &source, (&bytes(patch)?, &bonus))?;
        Ok(())
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX).read_to_end(&mut bytes));
    read.with_context(|| format!("failed to read {}", path.display()))?;
    Ok(bytes)
}
