//! Signed time: what a time server says about now, and a clock that only such words move.
//!
//! ```text
//! {"signatures": […], "signed": {"nonces": [NONCE, …], "time": "YYYY-MM-DDTHH:MM:SSZ"}}
//! ```
//! An ECU sends a nonce with its request, and the server signs it with the time, so that an old
//! answer cannot be replayed (the time server of Uptane's deployment best practices). The
//! server's keys are those of the role `timeserver` in the Director's root, or configured.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp as Time};
use serde_json::{Map, Value};

use crate::fields::Fields;
use crate::json::Json;
use crate::{
    Dialect, Envelope, FormatError, Key, KeyId, PublicKey, Reason, Refusal, Repository, RoleKeys,
    Root, Sign, SigningFailed, Verified, VerifySignature, check_threshold, format_time, parse_time,
};

/// The role in a Director's root that holds the time server's keys.
pub const TIME_SERVER_ROLE: &str = "timeserver";
/// Largest attestation that is read, in bytes.
pub const MAX_TIME_ATTESTATION: usize = 64 << 10;
/// Most nonces that one attestation answers.
const MAX_NONCES: usize = 1024;
/// Longest nonce, in bytes.
const MAX_NONCE: usize = 256;

/// Who may say what time it is.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeAuthority {
    keys: BTreeMap<KeyId, Key>,
    role: RoleKeys,
}

impl TimeAuthority {
    /// The role `timeserver` of a Director's root, when it has one.
    ///
    /// When two roots in a row name different authorities, the clock must be [reset]: whoever held
    /// the old key may have pushed it far ahead.
    ///
    /// [reset]: SecureClock::reset
    #[must_use]
    pub fn of_root(root: &Root) -> Option<Self> {
        let role = root.roles.get(TIME_SERVER_ROLE)?.clone();
        let keys = root.keys.iter().filter(|(id, _)| role.key_ids.contains(id));
        Some(Self { keys: keys.map(|(id, key)| (id.clone(), key.clone())).collect(), role })
    }

    /// Keys from elsewhere, of which `threshold` must sign.
    #[must_use]
    pub fn of_keys(dialect: Dialect, keys: &[PublicKey], threshold: u64) -> Self {
        let key = |key: &PublicKey| (key.key_id(dialect), Key::new(dialect, key.clone()));
        let keys: BTreeMap<_, _> = keys.iter().map(key).collect();
        let role = RoleKeys::new(keys.keys().cloned().collect(), threshold);
        Self { keys, role }
    }

    /// Reads and verifies an attestation. `nonce` is what was sent with the request; `None` only
    /// where the answer cannot be an old one for another reason.
    ///
    /// # Errors
    /// A [`Refusal`] named `malformed`, `threshold` or `missing-nonce`.
    pub fn verify(
        &self,
        dialect: Dialect,
        bytes: &[u8],
        nonce: Option<&str>,
        verifier: &dyn VerifySignature,
    ) -> Result<Verified<TimeAttestation>, Refusal> {
        let check = || -> Result<TimeAttestation, Reason> {
            let envelope = Envelope::parse(dialect, bytes, MAX_TIME_ATTESTATION)?;
            check_threshold(dialect, &self.keys, &self.role, &envelope, verifier)?;
            let attestation = TimeAttestation::from_value(envelope.signed)?;
            match nonce {
                Some(nonce) if !attestation.nonces.iter().any(|known| known == nonce) => {
                    Err(Reason::MissingNonce)
                }
                _ => Ok(attestation),
            }
        };
        check().map(Verified::new).map_err(refusal)
    }
}

/// What a time server signs.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeAttestation {
    /// The time, in whole seconds.
    pub time: Time,
    /// The requests that this answers.
    pub nonces: Vec<String>,
    /// Unknown fields.
    pub extra: Map<String, Value>,
}

impl TimeAttestation {
    /// An attestation as a server makes it.
    #[must_use]
    pub fn new(time: Time, nonces: Vec<String>) -> Self {
        Self { time, nonces, extra: Map::new() }
    }

