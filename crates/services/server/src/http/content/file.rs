//! A part of a file as a body.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use updraft_fs::PageBuffer;

use super::begun::wait;
use crate::contents::Section;
use crate::http::Shared;

/// How much is read at a time: small enough to be in the processor's cache until it is sent.
const PIECE: usize = 128 * 1024;
/// How many buffers wait to be used again.
const SPARE: usize = 2;

/// What an answer carries beside a body that is a part of a file, for whoever can send that better.
#[derive(Debug, Clone)]
pub(in crate::http) struct InFile {
    /// Whose file it is.
    pub(in crate::http) fleet: Shared,
    /// The part.
    pub(in crate::http) section: Section,
}

impl InFile {
    /// Waits until the kernel has a part of it in memory, with so many others at most.
    pub(in crate::http) fn load(&self, part: Section) -> Waiting<()> {
        let fleet = Arc::clone(&self.fleet);
        Box::pin(async move { wait(&fleet, move || part.load()).await })
    }
}

/// What has to be waited for.
pub(in crate::http) type Waiting<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Buffers that were sent and can be filled again: what is new costs the kernel a page each time.
type Spare = Arc<Mutex<Vec<PageBuffer>>>;

/// A part of a file, read by whoever sends it as far as the kernel has it in memory, and elsewhere
/// where the disk has to be waited for.
pub(super) struct FileBody {
    fleet: Shared,
    section: Section,
    spare: Spare,
    reading: Option<Waiting<(Section, PageBuffer)>>,
}

impl FileBody {
    pub(super) fn new(fleet: &Shared, section: Section) -> Self {
        let (fleet, spare) = (Arc::clone(fleet), Spare::default());
        Self { fleet, section, spare, reading: None }
    }

    fn buffer(&self) -> PageBuffer {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| PageBuffer::new(PIECE))
    }

    /// The beginning of a buffer, which comes back when that was sent.
    fn piece(&self, buffer: PageBuffer, used: usize) -> Bytes {
        Bytes::from_owner(Lent { buffer, used, spare: Arc::clone(&self.spare) })
    }

    /// Reads the next piece where waiting is allowed.
    fn read(&self, mut buffer: PageBuffer) -> Waiting<(Section, PageBuffer)> {
        let (fleet, mut section) = (Arc::clone(&self.fleet), self.section.clone());
        Box::pin(async move {
            let work = move || {
                let wanted = usize::try_from(section.left()).unwrap_or(PIECE).min(PIECE);
                io::Read::read_exact(&mut section, buffer.get_mut(..wanted).unwrap_or_default())?;
                Ok((section, buffer))
            };
            wait(&fleet, work).await
        })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.section.left() == 0 {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            let mut buffer = self.buffer();
            match self.section.read_cached(&mut buffer) {
                Ok(Some(used)) => {
                    return Poll::Ready(Some(Ok(Frame::data(self.piece(buffer, used)))));
                }
                Ok(None) => self.reading = Some(self.read(buffer)),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let Some(reading) = &mut self.reading else { return Poll::Pending };
        let read = ready!(reading.as_mut().poll(context));
        self.reading = None;
        Poll::Ready(Some(read.map(|(section, buffer)| {
            let used = self.section.left().saturating_sub(section.left());
            self.section = section;
            Frame::data(self.piece(buffer, usize::try_from(used).unwrap_or(0)))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.section.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.section.left())
    }
}

/// A filled buffer on its way.
struct Lent {
    buffer: PageBuffer,
    used: usize,
    spare: Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}
