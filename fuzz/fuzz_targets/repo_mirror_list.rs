//! Mirror lists: what is read is read again from a list of it.
#![no_main]
use updraft_repo::pull::mirror_list;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let urls: Vec<_> = mirror_list(&text).collect();
    assert!(urls.len() <= 64);
    assert!(urls.iter().all(|url| url.starts_with("http") && !url.ends_with('/')));
    assert_eq!(mirror_list(&urls.join("\n")).collect::<Vec<_>>(), urls);
});
