//! Developer commands: `cargo xtask demo`, `cargo xtask test`, and the rarer ones.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a developer's tool reads the environment and talks to a terminal"
)]

mod bench;
mod demo;
mod device;
mod fuzz;
mod initramfs;
mod nightly;
mod packages;
mod pages;
mod shell;
mod test;
mod vm;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, test, measure and show Updraft.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the main job: build a Debian system twice, sign it, roll it out to devices, update
    Demo(demo::Options),
    /// Run the whole test suite
    Test(test::Options),
    /// Run what takes hours: power cuts at every moment, and each fuzz target for longer
    Nightly(nightly::Options),
    /// Run each fuzz target for a while
    Fuzz(fuzz::Options),
    /// Measure `updraft ostree`, verification and more beside their peers; the agent; the server
    Bench(bench::Options),
    /// Build the programs of a device, small, for `packaging/install`
    Device(device::Options),
    /// Make a whole initramfs of `updraft-init` and kernel modules
    Initramfs(initramfs::Options),
    /// Build the dashboard, so that the next build of the server has it
    Web(web::Options),
    /// Write man pages and shell completions of all programs
    Pages(pages::Options),
    /// Play with a virtual machine: update it, cut its power
    Vm(vm::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Nightly(options) => nightly::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Device(options) => device::run(&options),
        Command::Initramfs(options) => initramfs::run(&options),
        Command::Web(options) => web::run(&options),
        Command::Pages(options) => pages::run(&options),
        Command::Vm(options) => vm::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("caused by: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}
