//! Refs of collections: the repository's own, and those it mirrors under
//! `refs/mirrors/COLLECTION/REF`.

use std::collections::BTreeMap;

use updraft_fs::FileKind;
use updraft_ostree::{Checksum, CollectionId, CollectionRef, RefName};

use crate::refs::{read_ref_file, walk};
use crate::staging::Durable;
use crate::{Repo, Result};

const MIRRORS: &str = "refs/mirrors";

impl Repo {
    /// All refs that belong to a collection: local ones when the repository has a collection id,
    /// and mirrored ones.
    pub fn collection_refs(&self) -> Result<BTreeMap<CollectionRef, Checksum>> {
        let mut refs = self.mirrored_refs()?;
        if let Some(id) = &self.config().collection_id {
            let collection = CollectionId::new(id.as_str())?;
            for (refspec, checksum) in self.refs()? {
                if refspec.remote.is_none() {
                    let collection = collection.clone();
                    refs.insert(CollectionRef { collection, name: refspec.name }, checksum);
                }
            }
        }
        Ok(refs)
    }

    /// The refs that are mirrored here.
    pub fn mirrored_refs(&self) -> Result<BTreeMap<CollectionRef, Checksum>> {
        let mut refs = BTreeMap::new();
        let Some(mirrors) = self.root().try_open_dir(MIRRORS)? else { return Ok(refs) };
        for entry in mirrors.sorted_entries()? {
            let id = entry.name.to_str().and_then(|name| CollectionId::new(name).ok());
            let (Some(collection), FileKind::Directory) = (id, entry.kind) else { continue };
            let dir = mirrors.open_dir(&entry.name)?;
            walk(&dir, "", 0, &mut |dir, name, _, full| {
                // Somebody's temporary file is no ref.
                let Ok(full) = RefName::new(full) else { return Ok(()) };
                if let Some(checksum) = read_ref_file(dir, name)? {
                    let collection = collection.clone();
                    refs.insert(CollectionRef { collection, name: full }, checksum);
                }
                Ok(())
            })?;
        }
        Ok(refs)
    }

    /// Makes a mirrored ref name a commit, or removes it with `None`. Durable when this returns.
    pub fn set_mirrored_ref(&self, name: &CollectionRef, commit: Option<&Checksum>) -> Result<()> {
        let base = format!("{MIRRORS}/{}", name.collection);
        self.write_ref_under(&base, &name.name, commit, Durable::when(self.config().fsync))
    }
}