    /// The signed file.
    ///
    /// # Errors
    /// [`SigningFailed`].
    pub fn sign(&self, dialect: Dialect, keys: &[&dyn Sign]) -> Result<Envelope, SigningFailed> {
        Envelope::sign(dialect, self.to_value(), keys)
    }

    /// Reads the signed part, without checking signatures. A number is understood as a nonce too.
    ///
    /// # Errors
    /// [`FormatError`]; anything with a `_type` is another file, whoever signed it.
    pub fn from_value(value: Value) -> Result<Self, FormatError> {
        let mut fields = Fields::of("signed", value)?;
        if fields.take_optional("_type").is_some() {
            return Err(FormatError::field("_type", "is there, so this is no time attestation"));
        }
        let time = parse_time("time", &fields.string("time")?)?;
        let entries = fields.array("nonces")?;
        if entries.len() > MAX_NONCES {
            return Err(FormatError::field("nonces", "has more than 1024 entries"));
        }
        let nonces = entries.into_iter().map(nonce).collect::<Result<_, _>>()?;
        Ok(Self { time, nonces, extra: fields.rest() })
    }

    /// The signed part.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("nonces".to_owned(), self.nonces.clone().into());
        members.insert("time".to_owned(), format_time(self.time).into());
        members.extend(self.extra.clone());
        Value::Object(members)
    }
}

fn nonce(value: Json<'_>) -> Result<String, FormatError> {
    let text = match value {
        Json::String(text) => text.into_owned(),
        Json::Number(number) if number.is_u64() => number.to_string(),
        _ => return Err(FormatError::field("nonces", "has one that is no text or number")),
    };
    if text.is_empty() || text.len() > MAX_NONCE {
        return Err(FormatError::field("nonces", "has one that is empty or too long"));
    }
    Ok(text)
}

/// The latest time that an authority signed. It goes forward only.
///
/// It says what time it is *at least*. A driver takes the later one of this and its own clock,
/// where it has one, as the start time of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureClock {
    latest: Option<Time>,
    tolerance: SignedDuration,
}

impl SecureClock {
    /// A clock that stands at the stored time `latest`, if there is one. An attestation may lie
    /// up to `tolerance` before it: servers are not quite of one time, and answers overtake each
    /// other.
    #[must_use]
    pub fn new(latest: Option<Time>, tolerance: SignedDuration) -> Self {
        Self { latest, tolerance }
    }

    /// The latest time that was signed; store it whenever it changes.
    #[must_use]
    pub fn latest(&self) -> Option<Time> {
        self.latest
    }

    /// Moves forward to the attested time. One within the tolerance moves nothing back.
    ///
    /// # Errors
    /// A [`Refusal`] named `time-rollback`, after which the clock stands where it stood.
    pub fn accept(&mut self, attested: &Verified<TimeAttestation>) -> Result<Time, Refusal> {
        let offered = attested.time;
        let latest = match self.latest {
            Some(trusted) if offered < trusted => {
                if trusted.duration_since(offered) > self.tolerance {
                    return Err(refusal(Reason::TimeRollback { trusted, offered }));
                }
                trusted
            }
            _ => offered,
        };
        self.latest = Some(latest);
        Ok(latest)
    }

    /// Whether a clock of this machine may be believed at `now`: not when a signed time is later
    /// by more than the tolerance.
    ///
    /// # Errors
    /// A [`Refusal`] named `time-rollback`.
    pub fn check(&self, now: Time) -> Result<(), Refusal> {
        match self.latest {
            Some(trusted) if trusted.duration_since(now) > self.tolerance => {
                Err(refusal(Reason::TimeRollback { trusted, offered: now }))
            }
            _ => Ok(()),
        }
    }

    /// Forgets the time, because the authority's keys changed (fast-forward recovery).
    pub fn reset(&mut self) {
        self.latest = None;
    }
}

fn refusal(reason: Reason) -> Refusal {
    Refusal { repository: Repository::Director, subject: "time attestation".to_owned(), reason }
}
