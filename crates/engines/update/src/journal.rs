//! Where the one current transaction is remembered.

use crate::{Error, Record, StepError};

/// Holds at most one [`Record`].
pub trait Journal {
    /// The record, if there is one. A finished one stays until it is replaced or cleared.
    fn load(&mut self) -> Result<Option<Record>, StepError>;
    /// Replaces the record. Durable and atomic: after a crash there is the old or the new one.
    fn store(&mut self, record: &Record) -> Result<(), StepError>;
    /// Forgets the record.
    fn clear(&mut self) -> Result<(), StepError>;
}

/// A journal for tests and for installers that need none to survive. Keeps the encoded form, so
/// that it exercises the same code as a persistent one.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal(Option<Vec<u8>>);

impl Journal for MemoryJournal {
    fn load(&mut self) -> Result<Option<Record>, StepError> {
        self.0.as_deref().map(Record::decode).transpose().map_err(StepError::new)
    }

    fn store(&mut self, record: &Record) -> Result<(), StepError> {
        self.0 = Some(record.encode());
        Ok(())
    }

    fn clear(&mut self) -> Result<(), StepError> {
        self.0 = None;
        Ok(())
    }
}

pub(crate) fn store(journal: &mut dyn Journal, record: &Record) -> Result<(), Error> {
    journal.store(record).map_err(|source| Error::Journal { operation: "write", source })
}

pub(crate) fn load(journal: &mut dyn Journal) -> Result<Option<Record>, Error> {
    let record = journal.load().map_err(|source| Error::Journal { operation: "read", source })?;
    if let Some(record) = &record {
        record.check()?;
    }
    Ok(record)
}
