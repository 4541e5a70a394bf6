//! The "newc" form of cpio archives, which the kernel unpacks.
//!
//! ```text
//! "070701", then 13 numbers of 8 hexadecimal digits:
//!   inode mode uid gid links mtime size devmajor devminor rdevmajor rdevminor namesize check
//! name with NUL, zeroes up to a multiple of 4; data, zeroes up to a multiple of 4
//! … and at the end an entry with the name "TRAILER!!!"
//! ```
//!
//! Source: `Documentation/driver-api/early-userspace/buffer-format.rst` of Linux.

/// What an entry is besides its name and its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// File type and permissions.
    pub(crate) mode: u32,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
}

/// An archive that grows.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    pub(crate) fn add(&mut self, name: &str, head: Head, data: &[u8]) {
        self.entries += 1;
        let links = 1;
        let fields = [
            self.entries,
            head.mode,
            0,
            0,
            links,
            0,
            number(data.len()),
            0,
            0,
            head.device.0,
            head.device.1,
            number(name.len() + 1),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", Head { mode: 0, device: (0, 0) }, b"");
        self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("files of an initramfs are smaller than 4 GiB")
}
