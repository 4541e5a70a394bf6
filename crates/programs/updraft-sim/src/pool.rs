//! The connections that DDI devices share: many devices behind a few connections, as behind a
//! gateway.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::link::{Link, Reuse, Target};
use crate::tally::Tally;
use crate::tls::Connector;

/// Idle connections, and the right to have more.
#[derive(Debug)]
pub(crate) struct Pool {
    target: Arc<Target>,
    connector: Option<Connector>,
    tally: Arc<Tally>,
    reuse: Reuse,
    idle: Mutex<Vec<Link>>,
    permits: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
}

/// A connection for one visit.
#[derive(Debug)]
pub(crate) struct Borrowed {
    pub(crate) link: Link,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(
        target: &Arc<Target>,
        connector: Option<Connector>,
        tally: &Arc<Tally>,
        (reuse, connections, downloads): (Reuse, usize, usize),
    ) -> Self {
        Self {
            target: Arc::clone(target),
            connector,
            tally: Arc::clone(tally),
            reuse,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(connections)),
            downloads: Arc::new(Semaphore::new(downloads)),
        }
    }

    /// Waits for a connection.
    pub(crate) async fn take(&self) -> Option<Borrowed> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let link = idle.unwrap_or_else(|| self.link());
        Some(Borrowed { link, _permit: permit })
    }

    /// A connection is not needed any more.
    pub(crate) fn give(&self, mut borrowed: Borrowed) {
        borrowed.link.end_visit();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(borrowed.link);
    }

    /// A connection of its own for a download, if there are not too many.
    pub(crate) fn for_download(&self) -> Option<Borrowed> {
        let permit = Arc::clone(&self.downloads).try_acquire_owned().ok()?;
        Some(Borrowed { link: self.link(), _permit: permit })
    }

    /// Closes all that are idle.
    pub(crate) fn cut(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn link(&self) -> Link {
        Link::new(&self.target, self.connector.clone(), &self.tally, self.reuse)
    }
}
