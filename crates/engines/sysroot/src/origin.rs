//! Origin files: where a deployment came from and what an upgrade follows.
//!
//! ```text
//! [origin]
//! refspec=REMOTE:REF
//! [libostree-transient]
//! pinned=true
//! ```

use updraft_ostree::KeyFile;

const GROUP: &str = "origin";
const TRANSIENT: &str = "libostree-transient";

/// The contents of an origin file; keys of others are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin(KeyFile);

impl Origin {
    /// An origin that follows a ref, such as `updraft:os/stable`.
    #[must_use]
    pub fn following(refspec: &str) -> Self {
        let mut file = KeyFile::default();
        file.set(GROUP, "refspec", refspec);
        Self(file)
    }

    /// An origin that says nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self(KeyFile::default())
    }

    /// Reads an origin file.
    ///
    /// # Errors
    /// When it is not a key file.
    pub fn parse(text: &str) -> Result<Self, updraft_ostree::Error> {
        KeyFile::parse(text).map(Self)
    }

    /// The ref that is followed.
    #[must_use]
    pub fn refspec(&self) -> Option<String> {
        self.0.get(GROUP, "refspec")
    }

    /// A value of the group `origin`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        self.0.get(GROUP, key)
    }

    /// Sets a value of the group `origin`.
    pub fn set(&mut self, key: &str, value: &str) {
        self.0.set(GROUP, key, value);
    }

    /// Removes a value of the group `origin`.
    pub fn remove(&mut self, key: &str) {
        self.0.remove(GROUP, key);
    }

    /// Whether the deployment is kept whatever comes.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        matches!(self.0.get_bool(TRANSIENT, "pinned"), Ok(Some(true)))
    }

    /// Keeps the deployment whatever comes, or no longer.
    pub fn set_pinned(&mut self, pinned: bool) {
        if pinned {
            self.0.set(TRANSIENT, "pinned", "true");
        } else {
            self.0.remove_group(TRANSIENT);
        }
    }

    /// This origin for the next deployment: transient states stay behind.
    #[must_use]
    pub fn for_upgrade(&self) -> Self {
        let mut file = self.0.clone();
        file.remove_group(TRANSIENT);
        file.remove(GROUP, "unlocked");
        Self(file)
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn a_followed_ref_reads_back_and_pins_do_not_survive_an_upgrade() {
        let mut origin = Origin::following("updraft:os/stable");
        assert_eq!(origin.to_text(), "[origin]\nrefspec=updraft:os/stable\n");
        origin.set_pinned(true);
        let again = Origin::parse(&origin.to_text()).unwrap();
        assert!(again.is_pinned());
        assert_eq!(again.refspec().as_deref(), Some("updraft:os/stable"));
        assert!(!again.for_upgrade().is_pinned());
    }
}
