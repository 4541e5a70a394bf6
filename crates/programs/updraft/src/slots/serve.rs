//! `updraft slots serve`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use updraft_slots_page::{SlotsPage, TOKEN_FILE, page_token};
use updraft_terminal::{Result, ResultExt as _, Terminal};

use super::device::DeviceOptions;

/// How long Ctrl-C may go unheard.
const NOTICE: Duration = Duration::from_millis(100);

/// Serve a page for a browser on this device that shows and does what these commands do.
///
/// It listens on loopback only, and answers whoever has the token, which is made once and kept in
/// `page-token` in the state folder. What may be applied there is what `updates` lists. Its requests
/// are the local API (JSON, below /api/v1), described in the guide's page "Updating slots".
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen: an address of loopback, and a port; 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8484")]
    listen: SocketAddr,
}

#[derive(Serialize)]
struct Served {
    url: String,
    token_file: String,
}

impl Serve {
    pub(super) fn run(&self, device: &DeviceOptions, terminal: &Terminal) -> Result {
        let engine = device.open()?;
        let folder = engine.config().state.clone();
        let token = page_token(&folder)?;
        let page = SlotsPage::start(engine, self.listen, token.clone())
            .hint("`--listen 127.0.0.1:0` takes a port that is free")?;
        let served = Served {
            url: format!("http://{}/", page.address()),
            token_file: folder.join(TOKEN_FILE).display().to_string(),
        };
        terminal.show(&served, |served| {
            if std::io::stdout().is_terminal() {
                return terminal.line(format!("{}#{token}", served.url));
            }
            // What is no terminal may be a log, where no secret belongs.
            terminal.line(format!("{} with the token in {}", served.url, served.token_file))
        })?;
        while !terminal.context.cancel.is_cancelled() {
            std::thread::sleep(NOTICE);
        }
        Ok(())
    }
}
