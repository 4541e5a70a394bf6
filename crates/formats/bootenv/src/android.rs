//! Android's boot images: a header of one page, then kernel, initramfs and others, each padded to
//! whole pages. All numbers have their low byte first.
//!
//! ```text
//!         versions 0 to 2                          versions 3 and 4
//!    0    "ANDROID!"                               "ANDROID!"
//!    8    sizes and addresses: kernel, initramfs,  sizes: kernel, initramfs;
//!         second stage; address of the tags        version of the system, size of the header
//!   36    size of a page                           0
//!   40    version                                  version
//!   44    version of the system                    command line (1536)
//!   48    name (16), command line (512)
//!  576    id (32; 0: boot loaders do not look)
//!  608    rest of the command line (1024)
//! 1632    1: size and place of a recovery overlay,
//!         size of the header; 2: size and
//!         address of the device tree
//! 1580                                             4: size of a signature
//! ```
//! Pages have 4096 bytes from version 3 on. (AOSP, `bootimg.h`.)

use crate::Error;

const MAGIC: &[u8; 8] = b"ANDROID!";
const WHAT: &str = "Android boot image";
const PAGE_LEN: u32 = 4096;
const CMDLINE_LEN: usize = 512;
const EXTRA_LEN: usize = 1024;
const NAME_AND_ID: (usize, usize) = (16, 32);
const HEADER_LEN: [u32; 5] = [1632, 1648, 1660, 1580, 1584];
const VERSION_AT: usize = 40;

/// Where `mkbootimg` has things loaded by default, from the base address.
const OFFSETS: [u32; 5] = [0x8000, 0x100_0000, 0xf0_0000, 0x100, 0x1f0_0000];

/// The header of an image that has a kernel, and perhaps an initramfs and a device tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AndroidHeader {
    /// The version of the format, 0 to 4.
    pub version: u32,
    /// The size of a page; from version 3 on always 4096.
    pub page_size: u32,
    /// What addresses are counted from; versions 0 to 2 only.
    pub base: u32,
    /// The kernel's size in bytes.
    pub kernel_size: u32,
    /// The initramfs's size in bytes.
    pub ramdisk_size: u32,
    /// The device tree's size in bytes; version 2 only, and there it may not be 0.
    pub dtb_size: u32,
    /// The kernel command line.
    pub cmdline: String,
}

