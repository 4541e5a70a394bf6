//! The same repository once more, in the form of TUF 1.0.
//!
//! Clients of the Uptane world and of TUF read no file of each other: `_type`, key ids, signatures
//! and the bytes that these cover differ. So root, targets and delegated targets are signed twice,
//! by the same keys. The TUF form is never edited: [`tuf_payload`] makes it from the Uptane form,
//! with the same versions and the same expiry, and whoever takes signed files demands that they
//! say just that. Snapshot and timestamp are made for each form.

use std::collections::BTreeMap;

use serde_json::Value;
use updraft_tuf::{
    DelegatedRole, Delegations, Dialect, Header, Key, KeyId, Payload, RoleKeys, RoleName, Root,
    Sign, SuccinctRoles, Targets,
};

use crate::image::{MAX_SMALL_FILE, MAX_TARGETS_FILE, SignedFile, envelope, payload};
use crate::root::{root_authority, top_level_authority};
use crate::{Authority, Draft, Error, ImageRepository};
use jiff::Timestamp as Time;

const FROM: Dialect = Dialect::Uptane;
const TO: Dialect = Dialect::Tuf;
/// Roots of TUF have these roles and no other.
const TOP_LEVEL: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];

/// Files of the TUF form as somebody signed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TufFiles {
    /// The root.
    pub root: Option<Vec<u8>>,
    /// The top-level targets.
    pub targets: Option<Vec<u8>>,
    /// The targets of delegated roles, by name.
    pub delegated: BTreeMap<String, Vec<u8>>,
}

/// What a root, targets or delegated targets payload of the Uptane form is in the TUF form.
///
/// # Errors
/// [`Error::Refused`] when it is no payload of that role; [`Error::Invalid`] for what TUF 1.0 has
/// no form for: delegations to roles that must agree, and roles without a TUF form.
pub fn tuf_payload(role: &RoleName, signed: &Value) -> Result<Value, Error> {
    let refused = || Error::refused(role.to_string());
    match role {
        RoleName::Root => {
            let root = Root::from_value(FROM, signed.clone()).map_err(refused())?;
            Ok(tuf_root(&root).to_value(TO))
        }
        RoleName::Targets | RoleName::Delegated(_) => {
            let targets = Targets::from_value(FROM, signed.clone()).map_err(refused())?;
            Ok(tuf_targets(&targets)?.to_value(TO))
        }
        other => Err(Error::Invalid(format!("publish {other} in TUF's form: it has none"))),
    }
}

fn tuf_header(header: &Header) -> Header {
    Header::new(TO, header.version, header.expires)
}

fn tuf_root(root: &Root) -> Root {
    let roles = root.roles.iter().filter(|(name, _)| TOP_LEVEL.contains(&name.as_str()));
    Root {
        header: tuf_header(&root.header),
        // Clients of TUF ask for versioned names, which are the only ones that never change.
        consistent_snapshot: Some(true),
        keys: tuf_keys(&root.keys),
        roles: roles.map(|(name, role)| (name.clone(), tuf_role(&root.keys, role))).collect(),
        extra: root.extra.clone(),
    }
}

fn tuf_targets(targets: &Targets) -> Result<Targets, Error> {
    let delegations = targets.delegations.as_ref().map(tuf_delegations).transpose()?;
    Ok(Targets { header: tuf_header(&targets.header), delegations, ..targets.clone() })
}

fn tuf_delegations(all: &Delegations) -> Result<Delegations, Error> {
    let roles = all.roles.iter().map(|role| match &role.agreement {
        Some(_) => Err(Error::Invalid(format!(
            "publish the delegation {} in TUF's form: roles that must agree have none",
            role.name
        ))),
        None => Ok(DelegatedRole { keys: tuf_role(&all.keys, &role.keys), ..role.clone() }),
    });
    let succinct = all
        .succinct
        .as_ref()
        .map(|bins| SuccinctRoles { keys: tuf_role(&all.keys, &bins.keys), ..bins.clone() });
    Ok(Delegations {
        keys: tuf_keys(&all.keys),
        roles: roles.collect::<Result<_, _>>()?,
        succinct,
        extra: all.extra.clone(),
    })
}

/// Keys of algorithms that this build does not know have no id in the other form, and go.
fn tuf_keys(keys: &BTreeMap<KeyId, Key>) -> BTreeMap<KeyId, Key> {
    let known = keys.values().filter_map(Key::public);
    known.map(|public| (public.key_id(TO), Key::new(TO, public.clone()))).collect()
}

