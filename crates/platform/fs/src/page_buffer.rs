//! Buffers for what is read from files.

use std::ops::{Deref, DerefMut};

/// Where a page ends, in bytes.
const PAGE: usize = 4096;
/// Allocations of this size and more, in bytes, are pages of their own, with the allocator's notes
/// before what it gives away.
const LARGE: usize = 64 << 10;

/// A buffer of zeros for what is read from files. A large one begins where a page does.
///
/// A plain allocation begins 16 bytes behind that, where the kernel's copying (`rep movsb`) takes four
/// times as long on some processors (AMD's Zen 3).
#[derive(Debug, Default)]
pub struct PageBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl PageBuffer {
    /// A buffer of so many bytes.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let room = if len < LARGE { 0 } else { PAGE };
        let bytes = vec![0; len.saturating_add(room)];
        // Where it cannot be told it is more than there is room for.
        let start = bytes.as_ptr().align_offset(PAGE);
        Self { bytes, start: if start < room { start } else { 0 }, len }
    }
}

impl Deref for PageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl DerefMut for PageBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGE, PAGE, PageBuffer};

    #[test]
    fn it_is_as_long_as_was_asked_for_and_a_large_one_begins_with_a_page() {
        for len in [0, 1, LARGE - 1, LARGE, LARGE + 1, 1 << 20, (1 << 20) + 7] {
            let mut buffer = PageBuffer::new(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|byte| *byte == 0));
            buffer.fill(1);
            assert!(len < LARGE || buffer.as_ptr().align_offset(PAGE) == 0, "{len}");
        }
    }
}
