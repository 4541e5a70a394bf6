//! What the server is and how it is doing.

use updraft_api::{RepositoryStatus, Status};

use super::Fleet;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::storage::{devices, metadata, rollouts};

impl Fleet {
    /// What the server is and how it is doing.
    pub fn status(&self, operator: &Operator) -> Result<Status> {
        let (devices, rollouts_running, root) =
            self.database.read("read the status", |reader| {
                let alive = rollouts::alive(reader)?.len() as u64;
                Ok((devices::count(reader)?, alive, metadata::director_root(reader, None)?))
            })?;
        let root =
            root.ok_or_else(|| Error::not_found("the Director's root", "in the database"))?;
        let image_repository = self.image_repository().map(|image| RepositoryStatus {
            root_version: image.root().header.version,
            root_expires: image.root().header.expires,
            targets_version: image.targets().map(|targets| targets.payload.header.version),
            targets_expire: image.targets().map(|targets| targets.payload.header.expires),
        });
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: self.now(),
            started_at: self.started_at,
            devices,
            rollouts_running,
            image_repository,
            director_repository: RepositoryStatus {
                root_version: root.version,
                root_expires: root.expires_at,
                targets_version: None,
                targets_expire: None,
            },
            token: operator.name.clone(),
            scopes: operator.scopes.clone(),
        })
    }
}
