//! `/api/v1/events/stream`: events as they happen, as server-sent events.
//!
//! ```text
//! id: 42
//! event: device_assigned
//! data: {"id":42,"at":…,"kind":"device_assigned",…}
//! ```
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. A reader that is too
//! slow is dropped, and comes back with the id of the last event it had.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout};
use updraft_api::{Event, Problem as ProblemBody, paths};
use updraft_error::Classify as _;
use utoipa::IntoParams;

use super::{Asked, by_number};
use crate::error::Result;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::{Shared, run};
use crate::storage::values;

/// How often the database is looked at for all streams, where it does not tell;
const LOOK: Duration = Duration::from_millis(500);
/// and where it does.
const SELDOM: Duration = Duration::from_secs(10);
/// Looks that the database asks for are no nearer together: many commits are seen with one.
const BETWEEN: Duration = Duration::from_millis(20);
/// A line that says nothing comes this often, so that proxies see that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A reader that takes nothing for so long is dropped, or after `limits.unmoved_sec`.
const SLOW: Duration = Duration::from_secs(30);
/// A stream ends after this; whoever resumes it has to show again who they are.
const LONGEST: Duration = Duration::from_mins(15);
/// How long a reader should wait before it comes back.
const RETRY_MS: u32 = 2000;
/// Events that are read at once.
const BATCH: u32 = 50;
/// Pieces that may wait for a reader, and from how many bytes on a piece is not made longer: a reader
/// that is slow costs no more memory than that, and the events of one look.
const WAITING: usize = 2;
const PIECE: usize = 32 << 10;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// From where on.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// The id of the last event seen; absent for what happens from now on. The header
    /// `Last-Event-ID` says the same and comes first.
    #[serde(default)]
    #[param(pattern = "^[0-9]{0,18}$")]
    after: Option<String>,
}

/// Tells what happens, as it happens, as server-sent events: `id` is that of the event, `event` its
/// kind, `data` the event. Ends after some minutes; resume it with `Last-Event-ID`.
#[utoipa::path(get, path = paths::EVENT_STREAM, tag = "events", operation_id = "follow_events",
    params(StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen")),
    responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn follow(
    State(fleet): State<Shared>,
    _: Token,
    headers: HeaderMap,
    Asked(query): Asked<StreamQuery>,
) -> Result<Response, Problem> {
    let last = match headers.get(LAST_EVENT_ID) {
        Some(value) => Some(value.to_str().unwrap_or("?").to_owned()),
        None => query.after,
    };
    let (place, newest) = fleet.news.follow()?;
    let after = match last.as_deref() {
        None | Some("") => run(&fleet, crate::fleet::Fleet::newest_event).await?,
        after => by_number(after, None)?.0,
    };
    let (sender, body) = Channel::<Bytes, std::convert::Infallible>::new(WAITING);
    let stream = Stream { fleet, sender, newest, after, _place: place };
    tokio::spawn(stream.run());
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(body)).into_response())
}

struct Stream {
    fleet: Shared,
    sender: Sender<Bytes>,
    newest: watch::Receiver<Option<u64>>,
    after: u64,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    async fn run(mut self) {
        let end = Instant::now() + LONGEST;
        // The id without data: a reader that is told of nothing knows where to resume, too.
        let hello = format!("retry: {RETRY_MS}\nid: {}\n\n", self.after);
        if !self.send(hello).await {
            return;
        }
        while Instant::now() < end {
            match self.pass_on().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let reason = crate::error::chain(&error);
                    tracing::error!(reason, kind = %error.kind(), "a stream of events ended");
                    return;
                }
            }
            match timeout(KEEP_ALIVE, self.newest.changed()).await {
                Ok(Ok(())) if self.newest.borrow().is_some() => {}
                // The server ends.
                Ok(_) => return,
                Err(_) => {
                    if !self.send(":\n\n".to_owned()).await {
                        return;
                    }
                }
            }
        }
    }

    /// Passes on all that is new; false when the reader is gone or too slow.
    async fn pass_on(&mut self) -> Result<bool> {
        loop {
            let after = self.after;
            let events = run(&self.fleet, move |fleet| fleet.news_since(after, BATCH)).await?;
            let Some(last) = events.last() else { return Ok(true) };
            self.after = last.id;
            let whole = events.len() < BATCH as usize;
            let mut piece = String::new();
            for event in events {
                piece.push_str(&written(&event)?);
                if piece.len() >= PIECE && !self.send(std::mem::take(&mut piece)).await {
                    return Ok(false);
                }
            }
            if !piece.is_empty() && !self.send(piece).await {
                return Ok(false);
            }
            if whole {
                return Ok(true);
            }
        }
    }

    async fn send(&mut self, text: String) -> bool {
        let patience = SLOW.min(self.fleet.config.unmoved_timeout());
        matches!(timeout(patience, self.sender.send_data(Bytes::from(text))).await, Ok(Ok(())))
    }
}

/// An event in the form of the stream. JSON has no line ends.
fn written(event: &Event) -> Result<String> {
    let data = values::json("an event", event)?;
    Ok(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, values::word(event.kind)))
}

/// Looks for what is new, for all streams, until the server ends.
pub(crate) async fn tell(fleet: Shared, mut stopping: watch::Receiver<bool>) {
    loop {
        let pause = if fleet.news.listens() { SELDOM } else { LOOK };
        tokio::select! {
            _ = stopping.changed() => return,
            () = tokio::time::sleep(pause) => {}
            () = fleet.news.for_streams.notified() => tokio::time::sleep(BETWEEN).await,
        }
        if !fleet.news.is_followed() {
            continue;
        }
        if let Err(error) = run(&fleet, crate::fleet::Fleet::tell_news).await {
            let reason = crate::error::chain(&error);
            tracing::error!(reason, kind = %error.kind(), "looking for events failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::written;
    use updraft_api::{Event, EventKind};

    #[test]
    fn an_event_is_written_in_one_piece() {
        let event = Event {
            id: 7,
            at: jiff::Timestamp::UNIX_EPOCH,
            kind: EventKind::GroupCreated,
            actor: "token:a".to_owned(),
            device: None,
            rollout: None,
            message: "two\nlines".to_owned(),
            data: None,
        };
        assert_eq!(
            written(&event).expect("written"),
            "id: 7\nevent: group_created\ndata: {\"id\":7,\"at\":\"1970-01-01T00:00:00Z\",\
             \"kind\":\"group_created\",\"actor\":\"token:a\",\"message\":\"two\\nlines\"}\n\n"
        );
    }
}
