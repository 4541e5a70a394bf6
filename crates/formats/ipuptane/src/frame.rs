//! Finding where a message ends, as its bytes arrive.

use crate::Error;
use crate::tlv::{CHOICE, Head, NUMBER};

/// How deep values of indefinite length may be nested.
const MAX_OPEN: usize = 8;

/// Whether a message is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Incomplete,
    /// The message has this many bytes.
    Complete(usize),
}

/// Looks at the bytes of one message as they come, each of them once.
#[derive(Debug, Clone)]
pub struct Framer {
    limit: usize,
    position: usize,
    open: usize,
}

impl Framer {
    /// For a message of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, position: 0, open: 0 }
    }

    /// Whether the message that begins `bytes` is complete. `bytes` holds everything that has come
    /// so far: what an earlier call saw, and more.
    ///
    /// # Errors
    /// [`Error::TooLong`] as soon as its length is known; others when it is none of BER.
    pub fn look(&mut self, bytes: &[u8]) -> Result<Progress, Error> {
        loop {
            if self.position > self.limit {
                return Err(Error::TooLong { limit: self.limit });
            }
            if self.position > 0 && self.open == 0 {
                let complete = self.position <= bytes.len();
                let whole = Progress::Complete(self.position);
                return Ok(if complete { whole } else { Progress::Incomplete });
            }
            let Some(rest) = bytes.get(self.position..) else { return Ok(Progress::Incomplete) };
            // Whoever speaks another protocol is not waited for.
            if self.position == 0 && rest.first().is_some_and(|tag| tag & !NUMBER != CHOICE) {
                return Err(Error::malformed("message", "it has another type"));
            }
            let Some(head) = Head::read(rest)? else { return Ok(Progress::Incomplete) };
            if head.is_end() {
                self.open = self
                    .open
                    .checked_sub(1)
                    .ok_or(Error::malformed("message", "it begins with an end mark"))?;
            }
            if head.length.is_none() {
                self.open += 1;
                if self.open > MAX_OPEN {
                    return Err(Error::TooDeep);
                }
            }
            self.position =
                self.position.saturating_add(head.size).saturating_add(head.length.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_bytes(bytes: &[u8]) -> Vec<Progress> {
        let mut framer = Framer::new(1000);
        (0..=bytes.len()).map(|end| framer.look(&bytes[..end]).unwrap()).collect()
    }

    #[test]
    fn a_message_ends_with_its_last_byte() {
        for message in [
            vec![0xa0, 2, 0x30, 0],
            vec![0xa0, 0x80, 0x30, 0x80, 4, 1, 9, 0, 0, 0, 0],
            vec![0xa0, 0x81, 3, 0x30, 1, 0],
        ] {
            let seen = by_bytes(&message);
            let (last, before) = seen.split_last().unwrap();
            assert_eq!(*last, Progress::Complete(message.len()));
            assert!(before.iter().all(|progress| *progress == Progress::Incomplete));
        }
    }

    #[test]
    fn what_follows_a_message_is_left_alone() {
        let mut framer = Framer::new(1000);
        assert_eq!(framer.look(&[0xa0, 2, 0x30, 0, 0xff, 0xff]), Ok(Progress::Complete(4)));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_at_once() {
        assert_eq!(Framer::new(10).look(&[0xa0, 20]), Err(Error::TooLong { limit: 10 }));
        let huge = [0xa0, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Framer::new(10).look(&huge), Err(Error::TooLong { limit: 10 }));
        assert!(Framer::new(10).look(&[0, 0]).is_err());
        assert_eq!(Framer::new(100).look(&[0xa0, 0x80].repeat(20)), Err(Error::TooDeep));
    }
}
