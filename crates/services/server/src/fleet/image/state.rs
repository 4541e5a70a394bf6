//! The Image repository in memory, and whether the folder or the database says something newer.

use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use updraft_fs::LockFile;
use updraft_publish::ImageRepository;

use super::in_database::{self, Lease};
use crate::error::{Error, Result};
use crate::fleet::online_keys::DIALECT;
use crate::layout::Layout;
use crate::storage::Database;
use crate::storage::sql::Connection;

/// The Image repository; empty until an operator uploads a root.
#[derive(Debug, Default)]
pub(in crate::fleet) struct ImageState {
    forms: RwLock<Option<Forms>>,
    /// Which state of the folder or of the database that is.
    stamp: Mutex<Option<Stamp>>,
    /// Which version of the database the one who may change it began with.
    turn: Mutex<u64>,
}

/// What tells one state from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stamp {
    /// Of the folder: each writes its timestamp file anew.
    File { file: u64, changed: (i64, i64) },
    /// Of the database: how often it has changed.
    Version(u64),
}

impl Stamp {
    fn of(layout: &Layout) -> Option<Self> {
        // A root is there before the first timestamp.
        let folder = layout.image();
        let about = std::fs::metadata(folder.join("timestamp.json"))
            .or_else(|_| std::fs::metadata(&folder))
            .ok()?;
        Some(Self::File { file: about.ino(), changed: (about.mtime(), about.mtime_nsec()) })
    }
}

/// Leave to change the Image repository.
#[derive(Debug)]
pub(in crate::fleet) struct ImageTurn<'f> {
    // Given back before the other, under which no one else of this process asks for it.
    pub(super) _all: Option<Turn<'f>>,
    pub(super) _own: MutexGuard<'f, ()>,
}

/// What holds up other servers.
#[derive(Debug)]
pub(super) enum Turn<'f> {
    /// A lock in the folder that they share.
    Folder(#[allow(dead_code, reason = "it is held")] LockFile),
    /// A lease in the database.
    Database(#[allow(dead_code, reason = "it is held")] Lease<'f>),
}

/// The forms in which it is published; they change together.
#[derive(Debug)]
struct Forms {
    uptane: Arc<ImageRepository>,
    tuf: Option<Arc<ImageRepository>>,
}

impl ImageState {
    /// Loads what was kept in the folder.
    pub(in crate::fleet) fn load(layout: &Layout) -> Result<Self> {
        let state = Self::default();
        if let Some(repository) = in_folder(layout)? {
            let tuf = repository
                .load_beside(layout.image())
                .map_err(Error::crypto("load the Image repository in image/tuf/"))?;
            state.set(repository, tuf);
        }
        Ok(state)
    }

    /// Loads the folder again when another server has changed it.
    pub(super) fn follow(&self, layout: &Layout) -> Result<()> {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Stamp::of(layout);
        if *stamp != now {
            let loaded = Self::load(layout)?.forms.into_inner();
            *self.forms.write().unwrap_or_else(PoisonError::into_inner) =
                loaded.unwrap_or_else(PoisonError::into_inner);
            *stamp = now;
        }
        Ok(())
    }

    /// Loads from the database what another server has changed there.
    pub(super) fn follow_database(&self, database: &Database) -> Result<()> {
        let read = |reader: &Connection| in_database::version(reader);
        let now = database.read("look whether the Image repository has changed", read)?;
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if *stamp == Some(Stamp::Version(now)) {
            return Ok(());
        }
        let (version, forms) = in_database::load(database)?;
        let forms =
            forms.map(|(uptane, tuf)| Forms { uptane: Arc::new(uptane), tuf: tuf.map(Arc::new) });
        *self.forms.write().unwrap_or_else(PoisonError::into_inner) = forms;
        *stamp = Some(Stamp::Version(version));
        Ok(())
    }

    /// The same for whoever has the turn to change it.
    pub(super) fn begin_turn(&self, database: &Database) -> Result<()> {
        self.follow_database(database)?;
        let stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Stamp::Version(version)) = *stamp {
            *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = version;
        }
        Ok(())
    }

    /// Stores in the database what follows the state that the turn began with, and serves it.
    pub(in crate::fleet) fn keep_in_database(
        &self,
        database: &Database,
        uptane: ImageRepository,
        tuf: Option<ImageRepository>,
    ) -> Result<()> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // The stamp is free while this waits to write: whoever is writing may follow meanwhile.
        let version = in_database::store(database, *turn, &uptane, tuf.as_ref())?;
        *turn = version;
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let forms = Forms { uptane: Arc::new(uptane), tuf: tuf.map(Arc::new) };
        *self.forms.write().unwrap_or_else(PoisonError::into_inner) = Some(forms);
        *stamp = Some(Stamp::Version(version));
        Ok(())
    }

    pub(in crate::fleet) fn get(&self) -> Option<Arc<ImageRepository>> {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        forms.as_ref().map(|forms| Arc::clone(&forms.uptane))
    }

    pub(in crate::fleet) fn tuf(&self) -> Option<Arc<ImageRepository>> {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        forms.as_ref().and_then(|forms| forms.tuf.clone())
    }

    pub(in crate::fleet) fn set(&self, uptane: ImageRepository, tuf: Option<ImageRepository>) {
        let forms = Forms { uptane: Arc::new(uptane), tuf: tuf.map(Arc::new) };
        // Who loads the folder meanwhile must not put what it was in the place of this.
        let _loading = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        *self.forms.write().unwrap_or_else(PoisonError::into_inner) = Some(forms);
    }
}

/// What is kept in the folder, once there is a root.
pub(super) fn in_folder(layout: &Layout) -> Result<Option<ImageRepository>> {
    let folder = layout.image();
    let mut entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { action: "open", path: folder, source }),
    };
    if entries.next().is_none() {
        return Ok(None);
    }
    ImageRepository::load(&folder, DIALECT)
        .map(Some)
        .map_err(Error::crypto("load the Image repository in image/"))
}
