//! An update from a web server into the slot that does not run, beside its slowest part alone: fetching
//! the payload, decompressing it, writing the image.

use anyhow::{Context as _, Result};
use updraft_measure::{Goal, Nginx, NginxOptions, Report, Usage};

use crate::Bench;
use crate::apply::xz;

/// Bytes a second of a network that is slower than everything else.
const SLOW: u64 = 8 << 20;
/// Of the speed of the slowest part, what an update has at least.
const SHARE: f64 = 0.8;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    bench.payload("full.bin")?;
    let unpacking = xz(bench)?;
    let image = format!("if={}", bench.path("new.img").display());
    let writing = bench.median(
        || Ok(()),
        || bench.command("dd", &[&image, "of=slot_b", "bs=1M", "conv=fsync,notrunc"]),
    )?;
    for (name, limit) in [("a fast network", None), ("8 MiB a second", Some(SLOW))] {
        let options = NginxOptions { bytes_per_second: limit, ..NginxOptions::default() };
        let Some(nginx) = Nginx::start(bench.folder.path(), &options)? else {
            report.skip("streamed updates", "there is no nginx: apt-get install nginx-light");
            return Ok(());
        };
        let url = format!("{}/full.bin", nginx.url());
        let fetching = bench.median(
            || Ok(()),
            || bench.command("curl", &["--silent", "--fail", "--output", "/dev/null", &url]),
        )?;
        let update = update(bench, &url)?;
        let slowest = fetching.wall.max(unpacking.wall).max(writing.wall);
        let part = |what: &str| format!("{name}: {what}");
        report.line(&part("fetching"), fetching.wall, "s", Goal::Nothing);
        report.line(&part("decompressing"), unpacking.wall, "s", Goal::Nothing);
        report.line(&part("writing"), writing.wall, "s", Goal::Nothing);
        report.line(&part("the update"), update.wall, "s", Goal::Nothing);
        report.line(&part("the update"), update.memory, "MiB of memory", Goal::AtMost(64.0));
        let share = slowest / update.wall;
        report.line(&part("share of the slowest part's speed"), share, "", Goal::AtLeast(SHARE));
    }
    Ok(())
}

fn update(bench: &Bench, url: &str) -> Result<Usage> {
    let folder = bench.folder.path().display();
    let configuration = format!(
        "state = \"{folder}/state\"\nrunning = \"a\"\n[boot-control.grub]\n\
         path = \"{folder}/grubenv\"\n[partitions]\n\
         system = [\"{folder}/slot_a\", \"{folder}/slot_b\"]\n"
    );
    std::fs::write(bench.path("slots.toml"), configuration)?;
    let properties = bench.updraft(&["payload", "properties", "full.bin"]).output()?;
    std::fs::write(bench.path("properties"), properties.stdout)?;
    let size = bench.images.new_size();
    let prepare = || {
        let _ = std::fs::remove_dir_all(bench.path("state"));
        let _ = std::fs::remove_file(bench.path("grubenv"));
        for slot in ["slot_a", "slot_b"] {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(bench.path(slot))?;
            file.set_len(size)?;
        }
        for words in
            [&["create"][..], &["set", "ORDER=A B", "A_OK=1", "A_TRY=0", "B_OK=0", "B_TRY=0"]]
        {
            let words = [&["grubenv"][..], words].concat();
            updraft_measure::run(bench.command("grub-editenv", &words)).context("grub-editenv")?;
        }
        Ok(())
    };
    let words = ["slots", "--config", "slots.toml", "apply", url, "--properties", "properties"];
    let usage = bench.median(prepare, || bench.updraft(&words))?;
    let compared = bench.command("cmp", &["--quiet", "slot_b", "new.img"]).status()?;
    anyhow::ensure!(compared.success(), "the slot is not the new image");
    Ok(usage)
}
