//! `updraft-server run`.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use updraft_error::{Classify, Kind};
use updraft_server_service::config::TenantConfig;
use updraft_server_service::{Config, Tenants, http};
use updraft_terminal::{Failure, Result};

use crate::cli::{DataFolder, failure};
use crate::{logging, notify, system};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    data: DataFolder,
    /// Address and port to listen on, instead of `server.listen` of the configuration. Port 0
    /// takes a free one; with --json the first line of output tells which.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Address and port to listen on for plain HTTP, too, instead of `server.listen_plain`.
    #[arg(long, value_name = "ADDR:PORT")]
    listen_plain: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Listening {
    listening: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    listening_plain: Option<SocketAddr>,
}

impl Arguments {
    pub(crate) fn run(&self, json: bool, no_color: bool) -> Result {
        logging::start(no_color)?;
        updraft_crypto::install_tls_provider();
        let layout = self.data.layout()?;
        let config = Config::load(&layout.config()).map_err(failure)?;
        let listen = self.listen.unwrap_or(config.server.listen);
        let listen_plain = self.listen_plain.or(config.server.listen_plain);
        // Held until the end, and with it the locks of the data folders.
        let tenants = Tenants::open(&layout, config, &system::environment()).map_err(failure)?;
        // Before anybody is told that the server listens.
        for fleet in tenants.all() {
            http::check_tls(&fleet.layout).map_err(failure)?;
        }
        let hint = "choose another address with --listen, or end what uses this one";
        let listener = bind(listen, hint)?;
        let address = listener.local_addr()?;
        let hint = "choose another address in server.listen_plain, or end what uses this one";
        let plain = listen_plain.map(|address| bind(address, hint)).transpose()?;
        let plain_address = plain.as_ref().map(TcpListener::local_addr).transpose()?;
        if json {
            let listening = Listening { listening: address, listening_plain: plain_address };
            let line =
                serde_json::to_string(&listening).map_err(|error| Failure::of(Kind::Bug, error))?;
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        if let Some(address) = plain_address {
            tracing::info!("listening on http://{address}, which protects nothing by itself");
        }
        for fleet in tenants.others.iter().map(|tenant| &tenant.fleet) {
            let TenantConfig { name, hostnames } = &fleet.config.tenant;
            tracing::info!(tenant = name, hosts = hostnames.join(" "), "serving a tenant");
        }
        tracing::info!(data = %layout.root().display(), "listening on https://{address}");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(tenants, http::Listeners { tls: listener, plain }))
    }
}

fn bind(address: SocketAddr, hint: &str) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let kind = error_kind(&error);
        Failure::of(kind, error).context(format!("failed to listen on {address}")).hint(hint)
    })
}

async fn serve(tenants: Tenants, listeners: http::Listeners) -> Result {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notify::notify("STOPPING=1");
        tracing::info!("ending; running requests may finish");
    };
    notify::notify("READY=1");
    let look = Notify::new();
    let hearing = async {
        while hangup.recv().await.is_some() {
            tracing::info!("looking for tenants and certificates");
            look.notify_one();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = http::serve_and_look(tenants, listeners, &look, shutdown) => served.map_err(failure),
        () = hearing => Ok(()),
    }
}

fn error_kind(error: &std::io::Error) -> Kind {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => Kind::Unavailable,
        _ => Classify::kind(error),
    }
}
