//! Dynamic values: what a commit's or summary's metadata holds.

use super::frame::{build_array, build_tuple, split_array, split_members};
use super::{MAX_DEPTH, Type};
use crate::Error;

/// The most elements one decoded value may have, over all its arrays and tuples.
///
/// A value in memory is far larger than a byte; this bounds what hostile input can allocate.
const MAX_ELEMENTS: usize = 1 << 21;

const WHAT: &str = "GVariant";

/// A value of any type. Integers are as stored in little-endian; fields that OSTree swaps are
/// swapped by their typed readers.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `y`
    Byte(u8),
    /// `n`
    Int16(i16),
    /// `q`
    Uint16(u16),
    /// `i`
    Int32(i32),
    /// `u`
    Uint32(u32),
    /// `h`
    Handle(i32),
    /// `x`
    Int64(i64),
    /// `t`
    Uint64(u64),
    /// `d`, as its bits, so that every value survives a round trip
    Double(u64),
    /// `s`
    String(String),
    /// `o`
    ObjectPath(String),
    /// `g`
    Signature(String),
    /// `ay`
    Bytes(Vec<u8>),
    /// `v`
    Variant(Box<Value>),
    /// `aT` of any element type but `y`
    Array(Type, Vec<Value>),
    /// `mT`
    Maybe(Type, Option<Box<Value>>),
    /// `(T…)`
    Tuple(Vec<Value>),
    /// `{KV}`
    DictEntry(Box<(Value, Value)>),
}

impl Value {
    /// An array of strings, `as`.
    #[must_use]
    pub fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::Array(Type::String, items.into_iter().map(|s| Self::String(s.into())).collect())
    }

    /// An array of byte arrays, `aay`.
    #[must_use]
    pub fn byte_arrays(items: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::Array(Type::bytes(), items.into_iter().map(Self::Bytes).collect())
    }

    /// The text, when this is an `s`.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The bytes, when this is an `ay`.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The elements, when this is an array of anything but bytes.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(_, items) = self { Some(items) } else { None }
    }

    /// The type of this value.
    #[must_use]
    pub fn type_of(&self) -> Type {
        match self {
            Self::Bool(_) => Type::Bool,
            Self::Byte(_) => Type::Byte,
            Self::Int16(_) => Type::Int16,
            Self::Uint16(_) => Type::Uint16,
            Self::Int32(_) => Type::Int32,
            Self::Uint32(_) => Type::Uint32,
            Self::Handle(_) => Type::Handle,
            Self::Int64(_) => Type::Int64,
            Self::Uint64(_) => Type::Uint64,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::ObjectPath(_) => Type::ObjectPath,
            Self::Signature(_) => Type::Signature,
            Self::Bytes(_) => Type::bytes(),
            Self::Variant(_) => Type::Variant,
            Self::Array(element, _) => Type::Array(Box::new(element.clone())),
            Self::Maybe(inner, _) => Type::Maybe(Box::new(inner.clone())),
            Self::Tuple(members) => Type::Tuple(members.iter().map(Self::type_of).collect()),
            Self::DictEntry(entry) => {
                Type::DictEntry(Box::new((entry.0.type_of(), entry.1.type_of())))
            }
        }
    }

    /// The canonical serialisation.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bool(value) => vec![u8::from(*value)],
            Self::Byte(value) => vec![*value],
            Self::Int16(value) => value.to_le_bytes().to_vec(),
            Self::Uint16(value) => value.to_le_bytes().to_vec(),
            Self::Int32(value) | Self::Handle(value) => value.to_le_bytes().to_vec(),
            Self::Uint32(value) => value.to_le_bytes().to_vec(),
            Self::Int64(value) => value.to_le_bytes().to_vec(),
            Self::Uint64(value) | Self::Double(value) => value.to_le_bytes().to_vec(),
            Self::String(text) | Self::ObjectPath(text) | Self::Signature(text) => encode_str(text),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Variant(inner) => {
                let mut out = inner.encode();
                out.push(0);
                out.extend_from_slice(inner.type_of().to_string().as_bytes());
                out
            }
            Self::Array(element, items) if element.fixed_size().is_some() => {
                items.iter().flat_map(Self::encode).collect()
            }
            Self::Array(element, items) => {
                build_array(element.align(), items.iter().map(Self::encode))
            }
            Self::Maybe(_, None) => Vec::new(),
            Self::Maybe(inner, Some(value)) => {
                let mut out = value.encode();
                if inner.fixed_size().is_none() {
                    out.push(0);
                }
                out
            }
            Self::Tuple(members) => encode_tuple(members.iter()),
            Self::DictEntry(entry) => encode_tuple([&entry.0, &entry.1].into_iter()),
        }
    }

    /// Reads a value of this type. The bytes must be its canonical serialisation.
    pub fn decode(of: &Type, data: &[u8]) -> Result<Self, Error> {
        let value = decode(of, data, &mut Budget { depth: 0, elements: MAX_ELEMENTS })?;
        if value.encode() == data { Ok(value) } else { Err(Error::NotNormalForm { what: WHAT }) }
    }
}

