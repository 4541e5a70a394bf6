//! [`Writer`]: blocks as bits, each in the form that is shortest.

use super::huffman::{Alphabet, Tree};
use super::tables::{
    BIT_LENGTH_ORDER, BIT_LENGTHS, DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, LENGTH_EXTRA, LITERALS,
    base, distance_code, length_code,
};

/// A byte, or a copy of earlier ones; both numbers less the smallest there is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Symbol {
    Literal(u8),
    Match { length: usize, distance: usize },
}

pub(super) struct Block<'a> {
    pub(super) symbols: &'a [Symbol],
    /// What it stands for, where that is still in the window.
    pub(super) raw: Option<&'a [u8]>,
    pub(super) is_last: bool,
}

#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    bits: u64,
    count: usize,
}

/// A symbol of the lengths of codes, and the number and length of what follows it.
type Run = (usize, u32, usize);

impl Writer {
    fn put(&mut self, value: u32, length: usize) {
        self.bits |= u64::from(value) << self.count;
        self.count += length;
        while self.count >= 8 {
            let [low, ..] = self.bits.to_le_bytes();
            self.bytes.push(low);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.align();
        self.bytes
    }

    pub(super) fn block(&mut self, block: &Block<'_>) {
        let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
        let count = |counts: &mut [usize], at: usize| {
            if let Some(count) = counts.get_mut(at) {
                *count += 1;
            }
        };
        for symbol in block.symbols {
            match symbol {
                Symbol::Literal(byte) => count(&mut literals, usize::from(*byte)),
                Symbol::Match { length, distance } => {
                    count(&mut literals, END_OF_BLOCK + 1 + length_code(*length));
                    count(&mut distances, distance_code(*distance));
                }
            }
        }
        count(&mut literals, END_OF_BLOCK);
        let literals = Tree::of(Alphabet::Literals, &literals);
        let distances = Tree::of(Alphabet::Distances, &distances);
        let runs: Vec<Run> = [&literals, &distances].into_iter().flat_map(runs).collect();
        let mut counts = [0; BIT_LENGTHS];
        for (symbol, ..) in &runs {
            count(&mut counts, *symbol);
        }
        let lengths = Tree::of(Alphabet::BitLengths, &counts);
        let order = BIT_LENGTH_ORDER.iter().rposition(|symbol| lengths.length(*symbol) > 0);
        let told = order.unwrap_or(0).max(3) + 1;

        let cost = literals.cost + distances.cost + lengths.cost + 3 * told + 14;
        let (own, fixed) = ((cost + 10) / 8, (literals.fixed_cost + distances.fixed_cost + 10) / 8);
        let shortest = own.min(fixed);
        let last = u32::from(block.is_last);
        match block.raw {
            Some(raw) if raw.len() + 4 <= shortest => {
                self.put(last, 3);
                self.align();
                let length = u16::try_from(raw.len()).unwrap_or(u16::MAX);
                self.bytes.extend(length.to_le_bytes());
                self.bytes.extend((!length).to_le_bytes());
                self.bytes.extend_from_slice(raw);
            }
            _ if fixed == shortest => {
                self.put(2 | last, 3);
                let trees = [Alphabet::Literals, Alphabet::Distances].map(Tree::fixed);
                self.symbols(block.symbols, &trees);
            }
            _ => {
                self.put(4 | last, 3);
                for (value, bits) in [(literals.last - 256, 5), (distances.last, 5), (told - 4, 4)]
                {
                    self.put(u32::try_from(value).unwrap_or(0), bits);
                }
                for symbol in BIT_LENGTH_ORDER.iter().take(told) {
                    self.put(u32::try_from(lengths.length(*symbol)).unwrap_or(0), 3);
                }
                for (symbol, value, bits) in runs {
                    self.put(lengths.code(symbol), lengths.length(symbol));
                    self.put(value, bits);
                }
                self.symbols(block.symbols, &[literals, distances]);
            }
        }
    }

    fn symbols(&mut self, symbols: &[Symbol], [literals, distances]: &[Tree; 2]) {
        for symbol in symbols {
            match symbol {
                Symbol::Literal(byte) => self.code(literals, usize::from(*byte), 0),
                Symbol::Match { length, distance } => {
                    let code = length_code(*length);
                    self.code(
                        literals,
                        END_OF_BLOCK + 1 + code,
                        length - base(&LENGTH_EXTRA, code),
                    );
                    let code = distance_code(*distance);
                    self.code(distances, code, distance - base(&DISTANCE_EXTRA, code));
                }
            }
        }
        self.code(literals, END_OF_BLOCK, 0);
    }

    /// A symbol and what follows it.
    fn code(&mut self, tree: &Tree, symbol: usize, extra: usize) {
        self.put(tree.code(symbol), tree.length(symbol));
        self.put(u32::try_from(extra).unwrap_or(0), tree.alphabet.extra(symbol));
    }
}

/// The lengths of a tree's codes, with repetitions in short.
fn runs(tree: &Tree) -> Vec<Run> {
    let mut runs = Vec::new();
    let small = |count: usize| u32::try_from(count).unwrap_or(0);
    let (mut previous, mut count) = (usize::MAX, 0);
    let mut next = tree.length(0);
    let (mut most, mut fewest) = if next == 0 { (138, 3) } else { (7, 4) };
    for symbol in 0..=tree.last {
        let current = next;
        // None is equal to what follows the last one.
        next = if symbol == tree.last { usize::MAX } else { tree.length(symbol + 1) };
        count += 1;
        if count < most && current == next {
            continue;
        }
        if count < fewest {
            runs.extend(std::iter::repeat_n((current, 0, 0), count));
        } else if current != 0 {
            if current != previous {
                runs.push((current, 0, 0));
                count -= 1;
            }
            runs.push((16, small(count - 3), 2));
        } else if count <= 10 {
            runs.push((17, small(count - 3), 3));
        } else {
            runs.push((18, small(count - 11), 7));
        }
        (previous, count) = (current, 0);
        (most, fewest) = match next {
            0 => (138, 3),
            next if next == current => (6, 3),
            _ => (7, 4),
        };
    }
    runs
}
