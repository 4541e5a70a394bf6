//! What the server is given from outside: the time and randomness.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::contents::AccessKey;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes fit for secrets.
pub trait Random: Send + Sync {
    /// Fills `bytes`; fails only when the system has none to give.
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()>;
}

/// The time and randomness that a server runs with.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub random: Arc<dyn Random>,
    /// The access key for a bucket, where the configuration names no file with one.
    pub access_key: Option<AccessKey>,
}

impl Environment {
    /// The time now, in whole milliseconds as the database keeps it.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> std::io::Result<Uuid> {
        let mut bytes = [0_u8; 16];
        self.random.fill(&mut bytes)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// 32 random bytes in lower hex.
    pub fn secret(&self) -> std::io::Result<String> {
        let mut bytes = [0_u8; 32];
        self.random.fill(&mut bytes)?;
        Ok(hex::encode(bytes))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
