//! Adverts of repositories on a local network: what the TXT record of a DNS-SD service of the type
//! `_ostree_repo._tcp` says (RFC 6763, section 6), as libostree's Avahi finder reads it.
//!
//! Each value is a `GVariant` in normal form; numbers are big-endian.
//!
//! ```text
//! v   y       the version of all this: 1
//! rb  (yyay)  a Bloom filter of the refs: how many hash functions, of which kind, the bits
//! st  t       when the summary was made, seconds since 1970
//! ri  q       which of the peer's repositories it is: it is served below `/ri`
//! ```
//!
//! Of the kind 1 the hash function number `k` of a ref is SipHash-2-4 of the collection's id, xor
//! that of the ref's name, either with a key of sixteen bytes `k`. Bit `n` of the filter is bit
//! `n % 8`, the lowest first, of byte `n / 8`.

use std::hash::Hasher as _;

use crate::{CollectionRef, Error};

const WHAT: &str = "advert of a repository";
/// Attributes that are looked at.
const MAX_ATTRIBUTES: usize = 64;
/// The longest attribute of a TXT record, its name included (RFC 6763, section 6.1).
const MAX_ATTRIBUTE: usize = 255;
/// The bytes of the filters that we make: with its name and its head an attribute holds five more.
const FILTER: usize = 250;
/// No filter of ours has more hash functions.
const MAX_FUNCTIONS: usize = 8;
/// SipHash-2-4 of both names.
const SIPHASH: u8 = 1;
const VERSION: u8 = 1;

/// What a peer says about one of its repositories. Not to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// Which refs it may have.
    pub refs: RefFilter,
    /// When its summary was made, in seconds since 1970.
    pub summary_time: u64,
    /// The number below which it is served.
    pub repository: u16,
}

impl Advert {
    /// The type of the service.
    pub const SERVICE: &'static str = "_ostree_repo._tcp";

    /// Reads the attributes of a TXT record. Of several of one name the first counts; capitals are
    /// as good as small letters; others are passed over.
    ///
    /// # Errors
    /// When one is missing, or is not what it should be, or of another version.
    pub fn decode<'a>(
        attributes: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<Self, Error> {
        let attributes: Vec<_> = attributes.into_iter().take(MAX_ATTRIBUTES).collect();
        let find = |wanted: &'static str| {
            let mut named = attributes.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            let value = named.next().and_then(|(_, value)| *value);
            let value = value.ok_or_else(|| bad(format!("it has no {wanted}")))?;
            if value.len() + wanted.len() >= MAX_ATTRIBUTE {
                return Err(bad(format!("its {wanted} is too long")));
            }
            Ok(value)
        };
        match find("v")? {
            [VERSION] => {}
            [other] => return Err(bad(format!("it has the version {other}"))),
            _ => return Err(bad("its v is no byte")),
        }
        let refs = RefFilter::decode(find("rb")?)?;
        let summary_time = find("st")?.try_into().map_err(|_| bad("its st is no time"))?;
        let repository = find("ri")?.try_into().map_err(|_| bad("its ri is no number"))?;
        Ok(Self {
            refs,
            summary_time: u64::from_be_bytes(summary_time),
            repository: u16::from_be_bytes(repository),
        })
    }

    /// The attributes of a TXT record.
    #[must_use]
    pub fn encode(&self) -> [(&'static str, Vec<u8>); 4] {
        [
            ("v", vec![VERSION]),
            ("rb", self.refs.encode()),
            ("st", self.summary_time.to_be_bytes().to_vec()),
            ("ri", self.repository.to_be_bytes().to_vec()),
        ]
    }
}

/// A Bloom filter of refs: what it denies is not there, what it affirms may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefFilter {
    functions: u8,
    bits: Vec<u8>,
}

impl RefFilter {
    /// A filter of these refs, as large as fits into a TXT record.
    #[must_use]
    pub fn of(refs: &[CollectionRef]) -> Self {
        // (bits / refs) * ln 2 functions lie least.
        let functions = FILTER * 8 * 69 / 100 / refs.len().max(1);
        let functions = u8::try_from(functions.clamp(1, MAX_FUNCTIONS)).unwrap_or(1);
        let mut filter = Self { functions, bits: vec![0; FILTER] };
        for name in refs {
            for function in 0..functions {
                let (byte, bit) = filter.place(name, function);
                if let Some(byte) = filter.bits.get_mut(byte) {
                    *byte |= bit;
                }
            }
        }
        filter
    }

