//! [`RecoveryKey`]: keys in the form of `/res/keys`, as recovery had them up to Android 9.
//!
//! ```text
//! {64,0xc926ad21,{1795090719,…},{2,…}}     RSA: words, -1/n mod 2^32, n, R²
//! v2 {64,…}                                another exponent or hash
//! v5 {32,{x…},{y…}}                        P-256: bytes
//! ```
//! Words have 32 bits; the lowest word is the first, and so is the lowest byte. Keys stand one after the
//! other with a comma between two, and none after the last. (AOSP, `tools/dumpkey/DumpPublicKey.java`,
//! `printRSA` and `printEC`, and `verifier.cpp`, `load_keys`, of `bootable/recovery` in Android 8.1.)

use crate::Error;

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 256 << 10;
/// The most keys that are read.
const MAX_KEYS: usize = 64;
/// RSA with 2048, 4096 and 8192 bits.
const WORDS: [usize; 3] = [64, 128, 256];
const P256_BYTES: usize = 32;

/// The hash that a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningHash {
    /// SHA-1, which is not safe any more.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// A key of `/res/keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoveryKey {
    /// Versions 1 to 4.
    Rsa {
        /// The hash that it signs.
        hash: SigningHash,
        /// 3 or 65537.
        exponent: u32,
        /// The modulus, highest byte first.
        modulus: Vec<u8>,
    },
    /// Version 5; signs SHA-256.
    P256 {
        /// The point, highest byte first.
        x: [u8; P256_BYTES],
        /// Its other half.
        y: [u8; P256_BYTES],
    },
}

impl RecoveryKey {
    /// Reads all keys of a file.
    ///
    /// # Errors
    /// [`Error::RecoveryKeys`]: one wrong key makes all of them wrong.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, Error> {
        if text.len() > MAX_TEXT {
            return Err(Error::RecoveryKeys("they are over 256 KiB".to_owned()));
        }
        let mut rest = Rest(text.trim());
        let mut keys = Vec::new();
        loop {
            let at = keys.len() + 1;
            let bad = |problem| Error::RecoveryKeys(format!("key {at}: {problem}"));
            if at > MAX_KEYS {
                return Err(bad("there are too many"));
            }
            keys.push(key(&mut rest).map_err(bad)?);
            if rest.0.is_empty() {
                return Ok(keys);
            }
            rest.expect(',').map_err(|_| bad("something other than a comma follows it"))?;
            if rest.0.is_empty() {
                return Err(bad("nothing follows the comma after it"));
            }
        }
    }
}

fn key(rest: &mut Rest<'_>) -> Result<RecoveryKey, &'static str> {
    let version = if rest.0.starts_with('v') { rest.version()? } else { 1 };
    rest.expect('{')?;
    let length = usize::try_from(rest.number(u32::MAX)?).unwrap_or(usize::MAX);
    rest.expect(',')?;
    let key = match version {
        1 => rsa(rest, length, SigningHash::Sha1, 3)?,
        2 => rsa(rest, length, SigningHash::Sha1, 65537)?,
        3 => rsa(rest, length, SigningHash::Sha256, 3)?,
        4 => rsa(rest, length, SigningHash::Sha256, 65537)?,
        5 => p256(rest, length)?,
        _ => return Err("its version is none of 1 to 5"),
    };
    rest.expect('}')?;
    Ok(key)
}

fn rsa(
    rest: &mut Rest<'_>,
    words: usize,
    hash: SigningHash,
    exponent: u32,
) -> Result<RecoveryKey, &'static str> {
    if !WORDS.contains(&words) {
        return Err("it has none of 2048, 4096 and 8192 bits");
    }
    // This number and R² follow from the modulus; nobody needs them.
    rest.hexadecimal()?;
    rest.expect(',')?;
    let numbers = rest.list(words, Rest::word)?;
    rest.expect(',')?;
    rest.list(words, Rest::word)?;
    let modulus = numbers.iter().rev().flat_map(|word| word.to_be_bytes()).collect();
    Ok(RecoveryKey::Rsa { hash, exponent, modulus })
}

