//! [`HttpSource`]: a payload on a server, by itself or stored in an OTA package, read by ranges.

use std::io::{self, Read};

use updraft_http::{Client, StreamOptions};
use updraft_task::Context;

use crate::{Error, Result, Source};

/// A payload on a server. Connections that break are gone on from where they broke.
pub struct HttpSource {
    context: Context,
    client: Client,
    url: String,
    offset: u64,
    size: Option<u64>,
}

/// The largest payload that is read, where nobody says how large it is.
const MAX_PAYLOAD: u64 = 1 << 40;

impl HttpSource {
    /// A payload at this offset of `url`, of this size; without one, up to the end.
    #[must_use]
    pub fn new(
        context: Context,
        client: Client,
        url: impl Into<String>,
        offset: u64,
        size: Option<u64>,
    ) -> Self {
        Self { context, client, url: url.into(), offset, size }
    }
}

impl Source for HttpSource {
    fn open(&mut self, offset: u64) -> Result<Box<dyn Read + '_>> {
        let failed = |error| Error::read("the payload")(io::Error::other(error));
        let start = self.offset.saturating_add(offset);
        let options = StreamOptions { limit: MAX_PAYLOAD, offset: start };
        let stream = self.client.stream(&self.context, &self.url, options).map_err(failed)?;
        let stream = stream.ok_or_else(|| {
            let (url, status, detail) = (self.url.clone(), 404, None);
            failed(updraft_http::Error::Status { url, status, detail })
        })?;
        match self.size {
            Some(size) => Ok(Box::new(stream.take(size.saturating_sub(offset)))),
            None => Ok(Box::new(stream)),
        }
    }

    fn size(&self) -> Option<u64> {
        self.size
    }
}
