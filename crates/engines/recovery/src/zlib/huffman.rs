//! [`Tree`]: the code of each symbol by how often it is there, as zlib builds it.

use super::tables::{
    BIT_LENGTH_EXTRA, BIT_LENGTHS, DISTANCE_EXTRA, DISTANCES, LENGTH_EXTRA, LITERALS,
};

/// All symbols, and the knots above them.
const MOST: usize = 2 * LITERALS + 1;
const MAX_BITS: usize = 15;

/// Which symbols a tree is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Bytes, the end of a block, and lengths.
    Literals,
    Distances,
    /// The lengths of codes of the other two.
    BitLengths,
}

impl Alphabet {
    fn size(self) -> usize {
        match self {
            Self::Literals => LITERALS,
            Self::Distances => DISTANCES,
            Self::BitLengths => BIT_LENGTHS,
        }
    }

    fn max_length(self) -> usize {
        if self == Self::BitLengths { 7 } else { MAX_BITS }
    }

    /// How many bits follow a symbol.
    pub(super) fn extra(self, symbol: usize) -> usize {
        let extra = match self {
            Self::Literals => symbol.checked_sub(257).and_then(|code| LENGTH_EXTRA.get(code)),
            Self::Distances => DISTANCE_EXTRA.get(symbol),
            Self::BitLengths => BIT_LENGTH_EXTRA.get(symbol),
        };
        extra.map_or(0, |bits| usize::from(*bits))
    }

    /// The length of a symbol's code in blocks whose codes are not told.
    pub(super) fn fixed_length(self, symbol: usize) -> usize {
        match (self, symbol) {
            (Self::Literals, 144..256) => 9,
            (Self::Literals, 256..280) => 7,
            (Self::Literals, _) => 8,
            (Self::Distances, _) => 5,
            (Self::BitLengths, _) => 0,
        }
    }
}

/// A code for each symbol.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) alphabet: Alphabet,
    /// How many bits each symbol has, and which.
    pub(super) lengths: Vec<usize>,
    pub(super) codes: Vec<u32>,
    /// The last symbol with a code.
    pub(super) last: usize,
    /// How many bits all symbols take together, with what follows them.
    pub(super) cost: usize,
    /// The same with codes that are not told.
    pub(super) fixed_cost: usize,
}

impl Tree {
    /// That of blocks whose codes are not told.
    pub(super) fn fixed(alphabet: Alphabet) -> Self {
        // Two more symbols than are used have codes of their own.
        let size = if alphabet == Alphabet::Literals { LITERALS + 2 } else { alphabet.size() };
        let lengths: Vec<usize> = (0..size).map(|symbol| alphabet.fixed_length(symbol)).collect();
        let codes = codes(&lengths);
        Self { alphabet, lengths, codes, last: size - 1, cost: 0, fixed_cost: 0 }
    }

    /// That of symbols which are there so often.
    pub(super) fn of(alphabet: Alphabet, counts: &[usize]) -> Self {
        let mut builder = Builder::new(alphabet, counts);
        builder.join();
        builder.measure();
        let Builder { mut lengths, last, cost, fixed_cost, .. } = builder;
        lengths.truncate(alphabet.size());
        let codes = codes(&lengths);
        let (cost, fixed_cost) = (
            usize::try_from(cost).unwrap_or_default(),
            usize::try_from(fixed_cost).unwrap_or_default(),
        );
        Self { alphabet, lengths, codes, last, cost, fixed_cost }
    }

    pub(super) fn length(&self, symbol: usize) -> usize {
        self.lengths.get(symbol).copied().unwrap_or(0)
    }

    pub(super) fn code(&self, symbol: usize) -> u32 {
        self.codes.get(symbol).copied().unwrap_or(0)
    }
}

/// The codes of lengths, the first bit lowest.
fn codes(lengths: &[usize]) -> Vec<u32> {
    let mut next = [0_u32; MAX_BITS + 1];
    let mut code = 0;
    for bits in 1..=MAX_BITS {
        let shorter = lengths.iter().filter(|length| **length == bits - 1 && bits > 1).count();
        code = (code + u32::try_from(shorter).unwrap_or(0)) << 1;
        if let Some(next) = next.get_mut(bits) {
            *next = code;
        }
    }
    let code = |length: &usize| {
        let Some(next) = next.get_mut(*length).filter(|_| *length > 0) else { return 0 };
        let code = *next;
        *next += 1;
        code.reverse_bits() >> (32 - length)
    };
    lengths.iter().map(code).collect()
}

struct Builder {
    alphabet: Alphabet,
    counts: Vec<usize>,
    depths: Vec<usize>,
    parents: Vec<usize>,
    lengths: Vec<usize>,
    /// The heap from 1 on, with the rarest first.
    heap: Vec<usize>,
    /// Symbols and knots, the most frequent last.
    sorted: Vec<usize>,
    last: usize,
    cost: i64,
    fixed_cost: i64,
}

