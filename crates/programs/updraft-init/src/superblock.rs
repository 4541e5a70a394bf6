//! What file system is on a device, and what its label and UUID are.
//!
//! ```text
//! kind    magic                        UUID            label
//! ext4    53 ef at 1080                1128            1144, 16 bytes
//! xfs     "XFSB" at 0                  32              108, 12
//! btrfs   "_BHRfS_M" at 65600          65568           65835, 256
//! erofs   e2 e1 f5 e0 at 1024          1072            1088, 16
//! f2fs    10 20 f5 f2 at 1024          1132            1148, UTF-16
//! vfat    55 aa at 510, "FAT" at 54    39, 4 bytes     43, 11
//!         or "FAT32" at 82             67, 4 bytes     71, 11
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;

/// How much of the beginning is looked at.
const HEAD: usize = 4096;
/// Where btrfs has its superblock.
const BTRFS: u64 = 65536;

/// A file system that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// As `mount -t` calls it.
    pub(crate) kind: &'static str,
    /// Lower case; of vfat eight digits with a hyphen.
    pub(crate) uuid: String,
    /// Empty when it has none.
    pub(crate) label: String,
}

/// Looks at an open device.
pub(crate) fn probe(device: &File) -> Option<FileSystem> {
    let mut head = [0; HEAD];
    let mut far = [0; HEAD];
    device.read_exact_at(&mut head, 0).ok()?;
    // A device may be too small to be btrfs.
    if device.read_exact_at(&mut far, BTRFS).is_err() {
        far.fill(0);
    }
    identify(&head, &far)
}

fn identify(head: &[u8], far: &[u8]) -> Option<FileSystem> {
    let has =
        |bytes: &[u8], at: usize, magic: &[u8]| bytes.get(at..at + magic.len()) == Some(magic);
    let found = |kind, bytes: &[u8], uuid, label, length| {
        Some(FileSystem { kind, uuid: uuid_at(bytes, uuid)?, label: text(bytes, label, length) })
    };
    if has(head, 1080, b"\x53\xef") {
        found("ext4", head, 1128, 1144, 16)
    } else if has(head, 0, b"XFSB") {
        found("xfs", head, 32, 108, 12)
    } else if has(far, 64, b"_BHRfS_M") {
        found("btrfs", far, 32, 299, 256)
    } else if has(head, 1024, b"\xe2\xe1\xf5\xe0") {
        found("erofs", head, 1072, 1088, 16)
    } else if has(head, 1024, b"\x10\x20\xf5\xf2") {
        let units = head.get(1148..1148 + 1024)?.chunks_exact(2);
        let units = units.map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let label = char::decode_utf16(units.take_while(|unit| *unit != 0));
        let label = label.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Some(FileSystem { kind: "f2fs", uuid: uuid_at(head, 1132)?, label })
    } else if has(head, 510, b"\x55\xaa") && has(head, 82, b"FAT32") {
        Some(fat(head, 67, 71))
    } else if has(head, 510, b"\x55\xaa") && has(head, 54, b"FAT") {
        Some(fat(head, 39, 43))
    } else {
        None
    }
}

fn fat(head: &[u8], serial: usize, label: usize) -> FileSystem {
    let serial = head.get(serial..serial + 4).unwrap_or_default();
    let serial = serial.try_into().map_or(0, u32::from_le_bytes);
    let uuid = format!("{:04x}-{:04x}", serial >> 16, serial & 0xffff);
    let label = text(head, label, 11).trim_end().to_owned();
    let label = if label == "NO NAME" { String::new() } else { label };
    FileSystem { kind: "vfat", uuid, label }
}

fn text(bytes: &[u8], at: usize, length: usize) -> String {
    let bytes = bytes.get(at..at + length).unwrap_or_default();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(length);
    String::from_utf8_lossy(&bytes[..end.min(bytes.len())]).into_owned()
}

fn uuid_at(bytes: &[u8], at: usize) -> Option<String> {
    Some(uuid_text(bytes.get(at..at + 16)?.try_into().ok()?))
}

