//! [`Packer`]: which matches are taken, and where a block ends.
//!
//! Places are counted from the first byte of the input on. zlib counts within a window of twice 32 KiB
//! that slides: `base` is where that window would begin. A match never begins at it, and a block that
//! began before it cannot be stored as it is.

use super::tables::{
    BLOCK_SYMBOLS, Effort, LEVELS, MAX_DISTANCE, MAX_MATCH, MIN_LOOKAHEAD, MIN_MATCH, TOO_FAR,
    WINDOW,
};
use super::write::{Block, Symbol, Writer};

const HASH_SIZE: usize = 1 << 15;

pub(super) struct Packer<'a> {
    bytes: &'a [u8],
    effort: Effort,
    /// The last place of each hash, and of each place the one before with the same.
    head: Vec<usize>,
    previous: Vec<usize>,
    base: usize,
    /// Up to here the window is filled.
    filled: usize,
    at: usize,
    block_start: usize,
    symbols: Vec<Symbol>,
    writer: Writer,
    match_start: usize,
    previous_length: usize,
}

impl<'a> Packer<'a> {
    pub(super) fn new(bytes: &'a [u8], level: usize) -> Self {
        let [.., strongest] = LEVELS;
        Self {
            bytes,
            effort: LEVELS.get(level.wrapping_sub(1)).copied().unwrap_or(strongest),
            head: vec![0; HASH_SIZE],
            previous: vec![0; WINDOW],
            base: 0,
            filled: 0,
            at: 0,
            block_start: 0,
            symbols: Vec::new(),
            writer: Writer::default(),
            match_start: 0,
            previous_length: MIN_MATCH - 1,
        }
    }

    pub(super) fn pack(mut self) -> Vec<u8> {
        if self.effort.is_slow {
            self.slow();
        } else {
            self.fast();
        }
        self.end_block(true);
        self.writer.finish()
    }

    fn lookahead(&self) -> usize {
        self.filled - self.at
    }

    /// Fills the window; `false`: nothing is left.
    fn fill(&mut self) -> bool {
        while self.lookahead() < MIN_LOOKAHEAD {
            if self.at - self.base >= WINDOW + MAX_DISTANCE {
                self.base += WINDOW;
            }
            let end = (self.base + 2 * WINDOW).min(self.bytes.len());
            if end <= self.filled {
                break;
            }
            self.filled = end;
        }
        self.lookahead() > 0
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Remembers a place, and tells the last one with the same three bytes, as far as hashes tell.
    fn insert(&mut self, at: usize) -> usize {
        let part = |offset: usize, shift: usize| usize::from(self.byte(at + offset)) << shift;
        let hash = (part(0, 10) ^ part(1, 5) ^ part(2, 0)) % HASH_SIZE;
        let Some(head) = self.head.get_mut(hash) else { return 0 };
        let last = std::mem::replace(head, at);
        if let Some(previous) = self.previous.get_mut(at % WINDOW) {
            *previous = last;
        }
        last
    }

    /// Whether a place can be that of a match.
    fn is_near(&self, place: usize) -> bool {
        place > self.base && self.at - place <= MAX_DISTANCE
    }

    /// The longest match, of those that are longer than the previous one.
    fn longest(&mut self, mut place: usize) -> usize {
        let lookahead = self.lookahead();
        let limit = self.base.max(self.at.saturating_sub(MAX_DISTANCE));
        let mut best = self.previous_length;
        if best >= lookahead {
            return lookahead;
        }
        let halved = if best >= self.effort.good { 2 } else { 0 };
        let mut chain = self.effort.chain >> halved;
        let nice = self.effort.nice.min(lookahead);
        let most = MAX_MATCH.min(lookahead);
        loop {
            let could_be = self.byte(place + best) == self.byte(self.at + best)
                && self.byte(place + best - 1) == self.byte(self.at + best - 1);
            if could_be {
                let (old, new) = (self.bytes.get(place..), self.bytes.get(self.at..));
                let pairs = old.unwrap_or_default().iter().zip(new.unwrap_or_default());
                let length = pairs.take(most).take_while(|(one, other)| one == other).count();
                if length > best {
                    (self.match_start, best) = (place, length);
                    if length >= nice {
                        break;
                    }
                }
            }
            place = self.previous.get(place % WINDOW).copied().unwrap_or(0);
            chain -= 1;
            if place <= limit || chain == 0 {
                break;
            }
        }
        best.min(lookahead)
    }

    /// Levels 1 to 3 take the first match that they find.
    fn fast(&mut self) {
        while self.lookahead() >= MIN_LOOKAHEAD || self.fill() {
            let mut length = 0;
            if self.lookahead() >= MIN_MATCH {
                let place = self.insert(self.at);
                if self.is_near(place) {
                    length = self.longest(place);
                }
            }
            if length < MIN_MATCH {
                self.symbols.push(Symbol::Literal(self.byte(self.at)));
                self.at += 1;
            } else {
                self.take_match(self.at - self.match_start, length);
                let end = self.at + length;
                if length <= self.effort.lazy && self.filled - end >= MIN_MATCH {
                    for place in self.at + 1..end {
                        self.insert(place);
                    }
                }
                self.at = end;
            }
            self.end_full_block();
        }
    }

    /// Levels 4 to 9 try the next place before they take a match.
    fn slow(&mut self) {
        let (mut length, mut has_literal) = (MIN_MATCH - 1, false);
        while self.lookahead() >= MIN_LOOKAHEAD || self.fill() {
            let place = if self.lookahead() >= MIN_MATCH { self.insert(self.at) } else { 0 };
            let previous_start = self.match_start;
            self.previous_length = length;
            length = MIN_MATCH - 1;
            if self.previous_length < self.effort.lazy && self.is_near(place) {
                length = self.longest(place);
                if length == MIN_MATCH && self.at - self.match_start > TOO_FAR {
                    length = MIN_MATCH - 1;
                }
            }
            if self.previous_length >= MIN_MATCH && length <= self.previous_length {
                let taken = self.previous_length;
                let last = (self.filled).saturating_sub(MIN_MATCH);
                self.take_match(self.at - 1 - previous_start, taken);
                let end = self.at + taken - 1;
                for place in (self.at + 1..end).take_while(|place| *place <= last) {
                    self.insert(place);
                }
                (self.at, length, has_literal) = (end, MIN_MATCH - 1, false);
                self.end_full_block();
            } else {
                if has_literal {
                    self.symbols.push(Symbol::Literal(self.byte(self.at - 1)));
                    self.end_full_block();
                }
                has_literal = true;
                self.at += 1;
            }
        }
        if has_literal {
            self.symbols.push(Symbol::Literal(self.byte(self.at - 1)));
        }
    }

    fn take_match(&mut self, distance: usize, length: usize) {
        self.symbols.push(Symbol::Match { length: length - MIN_MATCH, distance: distance - 1 });
    }

    fn end_full_block(&mut self) {
        if self.symbols.len() >= BLOCK_SYMBOLS {
            self.end_block(false);
        }
    }

    fn end_block(&mut self, is_last: bool) {
        let raw = self.bytes.get(self.block_start..self.at).unwrap_or_default();
        let raw = (self.block_start >= self.base).then_some(raw);
        self.writer.block(&Block { symbols: &self.symbols, raw, is_last });
        self.symbols.clear();
        self.block_start = self.at;
    }
}
