//! Tag, length, value: reading BER, writing DER (ITU-T X.690).
//!
//! Only single-byte tags occur in this protocol. A length may be definite or, as BER allows for
//! constructed values, indefinite: then the value ends with two zero bytes.

use crate::Error;

/// Tag of INTEGER.
pub(crate) const INTEGER: u8 = 0x02;
/// Tag of OCTET STRING.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// Tag of ENUMERATED.
pub(crate) const ENUMERATED: u8 = 0x0a;
/// Tag of UTF8String.
pub(crate) const UTF8_STRING: u8 = 0x0c;
/// Tag of SEQUENCE and SEQUENCE OF, which are constructed.
pub(crate) const SEQUENCE: u8 = 0x30;
/// The bit of a constructed value.
pub(crate) const CONSTRUCTED: u8 = 0x20;
/// Class and form of our choices: context-specific and constructed.
pub(crate) const CHOICE: u8 = 0xa0;
/// The bits of a tag's number.
pub(crate) const NUMBER: u8 = 0x1f;
/// How deep values may be nested: tag, sequence, collection, entry, string in pieces.
const MAX_DEPTH: usize = 8;

/// A tag and where its value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The tag byte.
    pub(crate) tag: u8,
    /// Bytes of tag and length.
    pub(crate) size: usize,
    /// Bytes of the value; `None` when it goes on until its end mark.
    pub(crate) length: Option<usize>,
}

impl Head {
    /// Reads a head. `None`: more bytes are needed.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let [tag, first, rest @ ..] = bytes else { return Ok(None) };
        if tag & NUMBER == NUMBER {
            return Err(Error::malformed("tag", "its number has more than one byte"));
        }
        let (size, length) = match first {
            0..=0x7f => (2, Some(usize::from(*first))),
            0x80 if tag & CONSTRUCTED != 0 => (2, None),
            0x80 => return Err(Error::malformed("length", "a primitive value has none")),
            _ => {
                let count = usize::from(first & 0x7f);
                // Leading zeros are allowed in BER; eight bytes are more than any length needs.
                if count > 8 {
                    return Err(Error::malformed("length", "it has more than 8 bytes"));
                }
                let Some(digits) = rest.get(..count) else { return Ok(None) };
                let length = digits.iter().try_fold(0_usize, |sum, digit| {
                    sum.checked_mul(256)?.checked_add(usize::from(*digit))
                });
                let length = length.ok_or(Error::malformed("length", "it is too large"))?;
                (2 + count, Some(length))
            }
        };
        Ok(Some(Self { tag: *tag, size, length }))
    }

    /// Whether this marks the end of a value of indefinite length.
    pub(crate) fn is_end(self) -> bool {
        self.tag == 0 && self.length == Some(0)
    }
}

/// Reads the elements of one value, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, depth: 0 }
    }

    /// Whether all elements are read.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next element: its tag and its value's content.
    pub(crate) fn next(&mut self) -> Result<(u8, Reader<'a>), Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        let head = Head::read(self.bytes)?.ok_or(Error::Truncated)?;
        if head.is_end() {
            return Err(Error::malformed("element", "an end mark where none belongs"));
        }
        let start = self.bytes.get(head.size..).ok_or(Error::Truncated)?;
        let (value, used) = match head.length {
            Some(length) => (start.get(..length).ok_or(Error::Truncated)?, length),
            None => {
                let length = indefinite_length(start, self.depth + 1)?;
                (start.get(..length).ok_or(Error::Truncated)?, length + 2)
            }
        };
        self.bytes = start.get(used..).ok_or(Error::Truncated)?;
        Ok((head.tag, Reader { bytes: value, depth: self.depth + 1 }))
    }

    /// The next element, which must have this tag.
    fn expect(&mut self, tag: u8, field: &'static str) -> Result<Reader<'a>, Error> {
        if self.is_empty() {
            return Err(Error::malformed(field, "it is missing"));
        }
        match self.next()? {
            (found, value) if found == tag => Ok(value),
            _ => Err(Error::malformed(field, "it has another type")),
        }
    }

    /// A SEQUENCE's content.
    pub(crate) fn sequence(&mut self, field: &'static str) -> Result<Reader<'a>, Error> {
        self.expect(SEQUENCE, field)
    }

    /// An INTEGER.
    pub(crate) fn integer(&mut self, field: &'static str) -> Result<i64, Error> {
        number(self.expect(INTEGER, field)?.bytes, field)
    }

    /// An ENUMERATED.
    pub(crate) fn enumerated(&mut self, field: &'static str) -> Result<i64, Error> {
        number(self.expect(ENUMERATED, field)?.bytes, field)
    }

    /// An OCTET STRING.
    pub(crate) fn octets(&mut self, field: &'static str) -> Result<Vec<u8>, Error> {
        self.string(OCTET_STRING, field)
    }

    /// A UTF8String.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<String, Error> {
        String::from_utf8(self.string(UTF8_STRING, field)?)
            .map_err(|_| Error::malformed(field, "it is not UTF-8"))
    }

    fn string(&mut self, tag: u8, field: &'static str) -> Result<Vec<u8>, Error> {
        if self.is_empty() {
            return Err(Error::malformed(field, "it is missing"));
        }
        let (found, value) = self.next()?;
        if found & !CONSTRUCTED != tag {
            return Err(Error::malformed(field, "it has another type"));
        }
        let mut content = Vec::new();
        collect(found, value, field, &mut content)?;
        Ok(content)
    }
}

