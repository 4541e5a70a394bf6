//! Adverts of repositories: what is read is written again with the same values, and any filter can
//! be asked.
#![no_main]
use updraft_ostree::{Advert, CollectionId, CollectionRef, RefName};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // A TXT record: strings, each behind its length.
    let (mut attributes, mut rest) = (Vec::new(), data);
    while let Some((length, after)) = rest.split_first() {
        let (text, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let end = text.iter().position(|byte| *byte == b'=');
        let (key, value) = match end {
            Some(end) => (&text[..end], Some(&text[end + 1..])),
            None => (text, None),
        };
        if let Ok(key) = std::str::from_utf8(key) {
            attributes.push((key, value));
        }
    }
    if let Ok(advert) = Advert::decode(attributes) {
        let written = advert.encode();
        let again = written.iter().map(|(key, value)| (*key, Some(value.as_slice())));
        assert_eq!(Advert::decode(again).unwrap(), advert);
        let name = CollectionRef {
            collection: CollectionId::new("org.example.Os").unwrap(),
            name: RefName::new("main").unwrap(),
        };
        let _ = advert.refs.may_have(&name);
    }
});