/// The bytes of a UUID as people write it.
pub(crate) fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('?');
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "0f4e1c5a-8a10-4e2f-9a43-1b6f0c9b7d11";

    /// What we say of a file that a real tool made.
    #[track_caller]
    fn check(mib: u64, tool: &[&str], expected: &FileSystem) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let file = File::create(&path).unwrap();
        file.set_len(mib << 20).unwrap();
        let image = path.to_str().unwrap();
        let words = tool[1..].iter().map(|word| word.replace("IMAGE", image));
        let output = Command::new(tool[0]).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(probe(&File::open(&path).unwrap()).as_ref(), Some(expected), "{tool:?}");
    }

    fn fs(kind: &'static str, uuid: &str) -> FileSystem {
        FileSystem { kind, uuid: uuid.into(), label: "ROOT".into() }
    }

    #[test]
    fn file_systems_of_the_real_tools_are_recognised() {
        check(4, &["mkfs.ext4", "-q", "-F", "-U", UUID, "-L", "ROOT", "IMAGE"], &fs("ext4", UUID));
        for (mib, last) in [(32, ["::"].as_slice()), (64, &["-F", "::"])] {
            let sectors = (mib * 2048).to_string();
            let size = ["-T", &sectors, "-h", "16", "-s", "32"];
            let name = ["mformat", "-i", "IMAGE", "-N", "1234abcd", "-v", "ROOT"];
            check(mib, &[&name[..], &size, last].concat(), &fs("vfat", "1234-abcd"));
        }
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_str().unwrap();
        let erofs = ["mkfs.erofs", "-U", UUID, "IMAGE", empty];
        check(1, &erofs, &FileSystem { label: String::new(), ..fs("erofs", UUID) });
    }

    #[test]
    fn what_no_tool_here_makes_is_recognised_by_its_layout() {
        let bytes: Vec<u8> = (0..16).collect();
        let uuid = "00010203-0405-0607-0809-0a0b0c0d0e0f";
        let (mut head, empty) = (vec![0; HEAD], vec![0; HEAD]);
        assert_eq!(identify(&head, &empty), None);
        head[..4].copy_from_slice(b"XFSB");
        head[32..48].copy_from_slice(&bytes);
        head[108..112].copy_from_slice(b"ROOT");
        assert_eq!(identify(&head, &empty), Some(fs("xfs", uuid)));
        let mut far = vec![0; HEAD];
        far[64..72].copy_from_slice(b"_BHRfS_M");
        far[32..48].copy_from_slice(&bytes);
        far[299..303].copy_from_slice(b"ROOT");
        assert_eq!(identify(&empty, &far), Some(fs("btrfs", uuid)));
        let mut head = vec![0; HEAD];
        head[1024..1028].copy_from_slice(b"\x10\x20\xf5\xf2");
        head[1132..1148].copy_from_slice(&bytes);
        head[1148..1156].copy_from_slice(b"R\0O\0O\0T\0");
        assert_eq!(identify(&head, &empty), Some(fs("f2fs", uuid)));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..2300),
            kind in 0..6_usize,
        ) {
            let magics: [(usize, &[u8]); 6] = [
                (1080, b"\x53\xef"), (0, b"XFSB"), (64, b"_BHRfS_M"), (1024, b"\xe2\xe1\xf5\xe0"),
                (1024, b"\x10\x20\xf5\xf2"), (510, b"\x55\xaa"),
            ];
            let (at, magic) = magics[kind];
            let mut head = bytes;
            if let Some(place) = head.get_mut(at..at + magic.len()) {
                place.copy_from_slice(magic);
            }
            if let (5, Some(place)) = (kind, head.get_mut(82..87)) {
                place.copy_from_slice(b"FAT32");
            }
            let _ = identify(&head, &head);
        }
    }

    #[test]
    fn a_device_that_is_too_small_is_nothing() {
        assert_eq!(probe(&File::open(Path::new("/proc/version")).unwrap()), None);
    }
}
