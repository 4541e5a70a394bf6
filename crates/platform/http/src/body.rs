//! Bodies of requests and of responses.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use updraft_task::Context;

use crate::pace::Pace;
use crate::{Error, LowSpeed, Result, waiting};

/// Opens the body of a request, once for each attempt.
pub type OpenBody = Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>;

/// What a request carries.
#[derive(Clone, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// `length` bytes from a reader that can be opened again.
    Reader {
        /// Exactly how many bytes the reader gives.
        length: u64,
        /// Opens it.
        open: OpenBody,
    },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Reader { length, .. } => write!(f, "Reader({length})"),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// The body of a response, as it arrives.
pub struct BodyReader {
    ctx: Context,
    inner: Box<dyn Read + Send + Sync>,
    url: Arc<str>,
    low_speed: LowSpeed,
    pace: Option<Arc<Pace>>,
    window: (Instant, u64),
    received: u64,
    expected: Option<u64>,
}

impl BodyReader {
    /// What `inner` gives, for the work of `ctx`: its waits end when that is cancelled.
    pub(crate) fn new(
        ctx: &Context,
        inner: Box<dyn Read + Send + Sync>,
        url: Arc<str>,
        expected: Option<u64>,
    ) -> Self {
        Self {
            ctx: ctx.clone(),
            inner,
            url,
            low_speed: LowSpeed::default(),
            pace: None,
            window: (Instant::now(), 0),
            received: 0,
            expected,
        }
    }

    /// Read neither slower nor faster than this.
    pub(crate) fn paced(self, low_speed: LowSpeed, pace: Option<Arc<Pace>>) -> Self {
        Self { low_speed, pace, ..self }
    }

    /// The announced length, when there is one.
    pub fn expected_length(&self) -> Option<u64> {
        self.expected
    }

    /// Reads on, with this crate's error.
    pub(crate) fn read_typed(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let interrupted =
            |received, source| Error::Interrupted { url: self.url.to_string(), received, source };
        let largest = self.pace.as_ref().map_or(usize::MAX, |pace| pace.largest_read());
        let length = buffer.len().min(largest);
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        let read = loop {
            match waiting::within(&self.ctx, || self.inner.read(buffer)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // A wait that was cancelled ends as any that fails.
                    self.ctx.is_open()?;
                    return Err(interrupted(self.received, error));
                }
                Ok(read) => break read,
            }
        };
        if read == 0
            && !buffer.is_empty()
            && self.expected.is_some_and(|expected| self.received < expected)
        {
            return Err(interrupted(self.received, io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(pace) = &self.pace {
            pace.count(read);
        }
        self.received += read as u64;
        self.window.1 += read as u64;
        self.check_speed()?;
        Ok(read)
    }

    fn check_speed(&mut self) -> Result<()> {
        if self.low_speed.bytes_per_second == 0 {
            return Ok(());
        }
        // Looking at the clock for every read of a fast transfer would cost more than it tells.
        let enough = self.low_speed.bytes_per_second.saturating_mul(self.low_speed.time.as_secs());
        if self.window.1 >= enough {
            self.window = (Instant::now(), 0);
        } else if self.window.0.elapsed() >= self.low_speed.time {
            return Err(Error::TooSlow {
                url: self.url.to_string(),
                bytes_per_second: self.low_speed.bytes_per_second,
                seconds: self.low_speed.time.as_secs(),
            });
        }
        Ok(())
    }

    /// Reads the rest; more than `limit` bytes are an error.
    pub fn read_all(&mut self, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes, limit)?;
        Ok(bytes)
    }

    /// Reads the rest after what `bytes` holds already; more than `limit` bytes in all are an
    /// error. What came before an error stays in `bytes`.
    pub(crate) fn read_into(&mut self, bytes: &mut Vec<u8>, limit: u64) -> Result<()> {
        let too_large = || Error::TooLarge { url: self.url.to_string(), limit };
        let before = bytes.len() as u64;
        if self.expected.is_some_and(|expected| before.saturating_add(expected) > limit) {
            return Err(too_large());
        }
        let mut chunk = [0; 16 << 10];
        loop {
            let read = self.read_typed(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            if (bytes.len() as u64).saturating_add(read as u64) > limit {
                return Err(Error::TooLarge { url: self.url.to_string(), limit });
            }
            bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_typed(buffer).map_err(io::Error::other)
    }
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyReader").field("received", &self.received).finish_non_exhaustive()
    }
}
