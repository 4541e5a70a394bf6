//! The files of an Image repository, wherever they are kept: in a folder, or as values of a database
//! that keeps what is current only, all of it changed at one moment.

use std::collections::BTreeMap;

use updraft_fs::Dir;
use updraft_tuf::{Dialect, Payload, RoleName};

use crate::image_folder::{DELEGATIONS, TIMESTAMP, TUF};
use crate::{Error, ImageRepository, SignedFile};

/// Where the files of one form are read from.
pub(crate) trait Files {
    /// The names in a folder below, or with an empty name in this one; none when it is not there.
    fn names(&self, folder: &str) -> Result<Vec<String>, Error>;

    /// The content of a file of at most `limit` bytes, if it is there.
    fn try_read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error>;

    /// The same for one that has to be there.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        self.try_read(path, limit)?.ok_or_else(|| Error::Absent { what: path.to_owned() })
    }
}

impl Files for Dir {
    fn names(&self, folder: &str) -> Result<Vec<String>, Error> {
        let entries = if folder.is_empty() {
            self.sorted_entries()?
        } else {
            match self.try_open_dir(folder)? {
                Some(below) => below.sorted_entries()?,
                None => Vec::new(),
            }
        };
        Ok(entries.into_iter().map(|entry| entry.name.to_string_lossy().into_owned()).collect())
    }

    fn try_read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        Ok(Self::try_read(self, path, limit)?)
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        Ok(Self::read(self, path, limit)?)
    }
}

/// Contents by path, and the folder among them that is read.
struct InMemory<'a>(&'a BTreeMap<String, Vec<u8>>, &'static str);

impl Files for InMemory<'_> {
    fn names(&self, folder: &str) -> Result<Vec<String>, Error> {
        let slash = if folder.is_empty() { "" } else { "/" };
        let prefix = format!("{}{folder}{slash}", self.1);
        let names = self.0.keys().filter_map(|path| path.strip_prefix(&prefix));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn try_read(&self, path: &str, _: u64) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(&format!("{}{path}", self.1)).cloned())
    }
}

impl ImageRepository {
    /// The files that are current, by the paths that they have in a folder, and those of the form of
    /// TUF that is current with them.
    #[must_use]
    pub fn files(&self, tuf: Option<&Self>) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        self.add_files("", &mut files);
        if let Some(file) = &self.timestamp {
            files.insert(TIMESTAMP.to_owned(), file.bytes.clone());
        }
        if let Some(tuf) = tuf {
            let folder = format!("{TUF}/");
            tuf.add_files(&folder, &mut files);
            add_version(&folder, "timestamp", tuf.timestamp.as_ref(), &mut files);
        }
        files
    }

    fn add_files(&self, folder: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for (version, bytes) in &self.roots {
            files.insert(format!("{folder}{version}.root.json"), bytes.clone());
        }
        add_version(folder, "targets", self.targets.as_ref(), files);
        add_version(folder, "snapshot", self.snapshot.as_ref(), files);
        for (name, file) in &self.delegated {
            let encoded = RoleName::Delegated(name.clone()).file_name();
            let version = file.payload.header.version;
            let path = format!("{folder}{DELEGATIONS}/{version}.{encoded}");
            files.insert(path, file.bytes.clone());
        }
    }

    /// Loads what [`ImageRepository::files`] gave; `place` says in errors where that was kept.
    ///
    /// # Errors
    /// As [`ImageRepository::load`].
    pub fn of_files(
        files: &BTreeMap<String, Vec<u8>>,
        place: &str,
        dialect: Dialect,
    ) -> Result<(Self, Option<Self>), Error> {
        let repository = Self::load_from(&InMemory(files, ""), place, dialect)?;
        let tuf = repository.load_form(&InMemory(files, "tuf/"), place)?;
        Ok((repository, tuf))
    }
}

fn add_version<P: Payload>(
    folder: &str,
    role: &str,
    file: Option<&SignedFile<P>>,
    files: &mut BTreeMap<String, Vec<u8>>,
) {
    if let Some(file) = file {
        let version = file.payload.header().version;
        files.insert(format!("{folder}{version}.{role}.json"), file.bytes.clone());
    }
}
