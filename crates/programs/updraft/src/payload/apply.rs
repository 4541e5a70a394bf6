//! `updraft payload apply`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use updraft_error::Kind;
use updraft_slots::{Applied, ApplyOptions, Places};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::input::{self, TrustOptions, named};

/// Apply a payload to partitions.
///
/// Every partition of the payload needs a target, a block device that is not in use or a file in its
/// place, large enough. What the target holds is lost. A delta also needs the partitions that it is a
/// delta of; they stay as they are.
///
/// The metadata is verified before anything is written, the data of each operation before it is used,
/// then the whole payload, and at the end what each target holds. With --state an apply that was
/// interrupted, by a power cut too, goes on at the operation where it was: call it again in the same
/// way. Making the device start from the new slot is not done here.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The payload, or a package with one; `-` for standard input.
    payload: PathBuf,
    /// Where the new content of a partition goes; repeat for each partition.
    #[arg(long, value_name = "NAME=PATH", required = true, value_parser = named)]
    target: Vec<(String, PathBuf)>,
    /// Where the old content of a partition is; repeat for each partition that a delta reads.
    #[arg(long, value_name = "NAME=PATH", value_parser = named)]
    source: Vec<(String, PathBuf)>,
    /// Where to record how far it came. The file is gone when all is done.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustOptions,
    /// Apply a payload for which nobody vouches.
    #[arg(long, help_heading = "Trust", conflicts_with_all = ["key", "properties"])]
    unverified: bool,
}

/// What was done.
#[derive(Serialize)]
pub(super) struct Report {
    /// How many operations an earlier call did.
    resumed_at: usize,
    partitions: Vec<PartitionReport>,
}

#[derive(Serialize)]
struct PartitionReport {
    name: String,
    path: PathBuf,
    size: u64,
    sha256: String,
}

impl Report {
    pub(super) fn of(applied: &Applied, path: impl Fn(&str) -> PathBuf) -> Self {
        let partitions = applied.partitions.iter().map(|(name, content)| PartitionReport {
            name: name.clone(),
            path: path(name),
            size: content.size,
            sha256: hex::encode(content.sha256),
        });
        Self { resumed_at: applied.resumed_at, partitions: partitions.collect() }
    }

    pub(super) fn tell(&self, verb: &str, terminal: &Terminal) -> Result {
        if self.resumed_at > 0 {
            terminal.say(format!("went on after {} operations", self.resumed_at));
        }
        for PartitionReport { name, path, size, sha256 } in &self.partitions {
            terminal.line(format!(
                "{verb} {name} to {}: {size} bytes, SHA-256 {sha256}",
                path.display()
            ))?;
        }
        Ok(())
    }
}

impl Apply {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let trust = self.trust.read()?;
        if !trust.is_anybodys() && !self.unverified {
            let message = "nobody vouches for the payload: there is no key and no properties";
            let failure = Failure::new(Kind::Rejected, message);
            return Err(
                failure.hint("give --key or --properties, or take it as it is by --unverified")
            );
        }
        let places = self.places()?;
        let beside = self.state.as_deref().and_then(Path::parent);
        let beside = beside.filter(|folder| !folder.as_os_str().is_empty());
        let mut options = ApplyOptions::new(beside.map_or_else(std::env::temp_dir, PathBuf::from));
        options.state.clone_from(&self.state);
        let mut source = input::open(&self.payload)?;
        let applied =
            updraft_slots::apply(&terminal.context, &mut *source, &trust, &places, &options)
                .with_context(|| format!("failed to apply {}", self.payload.display()))?;
        let path = |name: &str| places.get(name).map(|places| places.target.clone());
        let report = Report::of(&applied, |name| path(name).unwrap_or_default());
        terminal.show(&report, |report| report.tell("wrote", terminal))
    }

    fn places(&self) -> Result<BTreeMap<String, Places>> {
        let twice =
            |name: &str| Failure::new(Kind::Invalid, format!("partition {name} is given twice"));
        let mut places = BTreeMap::new();
        for (name, target) in &self.target {
            let place = Places { target: target.clone(), source: None };
            if places.insert(name.clone(), place).is_some() {
                return Err(twice(name));
            }
        }
        for (name, source) in &self.source {
            let place = places.get_mut(name).ok_or_else(|| {
                let message = format!("partition {name} has a source and no target");
                Failure::new(Kind::Invalid, message)
            })?;
            if place.source.replace(source.clone()).is_some() {
                return Err(twice(name));
            }
        }
        Ok(places)
    }
}
