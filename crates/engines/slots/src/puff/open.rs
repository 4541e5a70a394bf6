//! [`open`]: from deflate to what the patch is between.

use super::bits::BitReader;
use super::code::{Code, Codes, END_OF_BLOCK, ORDER};
use super::{BlockKind, END, MAX_LITERALS};

/// Opens all blocks from the bit `at` on. What is made has at most `most` bytes and some of a block's
/// head more.
pub(super) fn open(bytes: &[u8], at: usize, most: usize) -> Result<Vec<u8>, &'static str> {
    let mut bits = BitReader::new(bytes, at);
    let mut opened = Opened { bytes: Vec::with_capacity(most), literals: Vec::new() };
    // The shortest block has ten bits; of less than a byte nobody knows whether it is one.
    while bits.left() >= 8 {
        block(&mut bits, &mut opened, most)?;
    }
    Ok(opened.bytes)
}

fn block(bits: &mut BitReader<'_>, opened: &mut Opened, most: usize) -> Result<(), &'static str> {
    let is_last = bits.take(1)?;
    let kind = bits.take(2)?;
    let mut head = vec![low(is_last << 7 | kind << 5)];
    let codes = match BlockKind::of(kind)? {
        BlockKind::Stored => {
            let padding = low(bits.take(bits.to_boundary())?);
            // What it is written into has five bits for it.
            if padding >= 1 << 5 {
                return Err("a stored block is not filled up with zeros");
            }
            let (length, inverted) = (bits.take(16)?, bits.take(16)?);
            if length ^ inverted != 0xffff {
                return Err("the length of a stored block is damaged");
            }
            opened.head(&[low(is_last << 7) | padding]);
            bits.bytes(length)?.iter().for_each(|byte| opened.literal(*byte));
            opened.end();
            return opened.is_within(most);
        }
        BlockKind::Fixed => Codes::fixed()?,
        BlockKind::Dynamic => dynamic(bits, &mut head)?,
    };
    opened.head(&head);
    loop {
        match codes.literals.read(bits)? {
            END_OF_BLOCK => break,
            literal @ 0..END_OF_BLOCK => opened.literal(low(literal.into())),
            symbol => {
                let (length, distance) = codes.read_match(symbol, bits)?;
                opened.a_match(length, distance);
            }
        }
        opened.is_within(most)?;
    }
    opened.end();
    opened.is_within(most)
}

/// Reads the codes of a dynamic block; what describes them is added to `head`.
fn dynamic(bits: &mut BitReader<'_>, head: &mut Vec<u8>) -> Result<Codes, &'static str> {
    let counts = [bits.take(5)?, bits.take(5)?, bits.take(4)?];
    head.extend(counts.map(low));
    let [literals, distances, lengths] = counts.map(|count| count as usize);
    let (literals, distances) = (literals + 257, distances + 1);
    if literals > 286 || distances > 30 {
        return Err("a block has more codes than there are");
    }
    let mut of_lengths = [0; ORDER.len()];
    let mut half = None;
    for symbol in ORDER.iter().take(lengths + 4) {
        let length = low(bits.take(3)?);
        if let Some(place) = of_lengths.get_mut(*symbol) {
            *place = length;
        }
        match half.take() {
            None => half = Some(length << 4),
            Some(high) => head.push(high | length),
        }
    }
    head.extend(half);
    let code = Code::new(&of_lengths)?;
    let mut all = Vec::with_capacity(literals + distances);
    while all.len() < literals + distances {
        let symbol = low(code.read(bits)?.into());
        let (first, count) = match symbol {
            0..16 => (symbol, 0),
            16 => (16, 2),
            17 => (20, 3),
            _ => (28, 7),
        };
        let word = first + low(bits.take(count)?);
        head.push(word);
        repeat(word, &mut all)?;
    }
    if all.len() > literals + distances {
        return Err("a block has more codes than it says");
    }
    Codes::dynamic(&all, literals)
}

/// Adds the lengths that a word of a head stands for.
pub(super) fn repeat(word: u8, lengths: &mut Vec<u8>) -> Result<(), &'static str> {
    let (length, count) = match word {
        0..16 => (word, 1),
        16..20 => (*lengths.last().ok_or("the first length of a code repeats one")?, word - 16 + 3),
        20..28 => (0, word - 20 + 3),
        28..156 => (0, word - 28 + 11),
        156.. => return Err("an opened stream has a length that is none"),
    };
    lengths.resize(lengths.len() + usize::from(count), length);
    Ok(())
}

fn low(bits: u32) -> u8 {
    u8::try_from(bits).unwrap_or(u8::MAX)
}

/// An opened stream that is being made.
struct Opened {
    bytes: Vec<u8>,
    literals: Vec<u8>,
}

impl Opened {
    fn head(&mut self, head: &[u8]) {
        self.number(head.len() - 1);
        self.bytes.extend_from_slice(head);
    }

    fn literal(&mut self, byte: u8) {
        self.literals.push(byte);
        if self.literals.len() == MAX_LITERALS {
            self.end_literals();
        }
    }

    fn end_literals(&mut self) {
        match u8::try_from(self.literals.len()) {
            Ok(0) => return,
            Ok(count @ 1..=127) => self.bytes.push(count - 1),
            _ => {
                self.bytes.push(127);
                self.number(self.literals.len() - 128);
            }
        }
        self.bytes.append(&mut self.literals);
    }

    fn a_match(&mut self, length: u16, distance: u16) {
        self.end_literals();
        match u8::try_from(length - 3) {
            Ok(more @ 0..127) => self.bytes.push(0x80 | more),
            more => self.bytes.extend([0xff, more.unwrap_or(u8::MAX) - 127]),
        }
        self.number(usize::from(distance) - 1);
    }

    fn end(&mut self) {
        self.end_literals();
        self.bytes.extend(END);
    }

    /// A number in two bytes; what is larger does not come.
    fn number(&mut self, number: usize) {
        self.bytes.extend(u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
    }

    fn is_within(&self, most: usize) -> Result<(), &'static str> {
        if self.bytes.len() + self.literals.len() > most {
            return Err("a deflate stream opens to more than the patch says");
        }
        Ok(())
    }
}
