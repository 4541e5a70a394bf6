//! Sparse files in pax archives, as GNU tar writes them.
//!
//! ```text
//! 0.0  records  GNU.sparse.size, then pairs of GNU.sparse.offset and GNU.sparse.numbytes
//! 0.1  records  GNU.sparse.name, .size, .map = OFFSET,LENGTH,OFFSET,LENGTH…
//! 1.0  records  GNU.sparse.major, .minor, .name, .realsize; the member begins with the map:
//!               COUNT, then OFFSET and LENGTH of each, one number a line, zeros up to a block
//! ```
//!
//! A member holds only the pieces of the map, one after the other; between them are zeros.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::BLOCK;

const PREFIX: &[u8] = b"GNU.sparse.";
/// More pieces than this no sparse file has: its map alone would be tens of megabytes.
const MAX_PIECES: u64 = 1 << 20;
/// The longest number in a map: that of `u64::MAX`.
const MAX_DIGITS: usize = 20;

/// What the records of a member say about its holes.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// The file's name; that in the header is made up.
    pub(super) name: Option<Vec<u8>>,
    size: Option<u64>,
    map: VecDeque<(u64, u64)>,
    offset: Option<u64>,
    map_is_inside: bool,
}

impl Sparse {
    /// Takes a record; says whether it was about holes.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> io::Result<bool> {
        let Some(key) = key.strip_prefix(PREFIX) else { return Ok(false) };
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number(value)?),
            b"major" => self.map_is_inside = number(value)? > 0,
            b"offset" => self.offset = Some(number(value)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(|| wrong("a piece has no offset"))?;
                self.piece(offset, number(value)?)?;
            }
            b"map" => {
                let mut numbers = value.split(|byte| *byte == b',');
                while let Some(offset) = numbers.next().filter(|text| !text.is_empty()) {
                    let length = numbers.next().ok_or_else(|| wrong("a piece has no length"))?;
                    self.piece(number(offset)?, number(length)?)?;
                }
            }
            _ => {} // minor, numblocks: nothing follows from them
        }
        Ok(true)
    }

    fn piece(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if self.map.len() as u64 >= MAX_PIECES {
            return Err(wrong("it has too many pieces"));
        }
        self.map.push_back((offset, length));
        Ok(())
    }

    /// The file's size, and its content with the holes filled.
    pub(super) fn expand<R: Read>(mut self, mut member: R) -> io::Result<(u64, Expanded<R>)> {
        if self.map_is_inside {
            self.read_map(&mut member)?;
        }
        let size = self.size.ok_or_else(|| wrong("its size is not said"))?;
        let mut end = 0;
        for (offset, length) in &self.map {
            if *offset < end {
                return Err(wrong("its pieces overlap"));
            }
            end = offset.checked_add(*length).ok_or_else(|| wrong("a piece has no end"))?;
        }
        if end > size {
            return Err(wrong("a piece ends after the file"));
        }
        Ok((size, Expanded { member, map: self.map, at: 0, size }))
    }

    fn read_map(&mut self, member: &mut impl Read) -> io::Result<()> {
        let mut map = Map { member, block: [0; BLOCK], at: BLOCK };
        let count = map.number()?;
        if count > MAX_PIECES {
            return Err(wrong("it has too many pieces"));
        }
        for _ in 0..count {
            let (offset, length) = (map.number()?, map.number()?);
            self.piece(offset, length)?;
        }
        Ok(())
    }
}

/// The map at the beginning of a member. What follows it starts at the next block.
struct Map<'a, R> {
    member: &'a mut R,
    block: [u8; BLOCK],
    at: usize,
}

impl<R: Read> Map<'_, R> {
    fn number(&mut self) -> io::Result<u64> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK {
                self.member.read_exact(&mut self.block)?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            if byte == b'\n' {
                return number(&digits);
            }
            if digits.len() == MAX_DIGITS {
                return Err(wrong("a number is too long"));
            }
            digits.push(byte);
        }
    }
}

/// A sparse member as the file that it stands for.
pub(super) struct Expanded<R> {
    member: R,
    map: VecDeque<(u64, u64)>,
    at: u64,
    size: u64,
}

impl<R: Read> Read for Expanded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.map.front().is_some_and(|(offset, length)| offset + length <= self.at) {
            self.map.pop_front();
        }
        let room = |end: u64| {
            let left = usize::try_from(end - self.at).unwrap_or(usize::MAX);
            left.min(buffer.len())
        };
        let read = match self.map.front() {
            Some((offset, length)) if *offset <= self.at => {
                let piece = room(offset + length);
                let read = self.member.read(&mut buffer[..piece])?;
                if read == 0 && piece > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                read
            }
            next => {
                let hole = room(next.map_or(self.size, |(offset, _)| *offset));
                buffer[..hole].fill(0);
                hole
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

fn number(text: &[u8]) -> io::Result<u64> {
    let digits = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| wrong("a number is none"))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("in the map of a sparse file, {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::Sparse;

    fn expand(records: &[(&str, &str)], member: &[u8]) -> Result<Vec<u8>, String> {
        let mut sparse = Sparse::default();
        for (key, value) in records {
            sparse.record(key.as_bytes(), value.as_bytes()).map_err(|error| error.to_string())?;
        }
        let (size, mut reader) = sparse.expand(member).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        assert_eq!(bytes.len() as u64, size);
        Ok(bytes)
    }

    #[test]
    fn each_form_fills_the_holes() {
        let expected = b"\0\0ab\0c\0".to_vec();
        let pairs = [
            ("GNU.sparse.size", "7"),
            ("GNU.sparse.offset", "2"),
            ("GNU.sparse.numbytes", "2"),
            ("GNU.sparse.offset", "5"),
            ("GNU.sparse.numbytes", "1"),
        ];
        assert_eq!(expand(&pairs, b"abc").unwrap(), expected);
        let map = [("GNU.sparse.size", "7"), ("GNU.sparse.map", "2,2,5,1,7,0")];
        assert_eq!(expand(&map, b"abc").unwrap(), expected);
        let inside = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "7")];
        let mut member = b"2\n2\n2\n5\n1\n".to_vec();
        member.resize(512, 0);
        member.extend(b"abc");
        assert_eq!(expand(&inside, &member).unwrap(), expected);
        assert!(expand(&inside, &member[..514]).is_err());
        assert!(expand(&inside, &member[..100]).is_err());
    }

    #[test]
    fn maps_that_lie_are_refused() {
        for map in ["0,2,1,1", "6,2", "x,1", "0", "0,18446744073709551615,1,1", "+1,1"] {
            let records = [("GNU.sparse.size", "7"), ("GNU.sparse.map", map)];
            assert!(expand(&records, b"abcdefgh").is_err(), "{map}");
        }
        let without_size = [("GNU.sparse.map", "0,1")];
        assert!(expand(&without_size, b"a").is_err());
        let inside = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "7")];
        assert!(expand(&inside, &[b'9'; 1024]).is_err());
    }
}
