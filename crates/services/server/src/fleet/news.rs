//! News: who follows the events, and what tells them that there is something new.
//!
//! A PostgreSQL tells all servers at once that there are new events. Where nothing tells, one look at
//! the database every half second serves all streams, also for what other processes append; without
//! streams nobody looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use updraft_api::{Event, Page};

use super::Fleet;
use crate::error::{Error, Result};
use crate::storage::events::{self, Filter};
use crate::storage::news;

/// The most streams at a time.
pub const MAX_STREAMS: usize = 128;

/// The streams of events.
#[derive(Debug)]
pub(crate) struct News {
    /// The id of the newest event; none once the server ends.
    newest: watch::Sender<Option<u64>>,
    places: Arc<Semaphore>,
    /// Whether the database tells of new events.
    listens: AtomicBool,
    /// There may be something new: for the streams, for subscriptions, and for the planner.
    pub(crate) for_streams: Notify,
    pub(crate) for_subscriptions: Notify,
    pub(crate) for_planner: Notify,
}

impl Default for News {
    fn default() -> Self {
        Self {
            newest: watch::Sender::new(Some(0)),
            places: Arc::new(Semaphore::new(MAX_STREAMS)),
            listens: AtomicBool::new(false),
            for_streams: Notify::new(),
            for_subscriptions: Notify::new(),
            for_planner: Notify::new(),
        }
    }
}

impl News {
    /// A place among the streams, and what tells of new events.
    pub(crate) fn follow(&self) -> Result<(OwnedSemaphorePermit, watch::Receiver<Option<u64>>)> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::TooMany { what: "streams of events", limit: MAX_STREAMS })?;
        Ok((place, self.newest.subscribe()))
    }

    /// Whether anybody wants to know.
    pub(crate) fn is_followed(&self) -> bool {
        self.newest.receiver_count() > 0
    }

    /// The database says that there may be something new.
    pub(crate) fn hear(&self) {
        self.listens.store(true, Ordering::Release);
        for waiting in [&self.for_streams, &self.for_subscriptions, &self.for_planner] {
            waiting.notify_one();
        }
    }

    /// The database tells no more; whether it did.
    pub(crate) fn deafen(&self) -> bool {
        self.listens.swap(false, Ordering::AcqRel)
    }

    /// Whether the database tells of new events.
    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Acquire)
    }

    /// Ends all streams.
    pub(crate) fn end(&self) {
        self.newest.send_replace(None);
    }
}

impl Fleet {
    /// Tells the streams which event is the newest.
    pub fn tell_news(&self) -> Result<()> {
        let newest = self.newest_event()?;
        self.news.newest.send_if_modified(|told| {
            let is_new = told.is_some_and(|told| told != newest);
            if is_new {
                *told = Some(newest);
            }
            is_new
        });
        Ok(())
    }

    /// The id of the newest event; 0 when there is none.
    pub fn newest_event(&self) -> Result<u64> {
        self.database.read("look for events", news::newest)
    }

    /// What happened, newest first.
    pub fn newest_events(
        &self,
        filter: Filter<'_>,
        kind: Option<&str>,
        before: u64,
        limit: u32,
    ) -> Result<Page<Event>> {
        self.database
            .read("list events", |reader| news::before(reader, filter, kind, before, limit))
    }

    /// What happened after an event, oldest first.
    pub fn news_since(&self, after: u64, limit: u32) -> Result<Vec<Event>> {
        let page = self
            .database
            .read("list events", |reader| events::list(reader, Filter::default(), after, limit))?;
        Ok(page.items)
    }
}
