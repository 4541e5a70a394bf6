//! Block maps: where a package lies on a device.
#![no_main]
use updraft_payload::BlockMap;

libfuzzer_sys::fuzz_target!(|data: &str| {
    if let Ok(map) = BlockMap::parse(data) {
        let bytes: u128 = map.ranges.iter().map(|range| u128::from(range.end - range.start)).sum();
        assert!(bytes >= u128::from(map.size));
    }
});
