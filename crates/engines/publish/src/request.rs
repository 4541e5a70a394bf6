//! A draft as a file that travels: the *sign request*, and how a signer judges one.
//!
//! ```text
//! {"format": "updraft-sign-request", "version": 1, "dialect": "uptane", "role": "targets",
//!  "changes": ["adds target …"],              the requester's words; nothing vouches for them
//!  "authorities": [{"label", "keys": [key, …], "keyids": […], "threshold": N}, …],
//!  "roots": ["{…}", …],                       all roots so far, signed, as text
//!  "current": "{…}",                          the signed file that this one replaces, as text
//!  "file": {"signatures": […], "signed": {…}},
//!  "tuf": {"signatures": […], "signed": {…}}} the same in TUF's form, when both are published
//! ```
//! The request holds no secrets, and nobody believes it. A signer reads from `signed` what it
//! means, follows `roots` from the root it trusts itself, and takes from there who may sign.
//! Whoever publishes the result checks everything again.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde_json::{Value, json};
use updraft_tuf::{
    Dialect, Envelope, Key, KeyId, Payload as _, PublicKey, RoleKeys, RoleName, json as strict_json,
};

use crate::meaning::meaning;
use crate::root::{root_authority, top_level_authority};
use crate::{Authority, Draft, Error, ImageRepository};

/// `format` of a sign request.
pub const SIGN_REQUEST_FORMAT: &str = "updraft-sign-request";
const SIGN_REQUEST_VERSION: u64 = 1;
/// Largest sign request, in bytes: two targets files of 8 MiB, indented or as escaped text, and
/// room for the roots.
pub const MAX_SIGN_REQUEST: usize = 64 * 1024 * 1024;
/// Most roots in one request.
const MAX_ROOTS: usize = 1024;
const SUBJECT: &str = "sign request";

/// What a signer should know before signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// What the file says, and if `compared`, only where it differs from the one it replaces.
    pub lines: Vec<String>,
    /// Whether the file was held against the one that it replaces.
    pub compared: bool,
    /// The newest root that follows from the trusted one, when there is a trusted one.
    pub newest_root: Option<Vec<u8>>,
}

impl Draft {
    /// What signing this means for somebody who trusts the root `trusted`. From then on only
    /// those may sign whom that root, or one that follows from it, names.
    ///
    /// # Errors
    /// [`Error::Refused`] when the request does not follow from that root or its payload is of
    /// another role; [`Error::MisnamedKey`]; [`Error::Invalid`] for roles that no person signs.
    pub fn judge(&mut self, trusted: Option<&[u8]>) -> Result<Meaning, Error> {
        if matches!(self.role, RoleName::Snapshot | RoleName::Timestamp) {
            let role = &self.role;
            return Err(Error::Invalid(format!("sign {role}: the server signs it by itself")));
        }
        let lines = meaning(self.dialect, &self.role, &self.envelope.signed, None)?;
        let Some(trusted) = trusted else {
            return Ok(Meaning { lines, compared: false, newest_root: None });
        };
        let repository = self.follow(trusted)?;
        let before = self.replaced(&repository)?;
        self.restrict(&repository)?;
        let lines = meaning(self.dialect, &self.role, &self.envelope.signed, before.as_ref())?;
        let newest_root = repository.file("root.json").map(<[u8]>::to_vec);
        Ok(Meaning { lines, compared: before.is_some(), newest_root })
    }

    /// The repository from the trusted root to the newest one of the request. Expiry is not
    /// looked at: what has expired must be renewed by somebody.
    fn follow(&self, trusted: &[u8]) -> Result<ImageRepository, Error> {
        let mut repository = ImageRepository::new(self.dialect, trusted, Time::MIN)?;
        for root in &self.roots {
            let version = crate::image::root_version(self.dialect, root)?;
            if version > repository.root().header.version {
                repository.accept_root(root, Time::MIN)?;
            }
        }
        if let (RoleName::Targets, Some(current)) = (&self.role, &self.current) {
            // Targets that the newest root's keys did not sign are no measure for new ones; then
            // the new ones are shown whole.
            let _ = repository.accept_targets(current, Time::MIN);
        }
        Ok(repository)
    }

