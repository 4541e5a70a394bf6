//! Which fields a query may name, and where they are.

use super::Entity;
use crate::storage::device_list as device;

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Text,
    Number,
    Time,
    Boolean,
}

impl Entity {
    /// What tells entries apart, for an order without doubt.
    pub(super) fn number(self) -> &'static str {
        match self {
            Self::Target => "t.device",
            Self::Module => "m.id",
            Self::Set => "s.id",
            Self::Action => "a.id",
            Self::Type => "t.id",
            Self::Report => "r.id",
            Self::Tag => "g.id",
            Self::Filter | Self::AutoAssignment => "f.id",
            Self::Rollout => "o.id",
            Self::Device => "d.id",
        }
    }

    /// The column of a field, in lower case.
    pub(super) fn column(self, field: &str) -> Option<(&'static str, Sort)> {
        use Sort::{Boolean, Number, Text, Time};
        let common = match (self, field) {
            (Self::Target | Self::Device, _) => None,
            (_, "id") => Some((self.number(), Number)),
            _ => None,
        };
        common.or_else(|| {
            Some(match (self, field) {
                (Self::Target, "id" | "controllerid") => ("t.device", Text),
                (Self::Target | Self::Type, "name") => ("t.name", Text),
                (Self::Target | Self::Type, "description") => ("t.description", Text),
                (Self::Target | Self::Type, "createdat") => ("t.created_at", Number),
                (Self::Target | Self::Type, "createdby") => ("t.created_by", Text),
                (Self::Target | Self::Type, "lastmodifiedat") => ("t.modified_at", Number),
                (Self::Target | Self::Type, "lastmodifiedby") => ("t.modified_by", Text),
                (Self::Target, "updatestatus") => ("t.update_status", Text),
                (Self::Target, "ipaddress" | "address") => ("t.address", Text),
                (Self::Target, "group") => ("t.group_path", Text),
                (Self::Target, "targettype" | "targettype.id" | "type.id") => {
                    ("t.target_type", Number)
                }
                (Self::Target, "targettype.key") => {
                    ("(SELECT y.key FROM target_types y WHERE y.id = t.target_type)", Text)
                }
                (Self::Target, "targettype.name") => {
                    ("(SELECT y.name FROM target_types y WHERE y.id = t.target_type)", Text)
                }
                (Self::Target, "installedat") => ("t.installed_at", Number),
                (Self::Target, "lastcontrollerrequestat") => ("d.last_seen", Number),
                (Self::Target, "assignedds.name") => (
                    "(SELECT ds.name FROM distribution_sets ds WHERE ds.id = t.assigned_set)",
                    Text,
                ),
                (Self::Target, "assignedds.version") => (
                    "(SELECT ds.version FROM distribution_sets ds WHERE ds.id = t.assigned_set)",
                    Text,
                ),
                (Self::Target, "installedds.name") => (
                    "(SELECT ds.name FROM distribution_sets ds WHERE ds.id = t.installed_set)",
                    Text,
                ),
                (Self::Target, "installedds.version") => (
                    "(SELECT ds.version FROM distribution_sets ds WHERE ds.id = t.installed_set)",
                    Text,
                ),
                (Self::Type, "key") | (Self::Module | Self::Set, "type" | "type.key") => {
                    ("t.key", Text)
                }
                (Self::Module, "name") => ("m.name", Text),
                (Self::Module, "version") => ("m.version", Text),
                (Self::Module, "description") => ("m.description", Text),
                (Self::Module, "vendor") => ("m.vendor", Text),
                (Self::Module, "createdat") => ("m.created_at", Number),
                (Self::Module, "lastmodifiedat") => ("m.modified_at", Number),
                (Self::Set, "name") | (Self::Action, "distributionset.name") => ("s.name", Text),
                (Self::Set, "version") | (Self::Action, "distributionset.version") => {
                    ("s.version", Text)
                }
                (Self::Set, "description") => ("s.description", Text),
                (Self::Set, "complete") => ("complete", Boolean),
                (Self::Set, "valid") => ("(s.invalidated = 0)", Boolean),
                (Self::Set, "createdat") => ("s.created_at", Number),
                (Self::Set, "lastmodifiedat") => ("s.modified_at", Number),
                (Self::Action, "status" | "detailstatus") => ("a.status", Text),
                (Self::Action, "active") => ("a.active", Boolean),
                (Self::Action, "weight") => ("a.weight", Number),
                (Self::Action, "externalref") => ("a.external_ref", Text),
                (Self::Action, "laststatuscode") => ("a.last_code", Number),
                (Self::Action, "createdat") => ("a.created_at", Number),
                (Self::Action, "lastmodifiedat") => ("a.modified_at", Number),
                (Self::Action, "target.controllerid" | "target.id") => ("a.device", Text),
                (Self::Action, "distributionset.id") => ("a.set_id", Number),
                (Self::Report, "reportedat" | "timestamp") => ("r.reported_at", Number),
                (Self::Tag, "name") => ("g.name", Text),
                (Self::Tag, "description") => ("g.description", Text),
                (Self::Tag, "colour") => ("g.colour", Text),
                (Self::Rollout, "name") => ("o.name", Text),
                (Self::Rollout, "description") => ("o.description", Text),
                (Self::Rollout, "createdat") => ("o.created_at", Number),
                (Self::Rollout, "createdby") => ("o.created_by", Text),
                (Self::Rollout, "lastmodifiedat") => ("o.modified_at", Number),
                (Self::Rollout, "status") => ("r.state", Text),
                (Self::Filter | Self::AutoAssignment, "name") => ("f.name", Text),
                (Self::Filter, "query") | (Self::AutoAssignment, "targetfilterquery") => {
                    ("f.query", Text)
                }
                (Self::Filter | Self::AutoAssignment, "createdat") => ("f.created_at", Number),
                (Self::AutoAssignment, "createdby") => ("f.created_by", Text),
                (Self::AutoAssignment, "lastmodifiedat") => ("f.modified_at", Number),
                (Self::AutoAssignment, "description") => ("f.description", Text),
                (Self::AutoAssignment, "status") => ("f.auto_state", Text),
                (Self::AutoAssignment, "startat") => ("f.auto_start_at", Number),
                (Self::AutoAssignment, "weight") => ("f.auto_weight", Number),
                (Self::AutoAssignment, "distributionsetid" | "distributionset.id") => {
                    ("f.auto_set", Number)
                }
                (Self::Device, "id") => ("d.id", Text),
                (Self::Device, "state") => (device::STATE, Text),
                (Self::Device, "hardware_id") => ("p.hardware_id", Text),
                (Self::Device, "image") => ("p.filepath", Text),
                (Self::Device, "release") => (device::RELEASE, Text),
                (Self::Device, "version") => (device::VERSION, Text),
                (Self::Device, "rollout") => (device::ROLLOUT, Text),
                (Self::Device, "attacked") => (device::ATTACKED, Boolean),
                (Self::Device, "last_seen") => ("d.last_seen", Time),
                (Self::Device, "registered_at") => ("d.registered_at", Time),
                _ => return None,
            })
        })
    }

    /// Where the names are of what an entry has several of, such as its tags.
    pub(super) fn named_many(self, field: &str) -> Option<&'static str> {
        Some(match (self, field) {
            (Self::Target, "tag") => {
                "SELECT 1 FROM action_device_tags gt JOIN tags g ON g.id = gt.tag \
                 WHERE gt.device = t.device"
            }
            (Self::Set, "tag") => {
                "SELECT 1 FROM distribution_set_tags gt JOIN tags g ON g.id = gt.tag \
                 WHERE gt.set_id = s.id"
            }
            (Self::Device, "group") => {
                "SELECT 1 FROM (SELECT group_name AS name, device FROM group_devices) g \
                 WHERE g.device = d.id"
            }
            _ => return None,
        })
    }

    /// The beginning of a condition that some devices meet by what they have told of themselves: an
    /// index finds these, so that not every device is looked at.
    pub(super) fn noted(self, kind: &str) -> Option<&'static str> {
        Some(match (self, kind) {
            (Self::Target, "attribute" | "controllerattributes") => {
                "t.device IN (SELECT n.device FROM device_attributes n WHERE n.key = ?"
            }
            (Self::Device, "attribute") => {
                "d.id IN (SELECT n.device FROM device_attributes n WHERE n.key = ?"
            }
            _ => return None,
        })
    }

    /// The table and column of what is noted by key, for a field such as `attribute.revision`.
    pub(super) fn notes(self, kind: &str) -> Option<&'static str> {
        Some(match (self, kind) {
            (Self::Target, "attribute" | "controllerattributes") => {
                "(SELECT n.value FROM device_attributes n WHERE n.device = t.device AND n.key = ?)"
            }
            (Self::Device, "attribute") => {
                "(SELECT n.value FROM device_attributes n WHERE n.device = d.id AND n.key = ?)"
            }
            (Self::Device, "tag") => {
                "(SELECT n.value FROM device_tags n WHERE n.device = d.id AND n.tag = ?)"
            }
            (Self::Target, "metadata") => {
                "(SELECT n.value FROM device_metadata n WHERE n.device = t.device AND n.key = ?)"
            }
            (Self::Module, "metadata") => {
                "(SELECT n.value FROM software_module_metadata n \
                 WHERE n.module = m.id AND n.key = ?)"
            }
            (Self::Set, "metadata") => {
                "(SELECT n.value FROM distribution_set_metadata n \
                 WHERE n.set_id = s.id AND n.key = ?)"
            }
            _ => return None,
        })
    }
}
