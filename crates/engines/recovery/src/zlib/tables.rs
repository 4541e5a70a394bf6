//! Numbers of the format, and of zlib's levels.

/// Lengths of matches.
pub(super) const MIN_MATCH: usize = 3;
pub(super) const MAX_MATCH: usize = 258;
pub(super) const WINDOW: usize = 1 << 15;
/// So much of the input is looked at in advance.
pub(super) const MIN_LOOKAHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
pub(super) const MAX_DISTANCE: usize = WINDOW - MIN_LOOKAHEAD;
/// A match of the shortest length from farther away costs more than it saves.
pub(super) const TOO_FAR: usize = 4096;
/// A block has so many symbols.
pub(super) const BLOCK_SYMBOLS: usize = (1 << 14) - 1;

pub(super) const LITERALS: usize = 286;
pub(super) const DISTANCES: usize = 30;
pub(super) const BIT_LENGTHS: usize = 19;
pub(super) const END_OF_BLOCK: usize = 256;

pub(super) const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
pub(super) const DISTANCE_EXTRA: [u8; DISTANCES] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];
pub(super) const BIT_LENGTH_EXTRA: [u8; BIT_LENGTHS] =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
pub(super) const BIT_LENGTH_ORDER: [usize; BIT_LENGTHS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How hard a level looks for matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// From this length on, fewer candidates are looked at.
    pub(super) good: usize,
    /// From this length on, the next place is not tried; for fast levels: inserted up to it.
    pub(super) lazy: usize,
    /// A match of this length is taken at once.
    pub(super) nice: usize,
    /// How many candidates are looked at.
    pub(super) chain: usize,
    /// Whether the next place is tried before a match is taken.
    pub(super) is_slow: bool,
}

const fn effort(good: usize, lazy: usize, nice: usize, chain: usize, is_slow: bool) -> Effort {
    Effort { good, lazy, nice, chain, is_slow }
}

pub(super) const LEVELS: [Effort; 9] = [
    effort(4, 4, 8, 4, false),
    effort(4, 5, 16, 8, false),
    effort(4, 6, 32, 32, false),
    effort(4, 4, 16, 16, true),
    effort(8, 16, 32, 32, true),
    effort(8, 16, 128, 128, true),
    effort(8, 32, 128, 256, true),
    effort(32, 128, 258, 1024, true),
    effort(32, 258, 258, 4096, true),
];

/// The code of a length, less the shortest.
pub(super) fn length_code(length: usize) -> usize {
    if length == MAX_MATCH - MIN_MATCH {
        return LENGTH_EXTRA.len() - 1;
    }
    code_of(&LENGTH_EXTRA, length)
}

/// The code of a distance, less one.
pub(super) fn distance_code(distance: usize) -> usize {
    code_of(&DISTANCE_EXTRA, distance)
}

/// The first value of a code.
pub(super) fn base(extra: &[u8], code: usize) -> usize {
    if extra.len() == LENGTH_EXTRA.len() && code == LENGTH_EXTRA.len() - 1 {
        return MAX_MATCH - MIN_MATCH;
    }
    extra.iter().take(code).map(|bits| 1 << bits).sum()
}

fn code_of(extra: &[u8], value: usize) -> usize {
    let mut end = 0;
    let code = extra.iter().position(|bits| {
        end += 1_usize << bits;
        value < end
    });
    code.unwrap_or(0)
}
