//! [`UnifiedLayout`]: a unified kernel image, put together from systemd's stub and the parts that
//! it starts (UAPI Group specification "Unified Kernel Image").
//!
//! ```text
//! stub         with more section headers, and sizes that cover what follows
//! .osrel       text like os-release: what the boot loader shows
//! .cmdline     the kernel command line
//! .uname       the kernel's release
//! .dtb         a device tree
//! .initrd      the initramfs images, one after the other
//! .linux       the kernel, last: it may unpack itself over what lies behind it in memory
//! ```
//! Each part begins at a multiple of the file's alignment, and in memory on a page of its own.
//! The parts are large: what is here lays them out, and whoever writes the file copies them.

use crate::Error;
use crate::pe::{
    CHECKSUM, INITIALIZED_DATA, MAX_SECTIONS, NAME_LEN, PeImage, SECTION_LEN, SIZE_OF_IMAGE, bad,
    number, size,
};

/// Stubs are programs of a hundred kilobytes.
pub const MAX_STUB: usize = 4 << 20;
const PAGE: u32 = 4096;
/// The largest alignment of real files is a page; 64 KiB is on some machines.
const MAX_ALIGNMENT: u32 = 64 * 1024;
/// Initialised data that may be read.
const FLAGS: u32 = 0x4000_0040;

/// A part that is added to a stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnifiedPart {
    /// The section's name, of at most eight bytes.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: u64,
    /// What it needs in memory, where that is more.
    pub memory: u64,
}

/// A file that is ready to be written: the head, then each part with zeros behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnifiedLayout {
    /// The stub with its new headers, up to where the first part begins.
    pub head: Vec<u8>,
    /// How many zeros follow each part, in the order of the parts.
    pub padding: Vec<u64>,
    /// The size of the whole file.
    pub size: u64,
}

impl UnifiedLayout {
    /// Lays `parts` out behind a stub, in this order. A signature of the stub is taken off: it
    /// would be wrong. So is its table of symbols: what belongs to no section cannot be signed.
    ///
    /// # Errors
    /// When the stub is no EFI program, has a section of that name already or no room for more
    /// headers, or the file would have more than 4 GiB.
    pub fn plan(stub: &[u8], parts: &[UnifiedPart]) -> Result<Self, Error> {
        let large = || bad("the image would have more than 4 GiB");
        if stub.len() > MAX_STUB {
            return Err(Error::TooLarge { size: stub.len(), limit: MAX_STUB });
        }
        let image = PeImage::parse(stub)?;
        check(&image, stub, parts)?;
        let mut head = stub.to_vec();
        remove_signature(&image, &mut head);
        remove_symbols(&image, &mut head);
        let file_alignment = image.file_alignment;
        let memory_alignment = image.section_alignment.max(PAGE);
        let mut offset = u32::try_from(head.len())
            .ok()
            .and_then(|len| len.checked_next_multiple_of(file_alignment))
            .ok_or_else(large)?;
        head.resize(size(offset).ok_or_else(large)?, 0);
        let mut address = end_in_memory(&image).ok_or_else(large)?;
        let mut headers = Vec::new();
        let mut padding = Vec::new();
        let mut data: u32 = 0;
        for part in parts {
            let small = |number: u64| u32::try_from(number).map_err(|_| large());
            let (content, memory) = (small(part.size)?, small(part.memory.max(part.size))?);
            let in_file = content.checked_next_multiple_of(file_alignment).ok_or_else(large)?;
            address = address.checked_next_multiple_of(memory_alignment).ok_or_else(large)?;
            let mut name = part.name.as_bytes().to_vec();
            name.resize(NAME_LEN, 0);
            headers.extend(name);
            // Neither relocations nor line numbers.
            for number in [memory, address, in_file, offset, 0, 0, 0, FLAGS] {
                headers.extend(number.to_le_bytes());
            }
            padding.push(u64::from(in_file - content));
            address = address.checked_add(memory).ok_or_else(large)?;
            offset = offset.checked_add(in_file).ok_or_else(large)?;
            data = data.checked_add(in_file).ok_or_else(large)?;
        }
        let places = image.places;
        let whole = address.checked_next_multiple_of(memory_alignment).ok_or_else(large)?;
        let data_before = number(stub, places.optional + INITIALIZED_DATA).unwrap_or_default();
        put(&mut head, places.end, &headers);
        put(&mut head, places.optional + SIZE_OF_IMAGE, &whole.to_le_bytes());
        // Firmware does not look at the checksum, and 0 says that there is none.
        put(&mut head, places.optional + CHECKSUM, &[0; 4]);
        let data = data_before.saturating_add(data);
        put(&mut head, places.optional + INITIALIZED_DATA, &data.to_le_bytes());
        let count = u16::try_from(image.sections.len() + parts.len()).unwrap_or(u16::MAX);
        put(&mut head, places.coff + 2, &count.to_le_bytes());
        Ok(Self { head, padding, size: u64::from(offset) })
    }
}

