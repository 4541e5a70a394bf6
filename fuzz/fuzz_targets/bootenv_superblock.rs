//! Superblocks of ext4: one is mended by a backup that names the same layout, or left alone.
#![no_main]
use updraft_bootenv::Ext4Superblock;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let half = data.len() / 2;
    if let (Some(torn), Some(backup)) =
        (Ext4Superblock::parse(&data[..half]), Ext4Superblock::parse(&data[half..]))
    {
        let _ = torn.backup_place();
        if let Some(mended) = torn.mended(&backup) {
            assert!(!mended.is_damaged());
        }
    }
});
