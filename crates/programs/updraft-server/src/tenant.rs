//! `updraft-server tenant`.

use clap::Subcommand;
use serde::Serialize;
use updraft_server_service::config::TenantConfig;
use updraft_server_service::setup::{self, InitOptions};
use updraft_server_service::{Config, Layout, tenants};
use updraft_terminal::{Result, Table, Terminal};

use crate::cli::{DataFolder, failure};
use crate::places::{DatabaseArguments, StorageArguments};
use crate::system;

/// Add and list tenants: fleets of their own in the same server.
///
/// A tenant has a data folder of its own in tenants/ of the server's: database, keys, certificate
/// authority, users and metadata. What a command does to it is said by --tenant NAME, such as
/// `updraft-server user add ada --role admin --tenant acme`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a tenant. A server that runs serves it from its next SIGHUP on (systemctl reload).
    Add(Box<Add>),
    /// List the tenants.
    List {
        #[command(flatten)]
        data: DataFolder,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Its name: a-z, 0-9 and -.
    name: String,
    /// The name of a host under which its devices and operators reach the server, and that no
    /// other tenant has; may be given several times.
    #[arg(long = "hostname", value_name = "HOST", required = true)]
    hostnames: Vec<String>,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    storage: StorageArguments,
    #[command(flatten)]
    data: DataFolder,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    hostnames: Vec<String>,
    data: String,
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        match &self.action {
            Action::Add(add) => add.run(terminal),
            Action::List { data } => list(terminal, &data.layout()?),
        }
    }
}

impl Add {
    fn run(&self, terminal: &Terminal) -> Result {
        let layout = self.data.layout()?;
        // There has to be a server for it to be in.
        self.data.database()?;
        let name = tenants::checked(&self.name).map_err(failure)?;
        let own = layout.tenant(name);
        let tenant = TenantConfig { name: name.to_owned(), hostnames: self.hostnames.clone() };
        tenants::check_new(&layout, &tenant).map_err(failure)?;
        let options = InitOptions {
            names: self.hostnames.clone(),
            database: self.database.config()?,
            storage: self.storage.config()?,
            tenant,
        };
        setup::init(&own, &options, &system::environment()).map_err(failure)?;
        terminal.say(format!("made the tenant {name} in {}", own.root().display()));
        terminal.say(format!(
            "next: updraft-server user add NAME --role admin --tenant {name}, then systemctl reload updraft-server"
        ));
        Ok(())
    }
}

fn list(terminal: &Terminal, layout: &Layout) -> Result {
    let mut shown = Vec::new();
    for name in tenants::names(layout).map_err(failure)? {
        let own = layout.tenant(&name);
        let config = Config::load(&own.config()).map_err(failure)?;
        let data = own.root().display().to_string();
        shown.push(Shown { name, hostnames: config.tenant.hostnames, data });
    }
    terminal.show(&shown, |shown| {
        let mut table = Table::new(["NAME", "HOSTS", "DATA"]);
        for one in shown {
            table.row([one.name.clone(), one.hostnames.join(" "), one.data.clone()]);
        }
        terminal.table(&table)
    })
}
