//! Applying payloads, beside another program that does, and beside mere decompression.

use anyhow::Result;
use updraft_measure::{Goal, Report, Usage};

use crate::Bench;
use crate::delta::{MEMORY, check};
use crate::peers::is_here;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    bench.payload("full.bin")?;
    bench.payload("delta.bin")?;
    std::fs::create_dir_all(bench.path("from"))?;
    let old = bench.path("from/system.img");
    if !old.exists() {
        std::fs::hard_link(bench.path("old.img"), old)?;
    }
    let xz = xz(bench)?;
    for (name, old) in [("full", None), ("delta", Some("from"))] {
        let payload = format!("{name}.bin");
        let mut ours = vec!["payload", "extract", &payload, "--output", "out"];
        ours.extend(old.iter().flat_map(|old| ["--old", old]));
        let ours = applied(bench, || bench.updraft(&ours))?;
        let memory = Goal::AtMost(MEMORY);
        report.line(&format!("apply {name}"), ours.wall, "s", Goal::Nothing);
        report.line(&format!("apply {name}"), ours.cpu(), "CPU-seconds", Goal::Nothing);
        report.line(&format!("apply {name}"), ours.memory, "MiB of memory", memory);
        if is_here(&bench.dumper) {
            let mut theirs = vec![payload.as_str(), "-o", "out"];
            theirs.extend(old.iter().flat_map(|old| ["--source-dir", old]));
            let theirs = applied(bench, || bench.command(&bench.dumper, &theirs))?;
            let what = format!("apply {name}, by payload_dumper");
            let wall = ours.wall / theirs.wall;
            report.line(&what, wall, "ratio of wall time", Goal::AtMost(1.0));
            let cpu = ours.cpu() / theirs.cpu();
            report.line(&what, cpu, "ratio of CPU time", Goal::AtMost(1.0));
            let memory = ours.memory / theirs.memory;
            report.line(&what, memory, "ratio of memory", Goal::AtMost(1.0));
        } else {
            report.skip("payload_dumper", "it is not installed: cargo install payload_dumper");
        }
        if name == "full" {
            let ratio = ours.cpu() / xz.cpu();
            report.line("apply full, by xz alone", ratio, "ratio of CPU time", Goal::Nothing);
        }
    }
    Ok(())
}

fn applied(bench: &Bench, command: impl Fn() -> std::process::Command) -> Result<Usage> {
    let out = bench.path("out");
    let prepare = || {
        let _ = std::fs::remove_dir_all(&out);
        Ok(std::fs::create_dir(&out)?)
    };
    let usage = bench.median(prepare, command)?;
    check(bench, "out/system.img")?;
    Ok(usage)
}

/// What `xz` takes to decompress the new image in pieces as large as those of the payload.
pub(crate) fn xz(bench: &Bench) -> Result<Usage> {
    if !bench.path("new.img.xz").exists() {
        let pack = ["--keep", "--threads=0", "--block-size=2MiB", "-6", "new.img"];
        updraft_measure::run(bench.command("xz", &pack))?;
    }
    let unpack = ["--decompress", "--stdout", "--threads=1", "new.img.xz"];
    bench.median(|| Ok(()), || bench.command("xz", &unpack))
}
