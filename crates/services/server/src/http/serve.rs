//! The connection loop: accept, TLS, HTTP, and an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use updraft_error::Classify as _;

use super::Shared;
use super::callers::{Connection, Shown};
use super::direct::{Direct, Outgoing};
use super::hosts::{Hosts, Misdirected, Tenant};
use super::tenancy::Tenancy;
use super::unmoved::Unmoved;
use super::unread::ReadOut;
use crate::error::{Error, Result};
use crate::fleet::provision::PeerCertificate;
use crate::tenants::Tenants;

/// The largest head of an HTTP/1 request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// How much longer than it worked the rollout planner rests, when devices' reports ask for it: many
/// reports are planned for at once.
const REST: u32 = 4;
/// And at least so long when it was another server's doing, which plans for that itself.
const HEARD_REST: Duration = Duration::from_secs(1);
/// How long to wait after accepting failed, so as not to spin while descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The tenants as they are at any time.
type Current = watch::Receiver<Arc<Hosts>>;

/// Where the server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For TLS.
    pub tls: std::net::TcpListener,
    /// For plain HTTP.
    pub plain: Option<std::net::TcpListener>,
}

impl From<std::net::TcpListener> for Listeners {
    fn from(tls: std::net::TcpListener) -> Self {
        Self { tls, plain: None }
    }
}

/// Serves until `shutdown` ends, then lets running requests end and writes what is in memory.
///
/// # Errors
/// For TLS files that cannot be used, a socket that cannot be, and a last write that failed.
pub async fn serve(
    tenants: impl Into<Tenants>,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    serve_and_look(tenants, listeners, &Notify::new(), shutdown).await
}

/// The same, which looks for tenants that have come or gone, and for new certificates, whenever it is
/// notified by `look`. What others are served goes on meanwhile.
///
/// # Errors
/// As [`serve`].
pub async fn serve_and_look(
    tenants: impl Into<Tenants>,
    listeners: impl Into<Listeners>,
    look: &Notify,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let failed = |source| Error::Io { action: "listen on", path: "the socket".into(), source };
    let take = |listener: std::net::TcpListener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    let listeners: Listeners = listeners.into();
    let listener = take(listeners.tls).map_err(failed)?;
    let plain = listeners.plain.map(take).transpose().map_err(failed)?;
    let mut tenancy = Tenancy::begin(tenants.into())?;
    let (hosts, default) = (tenancy.hosts(), Arc::clone(tenancy.default()));
    let (stop, stopping) = watch::channel(false);
    let sockets = Sockets { tls: listener, plain };
    let connections = {
        let changing = async {
            loop {
                look.notified().await;
                tenancy.look().await;
            }
        };
        tokio::select! {
            connections = accept_until(&default, &hosts, &sockets, &stopping, shutdown) => connections,
            // It never ends by itself.
            () = changing => JoinSet::new(),
        }
    };
    drop(sockets);
    // Nobody listening is fine: then nothing has to be told.
    let _ = stop.send(true);
    tenancy.stop();
    drain(connections, Duration::from_secs(default.config.server.shutdown_sec)).await;
    tenancy.end().await
}

/// Starts what a tenant's server does beside requests.
pub(super) fn work_beside(fleet: &Shared, stopping: &watch::Receiver<bool>) -> [JoinHandle<()>; 4] {
    let start = || (Arc::clone(fleet), stopping.clone());
    let (background_of, background_until) = start();
    let (telling_of, telling_until) = start();
    let (news_of, news_until) = start();
    let (heard_of, heard_until) = start();
    [
        tokio::spawn(background(background_of, background_until)),
        tokio::spawn(super::telling::tell(telling_of, telling_until)),
        tokio::spawn(super::api::event_stream::tell(news_of, news_until)),
        tokio::spawn(super::listening::listen(heard_of, heard_until)),
    ]
}

struct Sockets {
    tls: TcpListener,
    plain: Option<TcpListener>,
}

impl Sockets {
    /// The next connection, and whether it is to be decrypted.
    async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr, bool)> {
        let plain = async {
            match &self.plain {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.tls.accept() => {
                accepted.map(|(stream, peer)| (stream, peer, true))
            }
            accepted = plain => accepted.map(|(stream, peer)| (stream, peer, false)),
        }
    }
}

async fn accept_until(
    fleet: &Shared,
    hosts: &Current,
    sockets: &Sockets,
    stopping: &watch::Receiver<bool>,
    shutdown: impl Future<Output = ()>,
) -> JoinSet<()> {
    let permits = Arc::new(Semaphore::new(fleet.config.limits.connections));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit,
            () = &mut shutdown => break,
        };
        let accepted = tokio::select! {
            accepted = sockets.accept() => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer, is_tls) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let times = Times {
            handshake: fleet.config.handshake_timeout(),
            idle: fleet.config.body_idle_timeout(),
            unmoved: fleet.config.unmoved_timeout(),
        };
        let connection = connection(hosts.clone(), times, (stream, peer, is_tls), stopping.clone());
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
        // Forget those that ended.
        while connections.try_join_next().is_some() {}
    }
    connections
}

/// How long a peer may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    handshake: Duration,
    idle: Duration,
    /// For taking what is sent.
    unmoved: Duration,
}

