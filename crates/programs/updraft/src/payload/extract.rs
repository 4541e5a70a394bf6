//! `updraft payload extract`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use updraft_error::Kind;
use updraft_slots::{ApplyOptions, Head, Mode, Places, Trust};
use updraft_terminal::{Failure, Result, ResultExt as _, Terminal};

use super::apply::Report;
use super::input::{self, TrustOptions};

/// Write the partitions that a payload makes as images, one file each.
///
/// A full payload needs nothing else; a delta needs the images that it is a delta of. What is written
/// is verified against the payload. Without --key and --properties nobody says whose payload it is.
#[derive(Debug, Args)]
pub(super) struct Extract {
    /// The payload, or a package with one.
    payload: PathBuf,
    /// The folder for the images, NAME.img; it is created.
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// The folder with the old images, NAME.img or NAME, for a delta.
    #[arg(long, value_name = "DIR")]
    old: Option<PathBuf>,
    /// Only this partition; repeat for more.
    #[arg(long, value_name = "NAME")]
    partition: Vec<String>,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Extract {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        if self.payload == Path::new("-") {
            let message = "a payload that is extracted is read twice, and standard input cannot be";
            return Err(Failure::new(Kind::Unsupported, message).hint("save it to a file first"));
        }
        let trust = self.trust.read()?;
        let failed = || format!("failed to extract {}", self.payload.display());
        let names = self.names(&trust).with_context(failed)?;
        std::fs::create_dir_all(&self.output)
            .with_context(|| format!("failed to create {}", self.output.display()))?;
        let places: BTreeMap<String, Places> = names
            .into_iter()
            .map(|name| {
                let target = self.output.join(format!("{name}.img.partial"));
                let source = self.old_image(&name);
                (name, Places { target, source })
            })
            .collect();
        let mut options = ApplyOptions::new(&self.output);
        options.mode = Mode::Extract;
        let mut source = input::open(&self.payload)?;
        let applied =
            updraft_slots::apply(&terminal.context, &mut *source, &trust, &places, &options);
        if applied.is_err() {
            for place in places.values() {
                // What is told is why it failed, and half an image is of no use.
                let _ = std::fs::remove_file(&place.target);
            }
        }
        let applied = applied.with_context(failed)?;
        for (name, place) in &places {
            let image = self.image(name);
            std::fs::rename(&place.target, &image)
                .with_context(|| format!("failed to rename {}", place.target.display()))?;
        }
        let report = Report::of(&applied, |name| self.image(name));
        terminal.show(&report, |report| report.tell("extracted", terminal))
    }

    fn image(&self, name: &str) -> PathBuf {
        self.output.join(format!("{name}.img"))
    }

    fn old_image(&self, name: &str) -> Option<PathBuf> {
        let folder = self.old.as_deref()?;
        let image = folder.join(format!("{name}.img"));
        Some(if image.exists() { image } else { folder.join(name) })
    }

    /// The partitions to extract. Their names are fit for files.
    fn names(&self, trust: &Trust) -> Result<Vec<String>> {
        let head = Head::read(&mut *input::open(&self.payload)?, trust)?;
        let all = head.manifest.partitions.into_iter().map(|partition| partition.name);
        let all: Vec<String> = all.collect();
        let unknown = self.partition.iter().find(|name| !all.contains(name));
        if let Some(name) = unknown {
            let message = format!("the payload has no partition {name}");
            return Err(
                Failure::new(Kind::NotFound, message).hint(format!("it has {}", all.join(", ")))
            );
        }
        let wanted = |name: &String| self.partition.is_empty() || self.partition.contains(name);
        Ok(all.into_iter().filter(wanted).collect())
    }
}
