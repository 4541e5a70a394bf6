//! [`SlotsPage`]: listens, and answers on a thread for each connection.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use updraft_slots::Engine;

use crate::Error;
use crate::access::Access;
use crate::api::Api;
use crate::connection::serve;
use crate::work::Work;

/// The most connections at a time; a browser has six. What comes beyond is closed.
const MAX_CONNECTIONS: usize = 32;
/// After an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The page of a device's slots, served until it is dropped.
pub struct SlotsPage {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    access: Access,
    api: Api,
    connections: AtomicUsize,
    is_over: AtomicBool,
}

impl SlotsPage {
    /// Serves the page of this engine on a loopback address to whoever has the token; with port 0 on
    /// a port that is free.
    ///
    /// # Errors
    /// When the address is not of loopback, or cannot be listened on.
    pub fn start(engine: Engine, listen: SocketAddr, token: String) -> Result<Self, Error> {
        if !listen.ip().is_loopback() {
            return Err(Error::NotLoopback(listen));
        }
        let failed = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            access: Access::new(address, token),
            api: Api { engine: Arc::new(engine), work: Work::default() },
            connections: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        let accepting = std::thread::Builder::new()
            .name("slots-page".to_owned())
            .spawn(move || accepting.accept(&listener))
            .map_err(failed)?;
        tracing::info!(%address, "serving the slots' page");
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SlotsPage {
    /// What is being applied stops, and can be gone on with.
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes up who accepts. When that fails nobody does.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
        self.shared.api.work.stop();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else {
                std::thread::sleep(PAUSE);
                continue;
            };
            let Some(place) = Place::take(self.clone()) else { continue };
            let thread = std::thread::Builder::new().name("slots-page".to_owned());
            let spawned = thread.spawn(move || {
                if let Err(error) = serve(stream, &place.0.access, &place.0.api) {
                    tracing::debug!(%error, "a connection to the slots' page broke");
                }
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "a request to the slots' page is not answered");
            }
        }
    }
}

/// One of the connections that there may be.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: Arc<Shared>) -> Option<Self> {
        let before = shared.connections.fetch_add(1, Ordering::AcqRel);
        // Dropped, it is given back.
        let place = Self(shared);
        (before < MAX_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}
