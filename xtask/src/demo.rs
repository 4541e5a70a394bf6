//! `cargo xtask demo`: the main job, end to end, with a real Debian.

mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use harness::{Installation, Programs, Scenario};

use crate::{packages, shell, web};

/// How long one stage may take: a whole Debian system travels to every device.
const PATIENCE: Duration = Duration::from_mins(20);

/// Options of `cargo xtask demo`.
#[derive(Args)]
pub(crate) struct Options {
    /// Refuse to install missing Debian packages
    #[arg(long)]
    no_install: bool,
    /// Leave the server running at the end
    #[arg(long)]
    keep: bool,
    /// How many devices to play
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=50))]
    devices: u8,
    /// Where everything is put; what an earlier demo left there is removed
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    packages::require(packages::DEMO, !options.no_install)?;
    if !packages::is_root() {
        bail!("files keep their owners, so the demo runs as root: try `sudo -E cargo xtask demo`");
    }
    let target = shell::target_folder()?;
    let folder = options.folder.clone().unwrap_or_else(|| target.join("demo"));
    clear(&folder.join("run"))?;
    let step = |text: &str| println!("[{:>4} s] {text}", begun.elapsed().as_secs());

    // The demo shows the dashboard, and does without it where there is no npm.
    step("building the dashboard");
    if let Err(error) = web::build() {
        println!("the server will have no dashboard: {error:#}");
    }
    step("building the programs");
    let build = ["build", "--release", "-p", "updraft", "-p", "updraftd", "-p", "updraft-server"];
    shell::run(shell::cargo().args(build))?;
    let trees = debian::trees(&folder.join("cache"), &mut |text| step(text))?;

    let scenario = Scenario {
        programs: Programs::in_folder(&target.join("release"))?,
        folder: folder.join("run"),
        devices: usize::from(options.devices),
        trees,
        patience: PATIENCE,
    };
    std::fs::create_dir_all(&scenario.folder)?;
    let mut installation = scenario.play(&mut |text| step(text))?;

    step("asking the real ostree about the first device");
    let first = installation.devices.first().context("find the first device")?;
    let compared = installation.compare_with_real_ostree(first)?;
    step("attacking a device three times");
    let refused = installation.attack()?;

    println!("\n== The fleet ==\n{}", installation.fleet_table()?);
    println!("\n== The real tool on {}'s sysroot ==\n{compared}", first.id());
    println!("\n== Attacks, all refused ==");
    for attack in &refused {
        println!("- {}", attack.attack);
        println!("    {} (exit code {}): {}", attack.name, attack.code, attack.said);
    }
    look_at(&installation);
    if options.keep {
        let process = installation.server.leave_running();
        println!("\nThe server is still running; stop it with `kill {}`.", process.unwrap_or(0));
        println!(
            "Its dashboard is {}/ui/ (a browser has to be told to trust its",
            installation.server.url()
        );
        println!("certificate); log in with the token {}", installation.operator.token());
    }
    println!("\nDone in {} s.", begun.elapsed().as_secs());
    Ok(())
}

fn look_at(at: &Installation) {
    println!("\n== What to look at ==");
    println!("server   {}  (data and log in {})", at.server.url(), at.server.data().display());
    println!("devices  {}", at.folder.join("devices").display());
    if let Some(device) = at.devices.last() {
        println!("         {} came back to v1; its log: {}", device.id(), device.log().display());
        println!("         ostree admin status --sysroot={}", device.sysroot().display());
    }
    println!("commits  v1 {}\n         v2 {}", at.commits[0], at.commits[1]);
}

/// Removes what an earlier demo left. Deployments are marked immutable.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        let _ = Command::new("chattr").args(["-R", "-f", "-i"]).arg(folder).status();
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("remove what is left in {}", folder.display()))?;
    }
    Ok(())
}
