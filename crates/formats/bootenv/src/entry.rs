//! Boot loader entries: one file per choice that the boot loader offers.
//!
//! ```text
//! title TestOS 42 1.0 (ostree:0)
//! version 1
//! options root=LABEL=x quiet ostree=/ostree/boot.1/os/2b84…/0
//! linux /ostree/os-2b84…/vmlinuz-6.1
//! initrd /ostree/os-2b84…/initramfs-6.1.img
//! ```
//!
//! Lines are `KEY VALUE`; lines that do not begin with a letter are skipped. The keys `title`,
//! `version`, `options`, `devicetree`, `linux`, `initrd` come first, in this order, further
//! `initrd` lines (overlays) directly after the first, then all others in the order in which
//! they were added (libostree: in hash order). Format: the Boot Loader Specification, with the
//! restrictions of libostree's `ostree-bootconfig-parser.c`.

use crate::{Error, KernelArgs};

/// The largest entry that is read. A kernel command line has at most 4 KiB on all platforms we
/// know; the rest is names of files.
pub const MAX_ENTRY_BYTES: usize = 64 * 1024;

/// The keys that are written first, in this order.
const LEADING: [&str; 6] = ["title", "version", "options", "devicetree", "linux", "initrd"];

/// One boot loader entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootEntry {
    fields: Vec<(String, String)>,
    overlay_initrds: Vec<String>,
}

impl BootEntry {
    /// An entry without any keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads an entry. Unknown keys are kept; of a repeated key the last value counts, except
    /// for `initrd`, whose further values are [overlays](Self::overlay_initrds).
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(Error::TooLarge { size: bytes.len(), limit: MAX_ENTRY_BYTES });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::NotText)?;
        let mut entry = Self::new();
        for line in text.lines() {
            // `lines` takes one carriage return; what is read must be what is written.
            let line = line.trim_end_matches('\r');
            if !line.starts_with(|first: char| first.is_ascii_alphabetic()) {
                continue;
            }
            let Some((key, value)) = line.split_once([' ', '\t']) else { continue };
            let value = value.trim_start_matches([' ', '\t']);
            if key == "initrd" && entry.get("initrd").is_some() {
                entry.overlay_initrds.push(value.to_owned());
            } else {
                entry.put(key, value);
            }
        }
        Ok(entry)
    }

    /// The value of a key; for `initrd`, the first one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Sets a key. Fails when key or value cannot be written on one line.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let key_is_word = key.starts_with(|first: char| first.is_ascii_alphabetic())
            && !key.contains(char::is_whitespace);
        if !key_is_word || value.contains(['\n', '\r']) {
            return Err(Error::Unwritable { key: key.to_owned() });
        }
        self.put(key, value);
        Ok(())
    }

    /// Takes a key away; nothing when it is not there.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(name, _)| name != key);
    }

    /// The `initrd` lines after the first.
    #[must_use]
    pub fn overlay_initrds(&self) -> &[String] {
        &self.overlay_initrds
    }

    /// Adds an `initrd` line after those there are. Fails like [`set`](Self::set).
    pub fn add_overlay_initrd(&mut self, path: &str) -> Result<(), Error> {
        if path.contains(['\n', '\r']) {
            return Err(Error::Unwritable { key: "initrd".to_owned() });
        }
        self.overlay_initrds.push(path.to_owned());
        Ok(())
    }

    /// The kernel command line.
    #[must_use]
    pub fn kernel_args(&self) -> KernelArgs {
        KernelArgs::parse(self.get("options").unwrap_or_default())
    }

    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = String::new();
        let mut line = |key: &str, value: &str| {
            out.push_str(key);
            out.push(' ');
            out.push_str(value);
            out.push('\n');
        };
        for key in LEADING {
            if let Some(value) = self.get(key) {
                line(key, value);
            }
        }
        for overlay in &self.overlay_initrds {
            line("initrd", overlay);
        }
        for (key, value) in &self.fields {
            if !LEADING.contains(&key.as_str()) {
                line(key, value);
            }
        }
        out.into_bytes()
    }

    fn put(&mut self, key: &str, value: &str) {
        match self.fields.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((key.to_owned(), value.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by libostree 2022.7.
    const VECTOR: &str = "title TestOS 42 1.0 (ostree:0)\n\
        version 1\n\
        options root=LABEL=x quiet ostree=/ostree/boot.1/os/2b84/0\n\
        linux /ostree/os-2b84/vmlinuz-6.1\n\
        initrd /ostree/os-2b84/initramfs-6.1.img\n";

    #[test]
    fn the_vector_round_trips() {
        let entry = BootEntry::parse(VECTOR.as_bytes()).unwrap();
        assert_eq!(entry.get("version"), Some("1"));
        assert_eq!(entry.get("title"), Some("TestOS 42 1.0 (ostree:0)"));
        assert_eq!(entry.kernel_args().last_value("ostree"), Some("/ostree/boot.1/os/2b84/0"));
        assert_eq!(String::from_utf8(entry.encode()).unwrap(), VECTOR);
    }

    #[test]
    fn keys_are_written_in_the_fixed_order() {
        let mut entry = BootEntry::new();
        for key in ["x-last", "initrd", "linux", "devicetree", "options", "version", "title"] {
            entry.set(key, "v").unwrap();
        }
        entry.add_overlay_initrd("/overlay.img").unwrap();
        let text = String::from_utf8(entry.encode()).unwrap();
        assert_eq!(
            text,
            "title v\nversion v\noptions v\ndevicetree v\nlinux v\ninitrd v\n\
             initrd /overlay.img\nx-last v\n"
        );
        assert_eq!(BootEntry::parse(text.as_bytes()).unwrap().overlay_initrds(), ["/overlay.img"]);
    }

    #[test]
    fn comments_tabs_and_lines_without_value_are_tolerated() {
        let entry =
            BootEntry::parse(b"# comment\n title indented\ntitle\t Tab\nlonely\n\nversion 3")
                .unwrap();
        assert_eq!(entry.get("title"), Some("Tab"));
        assert_eq!(entry.get("version"), Some("3"));
        assert_eq!(entry.get("lonely"), None);
    }

    #[test]
    fn a_line_break_cannot_smuggle_in_a_second_key() {
        let mut entry = BootEntry::new();
        assert!(entry.set("title", "a\nlinux /evil").is_err());
        assert!(entry.set("two words", "a").is_err());
        assert!(entry.add_overlay_initrd("a\nb").is_err());
    }

    #[test]
    fn oversized_and_binary_input_is_refused() {
        assert!(matches!(
            BootEntry::parse(&vec![b'a'; MAX_ENTRY_BYTES + 1]),
            Err(Error::TooLarge { .. })
        ));
        assert_eq!(BootEntry::parse(&[0xff, 0xfe]), Err(Error::NotText));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_panic_and_rewriting_is_stable(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            if let Ok(entry) = BootEntry::parse(&bytes) {
                let again = BootEntry::parse(&entry.encode()).unwrap();
                prop_assert_eq!(again.encode(), entry.encode());
            }
        }
    }
}
