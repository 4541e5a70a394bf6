//! The server's configuration: reading never panics.
#![no_main]
use updraft_server_service::Config;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Config::parse(text);
});
