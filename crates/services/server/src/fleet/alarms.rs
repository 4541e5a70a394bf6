//! Metadata whose end comes near: renewed here when its keys are here, told of otherwise, long
//! before devices refuse it.

use jiff::{SignedDuration, Timestamp};
use updraft_api::EventKind;
use updraft_publish::edited_root;

use super::Fleet;
use super::image::Upload;
use super::online_keys::{self, DIALECT};
use super::operators::Operator;
use super::ota::repository::finish;
use crate::error::{Error, Result};
use crate::storage::events::{self, NewEvent};
use crate::storage::{notes, offline};

/// A signed file that nobody renews by himself.
struct Subject {
    /// Names this version of this file.
    key: String,
    /// The same for people.
    what: String,
    role: String,
    expires: Timestamp,
}

impl Fleet {
    /// Signs root and targets of the Image repository again when their end comes near and their
    /// keys are here.
    pub fn renew_image_roles(&self) -> Result<()> {
        let Some(image) = self.image_repository() else { return Ok(()) };
        let now = self.now();
        let days = &self.config.metadata;
        let soon = |life: u16| now + days_of(days.alarm_days.min(life / 2));
        if image.root().header.expires < soon(days.image_root_days) {
            skip_offline(self.renew_image_root(now))?;
        }
        let targets = image.targets().map(|file| file.payload.header.expires);
        if targets.is_some_and(|expires| expires < soon(days.image_targets_days)) {
            let changes = vec!["is valid for longer".to_owned()];
            skip_offline(self.edit_targets(&Operator::itself(), changes, |_| Ok(())).map(drop))?;
        }
        Ok(())
    }

    fn renew_image_root(&self, now: Timestamp) -> Result<()> {
        let _turn = self.image_turn()?;
        let Some(image) = self.image_repository() else { return Ok(()) };
        let keys = online_keys::load_if_any(&self.layout.image_keys(), "root")?;
        let expires = online_keys::expiry(now, self.config.metadata.image_root_days);
        let draft = edited_root(DIALECT, image.root(), expires, Vec::new(), |_| {});
        let root = finish(draft, &keys)?;
        self.accept_in_turn(&Operator::itself(), &[(Upload::Root, &root)])
    }

    /// Tells, once each, of signed files that expire soon or have expired.
    pub fn tell_of_expiries(&self) -> Result<()> {
        let now = self.now();
        let soon = now + days_of(self.config.metadata.alarm_days);
        let due = self.subjects()?.into_iter().filter(|subject| subject.expires < soon);
        let due: Vec<Subject> = due
            .map(|mut subject| {
                let stage = if subject.expires <= now { "expired" } else { "soon" };
                subject.key = format!("{} {stage}", subject.key);
                subject
            })
            .collect();
        let untold = self.database.read("look for alarms", |reader| {
            let mut untold = Vec::new();
            for subject in due {
                if !notes::is_told(reader, &subject.key)? {
                    untold.push(subject);
                }
            }
            Ok(untold)
        })?;
        if untold.is_empty() {
            return Ok(());
        }
        self.database.write("tell of alarms", |tx| {
            for subject in untold {
                if !notes::tell(tx, &subject.key, now)? {
                    continue;
                }
                let Subject { what, role, expires, .. } = subject;
                let message = if expires <= now {
                    format!("{what} expired at {expires}: devices refuse it; sign it anew")
                } else {
                    format!("{what} expires at {expires}: sign it anew before devices refuse it")
                };
                tracing::warn!(role, %expires, "signed metadata needs its keys' holder");
                let data = serde_json::json!({ "role": role, "expires_at": expires.to_string() });
                let event =
                    NewEvent::new(EventKind::MetadataExpiring, "server", message).data(data);
                events::append(tx, now, &event)?;
            }
            Ok(())
        })
    }

    fn subjects(&self) -> Result<Vec<Subject>> {
        let mut subjects = Vec::new();
        let mut add = |repository: &str, role: &str, version: u64, expires: Timestamp| {
            subjects.push(Subject {
                key: format!("{repository} {role} {version}"),
                what: format!("{role} version {version} of the {repository}"),
                role: role.to_owned(),
                expires,
            });
        };
        if let Some(image) = self.image_repository() {
            let repository = "Image repository";
            let header = &image.root().header;
            add(repository, "root", header.version, header.expires);
            let targets = image.targets().map(|file| &file.payload.header);
            let roles = image.delegations().map(|all| all.roles.as_slice()).unwrap_or_default();
            let delegated = roles.iter().filter_map(|role| {
                Some((role.name.as_str(), &image.delegated(&role.name)?.payload.header))
            });
            for (role, header) in
                targets.map(|header| ("targets", header)).into_iter().chain(delegated)
            {
                add(repository, role, header.version, header.expires);
            }
        }
        let lists = self.database.read("list offline updates", offline::newest)?;
        for list in lists {
            add("offline updates", &list.name, list.version, list.expires_at);
        }
        Ok(subjects)
    }
}

fn days_of(days: u16) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(days))
}

/// Keys that are elsewhere are no failure here: their holder is told.
fn skip_offline(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::KeysOffline { .. }) => Ok(()),
        other => other,
    }
}
