//! [`Settings`]: those of this initramfs, and of deployments that are older than them.
//!
//! A setting of the initramfs that means nothing (`enabled=sigend`) stops the deployment that
//! brought it: nobody knows what it would have demanded. It came with that deployment, though. One
//! that is booted instead brought other settings, which are in its tree; so those count for it. Less
//! than this initramfs demands, as far as that can be made out, is never demanded:
//!
//! | `[composefs] enabled` here | demanded of others |
//! | --- | --- |
//! | `signed`, `verity` | the same |
//! | unknown, or in a file that cannot be read | `signed`, where there is a key to check with |
//! | anything else | what their own settings say |
//!
//! The kernel's arguments are those of the deployment that is stopped. Of them only
//! `ostree.prepare-root.composefs=` counts for others: it stands where `enabled` stands.

use std::path::{Path, PathBuf};

use crate::config::{
    COMPOSEFS_ARGUMENT, Composefs, Config, DEFAULT_KEYS, Fallback, Files, fallback, tristate,
    watchdog,
};
use crate::failure::Result;
use crate::kernel_arguments::KernelArguments;

/// All that is known of the settings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Those that count for the chosen deployment, or what is wrong with them.
    pub(crate) chosen: Result<Config>,
    /// What to do when it cannot be booted, as far as that can be made out.
    pub(crate) fallback: Option<Fallback>,
    /// The watchdog that is started, as far as that can be made out.
    pub(crate) watchdog: Option<PathBuf>,
    demanded: Demand,
}

/// What is demanded of every deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    Nothing,
    Verity,
    /// The digest of its image has to be signed by one of the keys in this file.
    Signed(PathBuf),
}

impl Settings {
    /// Reads those below `root`, the initramfs, and the kernel's arguments.
    pub(crate) fn load(root: &Path, arguments: &KernelArguments) -> Self {
        let chosen = Config::load(root, arguments);
        let files = Files::read_what_can_be(root);
        let none = KernelArguments::default();
        // An argument that means nothing says as little as none.
        let said = fallback(&files, arguments).or_else(|_| fallback(&files, &none));
        Self {
            chosen,
            fallback: said.unwrap_or(None),
            watchdog: watchdog(&files, arguments),
            demanded: demanded(root, &files, arguments),
        }
    }

    /// Those that count for another deployment, which is in this folder.
    ///
    /// # Errors
    /// When its own would count, and mean nothing either.
    pub(crate) fn of_other(&self, deployment: &Path) -> Result<Config> {
        if let Ok(config) = &self.chosen {
            return Ok(config.clone());
        }
        let mut config = Config::load(deployment, &KernelArguments::default())?;
        if self.demanded != Demand::Nothing {
            config.composefs = Composefs::Yes;
            config.verity = true;
            config.sysroot_readonly = config.sysroot_readonly.or(Some(true));
        }
        if let Demand::Signed(keys) = &self.demanded {
            config.signed_by = Some(keys.clone());
        }
        Ok(config)
    }
}