impl AndroidHeader {
    /// The header, padded to a page.
    ///
    /// # Errors
    /// When the version has no room for the command line or the device tree, or the numbers are
    /// none of real images.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let bad = |reason| Error::Environment { what: WHAT, reason };
        let header_len = usize::try_from(self.version)
            .ok()
            .and_then(|version| HEADER_LEN.get(version))
            .ok_or_else(|| bad("its version is none from 0 to 4"))?;
        if !self.page_size.is_power_of_two() || !(2048..=16384).contains(&self.page_size) {
            return Err(bad("its page has none of the sizes from 2048 to 16384"));
        }
        if self.version >= 3 && self.page_size != PAGE_LEN {
            return Err(bad("from version 3 on a page has 4096 bytes"));
        }
        if (self.version == 2) != (self.dtb_size > 0) {
            return Err(bad("a device tree belongs into version 2, and there it has to be"));
        }
        // The last byte of each part is a zero.
        let cmdline = self.cmdline.as_bytes();
        if cmdline.len() >= CMDLINE_LEN + EXTRA_LEN - 1 || cmdline.contains(&0) {
            return Err(bad("its command line does not fit"));
        }
        let mut bytes = MAGIC.to_vec();
        if self.version >= 3 {
            self.put_new(&mut bytes, *header_len);
        } else {
            self.put_old(&mut bytes, *header_len)?;
        }
        bytes.resize(usize::try_from(self.page_size).unwrap_or(usize::MAX), 0);
        Ok(bytes)
    }

    fn put_new(&self, bytes: &mut Vec<u8>, header_len: u32) {
        let reserved = [0; 4];
        let numbers = [self.kernel_size, self.ramdisk_size, 0, header_len];
        for number in numbers.into_iter().chain(reserved).chain([self.version]) {
            bytes.extend(number.to_le_bytes());
        }
        put_text(bytes, self.cmdline.as_bytes(), CMDLINE_LEN + EXTRA_LEN);
        if self.version == 4 {
            bytes.extend(0_u32.to_le_bytes());
        }
    }

    fn put_old(&self, bytes: &mut Vec<u8>, header_len: u32) -> Result<(), Error> {
        let mut addresses = [0; 5];
        for (address, offset) in addresses.iter_mut().zip(OFFSETS) {
            *address = self
                .base
                .checked_add(offset)
                .ok_or(Error::Environment { what: WHAT, reason: "its base address is too high" })?;
        }
        let [kernel, ramdisk, _, tags, dtb] = addresses;
        let ramdisk = if self.ramdisk_size > 0 { ramdisk } else { 0 };
        let numbers = [
            self.kernel_size,
            kernel,
            self.ramdisk_size,
            ramdisk,
            0,
            0,
            tags,
            self.page_size,
            self.version,
            0,
        ];
        for number in numbers {
            bytes.extend(number.to_le_bytes());
        }
        let (name, id) = NAME_AND_ID;
        let (first, rest) = self.cmdline.as_bytes().split_at(self.cmdline.len().min(CMDLINE_LEN));
        put_text(bytes, b"", name);
        put_text(bytes, first, CMDLINE_LEN);
        put_text(bytes, b"", id);
        put_text(bytes, rest, EXTRA_LEN);
        if self.version >= 1 {
            // No recovery overlay: neither size nor place.
            bytes.extend([0; 12]);
            bytes.extend(header_len.to_le_bytes());
        }
        if self.version == 2 {
            bytes.extend(self.dtb_size.to_le_bytes());
            bytes.extend(u64::from(dtb).to_le_bytes());
        }
        Ok(())
    }

    /// The version of the image that begins with these bytes. `None`: it is no image.
    #[must_use]
    pub fn version_of(bytes: &[u8]) -> Option<u32> {
        let version = bytes.get(VERSION_AT..VERSION_AT + 4)?;
        let version = u32::from_le_bytes(version.try_into().ok()?);
        (bytes.starts_with(MAGIC) && version < 5).then_some(version)
    }

    /// How many zeros follow a part of this size.
    #[must_use]
    pub fn padding(&self, size: u64) -> u64 {
        let page = u64::from(self.page_size.max(1));
        (page - size % page) % page
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8], length: usize) {
    let end = bytes.len() + length;
    bytes.extend_from_slice(text);
    bytes.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::AndroidHeader;

    fn header(version: u32) -> AndroidHeader {
        AndroidHeader {
            version,
            page_size: 4096,
            base: 0x1000_0000,
            kernel_size: 5000,
            ramdisk_size: 4096,
            dtb_size: u32::from(version == 2) * 7,
            cmdline: "root=/dev/x quiet".to_owned(),
        }
    }

    #[test]
    fn a_header_is_one_page_that_tells_its_version() {
        for version in 0..=4 {
            let bytes = header(version).encode().unwrap();
            assert_eq!(bytes.len(), 4096);
            assert_eq!(AndroidHeader::version_of(&bytes), Some(version));
        }
        assert_eq!(AndroidHeader::version_of(b"ANDROID!"), None);
        assert_eq!(AndroidHeader::version_of(&[0; 4096]), None);
        let sizes = [0, 1, 4095, 4096, 5000];
        assert_eq!(sizes.map(|size| header(0).padding(size)), [0, 4095, 1, 0, 3192]);
    }

    #[test]
    fn version_4_ends_with_the_size_of_its_signature() {
        let (three, four) = (header(3).encode().unwrap(), header(4).encode().unwrap());
        let differ: Vec<usize> = (0..4096).filter(|at| three[*at] != four[*at]).collect();
        // The size of the header, 1580 and 1584, and the version.
        assert_eq!(differ, [20, 40]);
    }

    #[test]
    fn what_no_boot_loader_would_take_is_refused() {
        let bad = |change: fn(&mut AndroidHeader)| {
            let mut header = header(2);
            change(&mut header);
            header.encode().unwrap_err().to_string()
        };
        assert!(bad(|it| it.version = 5).contains("version"));
        assert!(bad(|it| it.page_size = 1000).contains("page"));
        assert!(bad(|it| (it.version, it.page_size) = (3, 2048)).contains("4096"));
        assert!(bad(|it| it.dtb_size = 0).contains("device tree"));
        assert!(bad(|it| it.version = 1).contains("device tree"));
        assert!(bad(|it| it.cmdline = "x".repeat(1536)).contains("does not fit"));
        assert!(bad(|it| it.base = u32::MAX).contains("too high"));
    }
}
