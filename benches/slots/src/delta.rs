//! Deltas beside those of other programs: size, and the time and memory to make and to apply them.

use anyhow::{Result, ensure};
use updraft_measure::{Goal, Report, Usage};

use crate::Bench;
use crate::peers::{PEERS, command};

/// The memory that applying may take, in MiB.
pub(crate) const MEMORY: f64 = 64.0;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (mut smallest, mut bsdiff) = (f64::INFINITY, None::<Usage>);
    for peer in PEERS {
        if !peer.is_here() {
            report.skip(peer.name, "it is not installed");
            continue;
        }
        // The soft limit alone, which tells that it was reached.
        let limit = format!("--cpu={}:", bench.patience);
        let make = [&["prlimit", &limit], peer.make].concat();
        let (is_made, made) = updraft_measure::run_within_its_limit(command(bench, &make))?;
        if peer.name == "bsdiff" {
            bsdiff = Some(made);
        }
        if !is_made {
            let what = format!("{}: ended without a delta after", peer.name);
            report.line(&what, made.cpu(), "CPU-seconds", Goal::Nothing);
            continue;
        }
        let size = mebibytes(bench, &peer.delta())?;
        let applied = updraft_measure::run(command(bench, peer.apply))?;
        check(bench, "made.img")?;
        tell(report, peer.name, &made, size, &applied, Goal::Nothing);
        smallest = smallest.min(size);
    }
    let arguments = ["payload", "generate", "delta.bin", "--image", "system=new.img"];
    let arguments = [&arguments[..], &["--old", "system=old.img"]].concat();
    let single = updraft_measure::run(bench.updraft(&[&arguments[..], &["--jobs", "1"]].concat()))?;
    let made = updraft_measure::run(bench.updraft(&arguments))?;
    let size = mebibytes(bench, "delta.bin")?;
    let _ = std::fs::remove_dir_all(bench.path("out"));
    std::fs::create_dir_all(bench.path("from"))?;
    let old = bench.path("from/system.img");
    if !old.exists() {
        std::fs::hard_link(bench.path("old.img"), old)?;
    }
    let extract = ["payload", "extract", "delta.bin", "--old", "from", "--output", "out"];
    let applied = updraft_measure::run(bench.updraft(&extract))?;
    check(bench, "out/system.img")?;
    tell(report, "updraft", &made, size, &applied, Goal::AtMost(MEMORY));
    report.line("updraft, one thread: make", single.wall, "s", Goal::Nothing);
    if smallest.is_finite() {
        report.line("size, by the smallest of others", size / smallest, "ratio", Goal::AtMost(1.0));
    }
    if let Some(bsdiff) = bsdiff {
        let ratio = made.wall / bsdiff.wall;
        report.line("make, by bsdiff", ratio, "ratio of wall time", Goal::AtMost(0.5));
        let ratio = single.cpu() / bsdiff.cpu();
        report.line("make, by bsdiff", ratio, "ratio of CPU time", Goal::Nothing);
    }
    Ok(())
}

fn tell(report: &mut Report, name: &str, made: &Usage, size: f64, applied: &Usage, memory: Goal) {
    report.line(&format!("{name}: size"), size, "MiB", Goal::Nothing);
    report.line(&format!("{name}: make"), made.wall, "s", Goal::Nothing);
    report.line(&format!("{name}: make"), made.memory, "MiB of memory", Goal::Nothing);
    report.line(&format!("{name}: apply"), applied.wall, "s", Goal::Nothing);
    report.line(&format!("{name}: apply"), applied.memory, "MiB of memory", memory);
}

#[allow(clippy::cast_precision_loss, reason = "sizes of files")]
fn mebibytes(bench: &Bench, name: &str) -> Result<f64> {
    Ok(std::fs::metadata(bench.path(name))?.len() as f64 / f64::from(1 << 20))
}

/// What was made has to be the new image.
pub(crate) fn check(bench: &Bench, made: &str) -> Result<()> {
    let compared = bench.command("cmp", &["--quiet", made, "new.img"]).status()?;
    ensure!(compared.success(), "{made} is not the new image");
    std::fs::remove_file(bench.path(made))?;
    Ok(())
}
