//! Forms with a file: reading never panics, and gives what lies between two delimiters.
#![no_main]
use std::io::Read as _;

use updraft_server_service::http::multipart::{FormFile, boundary};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data.get(..64).unwrap_or(data));
    let _ = boundary(&text);
    let Ok(mut file) = FormFile::open(data, "b", "file") else { return };
    let mut content = Vec::new();
    if file.read_to_end(&mut content).is_ok() {
        assert!(!content.windows(5).any(|window| window == b"\r\n--b"));
    }
});
