//! Revisions: what people write to name a commit.

use updraft_error::Kind;
use updraft_ostree::{Checksum, ObjectType, RefName, Refspec};

use crate::{Error, Repo, Result};

impl Repo {
    /// The commit that `rev` names: a checksum, the unique beginning of one, `REF`, `REMOTE:REF`,
    /// or any of these and `^` for its parent.
    ///
    /// A ref that is not found among the local ones is looked for in all remotes, as in libostree.
    pub fn resolve(&self, rev: &str) -> Result<Checksum> {
        if let Some(child) = rev.strip_suffix('^') {
            let child = self.resolve(child)?;
            let message = || format!("Commit {child} has no parent");
            let parent = self.load_commit(&child)?.0.parent;
            return parent.ok_or_else(|| Error::other(Kind::NotFound, message()));
        }
        if let Ok(checksum) = rev.parse() {
            return Ok(checksum);
        }
        if let Some(found) = self.resolve_prefix(rev)? {
            return Ok(found);
        }
        // Every commit begins like nothing.
        if rev.is_empty() {
            return Err(Error::other(Kind::Conflict, "Refspec  not unique"));
        }
        let refspec: Refspec = rev.parse()?;
        if let Some(found) = self.read_ref(&refspec)? {
            return Ok(found);
        }
        if refspec.remote.is_none()
            && let Some(found) = self.find_in_remotes(&refspec.name)?
        {
            return Ok(found);
        }
        Err(Error::NoSuchRef(rev.to_owned()))
    }

    /// The only commit whose checksum begins like this.
    fn resolve_prefix(&self, prefix: &str) -> Result<Option<Checksum>> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if prefix.is_empty() || prefix.len() >= 64 || !prefix.bytes().all(is_hex) {
            return Ok(None);
        }
        let mut found = None;
        for object in self.list_objects_under(prefix.get(..2).unwrap_or(prefix))? {
            if object.object_type == ObjectType::Commit
                && object.checksum.to_hex().starts_with(prefix)
                && found.replace(object.checksum).is_some()
            {
                let message = format!("Refspec {prefix} not unique");
                return Err(Error::other(Kind::Conflict, message));
            }
        }
        Ok(found)
    }

    /// As the ref of any remote, or as `REMOTE/REF`.
    fn find_in_remotes(&self, name: &RefName) -> Result<Option<Checksum>> {
        if let Some((remote, name)) = name.as_str().split_once('/')
            && let (Ok(remote), Ok(name)) = (remote.parse(), name.parse())
            && let Some(found) = self.read_ref(&Refspec::remote(remote, name))?
        {
            return Ok(Some(found));
        }
        let Some(remotes) = self.root().try_open_dir("refs/remotes")? else { return Ok(None) };
        for entry in remotes.sorted_entries()? {
            let remote = entry.name.to_str().and_then(|remote| remote.parse().ok());
            if let Some(remote) = remote
                && let Some(found) = self.read_ref(&Refspec::remote(remote, name.clone()))?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
