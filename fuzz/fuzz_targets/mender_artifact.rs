//! What a Mender Artifact says about itself: archives as they come, and any metadata in a good one.
#![no_main]
use updraft_server_service::fleet::mender::artifact::ArtifactHeader;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for archive in [Some(data.to_vec()), around(data)].into_iter().flatten() {
        if let Ok(header) = ArtifactHeader::read(archive.as_slice()) {
            assert!(!header.name.is_empty() && !header.device_types.is_empty());
        }
    }
});

/// An Artifact with this as its `header-info`.
fn around(info: &[u8]) -> Option<Vec<u8>> {
    let header = tar(&[("header-info", info)])?;
    tar(&[("version", b"{}"), ("manifest", b""), ("header.tar", &header)])
}

fn tar(entries: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).ok()?;
    }
    archive.into_inner().ok()
}
