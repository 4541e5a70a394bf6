//! [`LastCommand`]: `last_command`, the last command that is done: its number and its line.

use updraft_fs::{Dir, atomic_write};

use crate::Result;

const NAME: &str = "last_command";
/// The longest one that is read, in bytes: that of a command.
const MAX: u64 = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastCommand {
    pub(super) index: usize,
    pub(super) line: String,
}

impl LastCommand {
    /// `None`: there is none, or it is damaged, and nothing is known.
    pub(super) fn read(state: &Dir) -> Result<Option<Self>> {
        let Some(bytes) = state.try_read(NAME, MAX)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        let index = lines.next().and_then(|line| line.parse().ok());
        let (Some(index), Some(line)) = (index, lines.next()) else { return Ok(None) };
        Ok(Some(Self { index, line: line.to_owned() }))
    }

    /// Durable when it returns.
    pub(super) fn write(&self, state: &Dir) -> Result<()> {
        let text = format!("{}\n{}", self.index, self.line);
        Ok(atomic_write(state, NAME, text.as_bytes(), 0o600)?)
    }

    pub(super) fn remove(state: &Dir) -> Result<()> {
        if state.try_unlink(NAME)? {
            state.sync()?;
        }
        Ok(())
    }
}
