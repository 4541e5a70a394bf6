//! Repository maps: a map that was read is written and read again, and any search ends.
#![no_main]
use updraft_tuf::{MapStep, RepositoryMap};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(map) = RepositoryMap::parse(data) else { return };
    let again = RepositoryMap::from_value(map.to_value()).expect("it is readable");
    assert_eq!(again, map);
    let mut search = map.search("dir/file");
    let mut asked = std::collections::BTreeSet::new();
    while let MapStep::Ask(name) = search.next() {
        assert!(asked.insert(name), "asked twice");
        search.answered(name, None);
    }
});
