//! Signed files in both dialects: a file that was written reads back.
#![no_main]
use updraft_tuf::{Dialect, Envelope};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for dialect in [Dialect::Tuf, Dialect::Uptane] {
        if let Ok(envelope) = Envelope::parse(dialect, data, 1 << 16)
            && let Ok(bytes) = envelope.to_bytes(dialect)
        {
            let _ = envelope.signed_bytes(dialect);
            let again = Envelope::parse(dialect, &bytes, usize::MAX).expect("it is readable");
            assert_eq!(again.to_bytes(dialect).as_ref(), Ok(&bytes));
        }
    }
});
