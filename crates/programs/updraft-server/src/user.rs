//! `updraft-server user`.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::{Subcommand, ValueEnum};
use updraft_api::{NewUser, Role, User, UserUpdate};
use updraft_error::Kind;
use updraft_server_service::fleet::operators::Operator;
use updraft_server_service::fleet::users::Users;
use updraft_terminal::{Failure, Result, Table, Terminal};

use crate::cli::{DataFolder, failure};
use crate::system;

/// The longest line that is read from standard input.
const MAX_LINE: u64 = 4096;

/// Make, list and change operators' accounts. The server may be running.
///
/// Passwords are asked for at the terminal, or read as one line from standard input; they are never
/// arguments, which other users of the machine could see.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account.
    Add {
        /// Its name, as it will stand in events.
        name: String,
        /// What it may do; may be given several times.
        #[arg(long = "role", value_enum, value_name = "ROLE", required = true)]
        roles: Vec<RoleName>,
        #[command(flatten)]
        data: DataFolder,
    },
    /// List the accounts.
    #[command(alias = "list")]
    Ls {
        #[command(flatten)]
        data: DataFolder,
    },
    /// Set an account's password, which ends its sessions.
    Password {
        /// The account.
        name: String,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Set what an account may do.
    Role {
        /// The account.
        name: String,
        /// All of its roles from now on.
        #[arg(value_enum, value_name = "ROLE", required = true)]
        roles: Vec<RoleName>,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Ask an account for one-time codes (TOTP) beside the password, or no more.
    Totp {
        /// The account.
        name: String,
        /// Ask for none any more, as when the phone was lost.
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Refuse an account and end its sessions; it is kept.
    Disable {
        /// The account.
        name: String,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Let a disabled account be used again.
    Enable {
        /// The account.
        name: String,
        #[command(flatten)]
        data: DataFolder,
    },
    /// Delete an account with its sessions and tokens.
    #[command(alias = "rm")]
    Delete {
        /// The account.
        name: String,
        #[command(flatten)]
        data: DataFolder,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    /// See everything but the audit log.
    Viewer,
    /// Upload, and make releases.
    Publisher,
    /// Steer groups and rollouts.
    Operator,
    /// Read the audit log.
    Auditor,
    /// Everything.
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Publisher => Self::Publisher,
            RoleName::Operator => Self::Operator,
            RoleName::Auditor => Self::Auditor,
            RoleName::Admin => Self::Admin,
        }
    }
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let environment = system::environment();
        let database = self.data().database()?;
        let operator = Operator::local();
        let users = Users { database: &database, environment: &environment, operator };
        match &self.action {
            Action::Add { name, roles, .. } => {
                let roles = roles.iter().copied().map(Role::from).collect();
                let new = NewUser { name: name.clone(), password: new_password()?, roles };
                let user = users.add(&new).map_err(failure)?;
                terminal.show(&user, |user| terminal.line(format!("user {} was made", user.name)))
            }
            Action::Ls { .. } => list(terminal, &users),
            Action::Password { name, .. } => {
                // Before somebody types for nothing.
                users.show(name).map_err(failure)?;
                users.set_password(name, None, &new_password()?, None).map_err(failure)?;
                terminal.say(format!("the password of {name} was changed; its sessions ended"));
                Ok(())
            }
            Action::Role { name, roles, .. } => {
                let roles = Some(roles.iter().copied().map(Role::from).collect());
                let update = UserUpdate { roles, disabled: None };
                users.update(name, &update).map_err(failure)?;
                terminal.say(format!("the roles of {name} were set"));
                Ok(())
            }
            Action::Totp { name, off: true, .. } => {
                users.remove_one_time(name).map_err(failure)?;
                terminal.say(format!("{name} is asked for one-time codes no more"));
                Ok(())
            }
            Action::Totp { name, .. } => ask_for_codes(terminal, &users, name),
            Action::Disable { name, .. } => disable(terminal, &users, name, true),
            Action::Enable { name, .. } => disable(terminal, &users, name, false),
            Action::Delete { name, .. } => {
                users.delete(name).map_err(failure)?;
                terminal.say(format!("user {name} was deleted"));
                Ok(())
            }
        }
    }

    fn data(&self) -> &DataFolder {
        match &self.action {
            Action::Add { data, .. }
            | Action::Ls { data }
            | Action::Password { data, .. }
            | Action::Role { data, .. }
            | Action::Totp { data, .. }
            | Action::Disable { data, .. }
            | Action::Enable { data, .. }
            | Action::Delete { data, .. } => data,
        }
    }
}

fn disable(terminal: &Terminal, users: &Users<'_>, name: &str, disabled: bool) -> Result {
    let update = UserUpdate { roles: None, disabled: Some(disabled) };
    users.update(name, &update).map_err(failure)?;
    let what = if disabled { "was disabled" } else { "may be used again" };
    terminal.say(format!("user {name} {what}"));
    Ok(())
}

fn ask_for_codes(terminal: &Terminal, users: &Users<'_>, name: &str) -> Result {
    let begun = users.begin_one_time(name).map_err(failure)?;
    terminal.say(format!("give this to the authenticator app of {name}:"));
    terminal.say(format!("  {}\n  secret {}", begun.uri, begun.secret));
    terminal.say("then type the code that it shows:");
    let code = line()?;
    let codes = users.confirm_one_time(name, &code).map_err(failure)?;
    terminal.say("each of these replaces a code once; keep them apart from the app:");
    terminal.show(&codes, |codes| codes.codes.iter().try_for_each(|code| terminal.line(code)))
}

fn list(terminal: &Terminal, users: &Users<'_>) -> Result {
    let mut all: Vec<User> = Vec::new();
    let mut after = String::new();
    loop {
        let page = users.list(&after, updraft_api::page::MAX_LIMIT).map_err(failure)?;
        all.extend(page.items);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    terminal.show(&all, |all| {
        let mut table = Table::new(["name", "roles", "one-time codes", "created", "disabled"]);
        for user in all {
            let roles: Vec<&str> = user.roles.iter().map(|role| role.name()).collect();
            let codes = if user.one_time_codes { "yes" } else { "no" };
            let disabled = user.disabled_at.map(|time| time.to_string()).unwrap_or_default();
            table.row([
                user.name.clone(),
                roles.join(" "),
                codes.to_owned(),
                user.created_at.to_string(),
                disabled,
            ]);
        }
        terminal.table(&table)
    })
}

/// A new password: typed twice at a terminal, or one line of standard input.
fn new_password() -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    let first = rpassword::prompt_password("New password: ")?;
    let second = rpassword::prompt_password("Again: ")?;
    if first == second {
        return Ok(first);
    }
    Err(Failure::new(Kind::Invalid, "the two passwords are not the same"))
}

/// One line of standard input without its end.
fn line() -> Result<String> {
    let mut line = String::new();
    std::io::BufReader::new(std::io::stdin().lock().take(MAX_LINE)).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
