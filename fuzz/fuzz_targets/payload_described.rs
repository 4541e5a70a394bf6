//! What a target says of its payload: never a panic, and what is read is written as it was.
#![no_main]
use updraft_payload::DescribedPayload;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    if let Ok(described) = DescribedPayload::parse(&value) {
        assert_eq!(DescribedPayload::parse(&described.to_value()), Ok(described));
    }
});
