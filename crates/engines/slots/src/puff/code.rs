//! [`Code`]: a Huffman code of deflate, by the lengths of its words; and what its symbols stand for.
//! (RFC 1951, 3.2.2 to 3.2.7.)

use super::bits::{BitReader, BitWriter};

/// The longest word, in bits.
const MAX_BITS: usize = 15;
/// The order in which a dynamic block has the lengths of the code of lengths.
pub(super) const ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: u16 = 256;
/// The first symbol of a length.
const FIRST_LENGTH: u16 = 257;

/// The shortest length of each symbol from 257 on, and how many bits say how much longer it is.
const LENGTHS: [(u16, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
/// The same of distances.
const DISTANCES: [(u16, u32); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// A code, to be read and to be written.
#[derive(Debug)]
pub(super) struct Code {
    /// By symbol: the bits of its word as they are written, and how many.
    words: Vec<(u16, u8)>,
    /// By the next bits: the symbol and the length of its word, 0 if there is none.
    symbols: Vec<(u16, u8)>,
    longest: u32,
}

impl Code {
    /// The code whose words have these lengths; 0 for a symbol without one.
    pub(super) fn new(lengths: &[u8]) -> Result<Self, &'static str> {
        let mut counts = [0_u16; MAX_BITS + 1];
        for length in lengths {
            let count =
                counts.get_mut(usize::from(*length)).ok_or("a word of a code is too long")?;
            *count += 1;
        }
        let longest = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        // The first word of each length.
        let mut next = [0_u32; MAX_BITS + 1];
        let mut word = 0;
        for (length, (first, count)) in next.iter_mut().zip(counts).enumerate().skip(1) {
            word <<= 1;
            *first = word;
            word += u32::from(count);
            if word > 1 << length {
                return Err("a code has more words than there can be");
            }
        }
        let mut words = vec![(0, 0); lengths.len()];
        let mut symbols = vec![(0, 0); 1 << longest];
        for ((symbol, length), to) in (0_u16..).zip(lengths).zip(&mut words) {
            let Some(next) = next.get_mut(usize::from(*length)).filter(|_| *length > 0) else {
                continue;
            };
            // Words are written with their high bit first, everything else with the low one.
            let word = u16::try_from(*next).unwrap_or(0).reverse_bits() >> (16 - length);
            *next += 1;
            *to = (word, *length);
            for place in symbols.iter_mut().skip(word.into()).step_by(1 << length) {
                *place = (symbol, *length);
            }
        }
        Ok(Self { words, symbols, longest: u32::try_from(longest).unwrap_or(0) })
    }

    /// Reads a symbol.
    pub(super) fn read(&self, bits: &mut BitReader<'_>) -> Result<u16, &'static str> {
        let found = self.symbols.get(bits.peek(self.longest) as usize);
        let (symbol, length) =
            found.filter(|(_, length)| *length > 0).ok_or("no word of its code")?;
        bits.skip(u32::from(*length))?;
        Ok(*symbol)
    }

    /// Writes a symbol.
    pub(super) fn write(&self, symbol: u16, bits: &mut BitWriter) -> Result<(), &'static str> {
        let found = self.words.get(usize::from(symbol)).filter(|(_, length)| *length > 0);
        let (word, length) = found.ok_or("an opened stream has what its code has no word for")?;
        bits.write((*word).into(), (*length).into());
        Ok(())
    }
}

/// The codes of a block: of literals and lengths, and of distances.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) literals: Code,
    distances: Code,
}

impl Codes {
    /// Those of a fixed block.
    pub(super) fn fixed() -> Result<Self, &'static str> {
        let literals = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
        Ok(Self { literals: Code::new(&literals)?, distances: Code::new(&[5; 30])? })
    }

    /// Those of a dynamic one: `lengths` are those of literals, so many, and of distances.
    pub(super) fn dynamic(lengths: &[u8], literals: usize) -> Result<Self, &'static str> {
        let (literals, distances) = lengths.split_at_checked(literals).unwrap_or_default();
        Ok(Self { literals: Code::new(literals)?, distances: Code::new(distances)? })
    }

    /// Reads what follows the symbol of a length: the length and the distance.
    pub(super) fn read_match(
        &self,
        symbol: u16,
        bits: &mut BitReader<'_>,
    ) -> Result<(u16, u16), &'static str> {
        let index = usize::from(symbol.wrapping_sub(FIRST_LENGTH));
        let (base, extra) = LENGTHS.get(index).ok_or("a length is none")?;
        let length = base + low(bits.take(*extra)?);
        let index = usize::from(self.distances.read(bits)?);
        let (base, extra) = DISTANCES.get(index).ok_or("a distance is none")?;
        Ok((length, base + low(bits.take(*extra)?)))
    }

    /// Writes a match.
    pub(super) fn write_match(
        &self,
        length: u16,
        distance: u16,
        bits: &mut BitWriter,
    ) -> Result<(), &'static str> {
        let (symbol, more, extra) = split(&LENGTHS, length);
        self.literals.write(FIRST_LENGTH + symbol, bits)?;
        bits.write(more.into(), extra);
        let (symbol, more, extra) = split(&DISTANCES, distance);
        self.distances.write(symbol, bits)?;
        bits.write(more.into(), extra);
        Ok(())
    }
}