fn tuf_role(keys: &BTreeMap<KeyId, Key>, role: &RoleKeys) -> RoleKeys {
    let ids = role.key_ids.iter().filter_map(|id| keys.get(id)?.public().map(|p| p.key_id(TO)));
    RoleKeys { extra: role.extra.clone(), ..RoleKeys::new(ids.collect(), role.threshold) }
}

impl Draft {
    /// This draft together with its TUF form: who signs it from now on signs both.
    ///
    /// # Errors
    /// As [`tuf_payload`].
    pub fn in_both_forms(mut self) -> Result<Self, Error> {
        let signed = tuf_payload(&self.role, &self.envelope.signed)?;
        let authorities = self.authorities.iter().map(tuf_authority).collect();
        let changes = self.changes.clone();
        self.tuf = Some(Box::new(Self::new(TO, self.role.clone(), signed, authorities, changes)));
        Ok(self)
    }

    /// The finished file in the TUF form, when there is that form.
    ///
    /// # Errors
    /// As [`Draft::finish`].
    pub fn finish_tuf(&self) -> Result<Option<Vec<u8>>, Error> {
        self.tuf.as_ref().map(|tuf| tuf.finish()).transpose()
    }

    /// After somebody else said who may sign.
    pub(crate) fn follow_authorities(&mut self) {
        let authorities = self.authorities.iter().map(tuf_authority).collect();
        if let Some(tuf) = &mut self.tuf {
            tuf.authorities = authorities;
        }
    }
}

fn tuf_authority(authority: &Authority) -> Authority {
    Authority {
        label: format!("{} (TUF's form)", authority.label),
        keys: tuf_keys(&authority.keys),
        role: tuf_role(&authority.keys, &authority.role),
    }
}

impl ImageRepository {
    /// What is published now, root first, as drafts in both forms: the Uptane form with its
    /// signatures, and the TUF form that is to be signed to begin with it. Roles that nobody
    /// delegates to are left out.
    ///
    /// # Errors
    /// As [`tuf_payload`].
    pub fn drafts_in_both_forms(&self) -> Result<Vec<Draft>, Error> {
        let current = |role: RoleName, authority: Authority, bytes: &[u8]| {
            let envelope = envelope(self.dialect, role.as_str(), bytes, MAX_TARGETS_FILE)?;
            let signed = envelope.signed.clone();
            let changes = vec![format!("publishes {role} in TUF's form, too")];
            let mut draft = Draft::new(self.dialect, role, signed, vec![authority], changes);
            draft.envelope = envelope;
            draft.in_context(self.roots(), Some(bytes.to_vec())).in_both_forms()
        };
        let mut drafts = Vec::new();
        if let Some(bytes) = self.file("root.json") {
            drafts.push(current(RoleName::Root, root_authority(&self.root), bytes)?);
        }
        if let Some(file) = &self.targets {
            let authority = top_level_authority(&self.root, &RoleName::Targets);
            drafts.push(current(RoleName::Targets, authority, &file.bytes)?);
        }
        for (name, file) in &self.delegated {
            if let Ok(authority) = self.delegated_authority(name) {
                drafts.push(current(RoleName::Delegated(name.clone()), authority, &file.bytes)?);
            }
        }
        Ok(drafts)
    }

