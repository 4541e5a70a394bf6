//! `updraft ostree …`, and `ostree …` when called by that name: repositories, as the `ostree`
//! command works on them.
//!
//! Names, options and what is printed are those of `ostree`; `--json` gives every list and report
//! for programs.

#![allow(clippy::struct_excessive_bools, reason = "a command line is made of switches")]
#![allow(clippy::struct_field_names, reason = "fields are named as the options are")]

use std::path::PathBuf;

use clap::{Args, Subcommand};
use updraft_terminal::{Result, Terminal};

pub(crate) mod program;
mod repository;

mod admin;

mod commit;
mod init;
mod revision;

mod sign;
mod signing;

mod checkout;

mod refs;

mod ls;
mod show;

mod checksum;
mod diff;
mod editor;
mod export;

mod fsck;
mod prune;

mod config;
mod create_usb;
mod find_remotes;
mod remote;

mod http;
mod pull;
mod static_delta;
mod summary;
mod trivial_httpd;

mod lists;
mod number;
mod size;
mod sizes;
mod time;
mod tree;
mod variant;
mod variant_text;
mod way_out;

use repository::Location;

/// Arguments of `updraft ostree`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The repository; by default the working directory, $OSTREE_REPO or the system's.
    #[arg(long, global = true, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// Print debug information.
    #[arg(long, short = 'v', global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Box<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Admin(admin::Admin),
    Cat(ls::Cat),
    Checkout(checkout::Checkout),
    Checksum(checksum::ChecksumOf),
    Commit(Box<commit::Commit>),
    Config(config::Config),
    CreateUsb(create_usb::CreateUsb),
    Diff(diff::Diff),
    Export(export::Export),
    FindRemotes(find_remotes::FindRemotes),
    Fsck(fsck::Fsck),
    GpgSign(sign::GpgSign),
    Init(init::Init),
    Log(show::Log),
    Ls(ls::Ls),
    Prune(prune::Prune),
    Pull(pull::Pull),
    PullLocal(pull::PullLocal),
    Refs(refs::Refs),
    Remote(remote::Remote),
    Reset(revision::Reset),
    RevParse(revision::RevParse),
    Show(show::Show),
    StaticDelta(static_delta::StaticDelta),
    Sign(sign::Sign),
    Summary(summary::SummaryCommand),
    TrivialHttpd(trivial_httpd::TrivialHttpd),
}

impl Command {
    /// Whether refs of the repository may be others afterwards.
    fn changes_refs(&self) -> bool {
        use Command::{Commit, Pull, PullLocal, Refs, Reset};
        matches!(self, Commit(_) | Pull(_) | PullLocal(_) | Refs(_) | Reset(_))
    }
}

/// Runs one command.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Result {
    if arguments.verbose {
        log_everything();
    }
    let location = Location::new(arguments.repo.clone());
    let follower = arguments.command.changes_refs().then(|| summary::Follower::new(&location));
    let done = command(&arguments.command, &location, terminal);
    let done = done.and_then(|()| follower.map_or(Ok(()), |follower| follower.finish(terminal)));
    done.map_err(way_out::added)
}

/// What `--verbose` asks for.
fn log_everything() {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    // A subscriber that is set already stays; it was asked for earlier.
    let _ = log.with_writer(std::io::stderr).try_init();
}

fn command(command: &Command, location: &Location, terminal: &Terminal) -> Result {
    match command {
        Command::Admin(admin) => admin.run(terminal),
        Command::Cat(cat) => cat.run(location, terminal),
        Command::Checkout(checkout) => checkout.run(location, terminal),
        Command::Commit(commit) => commit.run(location, terminal),
        Command::Fsck(fsck) => fsck.run(location, terminal),
        Command::GpgSign(sign) => sign.run(location, terminal),
        Command::Sign(sign) => sign.run(location, terminal),
        Command::Pull(pull) => pull.run(location, terminal),
        Command::PullLocal(pull) => pull.run(location, terminal),
        Command::Remote(remote) => remote.run(location, terminal),
        Command::Summary(summary) => summary.run(location, terminal),
        Command::TrivialHttpd(server) => server.run(terminal),
        Command::Checksum(checksum) => {
            location.refuse()?;
            checksum.run(terminal)
        }
        Command::Config(config) => config.run(location, terminal),
        Command::CreateUsb(create) => create.run(location, terminal),
        Command::FindRemotes(find) => find.run(location, terminal),
        Command::Diff(diff) => diff.run(location, terminal),
        Command::Export(export) => export.run(location, terminal),
        Command::Init(init) => init.run(location),
        Command::Log(log) => log.run(location, terminal),
        Command::Ls(ls) => ls.run(location, terminal),
        Command::Prune(prune) => prune.run(location, terminal),
        Command::Refs(refs) => refs.run(location, terminal),
        Command::Reset(reset) => reset.run(location),
        Command::RevParse(rev_parse) => rev_parse.run(location, terminal),
        Command::Show(show) => show.run(location, terminal),
        Command::StaticDelta(delta) => delta.run(location, terminal),
    }
}