async fn connection(
    hosts: Current,
    times: Times,
    (stream, peer, is_tls): (TcpStream, SocketAddr, bool),
    stopping: watch::Receiver<bool>,
) {
    // Small answers should not wait for each other; a socket that cannot is still good.
    drop(stream.set_nodelay(true));
    let connection = Connection { from: peer.ip(), is_tls };
    if !is_tls {
        let (stream, outgoing) = Direct::new(stream);
        let outgoing = Some(outgoing);
        let ends = Ends { connection, tenant: None, certificate: None, outgoing };
        return requests(hosts, times, stream, ends, stopping).await;
    }
    let (tenant, stream) = match tokio::time::timeout(times.handshake, shake(&hosts, stream)).await
    {
        Ok(Ok(encrypted)) => encrypted,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "TLS handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!(%peer, "TLS handshake took too long");
            return;
        }
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(|certificate| PeerCertificate::of_der(certificate).ok())
        .map(|certificate| Arc::new(Shown::from(certificate)));
    let ends = Ends { connection, tenant: Some(tenant), certificate, outgoing: None };
    requests(hosts, times, stream, ends, stopping).await;
}

/// Begins to encrypt, as the server of the host that the client names.
async fn shake(
    hosts: &Current,
    stream: TcpStream,
) -> std::io::Result<(Tenant, TlsStream<TcpStream>)> {
    let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    let tenant = hosts.borrow().of_name(begun.client_hello().server_name()).clone();
    let stream = begun.into_stream(Arc::clone(&tenant.tls)).await?;
    Ok((tenant, stream))
}

/// What the two ends of a connection have shown each other.
struct Ends {
    connection: Connection,
    /// Whose certificate the client was shown.
    tenant: Option<Tenant>,
    /// What the client has shown.
    certificate: Option<Arc<Shown>>,
    /// Where files are listed that the kernel sends; none where they have to be encrypted.
    outgoing: Option<Outgoing>,
}

/// Answers the requests of one connection.
async fn requests(
    hosts: Current,
    times: Times,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Ends { connection, tenant, certificate, outgoing }: Ends,
    mut stopping: watch::Receiver<bool>,
) {
    let Times { handshake: timeout, idle: keep_alive, unmoved } = times;
    let mut leaving = tenant.as_ref().map(|tenant| tenant.stopping.clone());
    let shown = tenant.map(|tenant| tenant.fleet);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| Body::new(ReadOut::new(body)));
        request.extensions_mut().insert(super::callers::Peer(certificate.clone()));
        request.extensions_mut().insert(connection);
        super::ota::tell_apart(&mut request);
        super::hawkbit::collapse_slashes(&mut request);
        let outgoing = outgoing.clone().filter(|_| Outgoing::may_answer(&request));
        let hosts = Arc::clone(&hosts.borrow());
        let answer = hosts.of_request(&mut request, shown.as_ref()).map(|tenant| {
            super::acting::answer(Arc::clone(&tenant.fleet), tenant.router.clone(), request)
        });
        async move {
            match answer {
                Ok(answer) => answer.await.map(|response| match outgoing {
                    Some(outgoing) => outgoing.take(response),
                    None => response,
                }),
                Err(Misdirected) => Ok(StatusCode::MISDIRECTED_REQUEST.into_response()),
            }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(keep_alive)
        .keep_alive_timeout(timeout);
    let stream = Unmoved::new(stream, unmoved);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut asked = false;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(peer = %connection.from, %error, "connection ended early");
                }
                return;
            }
            _ = stopping.changed(), if !asked => {
                asked = true;
                serving.as_mut().graceful_shutdown();
            }
            () = left(&mut leaving), if !asked => {
                asked = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Ends when the tenant of a connection is served no longer.
async fn left(leaving: &mut Option<watch::Receiver<bool>>) {
    match leaving {
        Some(leaving) => drop(leaving.changed().await),
        None => std::future::pending().await,
    }
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limit, all).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
        connections.shutdown().await;
    }
}

/// What runs beside requests: the rollout planner, renewing metadata, and writing what is only in
/// memory. Each part is idempotent; a part that failed is tried again the next time.
async fn background(fleet: Shared, mut stopping: watch::Receiver<bool>) {
    let mut flush = tokio::time::interval(Duration::from_secs(fleet.config.devices.flush_sec));
    let mut plan = tokio::time::interval(Duration::from_secs(fleet.config.devices.reconcile_sec));
    let mut rest = tokio::time::Instant::now();
    let mut heard_rest = rest;
    for interval in [&mut flush, &mut plan] {
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        let result = tokio::select! {
            _ = stopping.changed() => return,
            _ = flush.tick() => super::run(&fleet, |fleet| {
                fleet.flush()?;
                fleet.look_for_alerts()?;
                fleet.renew_director_root()?;
                fleet.renew_image_roles()?;
                fleet.renew_image_metadata()?;
                fleet.renew_offline_snapshot()?;
                fleet.prune_metrics()?;
                fleet.prune_logs()?;
                fleet.prune_guesses()?;
                fleet.tell_of_expiries()
            }).await,
            _ = plan.tick() => super::run(&fleet, crate::fleet::Fleet::reconcile).await,
            () = async { tokio::time::sleep_until(rest).await; fleet.kicked().await } => {
                let begun = tokio::time::Instant::now();
                let planned = super::run(&fleet, crate::fleet::Fleet::reconcile).await;
                rest = tokio::time::Instant::now() + begun.elapsed() * REST;
                planned
            }
            () = async {
                tokio::time::sleep_until(heard_rest).await;
                fleet.news.for_planner.notified().await;
            } => {
                let begun = tokio::time::Instant::now();
                let planned = super::run(&fleet, crate::fleet::Fleet::reconcile).await;
                heard_rest = tokio::time::Instant::now() + HEARD_REST.max(begun.elapsed() * REST);
                planned
            }
        };
        if let Err(error) = result {
            let reason = crate::error::chain(&error);
            tracing::error!(reason, kind = %error.kind(), "background work failed");
        }
    }
}
