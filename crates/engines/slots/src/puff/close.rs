//! [`close`]: from an opened stream back to the deflate stream that it was.

use super::bits::BitWriter;
use super::code::{Code, Codes, END_OF_BLOCK, ORDER};
use super::open::repeat;
use super::{BlockKind, END};

/// Writes the blocks of an opened stream.
pub(super) fn close(mut opened: &[u8], bits: &mut BitWriter) -> Result<(), &'static str> {
    while !opened.is_empty() {
        block(&mut opened, bits)?;
    }
    Ok(())
}

fn block(opened: &mut &[u8], bits: &mut BitWriter) -> Result<(), &'static str> {
    let length = number(opened)?;
    let head = take(opened, length + 1)?;
    let (first, mut rest) = head.split_first().ok_or(CUT)?;
    let kind = u32::from(first >> 5 & 3);
    bits.write(u32::from(first >> 7), 1);
    bits.write(kind, 2);
    let codes = match BlockKind::of(kind)? {
        BlockKind::Stored => return stored(first & 0x1f, opened, bits),
        BlockKind::Fixed => Codes::fixed()?,
        BlockKind::Dynamic => dynamic(&mut rest, bits)?,
    };
    if !rest.is_empty() {
        return Err("the head of an opened block is too long");
    }
    loop {
        match Token::take(opened)? {
            Token::End => break,
            Token::Literals(bytes) => {
                for byte in bytes {
                    codes.literals.write((*byte).into(), bits)?;
                }
            }
            Token::Match { length, distance } => codes.write_match(length, distance, bits)?,
        }
    }
    codes.literals.write(END_OF_BLOCK, bits)
}

fn stored(padding: u8, opened: &mut &[u8], bits: &mut BitWriter) -> Result<(), &'static str> {
    bits.write(padding.into(), bits.to_boundary());
    let bytes = match Token::take(opened)? {
        Token::Literals(bytes) => {
            let Token::End = Token::take(opened)? else { return Err(NOT_STORED) };
            bytes
        }
        Token::End => &[],
        Token::Match { .. } => return Err(NOT_STORED),
    };
    let length = u16::try_from(bytes.len()).map_err(|_| NOT_STORED)?;
    bits.write(length.into(), 16);
    bits.write((!length).into(), 16);
    bits.bytes(bytes);
    Ok(())
}

/// Writes what describes the codes of a dynamic block.
fn dynamic(head: &mut &[u8], bits: &mut BitWriter) -> Result<Codes, &'static str> {
    let counts = [byte(head)?, byte(head)?, byte(head)?];
    let [literals, distances, lengths] = counts.map(usize::from);
    let (literals, distances, lengths) = (literals + 257, distances + 1, lengths + 4);
    if literals > 286 || distances > 30 || lengths > ORDER.len() {
        return Err("an opened block has more codes than there are");
    }
    for (count, width) in counts.into_iter().zip([5, 5, 4]) {
        bits.write(count.into(), width);
    }
    let halves = take(head, lengths.div_ceil(2))?.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let mut of_lengths = [0; ORDER.len()];
    for (symbol, length) in ORDER.iter().zip(halves).take(lengths) {
        if length > 7 {
            return Err("a word of the code of lengths is too long");
        }
        if let Some(place) = of_lengths.get_mut(*symbol) {
            *place = length;
        }
        bits.write(length.into(), 3);
    }
    let code = Code::new(&of_lengths)?;
    let mut all = Vec::with_capacity(literals + distances);
    while all.len() < literals + distances {
        let word = byte(head)?;
        repeat(word, &mut all)?;
        let (symbol, more, count) = match word {
            0..16 => (word, 0, 0),
            16..20 => (16, word - 16, 2),
            20..28 => (17, word - 20, 3),
            28.. => (18, word - 28, 7),
        };
        code.write(symbol.into(), bits)?;
        bits.write(more.into(), count);
    }
    if all.len() > literals + distances {
        return Err("an opened block has more codes than it says");
    }
    Codes::dynamic(&all, literals)
}

const CUT: &str = "an opened stream is cut short";
const NOT_STORED: &str = "an opened stored block has more than one piece";

/// What a block consists of.
enum Token<'a> {
    Literals(&'a [u8]),
    Match { length: u16, distance: u16 },
    End,
}

impl<'a> Token<'a> {
    fn take(opened: &mut &'a [u8]) -> Result<Self, &'static str> {
        if let Some(rest) = opened.strip_prefix(&END) {
            *opened = rest;
            return Ok(Self::End);
        }
        let first = byte(opened)?;
        let more = first & 0x7f;
        if first < 0x80 {
            let count = if more < 127 { more.into() } else { number(opened)? + 127 };
            return Ok(Self::Literals(take(opened, count + 1)?));
        }
        let more = u16::from(more) + if more < 127 { 0 } else { byte(opened)?.into() };
        let distance = number(opened)? + 1;
        match (more + 3, u16::try_from(distance)) {
            (length @ 3..=258, Ok(distance @ 1..=0x8000)) => Ok(Self::Match { length, distance }),
            _ => Err("a match of an opened stream is none"),
        }
    }
}

fn take<'a>(opened: &mut &'a [u8], count: usize) -> Result<&'a [u8], &'static str> {
    let (taken, rest) = opened.split_at_checked(count).ok_or(CUT)?;
    *opened = rest;
    Ok(taken)
}

fn byte(opened: &mut &[u8]) -> Result<u8, &'static str> {
    take(opened, 1)?.first().copied().ok_or(CUT)
}

/// A number in two bytes.
fn number(opened: &mut &[u8]) -> Result<usize, &'static str> {
    let bytes = take(opened, 2)?.first_chunk().ok_or(CUT)?;
    Ok(u16::from_be_bytes(*bytes).into())
}