    /// Whether this ref may be there.
    #[must_use]
    pub fn may_have(&self, name: &CollectionRef) -> bool {
        (0..self.functions).all(|function| {
            let (byte, bit) = self.place(name, function);
            self.bits.get(byte).is_some_and(|byte| byte & bit != 0)
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            [0, ..] => Err(bad("its filter has no hash function")),
            [functions, SIPHASH, bits @ ..] if !bits.is_empty() => {
                Ok(Self { functions: *functions, bits: bits.to_vec() })
            }
            [_, SIPHASH] | [] | [_] => Err(bad("its filter is cut short")),
            [_, kind, ..] => Err(bad(format!("its filter has hash functions of the kind {kind}"))),
        }
    }

    fn encode(&self) -> Vec<u8> {
        [&[self.functions, SIPHASH][..], &self.bits].concat()
    }

    /// Which byte, and which bit in it.
    fn place(&self, name: &CollectionRef, function: u8) -> (usize, u8) {
        let hash =
            siphash(function, name.collection.as_str()) ^ siphash(function, name.name.as_str());
        let bits = self.bits.len().max(1) as u64 * 8;
        let place = hash % bits;
        (usize::try_from(place / 8).unwrap_or(0), 1 << (place % 8))
    }
}

/// SipHash-2-4 with a key of this byte. It spreads bits and keeps no secret.
#[expect(
    deprecated,
    reason = "only its name is: its algorithm is fixed, that of its successor not"
)]
fn siphash(key: u8, text: &str) -> u64 {
    let key = u64::from_le_bytes([key; 8]);
    let mut hasher = std::hash::SipHasher::new_with_keys(key, key);
    hasher.write(text.as_bytes());
    hasher.finish()
}

fn bad(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::malformed(WHAT, reason)
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use super::{Advert, RefFilter, siphash};
    use crate::{CollectionId, CollectionRef, RefName};

    fn name(name: &str) -> CollectionRef {
        let collection = CollectionId::new("org.example.Os").unwrap();
        CollectionRef { collection, name: RefName::new(name).unwrap() }
    }

    fn advert(refs: &[CollectionRef]) -> Advert {
        let refs = RefFilter::of(refs);
        Advert { refs, summary_time: 1_700_000_000, repository: 258 }
    }

    fn decode(attributes: &[(&str, Option<&[u8]>)]) -> Result<Advert, crate::Error> {
        Advert::decode(attributes.iter().copied())
    }

    #[test]
    #[expect(deprecated, reason = "the vector of SipHash's authors")]
    fn the_hash_is_siphash_2_4() {
        let (k0, k1) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let mut hasher = std::hash::SipHasher::new_with_keys(k0, k1);
        hasher.write(&std::array::from_fn::<u8, 15, _>(|index| u8::try_from(index).unwrap()));
        assert_eq!(hasher.finish(), 0xa129_ca61_49be_45e5);
        assert_ne!(siphash(0, "a"), siphash(1, "a"));
    }

    #[test]
    fn records_come_back() {
        let refs: Vec<_> = (0..60).map(|number| name(&format!("os/{number}"))).collect();
        let advert = advert(&refs);
        let record = advert.encode();
        assert_eq!(record[0].1, [1]);
        assert_eq!(record[2].1, [0, 0, 0, 0, 0x65, 0x53, 0xf1, 0]);
        assert_eq!(record[3].1, [1, 2]);
        for (key, value) in &record {
            assert!(key.len() + 1 + value.len() <= 255, "{key}");
        }
        let attributes = record.iter().map(|(key, value)| (*key, Some(value.as_slice())));
        let read = Advert::decode(attributes).unwrap();
        assert_eq!(read, advert);
        assert!(refs.iter().all(|name| read.refs.may_have(name)));
        let others = (0..1000).filter(|number| read.refs.may_have(&name(&format!("x/{number}"))));
        assert!(others.count() < 10);
    }

    #[test]
    fn a_filter_with_one_ref_denies_others_and_one_without_any_denies_all() {
        let filter = advert(&[name("a")]).refs;
        assert!(filter.may_have(&name("a")) && !filter.may_have(&name("b")));
        assert!(!advert(&[]).refs.may_have(&name("a")));
    }

    #[test]
    fn records_that_are_none() {
        let (time, index) = (&[0_u8; 8][..], &[0_u8, 7][..]);
        let whole = [
            ("V", Some(&[1_u8][..])),
            ("Rb", Some(&[1, 1, 0xff])),
            ("st", Some(time)),
            ("ri", Some(index)),
        ];
        assert_eq!(decode(&whole).unwrap().repository, 7);
        assert!(decode(&whole).unwrap().refs.may_have(&name("anything")));
        // The first of a name counts, and what is not known is passed over.
        let more = [&[("x", None), ("ri", Some(&[0_u8, 9][..]))], &whole[..]].concat();
        assert_eq!(decode(&more).unwrap().repository, 9);
        for missing in 0..4 {
            let mut some = whole.to_vec();
            some.remove(missing);
            assert!(decode(&some).unwrap_err().to_string().contains("it has no"), "{missing}");
        }
        for (number, value, reason) in [
            (0, Some(&[2_u8][..]), "version 2"),
            (0, Some(&[1, 1]), "no byte"),
            (0, None, "it has no v"),
            (1, Some(&[]), "cut short"),
            (1, Some(&[1, 1]), "cut short"),
            (1, Some(&[0, 1, 1]), "no hash function"),
            (1, Some(&[1, 2, 1]), "the kind 2"),
            (1, Some(&[1; 300]), "too long"),
            (2, Some(&[0; 7]), "no time"),
            (3, Some(&[0; 3]), "no number"),
        ] {
            let mut other = whole;
            other[number].1 = value;
            let error = decode(&other).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        // Beyond so many attributes nothing is looked for.
        let many = [&[("x", None); 64][..], &whole].concat();
        assert!(decode(&many).is_err());
    }
}
