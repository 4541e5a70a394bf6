//! [`Options`]: what recovery is told, as arguments, in the control block, or in `command`.

/// What recovery does. (AOSP, `bootable/recovery/recovery.cpp`.)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Options {
    /// `--update_package=PATH`: installs it.
    pub update_package: Option<String>,
    /// `--sideload`: installs the package that lies where the device was told to look.
    pub sideload: bool,
    /// `--wipe_data`: removes the data of the user.
    pub wipe_data: bool,
    /// `--prompt_and_wipe_data`: the same, after somebody was asked.
    pub prompt_and_wipe_data: bool,
    /// `--wipe_cache`: empties the cache, but for logs.
    pub wipe_cache: bool,
    /// `--security`: the update is one for security.
    pub security: bool,
    /// `--shutdown_after`: turns the device off at the end.
    pub shutdown_after: bool,
    /// `--retry_count=N`: how often this update was begun.
    pub retry_count: u32,
    /// `--reason=TEXT`: why, for the log.
    pub reason: Option<String>,
    /// `--locale=TEXT`: the language, for whoever shows something.
    pub locale: Option<String>,
    /// Options that say nothing here.
    pub unknown: Vec<String>,
}

impl Options {
    /// Reads options, one in each word.
    #[must_use]
    pub fn parse(words: &[String]) -> Self {
        let mut options = Self::default();
        for word in words.iter().filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let value = value.to_owned();
            match name {
                "--update_package" => options.update_package = Some(value),
                "--sideload" | "--sideload_auto_reboot" => options.sideload = true,
                "--wipe_data" => options.wipe_data = true,
                "--prompt_and_wipe_data" => options.prompt_and_wipe_data = true,
                "--wipe_cache" => options.wipe_cache = true,
                "--security" => options.security = true,
                "--shutdown_after" => options.shutdown_after = true,
                "--retry_count" => options.retry_count = value.parse().unwrap_or(0),
                "--reason" => options.reason = Some(value),
                "--locale" => options.locale = Some(value),
                // They change what is shown, or nothing.
                "--just_exit" | "--show_text" | "--install_with_fuse" => {}
                _ => options.unknown.push(word.clone()),
            }
        }
        options
    }

    /// Writes them, one on each line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let texts = [
            ("update_package", &self.update_package),
            ("locale", &self.locale),
            ("reason", &self.reason),
        ];
        for (name, value) in texts {
            lines.extend(value.iter().map(|value| format!("--{name}={value}")));
        }
        let flags = [
            ("sideload", self.sideload),
            ("wipe_data", self.wipe_data),
            ("prompt_and_wipe_data", self.prompt_and_wipe_data),
            ("wipe_cache", self.wipe_cache),
            ("security", self.security),
            ("shutdown_after", self.shutdown_after),
        ];
        lines.extend(flags.iter().filter(|(_, is)| *is).map(|(name, _)| format!("--{name}")));
        if self.retry_count > 0 {
            lines.push(format!("--retry_count={}", self.retry_count));
        }
        if lines.is_empty() {
            // Nothing is something else than no word: then the command file is read.
            lines.push("--just_exit".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn options_read_back() {
        let words = [
            "--update_package=/cache/a=b.zip",
            "--wipe_cache",
            "--retry_count=2",
            "--reason=two words",
            "--fastboot",
            "",
        ];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let options = Options::parse(&words);
        assert_eq!(options.update_package.as_deref(), Some("/cache/a=b.zip"));
        assert_eq!((options.retry_count, options.unknown.len()), (2, 1));
        let again = Options::parse(&options.lines());
        assert_eq!(again, Options { unknown: Vec::new(), ..options });
    }
}
