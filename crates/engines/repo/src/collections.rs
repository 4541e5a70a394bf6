//! Refs of collections: the repository's own, and those it mirrors under
//! `refs/mirrors/COLLECTION/REF`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use updraft_fs::FileKind;
use updraft_ostree::{Checksum, CollectionId, CollectionRef, RefName, Refspec, RemoteName};

use crate::refs::{read_ref_file, walk};
use crate::remote::group;
use crate::staging::Durable;
use crate::{Repo, Result};

const MIRRORS: &str = "refs/mirrors";

impl Repo {
    /// All refs that belong to a collection: local ones when the repository has a collection id,
    /// those of remotes that have one, and mirrored ones.
    pub fn collection_refs(&self) -> Result<BTreeMap<CollectionRef, Checksum>> {
        self.in_collections(self.refs()?)
    }

    /// Those of these refs that belong to a collection, and the mirrored ones.
    pub(crate) fn in_collections(
        &self,
        all: BTreeMap<Refspec, Checksum>,
    ) -> Result<BTreeMap<CollectionRef, Checksum>> {
        let mut refs = BTreeMap::new();
        let mut known: BTreeMap<Option<RemoteName>, Option<CollectionId>> = BTreeMap::new();
        for (refspec, checksum) in all {
            let collection = match known.entry(refspec.remote) {
                Entry::Occupied(entry) => entry.get().clone(),
                Entry::Vacant(entry) => {
                    let collection = self.collection_of(entry.key().as_ref())?;
                    entry.insert(collection).clone()
                }
            };
            if let Some(collection) = collection {
                refs.insert(CollectionRef { collection, name: refspec.name }, checksum);
            }
        }
        refs.extend(self.mirrored_refs()?);
        Ok(refs)
    }

    /// The collection of a remote, or the repository's own.
    fn collection_of(&self, remote: Option<&RemoteName>) -> Result<Option<CollectionId>> {
        let id = match remote {
            None => self.config().collection_id.clone(),
            // Refs may outlive the section of their remote.
            Some(remote) => self.remotes_config()?.get(&group(remote), "collection-id"),
        };
        Ok(id.filter(|id| !id.is_empty()).map(CollectionId::new).transpose()?)
    }

    /// Makes a ref of a collection name a commit, or removes it with `None`: a local ref when the
    /// collection is the repository's own, else a mirrored one.
    pub fn set_collection_ref(
        &self,
        name: &CollectionRef,
        commit: Option<&Checksum>,
    ) -> Result<()> {
        if self.config().collection_id.as_deref() == Some(name.collection.as_str()) {
            return self.set_ref(&Refspec::local(name.name.clone()), commit);
        }
        self.set_mirrored_ref(name, commit)
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

    /// The commit that a mirrored ref names.
    pub fn read_mirrored_ref(&self, name: &CollectionRef) -> Result<Option<Checksum>> {
        let path = format!("{MIRRORS}/{}/{}", name.collection, name.name);
        read_ref_file(self.root(), Path::new(&path))
    }

    /// Makes a mirrored ref name a commit, or removes it with `None`. Durable when this returns.
    pub fn set_mirrored_ref(&self, name: &CollectionRef, commit: Option<&Checksum>) -> Result<()> {
        let base = format!("{MIRRORS}/{}", name.collection);
        self.write_ref_under(&base, &name.name, commit, Durable::when(self.config().fsync))
    }
}
