//! Which of the files that an offline snapshot lists a medium's targets are: the protocol brings one
//! of them, without its name. Nothing is proven here; verification judges what it is given.

use std::collections::VecDeque;

use updraft_tuf::{
    Dialect, Envelope, FileMeta, Hashes, OfflineSnapshot, OfflineUpdates, Payload, RoleFiles,
    RoleName,
};

/// The largest file that is looked into, in bytes; verification has limits of its own.
const MAX_FILE: usize = 8 << 20;

/// What the offline snapshot lists, in the order in which verification asks for it.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    files: VecDeque<FileMeta>,
    alone: bool,
}

impl Listed {
    /// The list that counts: that of the newer snapshot.
    pub(crate) fn of(stored: &RoleFiles, offered: &RoleFiles) -> Self {
        let read = |files: &RoleFiles| -> Option<OfflineSnapshot> {
            payload(files.get(&RoleName::OfflineSnapshot)?)
        };
        let newest = match (read(stored), read(offered)) {
            (Some(stored), Some(offered)) if offered.header().version > stored.header().version => {
                Some(offered)
            }
            (stored, offered) => stored.or(offered),
        };
        let files: VecDeque<FileMeta> =
            newest.into_iter().flat_map(|OfflineSnapshot(it)| it.meta.into_values()).collect();
        let alone = files.len() == 1;
        Self { files, alone }
    }

    /// Whether these targets are the next file of the list.
    pub(crate) fn is_next(&mut self, bytes: &[u8]) -> bool {
        let Some(meta) = self.files.pop_front() else { return false };
        if self.alone {
            // Whatever is wrong with it is told of.
            return true;
        }
        let version = payload::<OfflineUpdates>(bytes).map(|updates| updates.header().version);
        let hash_fits = meta.hashes.as_ref().is_none_or(|it| it.agrees_with(&Hashes::of(bytes)));
        version == Some(meta.version) && hash_fits
    }
}

fn payload<T: Payload>(bytes: &[u8]) -> Option<T> {
    let envelope = Envelope::parse(Dialect::Uptane, bytes, MAX_FILE).ok()?;
    T::from_value(Dialect::Uptane, envelope.signed).ok()
}
