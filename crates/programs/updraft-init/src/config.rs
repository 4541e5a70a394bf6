//! `prepare-root.conf` of the initramfs, and what the kernel's command line changes in it.
//!
//! ```text
//! [sysroot]
//! readonly = true | false          default: true with composefs, else what the repository says
//! [etc]
//! transient = true | false
//! [root]
//! transient = true | false         needs composefs
//! transient-ro = true | false      needs composefs
//! [composefs]
//! enabled = no | maybe | yes | verity | signed
//! keypath = /etc/ostree/initramfs-root-binding.key
//! [updraft]                        ours; libostree looks past it
//! fallback = previous | reboot | shell | halt
//! tries = NUMBER                   see `tries`
//! watchdog = true | false | DEVICE see `watchdog`; only as the whole initramfs
//! ```
//!
//! `usr/lib/ostree/prepare-root.conf` is read first; what `etc/ostree/prepare-root.conf` says
//! counts more.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use updraft_ostree::KeyFile;

use crate::failure::{During, Failure, Result};
use crate::kernel_arguments::KernelArguments;

/// Below a root: first what the system brings, then what the administrator says.
const FILES: [&str; 2] = ["usr/lib/ostree/prepare-root.conf", "etc/ostree/prepare-root.conf"];
/// The kernel argument that overrides `[composefs] enabled`.
pub(crate) const COMPOSEFS_ARGUMENT: &str = "ostree.prepare-root.composefs";
/// The kernel argument that overrides `[updraft] fallback`.
const FALLBACK_ARGUMENT: &str = "updraft.fallback";
/// The kernel argument that overrides `[updraft] tries`.
const TRIES_ARGUMENT: &str = "updraft.tries";
/// The kernel argument that overrides `[updraft] watchdog`.
const WATCHDOG_ARGUMENT: &str = "updraft.watchdog";
/// Where the keys are when nothing else is said.
pub(crate) const DEFAULT_KEYS: &str = "/etc/ostree/initramfs-root-binding.key";

/// Whether the root is a composefs image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Composefs {
    /// It is the deployment's folder.
    No,
    /// It is the image when there is one.
    Maybe,
    /// It has to be.
    Yes,
}

/// What kind of `/` there is above the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// The deployment itself.
    Deployment,
    /// What is written is forgotten at the next boot.
    Transient,
    /// As [`Root::Transient`], but mounted read-only until somebody remounts it.
    TransientReadOnly,
}

/// What to do when the deployment cannot be booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Boot another deployment.
    Previous,
    /// Start again after a while.
    Reboot,
    /// Give the person at the console a shell.
    Shell,
    /// Stop.
    Halt,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Whether `/sysroot` is read-only; `None` when the repository decides.
    pub(crate) sysroot_readonly: Option<bool>,
    /// Whether changes of `/etc` are forgotten.
    pub(crate) etc_transient: bool,
    /// What kind of `/`.
    pub(crate) root: Root,
    /// Whether the root is a composefs image.
    pub(crate) composefs: Composefs,
    /// Whether the kernel has to vouch for every file.
    pub(crate) verity: bool,
    /// The keys that must have signed the commit.
    pub(crate) signed_by: Option<PathBuf>,
    /// What to do when the deployment cannot be booted, when somebody said it.
    pub(crate) fallback: Option<Fallback>,
    /// How often a new deployment is tried.
    pub(crate) tries: Option<u32>,
    /// The watchdog that is started.
    pub(crate) watchdog: Option<PathBuf>,
}

impl Config {
    /// Reads the files below `root` and the kernel's arguments.
    pub(crate) fn load(root: &Path, arguments: &KernelArguments) -> Result<Self> {
        Self::from_files(&Files::read(root)?, arguments)
    }

