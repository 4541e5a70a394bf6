//! The variables by which EFI firmware chooses what it starts, as Linux shows them in files.
//!
//! ```text
//! NAME-8be4df61-93ca-11d2-aa0d-00e098032b8c
//!  0  attributes, 4 bytes
//!  4  the value:
//!       BootOrder    numbers of entries, 2 bytes each, the first is started first
//!       BootNext     one number: started once, and the variable is gone
//!       Boot0001     4 bytes attributes, 2 bytes length of the path, description in UTF-16, …
//! ```
//! All numbers have their low byte first. (UEFI specification 2.10, section 3.1; Linux,
//! `Documentation/filesystems/efivarfs.rst`.)

use crate::Error;

/// The vendor of the variables that the specification defines.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, and accessible before and after the operating system is started.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// Numbers have 16 bits, so there are no more entries.
const MAX_ORDER: usize = 65536;
const ENTRY_ACTIVE: u8 = 1;

/// The numbers of boot entries in their order; a `BootNext` has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EfiBootOrder(pub Vec<u16>);

/// What a boot entry says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EfiBootEntry {
    /// Whether the firmware starts it on its own.
    pub is_active: bool,
    /// Its name for people.
    pub description: String,
}

/// The name of a file with a variable of the specification.
#[must_use]
pub fn efi_variable(name: &str) -> String {
    format!("{name}-{GLOBAL}")
}

/// The number of a boot entry, when this is the name of its file.
#[must_use]
pub fn efi_entry_number(file_name: &str) -> Option<u16> {
    let rest = file_name.strip_prefix("Boot")?.strip_suffix(GLOBAL)?.strip_suffix('-')?;
    let is_number = rest.len() == 4 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_number { u16::from_str_radix(rest, 16).ok() } else { None }
}

impl EfiBootOrder {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is cut short, or no list of numbers.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let numbers = file.get(4..).filter(|rest| rest.len() % 2 == 0);
        let numbers =
            numbers.filter(|rest| rest.len() / 2 <= MAX_ORDER).ok_or(Error::Environment {
                what: "order of EFI's boot entries",
                reason: "it is no list of numbers",
            })?;
        let number = |pair: &[u8]| pair.try_into().map_or(0, u16::from_le_bytes);
        Ok(Self(numbers.chunks_exact(2).map(number).collect()))
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let numbers = self.0.iter().flat_map(|number| number.to_le_bytes());
        ATTRIBUTES.into_iter().chain(numbers).collect()
    }
}

impl EfiBootEntry {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is cut short.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let bad = || Error::Environment { what: "EFI boot entry", reason: "it is cut short" };
        let attributes = file.get(4).ok_or_else(bad)?;
        let mut description = Vec::new();
        for unit in file.get(10..).ok_or_else(bad)?.chunks_exact(2) {
            match unit.try_into().map_or(0, u16::from_le_bytes) {
                0 => {
                    let description = String::from_utf16_lossy(&description);
                    return Ok(Self { is_active: attributes & ENTRY_ACTIVE != 0, description });
                }
                unit => description.push(unit),
            }
        }
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::{EfiBootEntry, EfiBootOrder, efi_entry_number, efi_variable};

    #[test]
    fn orders_come_back() {
        let order = EfiBootOrder(vec![3, 0x1234]);
        assert_eq!(order.encode(), [7, 0, 0, 0, 3, 0, 0x34, 0x12]);
        assert_eq!(EfiBootOrder::parse(&order.encode()).unwrap(), order);
        assert_eq!(EfiBootOrder::parse(&[7, 0, 0, 0]).unwrap().0, []);
        for bad in [&[7, 0, 0][..], &[7, 0, 0, 0, 1]] {
            EfiBootOrder::parse(bad).unwrap_err();
        }
    }

    #[test]
    fn an_entry_says_its_name() {
        let mut file = vec![7, 0, 0, 0, 1, 0, 0, 0, 4, 0];
        file.extend("Slot ä".encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        file.extend([0x7f, 0xff, 4, 0]);
        let entry = EfiBootEntry::parse(&file).unwrap();
        assert_eq!(entry, EfiBootEntry { is_active: true, description: "Slot ä".to_owned() });
        for end in 0..22 {
            EfiBootEntry::parse(&file[..end]).unwrap_err();
        }
    }

    #[test]
    fn names_of_entries_have_four_digits() {
        assert_eq!(efi_entry_number(&efi_variable("Boot00AF")), Some(0xaf));
        for name in ["BootNext", "BootOrder", "Boot01", "Boot+123", "Timeout"] {
            assert_eq!(efi_entry_number(&efi_variable(name)), None, "{name}");
        }
        assert_eq!(efi_entry_number("Boot0001-00000000-0000-0000-0000-000000000000"), None);
    }
}
