//! Software modules and their files, as operators make them.

use std::io::Read;

use md5::{Digest as _, Md5};
use sha1::Sha1;
use updraft_api::EventKind;
use updraft_hawkbit::ddi::Hashes;
use updraft_hawkbit::management::{Artifact, Metadata, SoftwareModule, Type};

use super::{MAX_DESCRIPTION, MAX_NAME, MAX_VALUE, Wanted, check_optional, check_text};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::artifacts::ArtifactValues;
use crate::storage::hawkbit::filter::Entity;
use crate::storage::hawkbit::modules::ModuleValues;
use crate::storage::hawkbit::notes::{self, About};
use crate::storage::hawkbit::types::{self, Of};
use crate::storage::hawkbit::{By, artifacts, modules};
use crate::storage::sql;

/// The most files of a module.
const MAX_ARTIFACTS: usize = 50;
/// The most values of metadata of one thing.
const MAX_METADATA: usize = 100;

/// A module to make.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewModule {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The key of its type.
    #[serde(rename = "type")]
    pub module_type: String,
    /// Who makes it.
    #[serde(default)]
    pub vendor: Option<String>,
    /// What it is.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether its artifacts are encrypted.
    #[serde(default)]
    pub encrypted: bool,
}

/// What the sender of a file says about it.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Its name.
    pub filename: Option<String>,
    /// Its MD5 in hex.
    pub md5sum: Option<String>,
    /// Its SHA-1 in hex.
    pub sha1sum: Option<String>,
    /// Its SHA-256 in hex.
    pub sha256sum: Option<String>,
}

impl Fleet {
    /// Makes modules, all or none.
    pub fn make_modules(
        &self,
        operator: &Operator,
        new: Vec<NewModule>,
    ) -> Result<Vec<SoftwareModule>> {
        let now = self.now();
        let actor = operator.actor();
        let by = By { actor: &actor, at: now };
        self.database.write("make software modules", |tx| {
            let mut made = Vec::new();
            for one in new {
                check_text("a module's name", &one.name, MAX_NAME)?;
                check_text("a module's version", &one.version, MAX_NAME)?;
                let module_type = types::by_key(tx, Of::Modules, &one.module_type)?
                    .ok_or_else(|| Error::not_found("software module type", one.module_type))?;
                let values = ModuleValues {
                    module_type: module_type.id,
                    vendor: check_optional("a vendor", one.vendor, 256)?,
                    description: check_optional("a description", one.description, MAX_DESCRIPTION)?,
                    encrypted: one.encrypted,
                    name: one.name,
                    version: one.version,
                };
                let id = modules::insert(tx, &values, by)?;
                let message =
                    format!("software module {} {} was made", values.name, values.version);
                events::append(
                    tx,
                    now,
                    &NewEvent::new(EventKind::SoftwareChanged, &actor, message),
                )?;
                made.push(modules::require(tx, id)?);
            }
            Ok(made)
        })
    }

    /// One module.
    pub fn module(&self, id: i64) -> Result<SoftwareModule> {
        self.database.read("read a software module", |reader| modules::require(reader, id))
    }

    /// A page of modules, and how many there are.
    pub fn modules(&self, wanted: &Wanted) -> Result<(Vec<SoftwareModule>, u64)> {
        let listing = self.listing(Entity::Module, wanted)?;
        self.database.read("list software modules", |reader| modules::list(reader, &listing))
    }

    /// Changes description and vendor.
    pub fn change_module(
        &self,
        operator: &Operator,
        id: i64,
        description: Option<String>,
        vendor: Option<String>,
    ) -> Result<SoftwareModule> {
        let description = check_optional("a description", description, MAX_DESCRIPTION)?;
        let vendor = check_optional("a vendor", vendor, 256)?;
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("change a software module", |tx| {
            modules::require(tx, id)?;
            modules::change(tx, id, description.as_deref(), vendor.as_deref(), by)?;
            modules::require(tx, id)
        })
    }

