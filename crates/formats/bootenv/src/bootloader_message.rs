//! [`BootloaderMessage`]: what the system, recovery and Android's boot loaders tell each other, in the
//! first 2048 bytes of the partition `misc`.
//!
//! ```text
//!    0  command, 32     "boot-recovery": the boot loader starts recovery until somebody takes it away
//!   32  status, 32
//!   64  recovery, 768   "recovery\n", and an option on each line
//!  832  stage, 32       "2/3": how far an update in several starts has come
//!  864  reserved, 1184
//! ```
//! Texts end with a zero. (AOSP, `bootable/recovery/bootloader_message`.)

use crate::Error;

const WHAT: &str = "message for the boot loader";
const COMMAND: std::ops::Range<usize> = 0..32;
const RECOVERY: std::ops::Range<usize> = 64..832;
const STAGE: std::ops::Range<usize> = 832..864;
const BOOT_RECOVERY: &str = "boot-recovery";
const FIRST_LINE: &str = "recovery";

/// The message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootloaderMessage {
    bytes: Vec<u8>,
}

impl Default for BootloaderMessage {
    fn default() -> Self {
        Self { bytes: vec![0; Self::LEN] }
    }
}

impl BootloaderMessage {
    /// Where it is in `misc`.
    pub const OFFSET: u64 = 0;
    /// How long it is.
    pub const LEN: usize = 2048;

    /// Reads it. Any bytes are one: those that are no text say nothing.
    ///
    /// # Errors
    /// When there are too few.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let short = Error::Environment { what: WHAT, reason: "it is cut short" };
        Ok(Self { bytes: bytes.get(..Self::LEN).ok_or(short)?.to_vec() })
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the boot loader starts recovery.
    #[must_use]
    pub fn boots_recovery(&self) -> bool {
        self.text(COMMAND) == BOOT_RECOVERY
    }

    /// What the boot loader is told.
    #[must_use]
    pub fn command(&self) -> &str {
        self.text(COMMAND)
    }

    /// What recovery is told, each with its dashes. Empty when it is told nothing.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let mut lines = self.text(RECOVERY).lines();
        if lines.next() != Some(FIRST_LINE) {
            return Vec::new();
        }
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// How far an update in several starts has come.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.text(STAGE)
    }

    /// Lets the boot loader start recovery, and tells that these options.
    ///
    /// # Errors
    /// When they do not fit, or one has several lines. Nothing changes then.
    pub fn set_options(&mut self, options: &[String]) -> Result<(), Error> {
        let bad = |reason| Error::Environment { what: WHAT, reason };
        if options.iter().any(|option| option.contains(['\n', '\0'])) {
            return Err(bad("an option has several lines"));
        }
        let mut text = format!("{FIRST_LINE}\n");
        for option in options {
            text += option;
            text.push('\n');
        }
        if text.len() >= RECOVERY.len() {
            return Err(bad("its options have over 767 bytes"));
        }
        self.put(RECOVERY, &text);
        self.put(COMMAND, BOOT_RECOVERY);
        Ok(())
    }

    /// Says how far an update in several starts has come.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn set_stage(&mut self, stage: &str) -> Result<(), Error> {
        if stage.len() >= STAGE.len() || stage.contains('\0') {
            return Err(Error::Environment { what: WHAT, reason: "its stage has over 31 bytes" });
        }
        self.put(STAGE, stage);
        Ok(())
    }

    /// Takes command, options and stage away: the system starts. What is reserved stays.
    pub fn clear(&mut self) {
        for range in [COMMAND, RECOVERY, STAGE] {
            self.put(range, "");
        }
    }

    fn text(&self, range: std::ops::Range<usize>) -> &str {
        let bytes = self.bytes.get(range).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        std::str::from_utf8(bytes.get(..end).unwrap_or_default()).unwrap_or_default()
    }

    fn put(&mut self, range: std::ops::Range<usize>, text: &str) {
        let place = self.bytes.get_mut(range).unwrap_or_default();
        place.fill(0);
        for (to, from) in place.iter_mut().zip(text.bytes()) {
            *to = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BootloaderMessage;

    #[test]
    fn options_are_where_boot_loaders_and_recovery_look() {
        let mut message = BootloaderMessage::parse(&[0xff; 2048]).unwrap();
        assert_eq!((message.command(), message.options().len()), ("", 0));
        let options = ["--update_package=/cache/a.zip".to_owned(), "--security".to_owned()];
        message.set_options(&options).unwrap();
        message.set_stage("2/3").unwrap();
        let bytes = message.encode();
        assert!(bytes.starts_with(b"boot-recovery\0\0") && bytes[32] == 0xff);
        assert!(
            bytes[64..].starts_with(b"recovery\n--update_package=/cache/a.zip\n--security\n\0")
        );
        assert!(bytes[832..].starts_with(b"2/3\0") && bytes[864..] == [0xff; 1184]);
        let mut read = BootloaderMessage::parse(bytes).unwrap();
        assert_eq!((read.options(), read.stage()), (options.to_vec(), "2/3"));
        assert!(read.boots_recovery());
        read.clear();
        assert!(!read.boots_recovery() && read.options().is_empty() && read.encode()[900] == 0xff);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut message = BootloaderMessage::default();
        assert!(message.set_options(&["x".repeat(758)]).is_err());
        assert!(message.set_options(&["a\nb".to_owned()]).is_err());
        assert!(message.set_stage(&"x".repeat(32)).is_err());
        assert_eq!(message, BootloaderMessage::default());
        message.set_options(&["x".repeat(757)]).unwrap();
        assert!(BootloaderMessage::parse(&[0; 2047]).is_err());
    }
}