/// Whether the parts can be added.
fn check(image: &PeImage, stub: &[u8], parts: &[UnifiedPart]) -> Result<(), Error> {
    if image.file_alignment > MAX_ALIGNMENT || image.section_alignment > MAX_ALIGNMENT {
        return Err(bad("its alignment is larger than 64 KiB"));
    }
    if parts.iter().any(|part| part.name.is_empty() || part.name.len() > NAME_LEN) {
        return Err(bad("the name of a section has one to eight bytes"));
    }
    if parts.iter().any(|part| image.section(part.name).is_some()) {
        return Err(bad("it is no bare stub: it has a kernel or its settings already"));
    }
    let first = image.sections.iter().filter(|one| one.file_size > 0).map(|one| one.offset).min();
    let room = image.size_of_headers.min(first.unwrap_or(u32::MAX));
    let end = image.places.end + parts.len() * SECTION_LEN;
    let too_many = image.sections.len() + parts.len() > usize::from(MAX_SECTIONS);
    if too_many || size(room).is_none_or(|room| end > room || room > stub.len()) {
        return Err(bad("it has no room for the headers of more sections"));
    }
    Ok(())
}

/// Where the stub ends in memory.
fn end_in_memory(image: &PeImage) -> Option<u32> {
    let ends = image.sections.iter().map(|one| one.address.checked_add(one.memory_size));
    let ends: Option<Vec<u32>> = ends.collect();
    Some(ends?.into_iter().max().unwrap_or(0).max(image.size_of_image))
}

/// Takes the signature off: it lies at the end of the file, and a directory names it by its
/// offset in the file.
fn remove_signature(image: &PeImage, head: &mut Vec<u8>) {
    let Some(at) = image.places.certificates else { return };
    let offset = number(head, at).and_then(size).unwrap_or(0);
    if size(image.size_of_headers).is_some_and(|end| offset >= end) && offset < head.len() {
        head.truncate(offset);
    }
    put(head, at, &[0; 8]);
}

/// Takes the symbols off, which lie behind the sections; nothing that loads the program reads them.
/// They stay where names of sections are in their table.
fn remove_symbols(image: &PeImage, head: &mut Vec<u8>) {
    let ends = image.sections.iter().filter(|one| one.file_size > 0);
    let ends = ends.map(|one| one.offset.checked_add(one.file_size)).collect::<Option<Vec<_>>>();
    let Some(end) = ends.and_then(|ends| ends.into_iter().max()).and_then(size) else { return };
    let at = image.places.coff + 8;
    let symbols = number(head, at).and_then(size).unwrap_or(0);
    let end = end.max(size(image.size_of_headers).unwrap_or(usize::MAX));
    let has_long_names = image.sections.iter().any(|one| one.name.starts_with('/'));
    if symbols >= end && symbols < head.len() && !has_long_names {
        head.truncate(end);
        put(head, at, &[0; 8]);
    }
}

/// Overwrites what is there; [`check`] has seen to it that there is something.
fn put(head: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = at.checked_add(bytes.len()).and_then(|end| head.get_mut(at..end)) {
        place.copy_from_slice(bytes);
    }
}