fn encode_tuple<'a>(members: impl Iterator<Item = &'a Value>) -> Vec<u8> {
    let parts: Vec<_> = members.map(|m| (m.type_of().member(), m.encode())).collect();
    let borrowed: Vec<_> = parts.iter().map(|(m, bytes)| (*m, bytes.as_slice())).collect();
    build_tuple(&borrowed)
}

/// A string with its NUL.
pub(crate) fn encode_str(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 1);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    out
}

/// The text of a serialised string: UTF-8, one NUL, at the end.
pub(crate) fn decode_str<'a>(what: &'static str, data: &'a [u8]) -> Result<&'a str, Error> {
    match data.split_last() {
        Some((0, text)) if !text.contains(&0) => {
            std::str::from_utf8(text).map_err(|_| Error::malformed(what, "a string is not UTF-8"))
        }
        _ => Err(Error::malformed(what, "a string does not end in its only NUL")),
    }
}

#[derive(Debug)]
struct Budget {
    depth: usize,
    elements: usize,
}

impl Budget {
    fn spend(&mut self, count: usize) -> Result<(), Error> {
        self.elements = self.elements.checked_sub(count).ok_or(Error::TooLarge {
            what: WHAT,
            size: count as u64,
            limit: MAX_ELEMENTS as u64,
        })?;
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::malformed(WHAT, "nested too deeply"));
        }
        Ok(())
    }
}

fn array<const N: usize>(data: &[u8]) -> Result<[u8; N], Error> {
    data.try_into().map_err(|_| Error::malformed(WHAT, "a number has the wrong size"))
}

fn decode(of: &Type, data: &[u8], budget: &mut Budget) -> Result<Value, Error> {
    Ok(match of {
        Type::Bool => match data {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err(Error::malformed(WHAT, "a boolean is neither 0 nor 1")),
        },
        Type::Byte => Value::Byte(array::<1>(data)?[0]),
        Type::Int16 => Value::Int16(i16::from_le_bytes(array(data)?)),
        Type::Uint16 => Value::Uint16(u16::from_le_bytes(array(data)?)),
        Type::Int32 => Value::Int32(i32::from_le_bytes(array(data)?)),
        Type::Uint32 => Value::Uint32(u32::from_le_bytes(array(data)?)),
        Type::Handle => Value::Handle(i32::from_le_bytes(array(data)?)),
        Type::Int64 => Value::Int64(i64::from_le_bytes(array(data)?)),
        Type::Uint64 => Value::Uint64(u64::from_le_bytes(array(data)?)),
        Type::Double => Value::Double(u64::from_le_bytes(array(data)?)),
        Type::String => Value::String(decode_str(WHAT, data)?.to_owned()),
        Type::ObjectPath => Value::ObjectPath(decode_str(WHAT, data)?.to_owned()),
        Type::Signature => Value::Signature(decode_str(WHAT, data)?.to_owned()),
        Type::Array(element) if **element == Type::Byte => Value::Bytes(data.to_vec()),
        Type::Variant | Type::Array(_) | Type::Maybe(_) | Type::Tuple(_) | Type::DictEntry(_) => {
            budget.enter()?;
            let value = decode_container(of, data, budget)?;
            budget.depth -= 1;
            value
        }
    })
}

