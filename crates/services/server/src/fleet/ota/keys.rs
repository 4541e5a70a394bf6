//! Keys of both repositories as the OTA world's keyserver handles them.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use updraft_publish::{
    PrivateKey, TopLevelKeys, algorithm_like, edited_root, enter_role, key_pair_json, read_root,
};
use updraft_tuf::{KeyId, Payload as _, Root};

use super::repository::finish;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::image::{Upload, no_root};
use crate::fleet::online_keys::{self, DIALECT};
use crate::fleet::operators::Operator;

/// The roles of the Image repository whose keys may be here or elsewhere.
const ROLES: [&str; 2] = ["root", "targets"];

/// Which repository is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryName {
    /// The Image repository.
    Image,
    /// The Director.
    Director,
}

impl Fleet {
    /// The id of a repository: a UUID that its first root determines.
    pub fn repository_id(&self, name: RepositoryName) -> Result<String> {
        let first = match name {
            RepositoryName::Image => {
                self.image_repository().and_then(|image| image.file("1.root.json").map(Vec::from))
            }
            RepositoryName::Director => self.director_root(Some(1))?.map(|root| root.body),
        };
        let first = first.ok_or_else(no_root)?;
        let mut bytes = [0_u8; 16];
        for (to, from) in bytes.iter_mut().zip(Sha256::digest(first)) {
            *to = from;
        }
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// The repository of this id.
    pub fn repository_of_id(&self, id: &str) -> Result<RepositoryName> {
        for name in [RepositoryName::Image, RepositoryName::Director] {
            if self.repository_id(name).is_ok_and(|own| own.eq_ignore_ascii_case(id)) {
                return Ok(name);
            }
        }
        Err(Error::not_found("repository", id.chars().take(64).collect::<String>()))
    }

    /// The payload of the next root, for somebody who signs it elsewhere.
    pub fn unsigned_root(&self, name: RepositoryName) -> Result<Value> {
        let now = self.now();
        let (current, days) = self.current_root(name)?;
        let mut next = current.clone();
        next.header.version = current.header.version.saturating_add(1);
        next.header.expires = online_keys::expiry(now, days);
        Ok(next.to_value(DIALECT))
    }

    fn current_root(&self, name: RepositoryName) -> Result<(Root, u16)> {
        let days = &self.config.metadata;
        match name {
            RepositoryName::Image => {
                let image = self.image_repository().ok_or_else(no_root)?;
                Ok((image.root().clone(), days.image_root_days))
            }
            RepositoryName::Director => {
                let root = self.director_root(None)?.ok_or_else(no_root)?;
                let root = read_root(DIALECT, &root.body)
                    .map_err(Error::crypto("read the Director's root"))?;
                Ok((root, days.director_root_days))
            }
        }
    }

    /// New root and targets keys for the Image repository, in place of those that are here, signed
    /// by the old and the new ones. Keys that are elsewhere stay.
    pub fn rotate_image_root(&self, operator: &Operator) -> Result<()> {
        let _turn = self.image_turn()?;
        let image = self.image_repository().ok_or_else(no_root)?;
        let folder = self.layout.image_keys();
        let old_root = online_keys::load_if_any(&folder, "root")?;
        let old_targets = online_keys::load_if_any(&folder, "targets")?;
        let Some(example) = old_root.first() else {
            return Err(Error::KeysOffline { role: "root".to_owned() });
        };
        let algorithm = algorithm_like(example.public());
        let now = self.now();
        let expires = online_keys::expiry(now, self.config.metadata.image_root_days);
        let new_root = online_keys::add(&folder, "root", algorithm)?;
        let new_targets = match old_targets.first() {
            Some(key) => Some(online_keys::add(&folder, "targets", algorithm_like(key.public()))?),
            None => None,
        };
        let draft = edited_root(DIALECT, image.root(), expires, Vec::new(), |root| {
            replace(root, "root", &old_root, &new_root);
            if let Some(new_targets) = &new_targets {
                replace(root, "targets", &old_targets, new_targets);
            }
        });
        let signed = online_keys::load_if_any(&folder, "root")
            .and_then(|keys| finish(draft, &keys))
            .and_then(|root| self.publish_rotation(operator, &root));
        // The old keys signed the way to the new ones, and have nothing left to say; after a
        // failure it is the new ones that are good for nothing.
        let useless: Vec<(&str, KeyId)> = if signed.is_ok() {
            ids("root", &old_root).chain(ids("targets", &old_targets)).collect()
        } else {
            let new = new_targets.as_slice();
            ids("root", std::slice::from_ref(&new_root)).chain(ids("targets", new)).collect()
        };
        for (role, id) in useless {
            online_keys::remove(&folder, role, &id)?;
        }
        signed?;
        self.note_image_keys(operator, "rotated", "root and targets")
    }

    /// The new root, and the targets signed by the keys that it names.
    fn publish_rotation(&self, operator: &Operator, root: &[u8]) -> Result<()> {
        let image = self.image_repository().ok_or_else(no_root)?;
        let now = self.now();
        let mut next = updraft_publish::ImageRepository::clone(&image);
        next.accept_root(root, now).map_err(Error::crypto("sign the Image repository's root"))?;
        let keys = online_keys::load_if_any(&self.layout.image_keys(), "targets")?;
        if image.targets().is_none() || keys.is_empty() {
            return self.accept_in_turn(operator, &[(Upload::Root, root)]);
        }
        let expires = self.targets_expiry(now)?;
        let targets = finish(next.draft_targets(expires, Vec::new(), |_| {}), &keys)?;
        self.accept_in_turn(operator, &[(Upload::Root, root), (Upload::Targets, &targets)])
    }

    /// A key of the Image repository that is here, both halves.
    pub fn image_key_pair(&self, id: &KeyId) -> Result<Value> {
        for role in ROLES {
            for key in online_keys::load_if_any(&self.layout.image_keys(), role)? {
                if key.key_id(DIALECT) == *id
                    && let Some(key) = key.in_file()
                {
                    return key_pair_json(key).map_err(Error::crypto("export a key"));
                }
            }
        }
        Err(Error::not_found("private key", id.to_string()))
    }

    /// The targets keys that are here, both halves of each. A token gives none away.
    pub fn targets_key_pairs(&self) -> Result<Vec<Value>> {
        online_keys::load_if_any(&self.layout.image_keys(), "targets")?
            .iter()
            .filter_map(PrivateKey::in_file)
            .map(|key| key_pair_json(key).map_err(Error::crypto("export a key")))
            .collect()
    }

    /// Deletes a private key of the Image repository from this server. What it signed stays good.
    pub fn delete_image_key(&self, operator: &Operator, id: &KeyId) -> Result<()> {
        let _turn = self.image_turn()?;
        let mut found = false;
        for role in ROLES {
            found |= online_keys::remove(&self.layout.image_keys(), role, id)?;
        }
        if !found {
            return Err(Error::not_found("private key", id.to_string()));
        }
        self.note_image_keys(operator, "deleted from this server", id.as_str())
    }
}

/// The new key in place of those of the old ones that are here.
fn replace(root: &mut Root, role: &str, old: &[PrivateKey], new: &PrivateKey) {
    let Some(before) = root.roles.get(role).cloned() else { return };
    let gone: Vec<KeyId> = old.iter().map(|key| key.key_id(DIALECT)).collect();
    let kept = before.key_ids.iter().filter(|id| !gone.contains(id));
    let mut keys: Vec<_> = kept.filter_map(|id| root.keys.get(id)?.public().cloned()).collect();
    keys.push(new.public().clone());
    let threshold = before.threshold.min(keys.len() as u64);
    enter_role(DIALECT, root, role, &TopLevelKeys { keys, threshold });
}

fn ids<'a>(role: &'a str, keys: &'a [PrivateKey]) -> impl Iterator<Item = (&'a str, KeyId)> {
    keys.iter().map(move |key| (role, key.key_id(DIALECT)))
}
