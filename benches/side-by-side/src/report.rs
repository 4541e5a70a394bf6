//! The table.

use std::io::{self, Write as _};
use std::path::Path;

use updraft_measure::Usage;

/// Differences below this are noise: processes of a few milliseconds.
const NOISE_SECONDS: f64 = 0.005;

/// What user time should be of the peer's; only shown.
const USER_GOAL: f64 = 0.35;

/// One operation, measured on both sides.
pub(crate) struct Line {
    pub name: &'static str,
    pub ours: Usage,
    pub theirs: Usage,
}

impl Line {
    /// (what, ours, theirs).
    fn values(&self) -> Vec<(&'static str, f64, f64)> {
        const MB: f64 = 1_000_000.0;
        let (ours, theirs) = (&self.ours, &self.theirs);
        let mut values = vec![
            ("cpu", ours.cpu(), theirs.cpu()),
            ("user", ours.user, theirs.user),
            ("wall", ours.wall, theirs.wall),
            ("memory", ours.memory, theirs.memory),
        ];
        if theirs.made > 0.0 {
            values.push(("size", ours.made / MB, theirs.made / MB));
        }
        values
    }

    fn too_high(&self) -> Vec<&'static str> {
        let high = |(what, ours, theirs): &(&'static str, f64, f64)| {
            // Part of `cpu`, and shown only: a copying checkout hashes what it copies, for which
            // the peer does nothing.
            if *what == "user" {
                return false;
            }
            let noise = if *what == "memory" { 0.0 } else { NOISE_SECONDS };
            *ours > *theirs + noise
        };
        self.values().into_iter().filter(high).map(|(what, ..)| what).collect()
    }
}

pub(crate) fn heading(tree: &Path, rounds: usize) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "tree {}, medians of {rounds}; ratio = ours / theirs", tree.display())?;
    writeln!(
        out,
        "{:<28} {:>23} {:>23} {:>23} {:>23}",
        "operation", "cpu s", "user s", "wall s", "peak MB, made MB"
    )
}

pub(crate) fn line(line: &Line) -> io::Result<()> {
    let mut out = io::stdout();
    write!(out, "{:<28}", line.name)?;
    for (_, ours, theirs) in line.values() {
        let ratio = if theirs > 0.0 { ours / theirs } else { 1.0 };
        write!(out, " {ours:>7.2} / {theirs:>7.2} {ratio:>5.2}")?;
    }
    writeln!(out)?;
    out.flush()
}

/// System calls for each object, ours and theirs, below the line of what made them.
pub(crate) fn calls(counted: Option<[f64; 2]>) -> io::Result<()> {
    let mut out = io::stdout();
    match counted {
        Some([ours, theirs]) => {
            writeln!(out, "  system calls for each object: {ours:.1} / {theirs:.1}")
        }
        None => writeln!(out, "  system calls are not counted: there is no strace"),
    }
}

/// How many operations have a ratio above 1.0; says which, and where the user time is above the
/// goal.
pub(crate) fn verdict(lines: &[Line]) -> io::Result<usize> {
    let mut out = io::stdout();
    let mut count = 0;
    for line in lines {
        let high = line.too_high();
        if !high.is_empty() {
            count += 1;
            writeln!(out, "above 1.0: {} ({})", line.name, high.join(", "))?;
        }
    }
    if count == 0 {
        writeln!(out, "no ratio is above 1.0")?;
    }
    for Line { name, ours, theirs } in lines {
        if ours.user > theirs.user * USER_GOAL + NOISE_SECONDS {
            let ratio = ours.user / theirs.user;
            writeln!(out, "user time above {USER_GOAL}: {name} ({ratio:.2})")?;
        }
    }
    Ok(count)
}

pub(crate) fn failure(error: &anyhow::Error) {
    let mut out = io::stderr();
    let mut lines = vec![format!("error: {error}")];
    lines.extend(error.chain().skip(1).map(|cause| format!("caused by: {cause}")));
    // Without stderr there is nobody to tell.
    let _ = writeln!(out, "{}", lines.join("\n"));
}