// All places are symbols and knots, of which there are no more than MOST.
impl Builder {
    fn new(alphabet: Alphabet, own: &[usize]) -> Self {
        let mut counts = vec![0; MOST];
        let size = alphabet.size();
        counts.iter_mut().zip(own.iter().take(size)).for_each(|(to, from)| *to = *from);
        let symbols = (0..size).filter(|symbol| counts[*symbol] > 0);
        let mut heap = vec![0];
        heap.extend(symbols);
        let mut builder = Self {
            alphabet,
            depths: vec![0; MOST],
            parents: vec![0; MOST],
            lengths: vec![0; MOST],
            last: if heap.len() > 1 { heap[heap.len() - 1] } else { 0 },
            heap,
            sorted: Vec::new(),
            cost: 0,
            fixed_cost: 0,
            counts,
        };
        builder.force_two(own);
        builder
    }

    /// Readers want two codes at least: symbols are added that are not there.
    fn force_two(&mut self, own: &[usize]) {
        let mut last = own.iter().take(self.alphabet.size()).rposition(|count| *count > 0);
        while self.heap.len() < 3 {
            let symbol = match last {
                Some(symbol) if symbol < 2 => symbol + 1,
                _ => 0,
            };
            if last.is_none_or(|last| last < 2) {
                last = Some(symbol);
            }
            self.heap.push(symbol);
            self.counts[symbol] = 1;
            self.cost -= 1;
            let fixed = self.alphabet.fixed_length(symbol);
            self.fixed_cost -= i64::try_from(fixed).unwrap_or(0);
        }
        self.last = last.unwrap_or(0);
    }

    fn is_smaller(&self, one: usize, other: usize) -> bool {
        let (a, b) = (self.counts[one], self.counts[other]);
        a < b || (a == b && self.depths[one] <= self.depths[other])
    }

    fn sink(&mut self, mut place: usize) {
        let value = self.heap[place];
        let length = self.heap.len() - 1;
        let mut child = place * 2;
        while child <= length {
            if child < length && self.is_smaller(self.heap[child + 1], self.heap[child]) {
                child += 1;
            }
            if self.is_smaller(value, self.heap[child]) {
                break;
            }
            self.heap[place] = self.heap[child];
            (place, child) = (child, child * 2);
        }
        self.heap[place] = value;
    }

    /// Joins the two rarest until one is left.
    fn join(&mut self) {
        for place in (1..=(self.heap.len() - 1) / 2).rev() {
            self.sink(place);
        }
        let mut knot = self.alphabet.size();
        loop {
            let one = self.heap.swap_remove(1);
            self.sink(1);
            let other = self.heap[1];
            self.sorted.extend([one, other]);
            self.counts[knot] = self.counts[one] + self.counts[other];
            self.depths[knot] = self.depths[one].max(self.depths[other]) + 1;
            (self.parents[one], self.parents[other]) = (knot, knot);
            self.heap[1] = knot;
            knot += 1;
            self.sink(1);
            if self.heap.len() < 3 {
                break;
            }
        }
        self.sorted.push(self.heap[1]);
    }

    /// Lengths from the root down; those that are too long are shortened at the cost of others.
    fn measure(&mut self) {
        let most = self.alphabet.max_length();
        let mut with_length = [0_usize; MAX_BITS + 1];
        let mut overflow = 0_i64;
        let downwards: Vec<usize> = self.sorted.iter().rev().copied().collect();
        for symbol in downwards.iter().skip(1).copied() {
            let bits = self.lengths[self.parents[symbol]] + 1;
            overflow += i64::from(bits > most);
            let bits = bits.min(most);
            self.lengths[symbol] = bits;
            if symbol > self.last {
                continue;
            }
            with_length[bits] += 1;
            let (extra, fixed) = (self.alphabet.extra(symbol), self.alphabet.fixed_length(symbol));
            let sum =
                |bits: usize| i64::try_from(self.counts[symbol] * (bits + extra)).unwrap_or(0);
            self.cost += sum(bits);
            self.fixed_cost += sum(fixed);
        }
        if overflow == 0 {
            return;
        }
        while overflow > 0 {
            let mut bits = most - 1;
            while with_length[bits] == 0 {
                bits -= 1;
            }
            with_length[bits] -= 1;
            with_length[bits + 1] += 2;
            with_length[most] -= 1;
            overflow -= 2;
        }
        let last = self.last;
        let mut symbols = self.sorted.iter().copied().filter(|symbol| *symbol <= last);
        for bits in (1..=most).rev() {
            for symbol in symbols.by_ref().take(with_length[bits]) {
                let before = self.lengths[symbol];
                let change = i64::try_from(bits).unwrap_or(0) - i64::try_from(before).unwrap_or(0);
                self.cost += change * i64::try_from(self.counts[symbol]).unwrap_or(0);
                self.lengths[symbol] = bits;
            }
        }
    }
}
