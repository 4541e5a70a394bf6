//! The Image repository in memory, and whether the folder says something newer.

use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use updraft_fs::LockFile;
use updraft_publish::ImageRepository;

use crate::error::{Error, Result};
use crate::fleet::online_keys::DIALECT;
use crate::layout::Layout;

/// The Image repository; empty until an operator uploads a root.
#[derive(Debug, Default)]
pub(in crate::fleet) struct ImageState {
    forms: RwLock<Option<Forms>>,
    /// Which state of the folder that is.
    stamp: Mutex<Option<Stamp>>,
}

/// What tells one state of the folder from the next: each writes its timestamp file anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    file: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(layout: &Layout) -> Option<Self> {
        // A root is there before the first timestamp.
        let folder = layout.image();
        let about = std::fs::metadata(folder.join("timestamp.json"))
            .or_else(|_| std::fs::metadata(&folder))
            .ok()?;
        Some(Self { file: about.ino(), changed: (about.mtime(), about.mtime_nsec()) })
    }
}

/// Leave to change the Image repository.
#[derive(Debug)]
pub(in crate::fleet) struct ImageTurn<'f> {
    pub(super) _own: MutexGuard<'f, ()>,
    pub(super) _all: Option<LockFile>,
}

/// The forms in which it is published; they change together.
#[derive(Debug)]
struct Forms {
    uptane: Arc<ImageRepository>,
    tuf: Option<Arc<ImageRepository>>,
}

impl ImageState {
    /// Loads what was kept.
    pub(in crate::fleet) fn load(layout: &Layout) -> Result<Self> {
        let folder = layout.image();
        let mut entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(Error::Io { action: "open", path: folder, source }),
        };
        if entries.next().is_none() {
            return Ok(Self::default());
        }
        let repository = ImageRepository::load(&folder, DIALECT)
            .map_err(Error::crypto("load the Image repository in image/"))?;
        let tuf = repository
            .load_beside(&folder)
            .map_err(Error::crypto("load the Image repository in image/tuf/"))?;
        let state = Self::default();
        state.set(repository, tuf);
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
