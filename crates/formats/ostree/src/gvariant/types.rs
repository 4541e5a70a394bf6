//! GVariant types and their type strings.

use std::fmt;

use super::MAX_DEPTH;
use super::frame::Member;
use crate::Error;

/// The longest type string, as for D-Bus signatures.
const MAX_TYPE_LEN: usize = 255;

/// A definite GVariant type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `b`
    Bool,
    /// `y`
    Byte,
    /// `n`
    Int16,
    /// `q`
    Uint16,
    /// `i`
    Int32,
    /// `u`
    Uint32,
    /// `h`, an index of a file descriptor
    Handle,
    /// `x`
    Int64,
    /// `t`
    Uint64,
    /// `d`
    Double,
    /// `s`
    String,
    /// `o`
    ObjectPath,
    /// `g`
    Signature,
    /// `v`
    Variant,
    /// `aT`
    Array(Box<Type>),
    /// `mT`
    Maybe(Box<Type>),
    /// `(T…)`
    Tuple(Vec<Type>),
    /// `{KV}`
    DictEntry(Box<(Type, Type)>),
}

impl Type {
    /// Reads a type string that holds exactly one type.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::name("a GVariant type", text, "it is not one complete type");
        if text.len() > MAX_TYPE_LEN {
            return Err(Error::malformed("GVariant type", "it is too long"));
        }
        let (parsed, rest) = parse_one(text.as_bytes(), 0).ok_or_else(bad)?;
        if rest.is_empty() { Ok(parsed) } else { Err(bad()) }
    }

    /// The array of bytes, `ay`.
    #[must_use]
    pub fn bytes() -> Self {
        Self::Array(Box::new(Self::Byte))
    }

    /// The dictionary of names and variants, `a{sv}`.
    #[must_use]
    pub fn vardict() -> Self {
        Self::Array(Box::new(Self::DictEntry(Box::new((Self::String, Self::Variant)))))
    }

    pub(crate) fn align(&self) -> usize {
        match self {
            Self::Bool | Self::Byte | Self::String | Self::ObjectPath | Self::Signature => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Handle => 4,
            Self::Int64 | Self::Uint64 | Self::Double | Self::Variant => 8,
            Self::Array(inner) | Self::Maybe(inner) => inner.align(),
            Self::Tuple(members) => members.iter().map(Self::align).max().unwrap_or(1),
            Self::DictEntry(entry) => entry.0.align().max(entry.1.align()),
        }
    }

    pub(crate) fn fixed_size(&self) -> Option<usize> {
        match self {
            Self::Bool | Self::Byte => Some(1),
            Self::Int16 | Self::Uint16 => Some(2),
            Self::Int32 | Self::Uint32 | Self::Handle => Some(4),
            Self::Int64 | Self::Uint64 | Self::Double => Some(8),
            Self::Tuple(members) => fixed_sum(members.iter(), self.align()),
            Self::DictEntry(entry) => fixed_sum([&entry.0, &entry.1].into_iter(), self.align()),
            _ => None,
        }
    }

    /// How many types this one is made of: what a copy of it costs.
    pub(crate) fn weight(&self) -> usize {
        1 + match self {
            Self::Array(inner) | Self::Maybe(inner) => inner.weight(),
            Self::Tuple(members) => members.iter().map(Self::weight).sum(),
            Self::DictEntry(entry) => entry.0.weight() + entry.1.weight(),
            _ => 0,
        }
    }

    pub(crate) fn member(&self) -> Member {
        Member { align: self.align(), fixed: self.fixed_size() }
    }

    fn is_basic(&self) -> bool {
        !matches!(
            self,
            Self::Variant | Self::Array(_) | Self::Maybe(_) | Self::Tuple(_) | Self::DictEntry(_)
        )
    }
}

/// The size of a tuple of these, when each is of fixed size. The empty tuple takes one byte.
fn fixed_sum<'a>(members: impl Iterator<Item = &'a Type>, align: usize) -> Option<usize> {
    let mut size = 0_usize;
    for member in members {
        size = size.next_multiple_of(member.align()).checked_add(member.fixed_size()?)?;
    }
    Some(size.next_multiple_of(align).max(1))
}

fn parse_one(text: &[u8], depth: usize) -> Option<(Type, &[u8])> {
    if depth > MAX_DEPTH {
        return None;
    }
    let (first, mut rest) = text.split_first()?;
    let simple = match first {
        b'b' => Type::Bool,
        b'y' => Type::Byte,
        b'n' => Type::Int16,
        b'q' => Type::Uint16,
        b'i' => Type::Int32,
        b'u' => Type::Uint32,
        b'h' => Type::Handle,
        b'x' => Type::Int64,
        b't' => Type::Uint64,
        b'd' => Type::Double,
        b's' => Type::String,
        b'o' => Type::ObjectPath,
        b'g' => Type::Signature,
        b'v' => Type::Variant,
        b'a' | b'm' => {
            let (inner, rest) = parse_one(rest, depth + 1)?;
            let inner = Box::new(inner);
            return Some(if *first == b'a' {
                (Type::Array(inner), rest)
            } else {
                (Type::Maybe(inner), rest)
            });
        }
        b'(' => {
            let mut members = Vec::new();
            while rest.first() != Some(&b')') {
                let (member, after) = parse_one(rest, depth + 1)?;
                members.push(member);
                rest = after;
            }
            return Some((Type::Tuple(members), &rest[1..]));
        }
        b'{' => {
            let (key, rest) = parse_one(rest, depth + 1)?;
            let (value, rest) = parse_one(rest, depth + 1)?;
            let rest = rest.strip_prefix(b"}")?;
            return key.is_basic().then(|| (Type::DictEntry(Box::new((key, value))), rest));
        }
        _ => return None,
    };
    Some((simple, rest))
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Bool => "b",
            Self::Byte => "y",
            Self::Int16 => "n",
            Self::Uint16 => "q",
            Self::Int32 => "i",
            Self::Uint32 => "u",
            Self::Handle => "h",
            Self::Int64 => "x",
            Self::Uint64 => "t",
            Self::Double => "d",
            Self::String => "s",
            Self::ObjectPath => "o",
            Self::Signature => "g",
            Self::Variant => "v",
            Self::Array(inner) => return write!(f, "a{inner}"),
            Self::Maybe(inner) => return write!(f, "m{inner}"),
            Self::Tuple(members) => {
                f.write_str("(")?;
                for member in members {
                    write!(f, "{member}")?;
                }
                return f.write_str(")");
            }
            Self::DictEntry(entry) => return write!(f, "{{{}{}}}", entry.0, entry.1),
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Type;

    #[test]
    fn type_strings_round_trip() {
        for text in ["a{sv}", "(a{sv}aya(say)sstayay)", "a(uuu)", "()", "ma{s(taya{sv})}"] {
            assert_eq!(Type::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "a", "(s", "{vs}", "ss", "z", &"a".repeat(200)] {
            assert!(Type::parse(text).is_err(), "{text}");
        }
        assert_eq!(Type::parse("(yu)").unwrap().fixed_size(), Some(8));
        assert_eq!(Type::parse("(uuu)").unwrap().fixed_size(), Some(12));
    }
}
