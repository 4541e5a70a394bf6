//! `updraft-server token`.

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use updraft_api::Scope;
use updraft_server_service::fleet::operators::{self, TokenOptions};
use updraft_server_service::storage::Database;
use updraft_terminal::{Result, Table, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token and print it; it is not shown again.
    Create {
        /// Its name, as it will stand in events.
        name: String,
        /// What it allows; without this everything, and `publish` with --role.
        #[arg(long, value_enum)]
        scope: Option<ScopeName>,
        /// Limit it to this delegated role: it may upload what that role signs, and nothing else.
        #[arg(long, value_name = "NAME")]
        role: Option<String>,
        /// Days that it is good for; without this it is good until it is revoked.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
        #[command(flatten)]
        data: DataFolder,
    },
    /// List the tokens.
    #[command(alias = "list")]
    Ls {
        #[command(flatten)]
        data: DataFolder,
    },
    /// Revoke a token; it is refused from then on.
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        data: DataFolder,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ScopeName {
    /// See everything.
    Read,
    /// Upload objects and signed metadata; make releases.
    Publish,
    /// Change groups; create and steer rollouts.
    Operate,
    /// Approve rollouts that wait for a second person.
    Approve,
    /// Read the audit log.
    Audit,
    /// Make, change and delete users.
    Users,
    /// Everything.
    Admin,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Read => Self::Read,
            ScopeName::Publish => Self::Publish,
            ScopeName::Operate => Self::Operate,
            ScopeName::Approve => Self::Approve,
            ScopeName::Audit => Self::Audit,
            ScopeName::Users => Self::Users,
            ScopeName::Admin => Self::Admin,
        }
    }
}

#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    scope: Scope,
    token: &'a str,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    user: Option<String>,
    scopes: Vec<Scope>,
    role: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.action {
            Action::Create { name, scope, role, days, data } => {
                let usual = if role.is_some() { ScopeName::Publish } else { ScopeName::Admin };
                let scope = Scope::from(scope.unwrap_or(usual));
                let options = TokenOptions { scope, role: role.clone(), days: *days };
                let token =
                    operators::create_token(&open(data)?, &system::environment(), name, options)
                        .map_err(failure)?;
                let created = Created { name, scope, token: &token };
                terminal.show(&created, |created| terminal.line(created.token))
            }
            Action::Ls { data } => list(terminal, &open(data)?),
            Action::Revoke { name, data } => {
                operators::revoke_token(&open(data)?, &system::environment(), name)
                    .map_err(failure)?;
                terminal.say(format!("token {name} was revoked"));
                Ok(())
            }
        }
    }
}

fn open(data: &DataFolder) -> Result<Database> {
    data.database()
}

fn list(terminal: &Terminal, database: &Database) -> Result {
    let tokens: Vec<Listed> = operators::list_tokens(database)
        .map_err(failure)?
        .into_iter()
        .map(|token| Listed {
            name: token.name,
            user: token.user,
            scopes: token.scopes,
            role: token.role,
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.map(|time| time.to_string()),
            revoked_at: token.revoked_at.map(|time| time.to_string()),
        })
        .collect();
    terminal.show(&tokens, |tokens| {
        let mut table =
            Table::new(["name", "user", "scopes", "role", "created", "expires", "revoked"]);
        for token in tokens {
            table.row([
                token.name.clone(),
                token.user.clone().unwrap_or_default(),
                token.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" "),
                token.role.clone().unwrap_or_default(),
                token.created_at.clone(),
                token.expires_at.clone().unwrap_or_default(),
                token.revoked_at.clone().unwrap_or_default(),
            ]);
        }
        terminal.table(&table)
    })
}
