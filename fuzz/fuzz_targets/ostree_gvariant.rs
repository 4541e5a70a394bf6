//! Values of any GVariant type: type text, a zero byte, then the serialised value.
#![no_main]
use updraft_ostree::gvariant::{Type, Value};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(text), Some(bytes)) = (parts.next(), parts.next()) else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(of) = Type::parse(text)
        && let Ok(value) = Value::decode(&of, bytes)
    {
        assert_eq!(value.encode(), bytes);
        let _ = value.to_string();
    }
});
