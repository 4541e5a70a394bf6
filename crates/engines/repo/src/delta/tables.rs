//! [`TableBuilder`]: the tables of a part while it is made.

use std::collections::HashMap;

use updraft_ostree::delta::PartTables;
use updraft_ostree::{FileHeader, Xattrs};

/// Tables of modes and xattrs, each entry once.
#[derive(Default)]
pub(crate) struct TableBuilder {
    tables: PartTables,
    modes: HashMap<(u32, u32, u32), u64>,
    xattrs: HashMap<Xattrs, u64>,
}

impl TableBuilder {
    /// The indexes of a file's mode and xattrs, which are added when they are new.
    pub(crate) fn attributes(&mut self, header: &FileHeader) -> (u64, u64) {
        let mode = (header.uid, header.gid, header.mode);
        let modes = &mut self.tables.modes;
        let mode = *self.modes.entry(mode).or_insert_with(|| {
            modes.push(mode);
            modes.len() as u64 - 1
        });
        let all = &mut self.tables.xattrs;
        let xattrs = *self.xattrs.entry(header.xattrs.clone()).or_insert_with(|| {
            all.push(header.xattrs.clone());
            all.len() as u64 - 1
        });
        (mode, xattrs)
    }

    /// The tables.
    pub(crate) fn finish(self) -> PartTables {
        self.tables
    }
}
