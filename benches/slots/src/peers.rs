//! Other programs that make differences of images, and apply them.

use std::process::Command;

use crate::Bench;

/// One of them.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What is run to make `NAME.delta` of `old.img` and `new.img`.
    pub(crate) make: &'static [&'static str],
    /// What is run to make `made.img` of `old.img` and that.
    pub(crate) apply: &'static [&'static str],
}

/// Each as its manual recommends for small differences of large files.
pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: "bsdiff",
        make: &["bsdiff", "old.img", "new.img", "bsdiff.delta"],
        apply: &["bspatch", "old.img", "made.img", "bsdiff.delta"],
    },
    Peer {
        name: "xdelta3 -9",
        make: &["xdelta3", "-f", "-9", "-e", "-s", "old.img", "new.img", "xdelta3 -9.delta"],
        apply: &["xdelta3", "-f", "-d", "-s", "old.img", "xdelta3 -9.delta", "made.img"],
    },
    Peer {
        name: "zstd -19 --patch-from",
        make: &[
            "zstd",
            "-q",
            "-f",
            "-19",
            "--long=31",
            "--single-thread",
            "--patch-from=old.img",
            "new.img",
            "-o",
            "zstd -19 --patch-from.delta",
        ],
        apply: &[
            "zstd",
            "-q",
            "-f",
            "-d",
            "--long=31",
            "--patch-from=old.img",
            "zstd -19 --patch-from.delta",
            "-o",
            "made.img",
        ],
    },
    Peer {
        name: "casync",
        // What a device has to fetch are the chunks that it does not have.
        make: &[
            "sh",
            "-ec",
            "casync make --store=old.castr old.caibx old.img
             casync make --store=new.castr new.caibx new.img
             (cd new.castr; find . -type f) | while read -r chunk; do
                 if [ -e \"old.castr/$chunk\" ]; then rm \"new.castr/$chunk\"; fi
             done
             tar -cf casync.delta new.castr new.caibx",
        ],
        apply: &[
            "casync",
            "extract",
            "--store=new.castr",
            "--seed=old.img",
            "new.caibx",
            "made.img",
        ],
    },
];

impl Peer {
    /// Whether it is installed.
    pub(crate) fn is_here(&self) -> bool {
        let maker = self.make.first().copied().unwrap_or_default();
        is_here(if self.name == "casync" { "casync" } else { maker })
    }

    pub(crate) fn delta(&self) -> String {
        format!("{}.delta", self.name)
    }
}

/// What is run, in the bench's folder.
pub(crate) fn command(bench: &Bench, words: &[&str]) -> Command {
    let (program, arguments) = words.split_first().unwrap_or((&"false", &[]));
    bench.command(program, arguments)
}

/// Whether there is such a program.
pub(crate) fn is_here(program: impl AsRef<std::ffi::OsStr>) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null()).status().is_ok()
}
