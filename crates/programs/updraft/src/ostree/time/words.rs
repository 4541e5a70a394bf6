//! The parts of a date as GNU `date` knows them: numbers, and words for months, days, units, zones.

/// The longest text that is read.
const MAX_LENGTH: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// With how many digits it was written.
    Number(i64, usize),
    /// A number with its sign.
    Signed(i64, usize),
    /// A number whose fraction was dropped.
    Decimal(i64),
    Month(i8),
    /// From Sunday, 0.
    Day(i64),
    Unit(Unit),
    /// `tomorrow`: so many days from now.
    Shift(i64),
    /// `next`, `third`.
    Ordinal(i64),
    Ago,
    /// Whether it is after noon.
    Meridian(bool),
    /// Minutes east of Greenwich.
    Zone(i64),
    /// `DST` after a zone.
    SummerTime,
    /// Between a date and a time.
    T,
    Mark(char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Months(i64),
    Days(i64),
    Seconds(i64),
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

const UNITS: [(&str, Unit); 10] = [
    ("year", Unit::Months(12)),
    ("month", Unit::Months(1)),
    ("fortnight", Unit::Days(14)),
    ("week", Unit::Days(7)),
    ("day", Unit::Days(1)),
    ("hour", Unit::Seconds(3600)),
    ("minute", Unit::Seconds(60)),
    ("min", Unit::Seconds(60)),
    ("second", Unit::Seconds(1)),
    ("sec", Unit::Seconds(1)),
];

const ORDINALS: [(&str, i64); 14] = [
    ("last", -1),
    ("this", 0),
    ("next", 1),
    ("first", 1),
    ("third", 3),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("eleventh", 11),
    ("twelfth", 12),
];

/// Zones by their names, in minutes east of Greenwich; summer time is counted in.
const ZONES: [(&str, i64); 32] = [
    ("z", 0),
    ("gmt", 0),
    ("ut", 0),
    ("utc", 0),
    ("wet", 0),
    ("west", 60),
    ("bst", 60),
    ("nst", -210),
    ("ndt", -150),
    ("ast", -240),
    ("adt", -180),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("hst", -600),
    ("cet", 60),
    ("cest", 120),
    ("met", 60),
    ("mez", 60),
    ("mest", 120),
    ("mesz", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("msd", 240),
    ("ist", 330),
    ("jst", 540),
];

/// The words of a text; none when one is unknown. What stands in parentheses is passed over.
pub(super) fn split(text: &str) -> Option<Vec<Word>> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '(' => {
                rest = after_comment(rest)?.trim_start();
                continue;
            }
            '+' | '-' => {
                let after = rest.get(1..)?.trim_start();
                if !after.starts_with(|letter: char| letter.is_ascii_digit()) {
                    // Between the parts of `4-Jan-2021` it says nothing.
                    rest = after;
                    continue;
                }
                signed(rest)?
            }
            '0'..='9' => number(rest)?,
            _ if first.is_ascii_alphabetic() => {
                let end = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '.');
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                (meaning(&name.to_ascii_lowercase())?, after)
            }
            _ => (Word::Mark(first), rest.get(first.len_utf8()..)?),
        };
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

fn after_comment(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (place, letter) in text.char_indices() {
        match letter {
            '(' => depth = depth.checked_add(1)?,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return text.get(place..)?.strip_prefix(')');
        }
    }
    None
}

fn signed(text: &str) -> Option<(Word, &str)> {
    let (sign, rest) = text.split_at_checked(1)?;
    let (Word::Number(value, digits), after) = number(rest.trim_start())? else { return None };
    Some((Word::Signed(if sign == "-" { -value } else { value }, digits), after))
}

fn number(text: &str) -> Option<(Word, &str)> {
    let end = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, after) = text.split_at(end(text));
    let value = digits.parse().ok()?;
    if let Some(fraction) = after.strip_prefix(['.', ','])
        && end(fraction) > 0
    {
        return Some((Word::Decimal(value), fraction.get(end(fraction)..)?));
    }
    Some((Word::Number(value, digits.len()), after))
}

fn meaning(name: &str) -> Option<Word> {
    let plain = name.trim_end_matches('.');
    let begins = |whole: &&str| *whole == plain || (plain.len() == 3 && whole.starts_with(plain));
    let found = |list: &[&str]| list.iter().position(&begins);
    let index = |place: usize| i8::try_from(place).ok();
    if let Some(place) = found(&MONTHS).or((plain == "sept").then_some(8)) {
        return Some(Word::Month(index(place)?.checked_add(1)?));
    }
    let short = match plain {
        "tues" => Some(2),
        "wednes" => Some(3),
        "thur" | "thurs" => Some(4),
        _ => None,
    };
    if let Some(place) = found(&DAYS).or(short) {
        return Some(Word::Day(index(place)?.into()));
    }
    let in_list = |list: &[(&str, i64)], name: &str| {
        list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    };
    if let Some(zone) = in_list(&ZONES, name) {
        return Some(Word::Zone(zone));
    }
    let singular = name.strip_suffix('s').unwrap_or(name);
    let unit = UNITS.iter().find(|(known, _)| *known == name || *known == singular);
    if let Some((_, unit)) = unit {
        return Some(Word::Unit(*unit));
    }
    match name {
        "am" | "a.m." => Some(Word::Meridian(false)),
        "pm" | "p.m." => Some(Word::Meridian(true)),
        "dst" => Some(Word::SummerTime),
        "now" | "today" => Some(Word::Shift(0)),
        "tomorrow" => Some(Word::Shift(1)),
        "yesterday" => Some(Word::Shift(-1)),
        "ago" => Some(Word::Ago),
        // No word of theirs, but how people write `a week ago`.
        "a" => Some(Word::Ordinal(1)),
        "t" => Some(Word::T),
        _ => in_list(&ORDINALS, name).map(Word::Ordinal),
    }
}
