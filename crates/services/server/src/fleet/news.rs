//! News: who follows the events, and what tells them that there is something new.
//!
//! One look at the database every half second serves all streams, also for what other processes
//! append; without streams nobody looks.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
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
}

impl Default for News {
    fn default() -> Self {
        Self { newest: watch::Sender::new(Some(0)), places: Arc::new(Semaphore::new(MAX_STREAMS)) }
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
