//! `ostree static-delta show`.

use updraft_ostree::delta::Endianness;
use updraft_repo::Repo;
use updraft_repo::delta::{Delta, PartStats};
use updraft_terminal::{Result, Terminal};

use super::super::size::format_size;

/// Prints what a delta consists of.
pub(super) fn show(repo: &Repo, text: &str, terminal: &Terminal) -> Result {
    let delta = Delta::open(repo, &super::place(text)?)?;
    let parts = 0..delta.superblock.parts.len();
    let parts: Vec<PartStats> =
        parts.map(|number| delta.part_stats(number)).collect::<Result<_, _>>()?;
    let totals = Totals::of(&delta);
    if terminal.wants_json() {
        return terminal.json(&json(&delta, &parts, &totals));
    }
    print(text, &delta, &parts, &totals, terminal)
}

struct Totals {
    parts: u64,
    parts_uncompressed: u64,
    fallbacks: u64,
    fallbacks_uncompressed: u64,
}

impl Totals {
    fn of(delta: &Delta) -> Self {
        let (parts, fallbacks) = (&delta.superblock.parts, &delta.superblock.fallbacks);
        let sum = |sizes: &mut dyn Iterator<Item = u64>| sizes.fold(0, u64::saturating_add);
        Self {
            parts: sum(&mut parts.iter().map(|part| part.size)),
            parts_uncompressed: sum(&mut parts.iter().map(|part| part.uncompressed_size)),
            fallbacks: sum(&mut fallbacks.iter().map(|fallback| fallback.compressed_size)),
            fallbacks_uncompressed: sum(&mut fallbacks
                .iter()
                .map(|fallback| fallback.uncompressed_size)),
        }
    }
}

fn print(
    text: &str,
    delta: &Delta,
    parts: &[PartStats],
    totals: &Totals,
    terminal: &Terminal,
) -> Result {
    let superblock = &delta.superblock;
    let size = |title: &str, bytes: u64| {
        terminal.line(format!("{title}: {bytes} ({})", format_size(bytes)))
    };
    terminal.line(format!("Delta: {text}"))?;
    terminal.line(format!("Signed: {}", if delta.signed.is_some() { "yes" } else { "no" }))?;
    match &superblock.name.from {
        Some(from) => terminal.line(format!("From: {from}"))?,
        None => terminal.line("From <scratch>")?,
    }
    terminal.line(format!("To: {}", superblock.name.to))?;
    let guess = if delta.superblock.guessed_endianness() { " (heuristic)" } else { "" };
    terminal.line(format!("Endianness: {}{guess}", endianness(delta)))?;
    terminal.line(format!("Timestamp: {}", superblock.timestamp))?;
    terminal.line("Number of parents: 0")?;
    terminal.line(format!("Number of fallback entries: {}", superblock.fallbacks.len()))?;
    for fallback in &superblock.fallbacks {
        terminal.line(format!("  {}", fallback.object.checksum))?;
    }
    size("Total Fallback Size", totals.fallbacks)?;
    size("Total Fallback Uncompressed Size", totals.fallbacks_uncompressed)?;
    terminal.line(format!("Number of parts: {}", superblock.parts.len()))?;
    for (number, (header, part)) in superblock.parts.iter().zip(parts).enumerate() {
        terminal.line(format!(
            "PartMeta{number}: nobjects={} size={} usize={}",
            header.objects.len(),
            header.size,
            header.uncompressed_size
        ))?;
        terminal.line(format!(
            "PartPayload{number}: nmodes={} nxattrs={} blobsize={} opsize={}",
            part.modes, part.xattrs, part.payload, part.program
        ))?;
        terminal.line(format!(
            "PartPayloadOps{number}: openspliceclose={} open={} write={} setread={} unsetread={} \
             close={} bspatch={}",
            part.open_splice_close,
            part.open,
            part.write,
            part.set_source,
            part.unset_source,
            part.close,
            part.patch
        ))?;
    }
    size("Total Part Size", totals.parts)?;
    size("Total Part Uncompressed Size", totals.parts_uncompressed)?;
    size("Total Size", totals.parts.saturating_add(totals.fallbacks))?;
    let uncompressed = totals.parts_uncompressed.saturating_add(totals.fallbacks_uncompressed);
    size("Total Uncompressed Size", uncompressed)
}

fn endianness(delta: &Delta) -> &'static str {
    match delta.superblock.endianness {
        Endianness::Little => "little",
        Endianness::Big => "big",
    }
}

fn json(delta: &Delta, parts: &[PartStats], totals: &Totals) -> serde_json::Value {
    let superblock = &delta.superblock;
    let parts: Vec<_> = superblock
        .parts
        .iter()
        .zip(parts)
        .map(|(header, part)| {
            serde_json::json!({
                "objects": header.objects.len(),
                "size": header.size,
                "uncompressed_size": header.uncompressed_size,
                "payload_size": part.payload,
                "program_size": part.program,
                "patches": part.patch,
            })
        })
        .collect();
    serde_json::json!({
        "from": superblock.name.from.map(|from| from.to_string()),
        "to": superblock.name.to.to_string(),
        "signed": delta.signed.is_some(),
        "endianness": endianness(delta),
        "timestamp": superblock.timestamp,
        "fallbacks": superblock.fallbacks.len(),
        "fallback_size": totals.fallbacks,
        "parts": parts,
        "size": totals.parts.saturating_add(totals.fallbacks),
    })
}
