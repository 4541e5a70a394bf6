//! `updraft ota show`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_payload::{MAX_METADATA, METADATA_NAME, OtaMetadata, Packing, PropertyFile};
use updraft_recovery_engine::Package;
use updraft_terminal::{Result, ResultExt as _, Table, Terminal};

/// Show what is in a package, what it says of itself, and whether the ranges that it tells are right.
///
/// Nothing of it is verified: `verify` does that.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The package.
    package: PathBuf,
}

#[derive(Serialize)]
struct Report {
    /// What kind of package: AB, BLOCK, BRICK; none where it does not say.
    kind: Option<String>,
    /// How many bytes its signature is about; none if it is not signed.
    signed_bytes: Option<u64>,
    metadata: BTreeMap<String, String>,
    entries: Vec<EntryReport>,
    ranges: Vec<RangeReport>,
}

#[derive(Serialize)]
struct EntryReport {
    name: String,
    size: u64,
    packed: u64,
    packing: &'static str,
}

#[derive(Serialize)]
struct RangeReport {
    list: String,
    name: String,
    offset: u64,
    size: u64,
    /// Whether there is an entry of this name, stored, with just these bytes.
    right: bool,
}

impl Show {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let failed = || format!("failed to read {}", self.package.display());
        let package = Package::open(&self.package).with_context(failed)?;
        let text = package.read(METADATA_NAME, MAX_METADATA).with_context(failed)?;
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        let metadata = OtaMetadata::parse_text(&text).with_context(failed)?;
        let mut ranges = Vec::new();
        for (list, value) in metadata.iter().filter(|(name, _)| name.ends_with("property-files")) {
            for range in PropertyFile::parse_list(value).with_context(failed)? {
                let right = is_right(&package, &range).with_context(failed)?;
                let PropertyFile { name, offset, size } = range;
                ranges.push(RangeReport { list: list.clone(), name, offset, size, right });
            }
        }
        let entries = package.entries().iter().map(|entry| EntryReport {
            name: String::from_utf8_lossy(&entry.name).into_owned(),
            size: entry.size,
            packed: entry.packed,
            packing: match entry.packing {
                Packing::Stored => "stored",
                Packing::Deflated => "deflated",
                Packing::Other => "other",
            },
        });
        let report = Report {
            kind: metadata.get("ota-type").cloned(),
            signed_bytes: package.signed(&terminal.context).ok().map(|signed| signed.bytes),
            entries: entries.collect(),
            metadata,
            ranges,
        };
        terminal.show(&report, |report| tell(report, terminal))
    }
}

/// Whether a range is what it says.
fn is_right(package: &Package, range: &PropertyFile) -> Result<bool> {
    let is_beginning = range.name == "payload_metadata.bin";
    let name = if is_beginning { "payload.bin" } else { &range.name };
    let names = package.entries().iter().map(|entry| String::from_utf8_lossy(&entry.name));
    let Some(path) = names.into_iter().find(|path| path.rsplit('/').next() == Some(name)) else {
        return Ok(false);
    };
    let Some(place) = package.place(&path)? else { return Ok(false) };
    let size = if is_beginning {
        let mut first = [0; updraft_payload::Header::LEN];
        package.range(place.start, &mut first)?;
        let header = updraft_payload::Header::parse(&first);
        header.map_or(0, |header| header.metadata_size() + header.metadata_signature_size())
    } else {
        place.end - place.start
    };
    Ok((range.offset, range.size) == (place.start, size))
}

fn tell(report: &Report, terminal: &Terminal) -> Result {
    let kind = report.kind.as_deref().unwrap_or("unknown");
    let signed = match report.signed_bytes {
        Some(bytes) => format!("signed over {bytes} bytes"),
        None => "not signed".to_owned(),
    };
    terminal.line(format!("{kind} package, {signed}"))?;
    for (name, value) in report.metadata.iter().filter(|(name, _)| !name.ends_with("files")) {
        terminal.line(format!("{name}: {value}"))?;
    }
    let mut table = Table::new(["entry", "size", "packed", "packing"]);
    for entry in &report.entries {
        let (size, packed) = (entry.size.to_string(), entry.packed.to_string());
        table.row([entry.name.clone(), size, packed, entry.packing.to_owned()]);
    }
    terminal.line("")?;
    terminal.table(&table)?;
    if report.ranges.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["list", "range", "offset", "size", ""]);
    for range in &report.ranges {
        let right = if range.right { "right" } else { "WRONG" };
        let (offset, size) = (range.offset.to_string(), range.size.to_string());
        table.row([range.list.clone(), range.name.clone(), offset, size, right.to_owned()]);
    }
    terminal.line("")?;
    terminal.table(&table)
}