fn decode_container(of: &Type, data: &[u8], budget: &mut Budget) -> Result<Value, Error> {
    Ok(match of {
        Type::Variant => {
            let split = data.iter().rposition(|&b| b == 0);
            let split = split.ok_or_else(|| Error::malformed(WHAT, "a variant has no type"))?;
            let name = std::str::from_utf8(&data[split + 1..])
                .map_err(|_| Error::malformed(WHAT, "a variant's type is not a type"))?;
            let inner = Type::parse(name)?;
            Value::Variant(Box::new(decode(&inner, &data[..split], budget)?))
        }
        Type::Array(element) => {
            let items = match element.fixed_size() {
                Some(size) if data.len().is_multiple_of(size) => data.chunks_exact(size).collect(),
                Some(_) => return Err(Error::malformed(WHAT, "an array has a broken element")),
                None => split_array(WHAT, data, element.align())?,
            };
            budget.spend(items.len() + element.weight())?;
            let items: Result<_, _> =
                items.into_iter().map(|item| decode(element, item, budget)).collect();
            Value::Array((**element).clone(), items?)
        }
        Type::Maybe(inner) if data.is_empty() => {
            budget.spend(inner.weight())?;
            Value::Maybe((**inner).clone(), None)
        }
        Type::Maybe(inner) => {
            let body = match inner.fixed_size() {
                Some(_) => data,
                None => &data[..data.len() - 1],
            };
            let value = decode(inner, body, budget)?;
            Value::Maybe((**inner).clone(), Some(Box::new(value)))
        }
        Type::Tuple(members) => Value::Tuple(decode_members(members.iter(), data, budget)?),
        Type::DictEntry(entry) => {
            let pair = decode_members([&entry.0, &entry.1].into_iter(), data, budget)?;
            let [key, value] = <[Value; 2]>::try_from(pair)
                .map_err(|_| Error::malformed(WHAT, "an entry is not a pair"))?;
            Value::DictEntry(Box::new((key, value)))
        }
        _ => return Err(Error::malformed(WHAT, "not a container")),
    })
}

fn decode_members<'t>(
    types: impl Iterator<Item = &'t Type> + Clone,
    data: &[u8],
    budget: &mut Budget,
) -> Result<Vec<Value>, Error> {
    let members: Vec<_> = types.clone().map(Type::member).collect();
    if members.is_empty() {
        return Ok(Vec::new());
    }
    budget.spend(members.len())?;
    let mut children = Vec::with_capacity(members.len());
    split_members(data, &members, |_, child| children.push(child))
        .ok_or_else(|| Error::malformed(WHAT, "the layout does not match the type"))?;
    types.zip(children).map(|(of, child)| decode(of, child, budget)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Type, Value};
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<u8>().prop_map(Value::Byte),
            any::<u16>().prop_map(Value::Uint16),
            any::<u32>().prop_map(Value::Uint32),
            any::<u64>().prop_map(Value::Uint64),
            "[a-zé]{0,300}".prop_map(Value::String),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 60, 6, |inner| {
            prop_oneof![
                inner.clone().prop_map(|v| Value::Variant(Box::new(v))),
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Tuple),
                inner.clone().prop_map(|v| Value::Maybe(v.type_of(), Some(Box::new(v)))),
                proptest::collection::vec(inner, 0..6).prop_map(|items| Value::Array(
                    Type::Variant,
                    items.into_iter().map(|v| Value::Variant(Box::new(v))).collect(),
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn round_trip(value in any_value()) {
            let bytes = value.encode();
            prop_assert_eq!(Value::decode(&value.type_of(), &bytes).unwrap(), value);
        }

        #[test]
        fn hostile_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            for text in ["a{sv}", "(a{sv}aya(say)sstayay)", "v", "a(uuu)", "mas", "(ay(yt)s)"] {
                let of = Type::parse(text).unwrap();
                if let Ok(value) = Value::decode(&of, &bytes) {
                    prop_assert_eq!(value.encode(), bytes.clone());
                }
            }
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        let mut bytes = vec![0, b'b'];
        for _ in 0..10_000 {
            bytes.extend([0, b'v']);
        }
        let mut nested = vec![1_u8];
        nested.extend(&bytes);
        assert!(Value::decode(&Type::Variant, &nested).is_err());
    }
}
