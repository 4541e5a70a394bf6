//! The kernel's command line, as this program reads it.

/// The arguments in order. A value in double quotes is taken without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KernelArguments {
    arguments: Vec<(String, Option<String>)>,
}

/// What `ostree=` and its kin name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A link, relative to the physical root.
    Link(String),
    /// There is no such argument.
    Missing,
    /// `androidboot.slot_suffix=` has a value that means nothing.
    UnknownSlot(String),
}

impl KernelArguments {
    /// Reads a text such as that of `/proc/cmdline`.
    pub(crate) fn parse(line: &str) -> Self {
        let mut quoted = false;
        let words = line.split(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        });
        let arguments = words.filter(|word| !word.is_empty()).map(|word| {
            // The kernel allows quotes around the value and around the whole.
            let word = unquoted(word);
            match word.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(unquoted(value).to_owned())),
                None => (word.to_owned(), None),
            }
        });
        Self { arguments: arguments.collect() }
    }

    /// The value of the last argument with this key, which is the one that the kernel obeys.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.with(key).next_back()?.as_deref()
    }

    /// The values of all arguments with this key, in their order.
    pub(crate) fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.with(key).filter_map(Option::as_deref)
    }

    /// The value as a number.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.value(key)?.parse().ok()
    }

    /// Whether there is an argument with this key, with or without a value.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.with(key).next().is_some()
    }

    /// Whether `ro` or `rw` was said last; the kernel's own choice is `ro`.
    pub(crate) fn is_writable(&self) -> bool {
        let mut flags = self.arguments.iter().map(|(key, _)| key.as_str());
        flags.rfind(|key| matches!(*key, "ro" | "rw")) == Some("rw")
    }

    /// The link to the deployment: Android's boot loaders name a slot, all others say `ostree=`,
    /// of which the first counts.
    pub(crate) fn target(&self) -> Target {
        if let Some(slot) = self.with("androidboot.slot_suffix").next().and_then(Option::as_deref) {
            return match slot {
                "_a" => Target::Link("/ostree/root.a".to_owned()),
                "_b" => Target::Link("/ostree/root.b".to_owned()),
                other => Target::UnknownSlot(other.to_owned()),
            };
        }
        if self.arguments.iter().any(|(key, _)| key.starts_with("androidboot.")) {
            return Target::Link("/ostree/root.a".to_owned());
        }
        match self.with("ostree").next().and_then(Option::as_deref) {
            Some(link) if !link.is_empty() => Target::Link(link.to_owned()),
            _ => Target::Missing,
        }
    }

    fn with<'a, 'k>(
        &'a self,
        key: &'k str,
    ) -> impl DoubleEndedIterator<Item = &'a Option<String>> + use<'a, 'k> {
        self.arguments.iter().filter(move |(have, _)| have == key).map(|(_, value)| value)
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').map_or(text, |text| text.strip_suffix('"').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::{KernelArguments, Target};

    #[test]
    fn arguments_are_read_as_the_kernel_reads_them() {
        let line =
            "root=LABEL=a root=/dev/vda2  rootflags=\"data=journal,x y\" \"b=c d\" ro quiet\n";
        let arguments = KernelArguments::parse(line);
        assert_eq!(arguments.value("root"), Some("/dev/vda2"), "the last counts");
        assert_eq!(arguments.value("rootflags"), Some("data=journal,x y"));
        assert_eq!(arguments.value("b"), Some("c d"));
        assert!(arguments.contains("quiet") && !arguments.contains("quie"));
        assert!(!arguments.is_writable());
        assert!(KernelArguments::parse("ro rw").is_writable());
    }

    #[track_caller]
    fn check_target(line: &str, expected: &Target) {
        assert_eq!(&KernelArguments::parse(line).target(), expected, "{line}");
    }

    #[test]
    fn the_target_is_a_link_or_a_slot() {
        let link = |text: &str| Target::Link(text.to_owned());
        check_target("ostree=/ostree/boot.1/a ostree=/b", &link("/ostree/boot.1/a"));
        check_target("ostree= x", &Target::Missing);
        check_target("x", &Target::Missing);
        check_target("androidboot.slot_suffix=_b ostree=/x", &link("/ostree/root.b"));
        check_target("androidboot.mode=normal", &link("/ostree/root.a"));
        check_target("androidboot.slot_suffix=_c", &Target::UnknownSlot("_c".to_owned()));
    }
}