    /// The payload of the verified file that this one replaces.
    fn replaced(&self, repository: &ImageRepository) -> Result<Option<Value>, Error> {
        let found = match self.role {
            RoleName::Root => {
                let root = repository.root();
                Some((root.header.version, root.to_value(self.dialect)))
            }
            _ => repository
                .targets()
                .map(|file| (file.payload.header.version, file.payload.to_value(self.dialect))),
        };
        let found = found.filter(|_| !matches!(self.role, RoleName::Delegated(_)));
        let Some((trusted, before)) = found else { return Ok(None) };
        let offered = self.envelope.signed.get("version").and_then(Value::as_u64).unwrap_or(0);
        let again = before == self.envelope.signed;
        let fits = match self.role {
            RoleName::Root => trusted.checked_add(1) == Some(offered),
            _ => offered > trusted,
        };
        if fits || again {
            return Ok(Some(before));
        }
        Err(Error::Outdated { role: self.role.clone(), trusted, offered })
    }

    /// Replaces the request's own word on who may sign by that of the trusted roots.
    fn restrict(&mut self, repository: &ImageRepository) -> Result<(), Error> {
        let root = repository.root();
        match &self.role {
            RoleName::Root => {
                let signed = self.envelope.signed.clone();
                let next = updraft_tuf::Root::from_value(self.dialect, signed)
                    .map_err(Error::refused("root"))?;
                self.authorities = vec![root_authority(root), root_authority(&next)];
            }
            RoleName::Delegated(_) => {
                // A file does not say which delegated role it is of, so a key that speaks for
                // everything must not sign one.
                for authority in &mut self.authorities {
                    let is_top = |id: &KeyId| root.roles.values().any(|r| r.key_ids.contains(id));
                    authority.role.key_ids.retain(|id| !is_top(id));
                }
            }
            top => self.authorities = vec![top_level_authority(root, top)],
        }
        self.follow_authorities();
        Ok(())
    }

