//! Environments and variables of boot loaders, and the counters in names of entries.
#![no_main]
use updraft_bootenv::{
    CountedName, EfiBootEntry, EfiBootOrder, GrubEnv, SlotControl, UbootEnv, UbootLayout,
    UbootPlace,
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(block) = GrubEnv::parse(data)
        && let Ok(again) = block.encode()
    {
        assert_eq!(GrubEnv::parse(&again), Ok(block));
    }
    for redundant in [false, true] {
        let layout = UbootLayout { size: data.len(), redundant, big_endian: false };
        // A fitting checksum, so that what is behind it is looked at.
        let mut bytes = data.to_vec();
        let header = if redundant { 5 } else { 4 };
        if let Some((head, rest)) = bytes.split_at_mut_checked(header) {
            head[..4].copy_from_slice(&crc32fast::hash(rest).to_le_bytes());
        }
        if let Ok(environment) = UbootEnv::parse(layout, &bytes)
            && let Ok(again) = environment.encode(layout, 0)
        {
            assert_eq!(UbootEnv::parse(layout, &again), Ok(environment));
        }
    }
    if let Ok(control) = SlotControl::parse(data) {
        assert_eq!(SlotControl::parse(&control.encode()), Ok(control));
    }
    if let Ok(order) = EfiBootOrder::parse(data) {
        assert_eq!(EfiBootOrder::parse(&order.encode()), Ok(order));
    }
    let _ = EfiBootEntry::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = UbootPlace::parse_config(text);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(name) = text.parse::<CountedName>()
    {
        assert_eq!(name.to_string().parse::<CountedName>().ok(), Some(name));
    }
});