fn demanded(root: &Path, files: &Files, arguments: &KernelArguments) -> Demand {
    let keys = PathBuf::from(
        files.value("composefs", "keypath").unwrap_or_else(|| DEFAULT_KEYS.to_owned()),
    );
    match arguments.value(COMPOSEFS_ARGUMENT) {
        Some("signed") => return Demand::Signed(keys),
        Some(word) if tristate(word, COMPOSEFS_ARGUMENT).is_ok() => return Demand::Nothing,
        _ => {}
    }
    let is_readable = Files::read(root).is_ok();
    match files.value("composefs", "enabled").as_deref() {
        Some("signed") => Demand::Signed(keys),
        Some("verity") => Demand::Verity,
        Some(word) if is_readable && tristate(word, "enabled").is_ok() => Demand::Nothing,
        None if is_readable => Demand::Nothing,
        // Who gave the initramfs a key meant it to be used.
        _ if root.join(keys.strip_prefix("/").unwrap_or(&keys)).exists() => Demand::Signed(keys),
        _ => Demand::Nothing,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests may")]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Root;

    struct Lab(tempfile::TempDir);

    impl Lab {
        fn new(initramfs: &str, other: &str) -> Self {
            let lab = Self(tempfile::tempdir().unwrap());
            lab.put("initramfs/usr/lib/ostree/prepare-root.conf", initramfs);
            lab.put("other/usr/lib/ostree/prepare-root.conf", other);
            lab
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn load(&self, line: &str) -> Settings {
            Settings::load(&self.0.path().join("initramfs"), &KernelArguments::parse(line))
        }

        fn of_other(&self, line: &str) -> Config {
            let settings = self.load(line);
            assert!(settings.chosen.is_err(), "it is not stopped");
            settings.of_other(&self.0.path().join("other")).unwrap()
        }
    }

    const OTHER: &str = "[composefs]\nenabled=maybe\n[etc]\ntransient=true\n";

    #[test]
    fn who_is_booted_instead_has_its_own_settings() {
        for broken in [
            "[root]\ntransient=perhaps\n",
            "[composefs]\nenabled=yess\n",
            "[root]\ntransient=1\ntransient-ro=1\n",
            "no line of such a file\n[etc]\ntransient=false\n",
            "[updraft]\nfallback=previos\n",
        ] {
            let config = Lab::new(broken, OTHER).of_other("");
            assert_eq!((config.composefs, config.root), (Composefs::Maybe, Root::Deployment));
            assert!(config.etc_transient && config.signed_by.is_none(), "{broken}");
        }
        let lab = Lab::new("[updraft]\nfallback=previous\n", OTHER);
        let config = lab.of_other("updraft.tries=x");
        assert!(config.etc_transient && config.tries.is_none());
        // With settings that mean something these count for all.
        let config = lab.load("").of_other(&lab.0.path().join("other")).unwrap();
        assert_eq!((config.composefs, config.etc_transient), (Composefs::No, false));
        // Its own may mean nothing either.
        let lab = Lab::new("[root]\ntransient=x\n", "[etc]\ntransient=y\n");
        assert!(lab.load("").of_other(&lab.0.path().join("other")).is_err());
    }

    #[test]
    fn what_to_do_then_is_made_out_of_what_means_something() {
        let fallback = |file: &str, line: &str| Lab::new(file, "").load(line).fallback;
        let file = "[updraft]\nfallback=previous\nwatchdog=true\nnonsense\n";
        assert_eq!(fallback(file, ""), Some(Fallback::Previous));
        assert_eq!(fallback(file, "updraft.fallback=halt-not"), Some(Fallback::Previous));
        assert_eq!(fallback(file, "updraft.fallback=halt"), Some(Fallback::Halt));
        assert_eq!(fallback("[updraft]\nfallback=x\n", ""), None);
        assert!(Lab::new(file, "").load("").watchdog.is_some());
    }

    #[test]
    fn no_less_is_demanded_of_it() {
        let keys = PathBuf::from(DEFAULT_KEYS);
        for (file, line) in [
            ("[composefs]\nenabled=signed\n[etc]\ntransient=x\n", ""),
            (
                "[composefs]\nenabled=no\n[etc]\ntransient=x\n",
                "ostree.prepare-root.composefs=signed",
            ),
            ("[composefs]\nenabled=sigend\n", ""),
            ("[composefs]\nenabled=no\nnonsense\n", ""),
        ] {
            let lab = Lab::new(file, OTHER);
            lab.put(&format!("initramfs{DEFAULT_KEYS}"), "a key");
            let config = lab.of_other(line);
            assert_eq!(config.signed_by, Some(keys.clone()), "{file}");
            assert!(config.verity && config.composefs == Composefs::Yes, "{file}");
            assert_eq!(config.sysroot_readonly, Some(true));
        }
        let verity = Lab::new("[composefs]\nenabled=verity\n[etc]\ntransient=x\n", OTHER);
        let config = verity.of_other("");
        assert!(config.verity && config.signed_by.is_none());
        // Nothing is known of keys, or the boot loader says that there shall be none.
        let lab = Lab::new("[composefs]\nenabled=sigend\n", OTHER);
        assert!(!lab.of_other("").verity);
        lab.put(&format!("initramfs{DEFAULT_KEYS}"), "a key");
        assert!(lab.of_other("").verity);
        let lab = Lab::new("[composefs]\nenabled=signed\n[etc]\ntransient=x\n", OTHER);
        assert!(!lab.of_other("ostree.prepare-root.composefs=maybe").verity);
    }
}
