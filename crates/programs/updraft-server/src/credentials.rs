//! `updraft-server credentials`.

use std::path::PathBuf;

use updraft_server_service::setup::{
    CredentialsOptions, OperatorCredentials, TargetsKey, write_credentials,
    write_operator_credentials,
};
use updraft_server_service::storage::Database;
use updraft_terminal::{Result, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;
use crate::token::ScopeName;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataFolder,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "credentials.zip")]
    out: PathBuf,
    /// The URL under which devices reach the server, such as https://updates.example:9443.
    #[arg(long)]
    url: String,
    /// Days that devices may register with it, or that the operator's tools may use it.
    #[arg(long, value_name = "DAYS", default_value_t = 3650)]
    days: u16,
    /// Write it for an operator's tools instead (garage-push, garage-sign, uptane-sign): with a
    /// new token of this name and a certificate that may do the same.
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// What the operator may do.
    #[arg(long, value_enum, default_value_t = ScopeName::Publish, requires = "operator")]
    scope: ScopeName,
    /// Limit the operator to this delegated role: only what that role signs may be uploaded.
    #[arg(long, value_name = "ROLE", requires = "operator", conflicts_with = "with_targets_key")]
    role: Option<String>,
    /// Put the private targets key into it, when it is on the server.
    #[arg(long, requires = "operator")]
    with_targets_key: bool,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let layout = self.data.layout()?;
        let database = self.data.database()?;
        if let Some(name) = &self.operator {
            return self.for_operator(name, &database, terminal);
        }
        let options = CredentialsOptions { url: self.url.clone(), days: self.days };
        write_credentials(&layout, &database, &system::environment(), &options, &self.out)
            .map_err(failure)?;
        terminal.say(format!("wrote {}; whoever has it can register devices", self.out.display()));
        Ok(())
    }

    fn for_operator(&self, name: &str, database: &Database, terminal: &Terminal) -> Result {
        let targets_key =
            if self.with_targets_key { TargetsKey::Included } else { TargetsKey::Stays };
        let options = OperatorCredentials {
            url: self.url.clone(),
            name: name.to_owned(),
            scope: self.scope.into(),
            role: self.role.clone(),
            days: self.days,
            targets_key,
        };
        let layout = self.data.layout()?;
        write_operator_credentials(&layout, database, &system::environment(), &options, &self.out)
            .map_err(failure)?;
        let scope = options.scope;
        terminal.say(format!("wrote {}; whoever has it may {scope}", self.out.display()));
        terminal.say(format!(
            "to take it back: updraft-server token revoke {name}, and {name}-certificate"
        ));
        Ok(())
    }
}