    pub(crate) fn from_files(files: &Files, arguments: &KernelArguments) -> Result<Self> {
        let enabled = files.value("composefs", "enabled");
        let (mut composefs, verity, mut signed) = match enabled.as_deref() {
            None => (Composefs::No, false, false),
            Some("verity") => (Composefs::Yes, true, false),
            Some("signed") => (Composefs::Yes, true, true),
            Some(other) => (tristate(other, "[composefs] enabled")?, false, false),
        };
        let mut must_be_verity = verity;
        if let Some(value) = arguments.value(COMPOSEFS_ARGUMENT) {
            signed = value == "signed";
            if signed {
                (composefs, must_be_verity) = (Composefs::Yes, true);
            } else {
                composefs = tristate(value, COMPOSEFS_ARGUMENT)?;
            }
        }
        let keys = files.value("composefs", "keypath").unwrap_or_else(|| DEFAULT_KEYS.to_owned());
        let is_on = |group, key| Ok(files.boolean(group, key)?.unwrap_or(false));
        let root = match (is_on("root", "transient")?, is_on("root", "transient-ro")?) {
            (false, false) => Root::Deployment,
            (true, false) => Root::Transient,
            (false, true) => Root::TransientReadOnly,
            (true, true) => {
                return Err(Failure::new("[root] has both transient and transient-ro")
                    .way_out("leave one of them in prepare-root.conf of the initramfs"));
            }
        };
        let always = (composefs == Composefs::Yes).then_some(true);
        Ok(Self {
            sysroot_readonly: files.boolean("sysroot", "readonly")?.or(always),
            etc_transient: is_on("etc", "transient")?,
            root,
            composefs,
            verity: must_be_verity,
            signed_by: signed.then(|| PathBuf::from(keys)),
            fallback: fallback(files, arguments)?,
            tries: tries(files, arguments)?,
            watchdog: watchdog(files, arguments),
        })
    }
}

/// Files of which the later ones count more.
pub(crate) struct Files(pub(crate) Vec<KeyFile>);

impl Files {
    /// Reads those that are below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for (path, text) in Self::texts(root)? {
            let file = KeyFile::parse(&text).during(|| format!("read {}", path.display()));
            files.push(file?);
        }
        Ok(Self(files))
    }

    /// As [`Self::read`], but passes over lines that mean nothing, and files that cannot be read.
    pub(crate) fn read_what_can_be(root: &Path) -> Self {
        let mut files = Vec::new();
        for name in FILES {
            let Ok(text) = fs::read_to_string(root.join(name)) else { continue };
            let means_something = |line: &&str| {
                let line = line.trim();
                line.starts_with('#') || line.starts_with('[') || line.contains('=')
            };
            let lines: Vec<&str> = text.lines().filter(means_something).collect();
            files.extend(KeyFile::parse(&lines.join("\n")).ok());
        }
        Self(files)
    }

    fn texts(root: &Path) -> Result<Vec<(PathBuf, String)>> {
        let mut texts = Vec::new();
        for name in FILES {
            let path = root.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => texts.push((path, text)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).during(|| format!("read {}", path.display())),
            }
        }
        Ok(texts)
    }

    pub(crate) fn value(&self, group: &str, key: &str) -> Option<String> {
        let value = self.0.iter().rev().find_map(|file| file.get(group, key))?;
        Some(value.trim_end().to_owned())
    }

    fn boolean(&self, group: &str, key: &str) -> Result<Option<bool>> {
        match self.value(group, key).as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(Failure::new(format!(
                "[{group}] {key} in prepare-root.conf must be true or false, not `{other}`"
            ))),
        }
    }
}

pub(crate) fn tristate(text: &str, what: &str) -> Result<Composefs> {
    match text {
        "yes" | "true" | "1" => Ok(Composefs::Yes),
        "no" | "false" | "0" => Ok(Composefs::No),
        "maybe" => Ok(Composefs::Maybe),
        other => Err(Failure::new(format!("{what} must not be `{other}`"))
            .way_out("it is one of yes, no, maybe, signed; in prepare-root.conf also verity")),
    }
}

/// `updraft.watchdog` alone means that there is one.
pub(crate) fn watchdog(files: &Files, arguments: &KernelArguments) -> Option<PathBuf> {
    let said = arguments
        .contains(WATCHDOG_ARGUMENT)
        .then(|| arguments.value(WATCHDOG_ARGUMENT).unwrap_or("true").to_owned());
    match said.or_else(|| files.value("updraft", "watchdog")).as_deref() {
        None | Some("false" | "0" | "no" | "") => None,
        Some("true" | "1" | "yes") => Some(PathBuf::from(crate::watchdog::DEFAULT)),
        Some(device) => Some(PathBuf::from(device)),
    }
}