fn p256(rest: &mut Rest<'_>, length: usize) -> Result<RecoveryKey, &'static str> {
    if length != P256_BYTES {
        return Err("its numbers have not 32 bytes");
    }
    let x = half(rest)?;
    rest.expect(',')?;
    let y = half(rest)?;
    Ok(RecoveryKey::P256 { x, y })
}

fn half(rest: &mut Rest<'_>) -> Result<[u8; P256_BYTES], &'static str> {
    let mut bytes = [0; P256_BYTES];
    for (place, byte) in
        bytes.iter_mut().rev().zip(rest.list(P256_BYTES, |rest| rest.number(0xff))?)
    {
        *place = u8::try_from(byte).unwrap_or(u8::MAX);
    }
    Ok(bytes)
}

/// What is not read yet. Blanks between words say nothing.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn expect(&mut self, sign: char) -> Result<(), &'static str> {
        let rest = self.0.trim_start().strip_prefix(sign);
        self.0 = rest.ok_or("it is not written as keys are")?.trim_start();
        Ok(())
    }

    fn version(&mut self) -> Result<u32, &'static str> {
        self.expect('v')?;
        self.number(9)
    }

    fn number(&mut self, most: u32) -> Result<u32, &'static str> {
        let end = self.0.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        let number = digits.parse().ok().filter(|number| *number <= most);
        number.ok_or("a number of it is none, or too large")
    }

    fn hexadecimal(&mut self) -> Result<u32, &'static str> {
        let rest = self.0.strip_prefix("0x").ok_or("it is not written as keys are")?;
        let end = rest.find(|sign: char| !sign.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        self.0 = rest.trim_start();
        u32::from_str_radix(digits, 16).map_err(|_| "a number of it is none, or too large")
    }

    /// The first versions of dumpkey wrote words with a sign.
    fn word(&mut self) -> Result<u32, &'static str> {
        match self.0.strip_prefix('-') {
            None => self.number(u32::MAX),
            Some(rest) => {
                self.0 = rest;
                Ok(self.number(1 << 31)?.wrapping_neg())
            }
        }
    }

    fn list(
        &mut self,
        length: usize,
        number: impl Fn(&mut Self) -> Result<u32, &'static str>,
    ) -> Result<Vec<u32>, &'static str> {
        self.expect('{')?;
        let mut numbers = vec![number(self)?];
        while numbers.len() < length {
            self.expect(',')?;
            numbers.push(number(self)?);
        }
        self.expect('}')?;
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::{RecoveryKey, SigningHash};

    fn words(first: u32, count: usize) -> String {
        let words: Vec<String> =
            (0..count).map(|at| (first + u32::try_from(at).unwrap()).to_string()).collect();
        words.join(",")
    }

    fn rsa(prefix: &str, count: usize) -> String {
        format!("{prefix}{{{count},0xc926ad21,{{{}}},{{{}}}}}", words(1, count), words(7, count))
    }

    fn ec() -> String {
        format!("v5 {{32,{{{}}},{{{}}}}}", words(1, 32), words(100, 32))
    }

    #[test]
    fn every_version_is_read_alone_and_among_others() {
        for (prefix, hash, exponent) in [
            ("", SigningHash::Sha1, 3),
            ("v2 ", SigningHash::Sha1, 65537),
            ("v3 ", SigningHash::Sha256, 3),
            ("v4 ", SigningHash::Sha256, 65537),
        ] {
            for count in [64, 128, 256] {
                let keys = RecoveryKey::parse_all(&rsa(prefix, count)).unwrap();
                let [RecoveryKey::Rsa { hash: own, exponent: exp, modulus }] = &keys[..] else {
                    panic!("{keys:?}")
                };
                assert_eq!((*own, *exp, modulus.len()), (hash, exponent, count * 4));
                assert_eq!(modulus[count * 4 - 8..], [0, 0, 0, 2, 0, 0, 0, 1]);
            }
        }
        let signed = RecoveryKey::parse_all(&rsa("", 64).replace("{1,2,", "{-1,-2147483648,"));
        let Ok([RecoveryKey::Rsa { modulus, .. }]) = signed.as_deref() else {
            panic!("{signed:?}")
        };
        assert_eq!(modulus[248..], [0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        let all = [rsa("", 64), rsa("v2 ", 64), rsa("v3 ", 64), rsa("v4 ", 64), ec()].join(",\n");
        let keys = RecoveryKey::parse_all(&format!("{all}\n")).unwrap();
        assert_eq!(keys.len(), 5);
        let RecoveryKey::P256 { x, y } = &keys[4] else { panic!("{keys:?}") };
        assert_eq!((x[0], x[31], y[31]), (32, 1, 100));
    }

    #[test]
    fn what_is_not_written_as_keys_are_is_refused() {
        let one = rsa("v4 ", 64);
        for text in [
            String::new(),
            format!("{one},"),
            format!("{one} {one}"),
            format!(",{one}"),
            one.replace("v4", "v6"),
            one.replace("v4", "v0"),
            one.replace("{64,", "{63,"),
            one.replace("{64,", "{65,"),
            rsa("v4 ", 257),
            "v5 { 1, {7}, {9} }".to_owned(),
            one.replace("0xc9", "c9"),
            one.replace("{1,2,", "{1,99999999999,"),
            one.replace("{1,2,", "{1,-2147483649,"),
            one.replace("{1,2,", "{1,--2,"),
            one.trim_end_matches('}').to_owned(),
            ec().replace("{32,", "{33,"),
            ec().replace("{1,2,", "{1,256,"),
            ec().replace("{1,2,", "{1,-2,"),
            ec().replace("v5", "v4"),
            vec![ec(); 65].join(","),
            " ".repeat(300 << 10),
        ] {
            assert!(RecoveryKey::parse_all(&text).is_err(), "{text:.60}");
        }
        for end in 0..one.len() {
            assert!(RecoveryKey::parse_all(&one[..end]).is_err(), "cut after {end}");
        }
    }
}
