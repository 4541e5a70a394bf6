//! The audit log: reading it, and noting what was refused. What is done is noted where it is
//! written, see [`storage::audit`](crate::storage::audit).

use std::sync::{Mutex, PoisonError};

use updraft_api::{AuditEntry, AuditOutcome, AuditQuery, Page};

use super::Fleet;
use crate::error::Result;
use crate::storage::audit::{self, Origin};

/// How many refusals a minute are logged; a flood must not fill the disk.
const REFUSALS_A_MINUTE: u32 = 120;

/// How many refusals were logged in the current minute, and how many were not since the last one
/// that was.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    minute: i64,
    logged: u32,
    passed_over: u64,
}

impl Refusals {
    /// Whether one more is logged, and how many were passed over before it.
    fn admit(&self, second: i64) -> Option<u64> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = second.div_euclid(60);
        if counted.minute != minute {
            counted.minute = minute;
            counted.logged = 0;
        }
        if counted.logged >= REFUSALS_A_MINUTE {
            counted.passed_over = counted.passed_over.saturating_add(1);
            return None;
        }
        counted.logged += 1;
        Some(std::mem::take(&mut counted.passed_over))
    }
}

impl Fleet {
    /// Notes that somebody was refused something, and why.
    pub fn note_refusal(&self, origin: &Origin, reason: String) -> Result<()> {
        let Some(passed_over) = self.refusals.admit(self.now().as_second()) else { return Ok(()) };
        let mut details = vec![reason];
        if passed_over > 0 {
            details.push(format!("{passed_over} refusals before this one are not in the log"));
        }
        self.database.write("note a refusal", |tx| {
            audit::append(tx, origin, "refuse", (AuditOutcome::Refused, details))
        })
    }

    /// One page of the audit log.
    pub fn audit(&self, query: &AuditQuery, page: (u64, u32)) -> Result<Page<AuditEntry>> {
        self.database.read("list the audit log", |reader| audit::list(reader, query, page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_logged() {
        let refusals = Refusals::default();
        let logged = (0..1000).filter(|_| refusals.admit(60).is_some()).count();
        assert_eq!(logged, 120);
        assert_eq!(refusals.admit(120), Some(880));
        assert_eq!(refusals.admit(120), Some(0));
    }
}
