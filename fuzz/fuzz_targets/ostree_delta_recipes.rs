//! Parts of our own delta format: the beginning, tables and recipes are in bounds.
#![no_main]
use updraft_ostree::delta::{Recipes, StreamHeader};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok((streams, length)) = StreamHeader::decode_all(data) {
        // Numbers may be written in more bytes than they need, so only the meaning comes back.
        let again = StreamHeader::encode_all(&streams);
        assert_eq!(
            StreamHeader::decode_all(&again).map(|(streams, _)| streams).ok(),
            Some(streams)
        );
        assert!(again.len() <= length);
    }
    if let Ok(mut recipes) = Recipes::new(data.to_vec()) {
        while let Ok(Some(_)) = recipes.next_recipe() {}
    }
});