/// A string, whole or, as BER allows, in pieces that are strings themselves.
fn collect(
    tag: u8,
    mut value: Reader<'_>,
    field: &'static str,
    content: &mut Vec<u8>,
) -> Result<(), Error> {
    if tag & CONSTRUCTED == 0 {
        content.extend_from_slice(value.bytes);
        return Ok(());
    }
    while !value.is_empty() {
        let (found, piece) = value.next()?;
        if !matches!(found & !CONSTRUCTED, OCTET_STRING | UTF8_STRING) {
            return Err(Error::malformed(field, "a piece of it has another type"));
        }
        collect(found, piece, field, content)?;
    }
    Ok(())
}

/// Bytes before the end mark that closes a value which begins here.
fn indefinite_length(bytes: &[u8], depth: usize) -> Result<usize, Error> {
    let mut open = 1_usize;
    let mut position = 0_usize;
    loop {
        let rest = bytes.get(position..).ok_or(Error::Truncated)?;
        let head = Head::read(rest)?.ok_or(Error::Truncated)?;
        if head.is_end() {
            open -= 1;
            if open == 0 {
                return Ok(position);
            }
        }
        match head.length {
            Some(length) => position = skip(position, head.size, length)?,
            None => {
                open += 1;
                if open + depth > MAX_DEPTH {
                    return Err(Error::TooDeep);
                }
                position = skip(position, head.size, 0)?;
            }
        }
    }
}

fn skip(position: usize, head: usize, value: usize) -> Result<usize, Error> {
    position
        .checked_add(head)
        .and_then(|position| position.checked_add(value))
        .ok_or(Error::malformed("length", "it is too large"))
}

fn number(bytes: &[u8], field: &'static str) -> Result<i64, Error> {
    let [first, ..] = bytes else { return Err(Error::malformed(field, "it is empty")) };
    if bytes.len() > 8 {
        return Err(Error::malformed(field, "it is too large"));
    }
    let sign = if first & 0x80 == 0 { 0 } else { -1_i64 };
    Ok(bytes.iter().fold(sign, |sum, byte| (sum << 8) | i64::from(*byte)))
}

/// Writes an element.
pub(crate) fn write(into: &mut Vec<u8>, tag: u8, value: &[u8]) {
    into.push(tag);
    let length = value.len();
    if length < 0x80 {
        into.push(u8::try_from(length).unwrap_or(0x7f));
    } else {
        let digits = length.to_be_bytes();
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = digits.get(leading..).unwrap_or_default();
        into.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
        into.extend_from_slice(digits);
    }
    into.extend_from_slice(value);
}

/// The shortest two's complement form of a number.
pub(crate) fn number_bytes(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let mut start = 0;
    while start < 7 {
        let (Some(first), Some(second)) = (bytes.get(start), bytes.get(start + 1)) else { break };
        let is_padding =
            (*first == 0 && second & 0x80 == 0) || (*first == 0xff && second & 0x80 != 0);
        if !is_padding {
            break;
        }
        start += 1;
    }
    bytes.get(start..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_shortest_form_and_read_back() {
        for (value, bytes) in [
            (0, &[0_u8][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (255, &[0, 0xff]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (i64::MAX, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            (i64::MIN, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(number_bytes(value), bytes);
            assert_eq!(number(bytes, "n"), Ok(value));
        }
        // BER may pad.
        assert_eq!(number(&[0, 0, 5], "n"), Ok(5));
        assert!(number(&[], "n").is_err());
        assert!(number(&[1; 9], "n").is_err());
    }

    #[test]
    fn lengths_of_every_size() {
        for length in [0, 127, 128, 255, 256, 65_536] {
            let value = vec![7; length];
            let mut bytes = Vec::new();
            write(&mut bytes, OCTET_STRING, &value);
            assert_eq!(Reader::new(&bytes).octets("x"), Ok(value));
        }
    }

    #[test]
    fn strings_in_pieces_and_of_indefinite_length() {
        // 24 80 | 04 02 "ab" | 24 03 (04 01 "c") | 00 00
        let bytes = [0x24, 0x80, 4, 2, b'a', b'b', 0x24, 3, 4, 1, b'c', 0, 0];
        assert_eq!(Reader::new(&bytes).octets("x").as_deref(), Ok(&b"abc"[..]));
        let mut cut = Reader::new(&bytes[..bytes.len() - 1]);
        assert_eq!(cut.octets("x"), Err(Error::Truncated));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Reader::new(&[0x1f, 0x20, 0]).next().is_err(), "a long tag");
        assert!(Reader::new(&[4, 0x80, 0, 0]).next().is_err(), "a primitive without length");
        assert!(Reader::new(&[4, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1]).next().is_err());
        assert_eq!(Reader::new(&[4, 0x82, 1]).next().err(), Some(Error::Truncated));
        assert!(Reader::new(&[0, 0]).next().is_err(), "a lone end mark");
        let deep: Vec<u8> = [0x24, 0x80].repeat(40);
        assert_eq!(Reader::new(&deep).octets("x"), Err(Error::TooDeep));
    }
}