pub(crate) fn fallback(files: &Files, arguments: &KernelArguments) -> Result<Option<Fallback>> {
    let said = arguments.value(FALLBACK_ARGUMENT).map(str::to_owned);
    match said.or_else(|| files.value("updraft", "fallback")).as_deref() {
        None => Ok(None),
        Some("previous") => Ok(Some(Fallback::Previous)),
        Some("reboot") => Ok(Some(Fallback::Reboot)),
        Some("shell") => Ok(Some(Fallback::Shell)),
        Some("halt") => Ok(Some(Fallback::Halt)),
        Some(other) => Err(Failure::new(format!("{FALLBACK_ARGUMENT} must not be `{other}`"))
            .way_out("it is one of previous, reboot, shell, halt")),
    }
}

fn tries(files: &Files, arguments: &KernelArguments) -> Result<Option<u32>> {
    let said = arguments.value(TRIES_ARGUMENT).map(str::to_owned);
    let Some(text) = said.or_else(|| files.value("updraft", "tries")) else { return Ok(None) };
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Failure::new(format!("{TRIES_ARGUMENT} must be a number, not `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[&str], line: &str) -> Result<Config> {
        let files = files.iter().map(|text| KeyFile::parse(text).unwrap()).collect();
        Config::from_files(&Files(files), &KernelArguments::parse(line))
    }

    #[test]
    fn without_files_nothing_is_special() {
        let config = config(&[], "").unwrap();
        assert_eq!((config.composefs, config.root), (Composefs::No, Root::Deployment));
        assert_eq!((config.sysroot_readonly, config.signed_by), (None, None));
    }

    #[test]
    fn the_later_file_counts_more_and_the_command_line_most() {
        let files =
            ["[composefs]\nenabled=signed\n[etc]\ntransient=true\n", "[etc]\ntransient=0\n"];
        let signed = config(&files, "").unwrap();
        assert!(signed.verity && !signed.etc_transient);
        assert_eq!(signed.signed_by, Some(PathBuf::from(DEFAULT_KEYS)));
        assert_eq!(signed.sysroot_readonly, Some(true), "composefs implies it");

        let unsigned = config(&files, "ostree.prepare-root.composefs=maybe").unwrap();
        assert_eq!((unsigned.composefs, unsigned.signed_by), (Composefs::Maybe, None));
        assert!(config(&files, "ostree.prepare-root.composefs=verity").is_err());
    }

    #[test]
    fn two_kinds_of_transient_root_are_refused() {
        let both = "[root]\ntransient=true\ntransient-ro=true\n";
        let told = config(&[both], "").unwrap_err().to_string();
        assert!(told.contains("both") && told.contains("way out"), "{told}");
    }

    #[test]
    fn fallback_and_tries_are_read() {
        let file = "[updraft]\nfallback=previous\ntries=3\n";
        let read = config(&[file], "updraft.tries=0 updraft.fallback=shell").unwrap();
        assert_eq!((read.fallback, read.tries), (Some(Fallback::Shell), None));
        assert_eq!(config(&[file], "").unwrap().tries, Some(3));
        assert!(config(&[file], "updraft.fallback=pray").is_err());
    }

    #[test]
    fn the_watchdog_is_named_or_the_usual_one() {
        let device = |file: &str, line: &str| config(&[file], line).unwrap().watchdog;
        let usual = Some(PathBuf::from(crate::watchdog::DEFAULT));
        assert_eq!(device("", ""), None);
        assert_eq!(device("", "updraft.watchdog"), usual);
        assert_eq!(device("[updraft]\nwatchdog=true\n", ""), usual);
        assert_eq!(device("[updraft]\nwatchdog=true\n", "updraft.watchdog=0"), None);
        assert_eq!(device("", "updraft.watchdog=/dev/watchdog1"), Some("/dev/watchdog1".into()));
    }
}
