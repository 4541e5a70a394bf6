//! Boot scripts as U-Boot's `source` takes them: text in a legacy image.
//!
//! ```text
//! 64 bytes  header, all numbers with their high byte first:
//!           magic 27051956, crc32 of the header (with this field 0), time, size of the data,
//!           load address, entry point, crc32 of the data, os, architecture, type, compression,
//!           name (32 bytes)
//! 8 bytes   size of the text, 0: the list of parts
//!           text
//! ```
//! (U-Boot, `include/image.h`.)

const MAGIC: u32 = 0x2705_1956;
const HEADER_LEN: usize = 64;
const NAME_LEN: usize = 32;
/// `IH_OS_LINUX`, `IH_ARCH_ARM`, `IH_TYPE_SCRIPT`, `IH_COMP_NONE`. U-Boot looks only at the type.
const KIND: [u8; 4] = [5, 2, 6, 0];

/// The image of a script, without a time: equal texts give equal bytes. A longer name than 32
/// bytes is cut. `None` when the text is too long to be written down.
#[must_use]
pub fn script_image(name: &str, text: &str) -> Option<Vec<u8>> {
    let length = u32::try_from(text.len()).ok()?;
    let mut data = length.to_be_bytes().to_vec();
    data.extend([0; 4]);
    data.extend_from_slice(text.as_bytes());
    let size = u32::try_from(data.len()).ok()?;

    let mut header = Vec::with_capacity(HEADER_LEN);
    let (time, load, entry) = (0_u32, 0_u32, 0_u32);
    for number in [MAGIC, 0, time, size, load, entry, crc32fast::hash(&data)] {
        header.extend(number.to_be_bytes());
    }
    header.extend(KIND);
    header.extend(name.bytes().take(NAME_LEN));
    header.resize(HEADER_LEN, 0);
    let crc = crc32fast::hash(&header).to_be_bytes();
    header.splice(4..8, crc);
    header.extend(data);
    Some(header)
}
