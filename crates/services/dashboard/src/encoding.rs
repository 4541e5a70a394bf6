//! Which form of a file a client takes.

/// How a file's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952).
    Gzip,
}

impl Encoding {
    /// From the smallest to the largest.
    pub const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// The name in `Accept-Encoding` and `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the compressed file's name ends with.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    /// Whether a client that sent this `Accept-Encoding` takes it.
    #[must_use]
    pub fn is_accepted(self, header: &str) -> bool {
        header.split(',').any(|part| {
            let mut words = part.split(';').map(str::trim);
            let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case(self.name()));
            let refused = words.any(|word| {
                let quality = word.strip_prefix("q=").or_else(|| word.strip_prefix("Q="));
                quality
                    .is_some_and(|quality| quality.trim().trim_end_matches(['0', '.']).is_empty())
            });
            named && !refused
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Encoding;

    #[test]
    fn clients_say_what_they_take() {
        for (header, brotli, gzip) in [
            ("", false, false),
            ("gzip, deflate, br, zstd", true, true),
            ("BR;q=1.0", true, false),
            ("br;q=0, gzip;q=0.5", false, true),
            ("br; q=0.000", false, false),
            ("broken", false, false),
        ] {
            assert_eq!(Encoding::Brotli.is_accepted(header), brotli, "{header}");
            assert_eq!(Encoding::Gzip.is_accepted(header), gzip, "{header}");
        }
    }
}
