//! The agent's configuration: what is read is written again with the same meaning.
#![no_main]
use updraft_agent::config::{Settings, to_toml};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(settings) = toml::from_str::<Settings>(text) {
        let written = to_toml(&settings).expect("settings can be written");
        assert_eq!(toml::from_str::<Settings>(&written).ok(), Some(settings));
    }
});
