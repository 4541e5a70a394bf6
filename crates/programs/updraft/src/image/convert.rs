//! `updraft image convert`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use updraft_image::Conversion;
use updraft_terminal::{Result, ResultExt as _, Terminal};

/// Make a tree that can be committed and deployed of an ordinary root file system.
///
/// The root stays as it is. In the tree, defaults of /etc are in /usr/etc, the kernel is beside its
/// modules, /bin, /sbin and /lib* are links into /usr, /home, /root, /opt, /srv, /mnt and /usr/local
/// are links into /var, and /var is empty: it is the device's.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The root file system.
    source: PathBuf,
    /// The tree to make; it must not exist.
    tree: PathBuf,
}

/// What was done.
#[derive(Serialize)]
struct Report<'a> {
    kernel: &'a str,
    has_initramfs: bool,
    moved: Vec<[&'a str; 2]>,
    left_out: &'a [String],
}

impl Convert {
    pub(super) fn run(&self, terminal: &Terminal) -> Result {
        let done = updraft_image::convert(&terminal.context, &self.source, &self.tree)
            .with_context(|| format!("failed to convert {}", self.source.display()))?;
        let moved = done.moved.iter().map(|(from, to)| [from.as_str(), to.as_str()]).collect();
        let report = Report {
            kernel: &done.kernel,
            has_initramfs: done.has_initramfs,
            moved,
            left_out: &done.left_out,
        };
        terminal.show(&report, |_| self.tell(&done, terminal))
    }

    fn tell(&self, done: &Conversion, terminal: &Terminal) -> Result {
        for (from, to) in &done.moved {
            terminal.line(format!("moved {from} to {to}"))?;
        }
        for path in &done.left_out {
            terminal.line(format!("left out {path}"))?;
        }
        terminal.line(format!("made {} with kernel {}", self.tree.display(), done.kernel))?;
        if !done.has_initramfs {
            let release = &done.kernel;
            terminal.warn(format!(
                "there is no initramfs; put one at usr/lib/modules/{release}/initramfs.img"
            ));
        }
        Ok(())
    }
}