fn low(bits: u32) -> u16 {
    u16::try_from(bits).unwrap_or(u16::MAX)
}

/// The last symbol that is not above the value, what the value has more, and in how many bits.
fn split(table: &[(u16, u32)], value: u16) -> (u16, u16, u32) {
    let index = table.partition_point(|(base, _)| *base <= value).saturating_sub(1);
    let (base, extra) = table.get(index).copied().unwrap_or_default();
    (u16::try_from(index).unwrap_or(0), value.wrapping_sub(base), extra)
}

#[cfg(test)]
mod tests {
    use super::{BitReader, BitWriter, Code, Codes};

    #[test]
    fn the_example_of_the_specification() {
        // RFC 1951, 3.2.2: A to H of these lengths are 010, 011, 100, 101, 110, 00, 1110, 1111.
        let code = Code::new(&[3, 3, 3, 3, 3, 2, 4, 4]).unwrap();
        let words = [(0b010, 3), (0b110, 3), (0b001, 3), (0b101, 3), (0b011, 3), (0, 2)];
        assert_eq!(code.words[..6], words);
        assert_eq!(code.words[6..], [(0b0111, 4), (0b1111, 4)]);
        let mut bits = BitWriter::default();
        (0..8).for_each(|symbol| code.write(symbol, &mut bits).unwrap());
        bits.write(0, bits.to_boundary());
        let bytes = bits.take();
        let mut reader = BitReader::new(&bytes, 0);
        (0..8).for_each(|symbol| assert_eq!(code.read(&mut reader), Ok(symbol)));
    }

    #[test]
    fn codes_that_cannot_be_are_refused() {
        assert!(Code::new(&[1, 1, 1]).is_err());
        assert!(Code::new(&[16]).is_err());
        // One distance has a word of one bit, and the other word is none.
        let code = Code::new(&[1]).unwrap();
        assert!(code.read(&mut BitReader::new(&[1], 0)).is_err());
        assert!(code.write(1, &mut BitWriter::default()).is_err());
        assert!(Code::new(&[0, 0]).unwrap().read(&mut BitReader::new(&[0], 0)).is_err());
    }

    #[test]
    fn each_match_comes_back() {
        let codes = Codes::fixed().unwrap();
        for length in 3..=258 {
            for distance in [1, 2, 5, 6, 255, 256, 257, 16384, 16385, 24577, 32767, 32768] {
                let mut bits = BitWriter::default();
                codes.write_match(length, distance, &mut bits).unwrap();
                bits.write(0, bits.to_boundary());
                let bytes = bits.take();
                let mut reader = BitReader::new(&bytes, 0);
                let symbol = codes.literals.read(&mut reader).unwrap();
                assert_eq!(codes.read_match(symbol, &mut reader), Ok((length, distance)));
            }
        }
    }
}
