//! Headers of EFI programs, and what is put behind a stub.
#![no_main]
use updraft_bootenv::{PeImage, PeSigning, UnifiedLayout, UnifiedPart};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = PeImage::parse(data);
    if let Ok(plan) = PeSigning::plan(data, data.len() as u64) {
        assert_eq!(plan.hashed(data).concat().len(), data.len() - 12);
    }
    let part = |name, size| UnifiedPart { name, size, memory: 0 };
    let parts = [part(".cmdline", 5), part(".initrd", 70_000), part(".linux", 4096)];
    if let Ok(layout) = UnifiedLayout::plan(data, &parts) {
        // The headers that are written are read back, and cover the parts.
        let image = PeImage::parse(&layout.head).expect("what was written is read");
        for one in parts {
            let section = image.section(one.name).expect("each part has a section");
            assert_eq!(u64::from(section.content_size()), one.size);
        }
        let sizes: u64 = parts.iter().zip(&layout.padding).map(|(one, pad)| one.size + pad).sum();
        assert_eq!(layout.head.len() as u64 + sizes, layout.size);
    }
});
