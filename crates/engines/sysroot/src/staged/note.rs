//! The file that tells of a staged deployment, `/run/ostree/staged-deployment`.
//!
//! ```text
//! a{sv}  target              a{sv}  name       s   COMMIT.SERIAL
//!                                   osname     s   the stateroot
//!                                   bootcsum   s
//!        merge-deployment    a{sv}  as target; whose /etc is taken over
//!        kargs               as     the kernel command line; without it: as that of the merge
//!                                   deployment
//!        overlay-initrds     as     names of files in /run/ostree/staged-initrds
//!        locked              b      not to be finished at shutdown
//!        bootconfig-extra    a{ss}  further keys of the entry
//! ```

use updraft_error::Kind;
use updraft_ostree::Metadata;
use updraft_ostree::gvariant::{Type, Value};

use crate::deployment::parse_dir_name;
use crate::{DeploymentId, Error, Result};

const TARGET: &str = "target";
const MERGE: &str = "merge-deployment";
const KERNEL_ARGS: &str = "kargs";
const OVERLAY_INITRDS: &str = "overlay-initrds";
const LOCKED: &str = "locked";

/// The content of the file. Keys that are not known are kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Note(Metadata);

/// What a note is made of.
pub(crate) struct Parts<'a> {
    pub(crate) target: (&'a DeploymentId, &'a str),
    pub(crate) merge: Option<(&'a DeploymentId, &'a str)>,
    pub(crate) kernel_args: Option<Vec<String>>,
    pub(crate) overlay_initrds: Vec<String>,
    pub(crate) locked: bool,
}

impl Note {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        let mut note = Metadata::new();
        note.insert(TARGET, deployment(parts.target));
        if let Some(merge) = parts.merge {
            note.insert(MERGE, deployment(merge));
        }
        if let Some(kernel_args) = parts.kernel_args {
            note.insert(KERNEL_ARGS, Value::strings(kernel_args));
        }
        if !parts.overlay_initrds.is_empty() {
            note.insert(OVERLAY_INITRDS, Value::strings(parts.overlay_initrds));
        }
        if parts.locked {
            note.insert(LOCKED, Value::Bool(true));
        }
        Self(note)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let malformed =
            |source| Error::Format { what: "read the staged deployment".into(), source };
        let value = Value::decode(&Type::vardict(), bytes).map_err(malformed)?;
        Metadata::from_value(value).map(Self).map_err(malformed)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0.to_value().encode()
    }

    /// The deployment and its boot checksum; a note without one tells of none.
    pub(crate) fn target(&self) -> Result<Option<(DeploymentId, String)>> {
        self.0.get(TARGET).map(read_deployment).transpose()
    }

    pub(crate) fn merge(&self) -> Result<Option<DeploymentId>> {
        Ok(self.0.get(MERGE).map(read_deployment).transpose()?.map(|(id, _)| id))
    }

    pub(crate) fn kernel_args(&self) -> Option<String> {
        Some(self.0.get_strings(KERNEL_ARGS)?.join(" "))
    }

    pub(crate) fn overlay_initrds(&self) -> Vec<String> {
        let names = self.0.get_strings(OVERLAY_INITRDS).unwrap_or_default();
        names.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.get(LOCKED) == Some(&Value::Bool(true))
    }

    pub(crate) fn set_locked(&mut self, locked: bool) {
        self.0.insert(LOCKED, Value::Bool(locked));
    }
}

fn deployment((id, boot_checksum): (&DeploymentId, &str)) -> Value {
    let mut members = Metadata::new();
    members.insert("name", Value::String(id.dir_name()));
    members.insert("osname", Value::String(id.stateroot.clone()));
    members.insert("bootcsum", Value::String(boot_checksum.to_owned()));
    members.to_value()
}

fn read_deployment(value: &Value) -> Result<(DeploymentId, String)> {
    let malformed = || {
        let message = "read the staged deployment: it names no deployment";
        Error::other(Kind::Invalid, message)
    };
    let members = Metadata::from_value(value.clone()).map_err(|_| malformed())?;
    let text = |key: &str| members.get_str(key).ok_or_else(malformed);
    let stateroot = text("osname")?;
    // It becomes part of paths.
    if stateroot.is_empty() || stateroot.contains('/') || stateroot.starts_with('.') {
        return Err(malformed());
    }
    let name = text("name")?;
    let (checksum, deploy_serial) = parse_dir_name(name).ok_or_else(|| {
        let message = format!("Invalid deploy name '{name}', expected CHECKSUM.TREESERIAL");
        Error::other(Kind::Invalid, message)
    })?;
    let id = DeploymentId { stateroot: stateroot.to_owned(), checksum, deploy_serial };
    Ok((id, text("bootcsum")?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_hostile_ones_are_refused() {
        let id: DeploymentId = format!("os {}.2", "ab".repeat(32)).parse().unwrap();
        let mut note = Note::new(Parts {
            target: (&id, "c1"),
            merge: Some((&id, "c2")),
            kernel_args: Some(vec!["root=x".to_owned(), "quiet".to_owned()]),
            overlay_initrds: vec![],
            locked: false,
        });
        let again = Note::decode(&note.encode()).unwrap();
        assert_eq!(again, note);
        assert_eq!(again.target().unwrap(), Some((id.clone(), "c1".to_owned())));
        assert_eq!(again.merge().unwrap(), Some(id));
        assert_eq!(again.kernel_args().as_deref(), Some("root=x quiet"));
        assert!(!again.is_locked());
        note.set_locked(true);
        assert!(Note::decode(&note.encode()).unwrap().is_locked());

        for (name, stateroot) in
            [("../x", "os"), ("ab.0", "os"), (&format!("{}.0", "ab".repeat(32)), "../etc")]
        {
            let mut members = Metadata::new();
            members.insert("name", Value::String((*name).to_owned()));
            members.insert("osname", Value::String(stateroot.to_owned()));
            members.insert("bootcsum", Value::String(String::new()));
            let mut outer = Metadata::new();
            outer.insert(TARGET, members.to_value());
            let bytes = outer.to_value().encode();
            assert!(Note::decode(&bytes).unwrap().target().is_err(), "{name} {stateroot}");
        }
    }
}
