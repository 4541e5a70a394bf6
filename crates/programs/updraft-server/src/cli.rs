//! The command line: what may be asked, and who answers it.

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};
use updraft_server_service::storage::Database;
use updraft_server_service::storage::audit::acting;
use updraft_server_service::{Config, Error, Layout, tenants};
use updraft_terminal::generate::Generate;
use updraft_terminal::{Failure, OutputOptions, Result, Terminal};

use crate::{
    audit, backup, certificate, check, config, credentials, init, key, run, system, tenant, token,
    user,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  a defect of this program
  2  the command line could not be understood
  3  invalid input: configuration, name, damaged database
  4  not found: data folder, token, key
  5  conflict: exists, locked, read-only
  6  unsupported: the data folder belongs to a newer version
  7  exhausted: disk full, limit reached
  8  unavailable: address in use, system refused; a retry may help
  9  rejected: a signature or certificate was refused
  130  interrupted

Environment:
  UPDRAFT_SERVER_DATA  the data folder, unless --data is given
  UPDRAFT_LOG          what to log: error, warn, info (default), debug, or a tracing filter
  NO_COLOR             no colour when set";

/// Direct a fleet: releases, rollouts, devices.
#[derive(Debug, Parser)]
#[command(
    name = "updraft-server",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_long_help = EXIT_CODES
)]
pub(crate) struct Server {
    #[command(flatten)]
    output: OutputOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new data folder with its keys and certificates.
    Init(init::Arguments),
    /// Run the server until it is interrupted.
    Run(run::Arguments),
    /// Add and list tenants: fleets of their own in the same server.
    Tenant(tenant::Arguments),
    /// Make, list and change operators' accounts.
    User(user::Arguments),
    /// Export the audit log, and look whether it is whole.
    Audit(audit::Arguments),
    /// Make, list and revoke operator tokens.
    Token(token::Arguments),
    /// List metadata keys, and let roles sign with keys in tokens.
    Key(key::Arguments),
    /// Write the credentials file that devices provision themselves with, or that an operator's
    /// tools work with.
    Credentials(credentials::Arguments),
    /// Issue the server's certificate anew.
    Certificate(certificate::Arguments),
    /// Check the data folder: configuration, database, keys, certificates, repositories.
    Check(check::Arguments),
    /// Write all that makes up this server to one file.
    Backup(backup::BackupArguments),
    /// Make a data folder, and fill its database, from a backup.
    Restore(backup::RestoreArguments),
    /// Check or show the configuration.
    Config(config::Arguments),
    /// Print the OpenAPI description of the operator interface.
    Openapi,
    /// Write shell completions and manual pages.
    #[command(hide = true)]
    Generate(Generate),
}

impl Command {
    /// The command without its arguments, of which some are not for others to read.
    fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "updraft-server init",
            Self::Run(_) => "updraft-server run",
            Self::Tenant(_) => "updraft-server tenant",
            Self::User(_) => "updraft-server user",
            Self::Audit(_) => "updraft-server audit",
            Self::Token(_) => "updraft-server token",
            Self::Key(_) => "updraft-server key",
            Self::Credentials(_) => "updraft-server credentials",
            Self::Certificate(_) => "updraft-server certificate",
            Self::Check(_) => "updraft-server check",
            Self::Backup(_) => "updraft-server backup",
            Self::Restore(_) => "updraft-server restore",
            Self::Config(_) => "updraft-server config",
            Self::Openapi => "updraft-server openapi",
            Self::Generate(_) => "updraft-server generate",
        }
    }
}

impl Server {
    pub(crate) fn run(&self, no_color: bool) -> Result {
        // A running server ends by itself on signals, so it must not be given a second handler.
        if let Command::Run(arguments) = &self.command {
            return arguments.run(self.output.json, no_color);
        }
        let terminal = Terminal::new(&self.output, no_color)?;
        // What commands change stands in the audit log.
        acting(Some(system::origin(self.command.name())), || self.run_command(&terminal))
    }

    fn run_command(&self, terminal: &Terminal) -> Result {
        match &self.command {
            Command::Init(arguments) => arguments.run(terminal),
            Command::Tenant(arguments) => arguments.run(terminal),
            Command::User(arguments) => arguments.run(terminal),
            Command::Audit(arguments) => arguments.run(terminal),
            Command::Token(arguments) => arguments.run(terminal),
            Command::Key(arguments) => arguments.run(terminal),
            Command::Credentials(arguments) => arguments.run(terminal),
            Command::Certificate(arguments) => arguments.run(terminal),
            Command::Check(arguments) => arguments.run(terminal),
            Command::Backup(arguments) => arguments.run(terminal),
            Command::Restore(arguments) => arguments.run(terminal),
            Command::Config(arguments) => arguments.run(terminal),
            Command::Openapi => {
                terminal.bytes(updraft_server_service::http::openapi::json().as_bytes())
            }
            Command::Generate(generate) => generate.run(terminal, Self::command()),
            Command::Run(_) => Ok(()),
        }
    }
}

/// Where the server's data is.
#[derive(Debug, clap::Args)]
pub(crate) struct DataFolder {
    /// The data folder.
    #[arg(
        long,
        value_name = "DIR",
        env = "UPDRAFT_SERVER_DATA",
        default_value = "/var/lib/updraft-server"
    )]
    data: PathBuf,
    /// Work on this tenant of the server, and not on the one that every server has.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl DataFolder {
    /// The data folder, or a tenant's in it.
    pub(crate) fn layout(&self) -> Result<Layout> {
        let whole = Layout::new(&self.data);
        match &self.tenant {
            Some(name) => tenants::find(&whole, name).map_err(failure),
            None => Ok(whole),
        }
    }

    /// The database that the data folder's configuration names.
    pub(crate) fn database(&self) -> Result<Database> {
        let layout = self.layout()?;
        let config = Config::load(&layout.config()).map_err(failure)?;
        Database::of(&layout, &config.database).map_err(failure)
    }
}

/// An error of the server with its hint.
pub(crate) fn failure(error: Error) -> Failure {
    let hint = error.hint();
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Server::command().debug_assert();
    }
}
