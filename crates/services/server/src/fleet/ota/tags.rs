//! Tags of devices: what operators note about each, and what expressions of groups may ask for.
//!
//! Whenever tags change, the devices join and leave the groups whose expressions choose them, in
//! the same transaction.

use std::collections::BTreeMap;

use updraft_api::EventKind;

use super::expression::{Expression, MAX_LENGTH, Tags};
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::groups::{follow_rules, members_of_rule};
use crate::fleet::operators::Operator;
use crate::names;
use crate::storage::events::{self, NewEvent};
use crate::storage::sql::Transaction;
use crate::storage::{devices, groups, tags};

/// The most tags of one device.
const MAX_TAGS: usize = 64;
/// Longest value of a tag, in bytes.
const MAX_VALUE: usize = 255;

impl Fleet {
    /// The tags that any device has.
    pub fn tags(&self) -> Result<Vec<String>> {
        self.database.read("list tags", tags::all)
    }

    /// A device's tags.
    pub fn tags_of(&self, device: &str) -> Result<Tags> {
        self.database.read("list a device's tags", |reader| {
            devices::require(reader, device)?;
            tags::of_device(reader, device)
        })
    }

    /// Gives a device a tag, or its tag another value; gives all it has then.
    pub fn tag_device(
        &self,
        operator: &Operator,
        device: &str,
        tag: &str,
        value: &str,
    ) -> Result<Tags> {
        check(tag, value)?;
        self.change_tags(operator, &format!("{tag} of device {device} was set"), |tx| {
            devices::require(tx, device)?;
            tags::set(tx, device, tag, value)?;
            let now = tags::of_device(tx, device)?;
            if now.len() > MAX_TAGS {
                return Err(too_many(device));
            }
            follow_rules(tx, device)?;
            Ok(now)
        })
    }

    /// Gives devices these tags in place of those they have; unknown devices are passed over.
    pub fn tag_devices(&self, operator: &Operator, list: &BTreeMap<String, Tags>) -> Result<()> {
        for (device, own) in list {
            if own.len() > MAX_TAGS {
                return Err(too_many(device));
            }
            own.iter().try_for_each(|(tag, value)| check(tag, value))?;
        }
        self.change_tags(operator, &format!("those of {} devices were set", list.len()), |tx| {
            for (device, own) in list {
                if devices::require(tx, device).is_err() {
                    continue;
                }
                tags::clear(tx, device)?;
                own.iter().try_for_each(|(tag, value)| tags::set(tx, device, tag, value))?;
                follow_rules(tx, device)?;
            }
            Ok(())
        })
    }

    /// Gives a tag another name, on devices and in the expressions of groups.
    pub fn rename_tag(&self, operator: &Operator, tag: &str, name: &str) -> Result<()> {
        check(name, "x")?;
        self.change_tags(operator, &format!("{tag} was renamed to {name}"), |tx| {
            require(tx, tag)?;
            if tag == name {
                return Ok(());
            }
            if tags::all(tx)?.iter().any(|other| other == name) {
                return Err(Error::Conflict {
                    code: "tag_exists",
                    action: format!("rename the tag {tag}"),
                    reason: format!("there is the tag {name}"),
                });
            }
            tags::rename(tx, tag, name)?;
            for (group, expression) in groups::expressions(tx)? {
                // Stored expressions were read before; one of a newer server stays as it is.
                let Ok(mut rule) = Expression::parse(&expression) else { continue };
                if !rule.rename_tag(tag, name) {
                    continue;
                }
                let text = rule.to_string();
                if text.len() > MAX_LENGTH {
                    return Err(Error::Conflict {
                        code: "expression_too_long",
                        action: format!("rename the tag {tag}"),
                        reason: format!("the expression of group {group} would be too long"),
                    });
                }
                groups::set_expression(tx, &group, &text)?;
            }
            Ok(())
        })
    }

    /// Takes a tag from all devices. One for which the expression of a group asks stays.
    pub fn delete_tag(&self, operator: &Operator, tag: &str) -> Result<()> {
        self.change_tags(operator, &format!("{tag} was deleted"), |tx| {
            require(tx, tag)?;
            let asks = |text: &str| Expression::parse(text).is_ok_and(|rule| rule.asks_for(tag));
            let groups = groups::expressions(tx)?;
            if let Some((group, _)) = groups.iter().find(|(_, text)| asks(text)) {
                return Err(Error::Conflict {
                    code: "tag_in_use",
                    action: format!("delete the tag {tag}"),
                    reason: format!("the expression of group {group} asks for it"),
                });
            }
            tags::delete(tx, tag)
        })
    }

    /// How many devices an expression chooses.
    pub fn count_by_rule(&self, expression: &str) -> Result<usize> {
        let rule = Expression::parse(expression)
            .map_err(|reason| Error::invalid("the expression", reason))?;
        self.database.read("count devices", |reader| Ok(members_of_rule(reader, &rule)?.len()))
    }

    fn change_tags<T>(
        &self,
        operator: &Operator,
        what: &str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let now = self.now();
        self.database.write("change tags", |tx| {
            let result = change(tx)?;
            let actor = operator.actor();
            let message = format!("tags: {what}");
            events::append(tx, now, &NewEvent::new(EventKind::GroupChanged, &actor, message))?;
            Ok(result)
        })
    }
}

fn require(tx: &Transaction<'_>, tag: &str) -> Result<()> {
    if tags::devices(tx, tag)?.is_empty() {
        return Err(Error::not_found("tag", tag.escape_default().to_string()));
    }
    Ok(())
}

fn check(tag: &str, value: &str) -> Result<()> {
    names::tag(tag)?;
    if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
        let reason = format!("the value of {tag} is over {MAX_VALUE} bytes, or has no plain text");
        return Err(Error::invalid("the tags", reason));
    }
    Ok(())
}

fn too_many(device: &str) -> Error {
    Error::invalid("the tags", format!("device {device} would have more than {MAX_TAGS}"))
}
