//! Receiving bodies, bounded in size and in patience.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{Shared, run};
use crate::error::{Error, Result};
use crate::fleet::Fleet;

/// How many pieces of a body may wait for the disk.
const PIECES_IN_FLIGHT: usize = 16;

/// The whole body, up to `limit` bytes.
pub(crate) async fn bytes(
    body: Body,
    what: &'static str,
    limit: u64,
    idle: Duration,
) -> Result<Vec<u8>> {
    let mut pieces = Pieces::new(body, what, limit, idle);
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// The whole body as JSON.
pub(crate) async fn json<T: DeserializeOwned>(
    fleet: &Shared,
    body: Body,
    what: &'static str,
) -> Result<T> {
    let limit = fleet.config.limits.body_bytes;
    let bytes = bytes(body, what, limit, fleet.config.body_idle_timeout()).await?;
    serde_json::from_slice(&bytes).map_err(|error| Error::invalid(what, error))
}

/// Hands the body, piece by piece, to work that reads it where waiting is allowed.
pub(crate) async fn stream<T: Send + 'static>(
    fleet: &Shared,
    body: Body,
    what: &'static str,
    work: impl FnOnce(&Fleet, &mut dyn Read) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
    let limits = &fleet.config.limits;
    let mut pieces = Pieces::new(body, what, limits.upload_bytes, fleet.config.body_idle_timeout());
    let working =
        run(fleet, move |fleet| work(fleet, &mut PieceReader { receiver, current: Bytes::new() }));
    let feeding = async move {
        loop {
            match pieces.next().await {
                Ok(Some(piece)) => {
                    // Nobody reading any more means that the work has ended.
                    if sender.send(Ok(piece)).await.is_err() {
                        return None;
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    let message = std::io::Error::other(error.to_string());
                    drop(sender.send(Err(message)).await);
                    return Some(error);
                }
            }
        }
    };
    let (result, fed) = tokio::join!(working, feeding);
    // A body that broke off is the cause, whatever the work made of it.
    match fed {
        Some(error) => Err(error),
        None => result,
    }
}

struct Pieces {
    body: Body,
    what: &'static str,
    limit: u64,
    received: u64,
    idle: Duration,
}

impl Pieces {
    fn new(body: Body, what: &'static str, limit: u64, idle: Duration) -> Self {
        Self { body, what, limit, received: 0, idle }
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let what = self.what;
        let broken = |reason: String| Error::Receive { what, reason };
        loop {
            let frame = tokio::time::timeout(self.idle, self.body.frame())
                .await
                .map_err(|_| broken("nothing came for too long".to_owned()))?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| broken(error.to_string()))?;
            // Trailers mean nothing to us.
            let Ok(piece) = frame.into_data() else { continue };
            self.received = self.received.saturating_add(piece.len() as u64);
            if self.received > self.limit {
                return Err(Error::TooLarge { what, limit: self.limit });
            }
            return Ok(Some(piece));
        }
    }
}

struct PieceReader {
    receiver: mpsc::Receiver<std::io::Result<Bytes>>,
    current: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        let piece = self.current.split_to(count);
        buffer
            .get_mut(..count)
            .ok_or_else(|| std::io::Error::other("a buffer shrank"))?
            .copy_from_slice(&piece);
        Ok(count)
    }
}