    /// The draft as a sign request, indented for people.
    #[must_use]
    pub fn to_request(&self) -> Vec<u8> {
        let authorities: Vec<Value> = self.authorities.iter().map(Authority::to_json).collect();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let mut request = json!({
            "format": SIGN_REQUEST_FORMAT,
            "version": SIGN_REQUEST_VERSION,
            "dialect": self.dialect.name(),
            "role": self.role.as_str(),
            "changes": self.changes,
            "authorities": authorities,
            "roots": self.roots.iter().map(text).collect::<Vec<_>>(),
        });
        if let Some(current) = &self.current {
            request["current"] = text(current).into();
        }
        request["file"] = self.envelope.to_value(self.dialect);
        if let Some(tuf) = &self.tuf {
            request["tuf"] = tuf.envelope.to_value(tuf.dialect);
        }
        let mut bytes = serde_json::to_vec_pretty(&request).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a sign request.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Format`] for anything else; [`Error::Refused`] when the
    /// payload is not one of the role that the request names.
    pub fn from_request(bytes: &[u8]) -> Result<Self, Error> {
        let value = strict_json::parse(bytes, MAX_SIGN_REQUEST).map_err(Error::format(SUBJECT))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let is_ours = text("format") == Some(SIGN_REQUEST_FORMAT)
            && value.get("version").and_then(Value::as_u64) == Some(SIGN_REQUEST_VERSION);
        if !is_ours {
            return Err(Error::Invalid(format!(
                "read sign request: `format` is not `{SIGN_REQUEST_FORMAT}` version \
                 {SIGN_REQUEST_VERSION}; make one with `updraft release create --sign-request`"
            )));
        }
        let dialect: Dialect =
            text("dialect").unwrap_or_default().parse().map_err(Error::format(SUBJECT))?;
        let role = match text("role").unwrap_or_default() {
            "" => return Err(Error::Invalid("read sign request: `role` is missing".into())),
            "root" => RoleName::Root,
            "timestamp" => RoleName::Timestamp,
            "snapshot" => RoleName::Snapshot,
            "targets" => RoleName::Targets,
            other => RoleName::Delegated(other.to_owned()),
        };
        let list = |name: &str| value.get(name).and_then(Value::as_array).cloned();
        let texts = |name: &str| -> Vec<String> {
            let entries = list(name).unwrap_or_default();
            entries.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
        };
        let authorities = list("authorities").unwrap_or_default();
        let authorities = authorities
            .iter()
            .map(|json| Authority::from_json(dialect, json))
            .collect::<Result<Vec<_>, Error>>()?;
        let roots = texts("roots");
        if roots.len() > MAX_ROOTS {
            return Err(Error::Invalid(format!("read sign request: more than {MAX_ROOTS} roots")));
        }
        let file = value.get("file").cloned().unwrap_or_default();
        let envelope = Envelope::from_value(dialect, file).map_err(Error::format(SUBJECT))?;
        meaning(dialect, &role, &envelope.signed, None)?;
        let draft = Self {
            dialect,
            role,
            changes: texts("changes"),
            authorities,
            roots: roots.into_iter().map(String::into_bytes).collect(),
            current: text("current").map(|text| text.as_bytes().to_vec()),
            envelope,
            tuf: None,
        };
        match value.get("tuf") {
            Some(tuf) => draft.with_tuf_signatures(tuf.clone()),
            None => Ok(draft),
        }
    }

    /// A signer is told what one form says, so the other must say the same.
    fn with_tuf_signatures(self, tuf: Value) -> Result<Self, Error> {
        let given = Envelope::from_value(Dialect::Tuf, tuf).map_err(Error::format(SUBJECT))?;
        let mut draft = self.in_both_forms()?;
        match &mut draft.tuf {
            Some(tuf) if tuf.envelope.signed == given.signed => tuf.envelope = given,
            _ => return Err(Error::DifferentPayload { role: draft.role.clone() }),
        }
        Ok(draft)
    }
}

impl Authority {
    fn to_json(&self) -> Value {
        let keys: Vec<&Value> = self.keys.values().map(Key::json).collect();
        let ids: Vec<&str> = self.role.key_ids.iter().map(KeyId::as_str).collect();
        json!({
            "label": self.label,
            "keys": keys,
            "keyids": ids,
            "threshold": self.role.threshold,
        })
    }

    /// Keys of algorithms that this build does not know are left out: they cannot sign here.
    fn from_json(dialect: Dialect, value: &Value) -> Result<Self, Error> {
        let list = |name: &str| {
            let entries = value.get(name).and_then(Value::as_array);
            entries.ok_or_else(|| Error::Invalid(format!("read sign request: no `{name}`")))
        };
        let mut keys = BTreeMap::new();
        for json in list("keys")? {
            if let Some(key) = PublicKey::from_json(json).map_err(Error::format(SUBJECT))? {
                keys.insert(key.key_id(dialect), Key::new(dialect, key));
            }
        }
        let mut ids = Vec::new();
        for id in list("keyids")? {
            let id = id.as_str().unwrap_or_default().parse().map_err(Error::format(SUBJECT))?;
            ids.push(id);
        }
        let threshold = value.get("threshold").and_then(Value::as_u64).filter(|n| *n > 0);
        let threshold =
            threshold.ok_or_else(|| Error::Invalid("read sign request: no `threshold`".into()))?;
        let label = value.get("label").and_then(Value::as_str).unwrap_or_default();
        let label = crate::meaning::printable(label);
        Ok(Self { label, keys, role: RoleKeys::new(ids, threshold) })
    }
}