    /// Deletes a module. Devices that were told it can still get its files.
    pub fn delete_module(&self, operator: &Operator, id: i64) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("delete a software module", |tx| {
            let module = modules::require(tx, id)?;
            modules::remove(tx, id)?;
            let message = format!("software module {} {} was deleted", module.name, module.version);
            events::append(tx, now, &NewEvent::new(EventKind::SoftwareChanged, &actor, message))
        })
    }

    /// Takes a file for a module.
    pub fn upload_artifact(
        &self,
        operator: &Operator,
        module: i64,
        claims: &Claims,
        content: &mut dyn Read,
    ) -> Result<Artifact> {
        let filename = claims.filename.clone().unwrap_or_default();
        check_text("a file's name", &filename, 256)?;
        if filename.contains(['/', '\\']) {
            return Err(Error::hawkbit(Trouble::Value, "a file's name must not have slashes"));
        }
        self.database.read("read a software module", |reader| check_upload(reader, module))?;
        let mut hashing = Hashing { content, md5: Md5::default(), sha1: Sha1::default() };
        let (sha256, size) = self.store_new_content(&mut hashing)?;
        let hashes = Hashes {
            md5: hex::encode(hashing.md5.finalize()),
            sha1: hex::encode(hashing.sha1.finalize()),
            sha256,
        };
        for (claimed, found, trouble) in [
            (&claims.md5sum, &hashes.md5, Trouble::Md5),
            (&claims.sha1sum, &hashes.sha1, Trouble::Sha1),
            (&claims.sha256sum, &hashes.sha256, Trouble::Sha256),
        ] {
            if let Some(claimed) = claimed.as_deref().filter(|claimed| !claimed.is_empty())
                && !claimed.eq_ignore_ascii_case(found)
            {
                let message = format!("{filename} has the hash {found}, not {claimed}");
                return Err(Error::hawkbit(trouble, message));
            }
        }
        let now = self.now();
        let actor = operator.actor();
        self.database.write("add an artifact", |tx| {
            check_upload(tx, module)?;
            let values = ArtifactValues { filename, size, hashes };
            let id = artifacts::insert(tx, module, &values, By { actor: &actor, at: now })?;
            let message = format!("artifact {} was added to module {module}", values.filename);
            events::append(tx, now, &NewEvent::new(EventKind::SoftwareChanged, &actor, message))?;
            artifacts::get(tx, module, id)?
                .ok_or_else(|| Error::not_found("artifact", id.to_string()))
        })
    }

    /// The files of a module.
    pub fn artifacts(&self, module: i64) -> Result<Vec<Artifact>> {
        self.database.read("list a module's artifacts", |reader| {
            modules::require(reader, module)?;
            artifacts::of_module(reader, module)
        })
    }

    /// One file of a module.
    pub fn artifact(&self, module: i64, id: i64) -> Result<Artifact> {
        self.database.read("read an artifact", |reader| {
            modules::require(reader, module)?;
            artifacts::get(reader, module, id)?
                .ok_or_else(|| Error::not_found("artifact", id.to_string()))
        })
    }

    /// Takes a file from a module.
    pub fn delete_artifact(&self, operator: &Operator, module: i64, id: i64) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        self.database.write("delete an artifact", |tx| {
            check_unlocked(tx, module)?;
            let artifact = artifacts::get(tx, module, id)?
                .ok_or_else(|| Error::not_found("artifact", id.to_string()))?;
            artifacts::remove(tx, id)?;
            let message =
                format!("artifact {} of module {module} was deleted", artifact.provided_filename);
            events::append(tx, now, &NewEvent::new(EventKind::SoftwareChanged, &actor, message))
        })
    }

    /// What is noted about something, by key.
    pub fn notes(&self, about: &About<'_>) -> Result<Vec<Metadata>> {
        self.database.read("read metadata", |reader| {
            require_noted(reader, about)?;
            notes::list(reader, about)
        })
    }

    /// Notes something new; keys that are known are a conflict unless they may be `replaced`.
    pub fn put_notes(&self, about: &About<'_>, new: &[Metadata], replace: bool) -> Result<()> {
        for note in new {
            check_text("a key of metadata", &note.key, MAX_NAME)?;
            check_optional("a value of metadata", Some(note.value.clone()), MAX_VALUE)?;
        }
        self.database.write("store metadata", |tx| {
            require_noted(tx, about)?;
            let known = notes::list(tx, about)?;
            let is_known = |key: &str| known.iter().any(|one| one.key == key);
            let mut count = known.len();
            for note in new {
                if !is_known(&note.key) {
                    count = count.saturating_add(1);
                } else if !replace {
                    let message = format!("there is metadata of the key {}", note.key);
                    return Err(Error::hawkbit(Trouble::Exists, message));
                }
                if count > MAX_METADATA {
                    let message = format!("there may be {MAX_METADATA} values of metadata");
                    return Err(Error::hawkbit(Trouble::Quota, message));
                }
                notes::put(tx, about, note)?;
            }
            Ok(())
        })
    }

    /// Forgets what is noted.
    pub fn delete_note(&self, about: &About<'_>, key: &str) -> Result<()> {
        self.database.write("remove metadata", |tx| {
            require_noted(tx, about)?;
            if notes::remove(tx, about, key)? {
                return Ok(());
            }
            Err(Error::not_found("metadata", key))
        })
    }

    /// A page of types, and how many there are.
    pub fn types(&self, of: Of, wanted: &Wanted) -> Result<(Vec<Type>, u64)> {
        let listing = self.listing(Entity::Type, wanted)?;
        self.database.read("list types", |reader| types::list(reader, of, &listing))
    }

    /// One type.
    pub fn type_of(&self, of: Of, id: i64) -> Result<Type> {
        self.database.read("read a type", |reader| types::require(reader, of, id))
    }
}

fn require_noted(reader: &sql::Connection, about: &About<'_>) -> Result<()> {
    match about {
        About::Module(id) => modules::require(reader, *id).map(drop),
        About::Set(id) => crate::storage::hawkbit::sets::require(reader, *id).map(drop),
        About::Device(id) => crate::storage::hawkbit::devices::require(reader, id).map(drop),
    }
}

fn check_unlocked(reader: &sql::Connection, module: i64) -> Result<()> {
    if modules::require(reader, module)?.locked {
        let message = format!("software module {module} is in use and does not change any more");
        return Err(Error::hawkbit(Trouble::Locked, message));
    }
    Ok(())
}

fn check_upload(reader: &sql::Connection, module: i64) -> Result<()> {
    check_unlocked(reader, module)?;
    if artifacts::of_module(reader, module)?.len() >= MAX_ARTIFACTS {
        let message = format!("a module may have {MAX_ARTIFACTS} artifacts");
        return Err(Error::hawkbit(Trouble::Quota, message));
    }
    Ok(())
}

/// Hashes what is read, in the ways that old clients want.
struct Hashing<'a> {
    content: &'a mut dyn Read,
    md5: Md5,
    sha1: Sha1,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.content.read(buffer)?;
        let piece = buffer.get(..count).unwrap_or_default();
        self.md5.update(piece);
        self.sha1.update(piece);
        Ok(count)
    }
}
