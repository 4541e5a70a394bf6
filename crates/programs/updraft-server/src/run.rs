//! `updraft-server run`.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use updraft_error::{Classify, Kind};
use updraft_server_service::{Config, Fleet, http, setup};
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
}

#[derive(Serialize)]
struct Listening {
    listening: SocketAddr,
}

impl Arguments {
    pub(crate) fn run(&self, json: bool, no_color: bool) -> Result {
        logging::start(no_color)?;
        updraft_crypto::install_tls_provider();
        let layout = self.data.layout();
        let config = Config::load(&layout.config()).map_err(failure)?;
        let listen = self.listen.unwrap_or(config.server.listen);
        // Held until the end.
        let _lock = setup::lock(&layout).map_err(failure)?;
        let fleet = Fleet::open(layout, config, system::environment()).map_err(failure)?;
        // Before anybody is told that the server listens.
        http::check_tls(&fleet.layout).map_err(failure)?;
        let listener = TcpListener::bind(listen).map_err(|error| {
            let kind = error_kind(&error);
            Failure::of(kind, error)
                .context(format!("failed to listen on {listen}"))
                .hint("choose another address with --listen, or end what uses this one")
        })?;
        let address = listener.local_addr()?;
        if json {
            let line = serde_json::to_string(&Listening { listening: address })
                .map_err(|error| Failure::of(Kind::Bug, error))?;
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        tracing::info!(data = %fleet.layout.root().display(), "listening on https://{address}");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(Arc::new(fleet), listener))
    }
}

async fn serve(fleet: Arc<Fleet>, listener: TcpListener) -> Result {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notify::notify("STOPPING=1");
        tracing::info!("ending; running requests may finish");
    };
    notify::notify("READY=1");
    http::serve(fleet, listener, shutdown).await.map_err(failure)
}

fn error_kind(error: &std::io::Error) -> Kind {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => Kind::Unavailable,
        _ => Classify::kind(error),
    }
}
