//! Counting how often a deployment was tried, for boot loaders that cannot count.
//!
//! The file `/ostree/updraft/tries` on the physical root is a key file:
//!
//! ```text
//! [tries]
//! deployment=CSUM.N      the deployment that is on trial
//! limit=3                how often it may be tried
//! tried=1                how often it has been
//! reached=initramfs      how far the last try came (absent: not known)
//! good=true              it is good; nothing is counted any more (absent: not yet known)
//! ```
//!
//! * An updater that deploys writes it with `tried=0`. With `[updraft] tries=N` in
//!   `prepare-root.conf`, or `updraft.tries=N` on the kernel's command line, this program writes it
//!   by itself when it first meets a deployment.
//! * Before the switch to the new root this program adds one to `tried`, durably. When `tried` has
//!   reached `limit`, another deployment is booted, now and until somebody changes the file.
//! * `reached` is `initramfs` with every new try, and `system` once the new root is put together. It
//!   decides nothing: it is told when the deployment is given up.
//! * After a good start the updater sets `good=true`, or removes the file. After a bad one it makes
//!   the other deployment the default and removes the file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use updraft_ostree::KeyFile;

use crate::failure::{During, Result};

/// The file, relative to the physical root.
pub(crate) const FILE: &str = "ostree/updraft/tries";
const GROUP: &str = "tries";
const REACHED: &str = "reached";

/// What becomes of a deployment that is about to be booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody counts.
    NotOnTrial,
    /// It may be tried; write this first.
    Try {
        /// The new text of the file.
        text: String,
        /// Its text once the initramfs has done its part.
        handed_over: String,
        /// Which try this is.
        number: u32,
        /// How many there are.
        limit: u32,
    },
    /// It was tried as often as it may be, in vain.
    Exhausted(Exhausted),
}

/// The tries of a deployment that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// How many there were.
    pub(crate) number: u32,
    /// How far the last one came, where that is known.
    pub(crate) reached: Option<Reached>,
}

impl Exhausted {
    /// Why it was given up, for people.
    pub(crate) fn reason(self) -> String {
        let how_far = match self.reached {
            Some(Reached::Initramfs) => "; its initramfs did not hand over",
            Some(Reached::System) => "; its initramfs handed over to its system",
            None => "",
        };
        format!("it was tried {} times in vain{how_far}", self.number)
    }
}

/// How far a try came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The initramfs ran, and did not put the new root together.
    Initramfs,
    /// The new root was put together for the system's own init.
    System,
}

impl Reached {
    /// What stands in the file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Initramfs => "initramfs",
            Self::System => "system",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Initramfs, Self::System].into_iter().find(|reached| reached.word() == word.trim())
    }
}

/// Reads the file below the physical root; `None` when there is none or it cannot be understood.
pub(crate) fn read(physical: &Path) -> Option<KeyFile> {
    KeyFile::parse(&fs::read_to_string(physical.join(FILE)).ok()?).ok()
}

/// What the file says about a deployment. With `limit`, one that it says nothing about goes on
/// trial.
pub(crate) fn judge(file: Option<&KeyFile>, deployment: &str, limit: Option<u32>) -> Verdict {
    let about = file.filter(|file| file.get(GROUP, "deployment").as_deref() == Some(deployment));
    let number = |key| about?.get(GROUP, key)?.trim().parse::<u32>().ok();
    if about.is_some_and(|file| matches!(file.get_bool(GROUP, "good"), Ok(Some(true)))) {
        return Verdict::NotOnTrial;
    }
    let Some(limit) = number("limit").or(limit).filter(|limit| *limit > 0) else {
        return Verdict::NotOnTrial;
    };
    let tried = number("tried").unwrap_or(0);
    if tried >= limit {
        let reached = about.and_then(|file| file.get(GROUP, REACHED));
        let reached = reached.as_deref().and_then(Reached::parse);
        return Verdict::Exhausted(Exhausted { number: tried, reached });
    }
    let number = tried + 1;
    let mut next = about.cloned().unwrap_or_default();
    next.set(GROUP, "deployment", deployment);
    next.set(GROUP, "limit", &limit.to_string());
    next.set(GROUP, "tried", &number.to_string());
    let [text, handed_over] = [Reached::Initramfs, Reached::System].map(|reached| {
        next.set(GROUP, REACHED, reached.word());
        next.to_string()
    });
    Verdict::Try { text, handed_over, number, limit }
}

/// Writes the file, durably.
pub(crate) fn write(physical: &Path, text: &str) -> Result<()> {
    let file = physical.join(FILE);
    let folder = file.parent().unwrap_or(physical);
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).during(|| format!("make the folder {}", folder.display()));
        }
        _ => {}
    }
    // The commit point is the rename in here: a try counts once it is durable.
    updraft_fs::atomic_write_path(&file, text.as_bytes(), 0o644)
        .during(|| format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str, limit: Option<u32>) -> Verdict {
        let file = (!text.is_empty()).then(|| KeyFile::parse(text).unwrap());
        judge(file.as_ref(), "abc.0", limit)
    }

    #[test]
    fn a_deployment_is_tried_as_often_as_allowed() {
        let mut text = String::new();
        for expected in 1..=3 {
            let Verdict::Try { text: next, number, limit, .. } = verdict(&text, Some(3)) else {
                panic!("try {expected}")
            };
            assert_eq!((number, limit), (expected, 3));
            text = next;
        }
        let exhausted = Exhausted { number: 3, reached: Some(Reached::Initramfs) };
        assert_eq!(verdict(&text, Some(5)), Verdict::Exhausted(exhausted), "the file counts more");
        assert_eq!(verdict(&(text + "good=true\n"), Some(3)), Verdict::NotOnTrial);
    }

    #[test]
    fn others_and_no_limit_are_not_on_trial() {
        let other = "[tries]\ndeployment=def.0\nlimit=3\ntried=3\n";
        assert_eq!(verdict(other, None), Verdict::NotOnTrial);
        assert!(matches!(verdict(other, Some(2)), Verdict::Try { number: 1, .. }));
        assert_eq!(verdict("", None), Verdict::NotOnTrial);
        let armed = "[tries]\ndeployment=abc.0\nlimit=2\ntried=0\nnote=kept\n";
        let Verdict::Try { text, .. } = verdict(armed, None) else { panic!("on trial") };
        let expected = armed.replace("tried=0", "tried=1") + "reached=initramfs\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn how_far_the_last_try_came_is_told() {
        let armed = "[tries]\ndeployment=abc.0\nlimit=2\ntried=0\n";
        let Verdict::Try { handed_over, .. } = verdict(armed, None) else { panic!("on trial") };
        // The next try begins anew.
        let Verdict::Try { text, handed_over, number: 2, .. } = verdict(&handed_over, None) else {
            panic!("on trial")
        };
        for (text, reached, words) in [
            (
                text.clone(),
                Some(Reached::Initramfs),
                "times in vain; its initramfs did not hand over",
            ),
            (handed_over, Some(Reached::System), "vain; its initramfs handed over to its system"),
            // By an initramfs that does not know the word, or one that knows more words.
            (text.replace("reached=initramfs\n", ""), None, "it was tried 2 times in vain"),
            (text.replace("=initramfs", "=moon"), None, "it was tried 2 times in vain"),
        ] {
            let Verdict::Exhausted(found) = verdict(&text, None) else { panic!("{text}") };
            assert_eq!(found, Exhausted { number: 2, reached }, "{text}");
            assert!(found.reason().ends_with(words), "{}", found.reason());
        }
    }
}
