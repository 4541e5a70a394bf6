//! The connection loop: accept, TLS, HTTP, and an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use updraft_error::Classify as _;

use super::callers::{Connection, Shown};
use super::unread::ReadOut;
use super::{Shared, router, tls};
use crate::error::{Error, Result};
use crate::fleet::provision::PeerCertificate;

/// The largest head of an HTTP/1 request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// How much longer than it worked the rollout planner rests, when devices' reports ask for it: many
/// reports are planned for at once.
const REST: u32 = 4;
/// How long to wait after accepting failed, so as not to spin while descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    fleet: Shared,
    listeners: impl Into<Listeners>,
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
    let acceptor = TlsAcceptor::from(tls::configuration(&fleet.layout)?);
    let (stop, stopping) = watch::channel(false);
    let background = tokio::spawn(background(Arc::clone(&fleet), stopping.clone()));
    let telling = tokio::spawn(super::telling::tell(Arc::clone(&fleet), stopping.clone()));
    let news = tokio::spawn(super::api::event_stream::tell(Arc::clone(&fleet), stopping.clone()));
    let sockets = Sockets { tls: listener, acceptor, plain };
    let connections = accept_until(&fleet, &sockets, &stopping, shutdown).await;
    drop(sockets);
    // Nobody listening is fine: then nothing has to be told.
    let _ = stop.send(true);
    fleet.news.end();
    drain(connections, Duration::from_secs(fleet.config.server.shutdown_sec)).await;
    drop((background.await, telling.await, news.await));
    super::run(&fleet, crate::fleet::Fleet::flush).await
}

struct Sockets {
    tls: TcpListener,
    acceptor: TlsAcceptor,
    plain: Option<TcpListener>,
}

impl Sockets {
    /// The next connection, and with what it is to be decrypted.
    async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr, Option<TlsAcceptor>)> {
        let plain = async {
            match &self.plain {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.tls.accept() => {
                accepted.map(|(stream, peer)| (stream, peer, Some(self.acceptor.clone())))
            }
            accepted = plain => accepted.map(|(stream, peer)| (stream, peer, None)),
        }
    }
}

async fn accept_until(
    fleet: &Shared,
    sockets: &Sockets,
    stopping: &watch::Receiver<bool>,
    shutdown: impl Future<Output = ()>,
) -> JoinSet<()> {
    let permits = Arc::new(Semaphore::new(fleet.config.limits.connections));
    let router = router(Arc::clone(fleet));
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
        let (stream, peer, acceptor) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection =
            connection(Arc::clone(fleet), acceptor, router.clone(), stream, peer, stopping.clone());
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
        // Forget those that ended.
        while connections.try_join_next().is_some() {}
    }
    connections
}

async fn connection(
    fleet: Shared,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    stopping: watch::Receiver<bool>,
) {
    // Small answers should not wait for each other; a socket that cannot is still good.
    drop(stream.set_nodelay(true));
    let Some(acceptor) = acceptor else {
        let connection = Connection { from: peer.ip(), is_tls: false };
        return requests(fleet, router, stream, (connection, None), stopping).await;
    };
    let timeout = fleet.config.handshake_timeout();
    let stream = match tokio::time::timeout(timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
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
    let connection = Connection { from: peer.ip(), is_tls: true };
    requests(fleet, router, stream, (connection, certificate), stopping).await;
}

/// Answers the requests of one connection. The certificate is what the peer showed.
async fn requests(
    fleet: Shared,
    router: Router,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (connection, shown): (Connection, Option<Arc<Shown>>),
    mut stopping: watch::Receiver<bool>,
) {
    let timeout = fleet.config.handshake_timeout();
    let keep_alive = fleet.config.body_idle_timeout();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| Body::new(ReadOut::new(body)));
        request.extensions_mut().insert(super::callers::Peer(shown.clone()));
        request.extensions_mut().insert(connection);
        super::ota::tell_apart(&mut request);
        super::hawkbit::collapse_slashes(&mut request);
        super::acting::answer(Arc::clone(&fleet), router.clone(), request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(timeout).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(keep_alive)
        .keep_alive_timeout(timeout);
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
        }
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
                fleet.tell_of_expiries()
            }).await,
            _ = plan.tick() => super::run(&fleet, crate::fleet::Fleet::reconcile).await,
            () = async { tokio::time::sleep_until(rest).await; fleet.kicked().await } => {
                let begun = tokio::time::Instant::now();
                let planned = super::run(&fleet, crate::fleet::Fleet::reconcile).await;
                rest = tokio::time::Instant::now() + begun.elapsed() * REST;
                planned
            }
        };
        if let Err(error) = result {
            let reason = crate::error::chain(&error);
            tracing::error!(reason, kind = %error.kind(), "background work failed");
        }
    }
}