    /// The TUF form of this repository, without snapshot and timestamp as far as they have to be
    /// new: `before`, brought into step by `files`, and by what `keys` can sign where no file is
    /// given. Files of the TUF form that say anything else than this repository are refused.
    /// Expiry is that of this repository, which has looked at it.
    ///
    /// # Errors
    /// [`Error::OutOfStep`] when a file was not given and `keys` cannot sign it;
    /// [`Error::Refused`], [`Error::Format`], [`Error::Invalid`] for files that a client of TUF
    /// would refuse, or that say something else.
    pub fn tuf_form(
        &self,
        before: Option<&Self>,
        files: &TufFiles,
        keys: &[&dyn Sign],
    ) -> Result<Self, Error> {
        let mut tuf = self.tuf_with_root(before, files.root.as_deref(), keys)?;
        let Some(own) = &self.targets else { return Ok(tuf) };
        let wanted = tuf_targets(&own.payload)?;
        if !is_in_step(tuf.targets.as_ref(), &wanted) {
            let authority = top_level_authority(&tuf.root, &RoleName::Targets);
            let given = files.targets.as_deref();
            let bytes = signed(&RoleName::Targets, &wanted, authority, given, keys)?;
            tuf.accept_targets(&bytes, Time::MIN)?;
        }
        // Whoever is delegated to by a delegated role comes after that.
        let mut waiting: Vec<(&String, &SignedFile<Targets>)> = self.delegated.iter().collect();
        while !waiting.is_empty() {
            let count = waiting.len();
            let mut later = Vec::new();
            for (name, file) in waiting {
                if tuf.delegated_authority(name).is_ok() {
                    tuf.follow_delegated(name, file, files.delegated.get(name), keys)?;
                } else {
                    later.push((name, file));
                }
            }
            if later.len() == count {
                // Nobody delegates to these any more.
                break;
            }
            waiting = later;
        }
        Ok(tuf)
    }

    fn tuf_with_root(
        &self,
        before: Option<&Self>,
        given: Option<&[u8]>,
        keys: &[&dyn Sign],
    ) -> Result<Self, Error> {
        let wanted = tuf_root(&self.root);
        if let Some(before) = before.filter(|before| before.root.header == wanted.header) {
            return Ok(before.clone());
        }
        let role = RoleName::Root;
        let own = root_authority(&wanted);
        let Some(before) = before else {
            let bytes = signed(&role, &wanted, own, given, keys)?;
            return Self::new(TO, &bytes, Time::MIN);
        };
        let mut tuf = before.clone();
        let bytes = match given {
            Some(bytes) => saying(&role, &wanted, bytes)?,
            None => sign(&role, &wanted, vec![root_authority(&before.root), own], keys)?,
        };
        tuf.accept_root(&bytes, Time::MIN)?;
        Ok(tuf)
    }

    fn follow_delegated(
        &mut self,
        name: &str,
        own: &SignedFile<Targets>,
        given: Option<&Vec<u8>>,
        keys: &[&dyn Sign],
    ) -> Result<(), Error> {
        let wanted = tuf_targets(&own.payload)?;
        if is_in_step(self.delegated.get(name), &wanted) && self.has_valid_delegated(name) {
            return Ok(());
        }
        let authority = self.delegated_authority(name)?;
        let role = RoleName::Delegated(name.to_owned());
        let bytes = signed(&role, &wanted, authority, given.map(Vec::as_slice), keys)?;
        self.accept_delegated(name, &bytes, Time::MIN)
    }
}

fn is_in_step(file: Option<&SignedFile<Targets>>, wanted: &Targets) -> bool {
    file.is_some_and(|file| file.payload.to_value(TO) == wanted.to_value(TO))
}

/// The given file if it says what is wanted; without one, a file that `keys` sign.
fn signed<P: Payload>(
    role: &RoleName,
    wanted: &P,
    authority: Authority,
    given: Option<&[u8]>,
    keys: &[&dyn Sign],
) -> Result<Vec<u8>, Error> {
    match given {
        Some(bytes) => saying(role, wanted, bytes),
        None => sign(role, wanted, vec![authority], keys),
    }
}

fn saying<P: Payload>(role: &RoleName, wanted: &P, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let subject = format!("{role} in TUF's form");
    let limit = if *role == RoleName::Root { MAX_SMALL_FILE } else { MAX_TARGETS_FILE };
    let envelope = envelope(TO, &subject, bytes, limit)?;
    let said: P = payload(TO, &subject, &envelope)?;
    if said.to_value(TO) == wanted.to_value(TO) {
        return Ok(bytes.to_vec());
    }
    Err(Error::Invalid(format!("accept {subject}: it does not say what the other form says")))
}

fn sign<P: Payload>(
    role: &RoleName,
    wanted: &P,
    authorities: Vec<Authority>,
    keys: &[&dyn Sign],
) -> Result<Vec<u8>, Error> {
    let mut draft = Draft::new(TO, role.clone(), wanted.to_value(TO), authorities, Vec::new());
    let out_of_step = |error| match error {
        Error::NoUsableKey { .. } | Error::Unfinished { .. } => {
            Error::OutOfStep { role: role.clone() }
        }
        other => other,
    };
    draft.sign(keys).map_err(out_of_step)?;
    draft.finish().map_err(out_of_step)
}
