//! Parts of static deltas, decompressed: layout, tables and program are in bounds.
#![no_main]
use updraft_ostree::ObjectType;
use updraft_ostree::delta::{Operations, PartLayout, PartTables, part_tail};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let length = data.len() as u64;
    let tail = &data[data.len() - part_tail(length) as usize..];
    let Ok(layout) = PartLayout::locate(length, tail) else { return };
    let get = |range: std::ops::Range<u64>| &data[range.start as usize..range.end as usize];
    let _ = PartTables::decode(get(layout.modes), get(layout.xattrs));
    for object in [ObjectType::File, ObjectType::DirTree] {
        let mut operations = Operations::new(get(layout.program.clone()));
        while let Ok(Some(_)) = operations.next(Some(object)) {}
    }
});
