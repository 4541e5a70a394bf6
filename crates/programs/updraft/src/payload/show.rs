//! `updraft payload show`.

mod report;

use std::path::PathBuf;

use clap::Args;
use updraft_slots::{Head, Trust};
use updraft_terminal::{Result, ResultExt as _, Table, Terminal};

use super::input;
use report::{DynamicPartitions, Report};

/// Show what a payload does: partitions, operations, sizes, hashes and signatures.
///
/// Only its metadata is read, and nothing of it is verified: `verify` does that.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The payload, or a package with one; `-` for standard input.
    payload: PathBuf,
}

impl Show {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let head = Head::read(&mut *input::open(&self.payload)?, &Trust::default())
            .with_context(|| format!("failed to read {}", self.payload.display()))?;
        let report = Report::of(&head);
        terminal.show(&report, |report| tell(report, terminal))
    }
}

fn tell(report: &Report, terminal: &Terminal) -> Result {
    let Report { kind, minor_version, block_size, size, .. } = report;
    terminal.line(format!(
        "{kind} payload, minor version {minor_version}, {size} bytes, blocks of {block_size} bytes"
    ))?;
    terminal.line(format!(
        "metadata: {} bytes, SHA-256 {}",
        report.metadata_size, report.metadata_sha256
    ))?;
    let signatures = match (report.metadata_signatures.len(), report.payload_signatures_size) {
        (0, 0) => "not signed".to_owned(),
        (count, 0) => format!("{count} of the metadata, none of the payload"),
        (count, size) => format!("{count} of the metadata, {size} bytes of the payload"),
    };
    terminal.line(format!("signatures: {signatures}"))?;
    let facts = [
        ("built", report.time.as_deref()),
        ("security patch level", report.security_patch_level.as_deref()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            terminal.line(format!("{name}: {value}"))?;
        }
    }
    for apex in &report.apex {
        terminal.line(format!("APEX {} version {}", apex.name, apex.version))?;
    }
    if let Some(dynamic) = &report.dynamic_partitions {
        tell_dynamic(dynamic, terminal)?;
    }
    let mut table = Table::new(["partition", "operation", "count", "writes", "data"]);
    for partition in &report.partitions {
        for (kind, sum) in &partition.operations {
            table.row([
                partition.name.clone(),
                (*kind).to_owned(),
                sum.count.to_string(),
                sum.writes.to_string(),
                sum.data.to_string(),
            ]);
        }
    }
    terminal.line("")?;
    terminal.table(&table)?;
    terminal.line("")?;
    let mut table = Table::new(["partition", "content", "size", "SHA-256"]);
    for partition in &report.partitions {
        for (which, content) in [("old", &partition.old), ("new", &partition.new)] {
            if let Some(content) = content {
                let (size, sha256) = (content.size.to_string(), content.sha256.clone());
                table.row([partition.name.clone(), which.to_owned(), size, sha256]);
            }
        }
    }
    terminal.table(&table)?;
    report.partitions.iter().try_for_each(|partition| tell_more(partition, terminal))
}

fn tell_dynamic(dynamic: &DynamicPartitions, terminal: &Terminal) -> Result {
    for group in &dynamic.groups {
        let names = group.partitions.join(", ");
        terminal.line(format!("group {}: {} bytes for {names}", group.name, group.size))?;
    }
    if dynamic.snapshots {
        let compression = dynamic.snapshot_compression.as_deref().unwrap_or("none");
        terminal.line(format!("snapshots: compression {compression}"))?;
    }
    Ok(())
}

fn tell_more(partition: &report::Partition, terminal: &Terminal) -> Result {
    let name = &partition.name;
    if let Some(version) = &partition.version {
        terminal.line(format!("{name}: version {version}"))?;
    }
    if let Some(program) = &partition.postinstall {
        terminal.line(format!("{name}: runs {program} afterwards"))?;
    }
    for computed in &partition.computed {
        terminal.line(format!("{name}: the device computes its {computed}"))?;
    }
    Ok(())
}
