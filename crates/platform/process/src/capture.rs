//! Reading what a program prints, up to a limit.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// What a program printed to one of its outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The bytes that were kept.
    pub bytes: Vec<u8>,
    /// Whether there were more than the limit allows.
    pub truncated: bool,
}

impl Captured {
    /// As text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Collects from a pipe in a thread of its own until everybody closed the other end.
#[derive(Debug)]
pub(crate) struct Collector {
    kept: Arc<Mutex<Captured>>,
    thread: std::thread::JoinHandle<()>,
}

impl Collector {
    pub(crate) fn start(mut pipe: impl Read + Send + 'static, limit: usize) -> Self {
        let kept = Arc::new(Mutex::new(Captured::default()));
        let shared = kept.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => keep(&shared, buffer.get(..read).unwrap_or_default(), limit),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        });
        Self { kept, thread }
    }

    /// Whether the pipe is closed.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// What has come so far.
    pub(crate) fn take(self) -> Captured {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn keep(kept: &Mutex<Captured>, read: &[u8], limit: usize) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let room = limit.saturating_sub(kept.bytes.len());
    kept.bytes.extend_from_slice(read.get(..room.min(read.len())).unwrap_or_default());
    kept.truncated |= read.len() > room;
}
