//! Which device is calling, and whether it is let in.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use updraft_api::EventKind;
use updraft_crypto::plain::SpkiKey;
use updraft_hawkbit::management::UpdateStatus;

use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::events::{self, NewEvent};
use crate::storage::hawkbit::By;
use crate::storage::hawkbit::devices::{self, DeviceValues, Protocol};
use crate::storage::mender::{self, Admission, MenderDevice};
use crate::storage::sql;

/// How long a device may show one token.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most devices that wait for somebody to decide.
const MAX_PENDING: u64 = 1000;
/// The most bytes of an identity.
const MAX_IDENTITY: usize = 4096;

/// A request to be let in.
#[derive(Debug, Deserialize)]
pub struct AuthRequest {
    /// The identity: a JSON object as text.
    pub id_data: String,
    /// The key, PEM.
    pub pubkey: String,
    /// What all devices of a tenant may know.
    #[serde(default)]
    pub tenant_token: Option<String>,
}

fn refused(reason: &str) -> Error {
    Error::Unauthenticated { reason: reason.to_owned() }
}

/// The id of the device with this identity: a UUID made of its hash (version 8, RFC 9562).
fn id_of(identity: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(identity.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(hash.get(..16).unwrap_or(&[0; 16]));
    uuid::Builder::from_custom_bytes(half).into_uuid().to_string()
}

impl Fleet {
    /// Lets a device in that shows its key, when somebody has decided so; gives its token. A new
    /// device waits for that, unless it knows the token of the gateway.
    pub fn mender_authenticate(&self, body: &[u8], signature: &str) -> Result<String> {
        let asked: AuthRequest = serde_json::from_slice(body)
            .map_err(|error| Error::hawkbit(Trouble::Body, error.to_string()))?;
        let key = SpkiKey::from_pem(&asked.pubkey)
            .map_err(|error| Error::hawkbit(Trouble::Value, error.to_string()))?;
        let signature = STANDARD
            .decode(signature.trim())
            .map_err(|_| refused("`X-MEN-Signature` is not base64"))?;
        if !key.verify(body, &signature) {
            return Err(refused("the request is not signed by the key in it"));
        }
        let is_object =
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&asked.id_data)
                .is_ok_and(|identity| !identity.is_empty());
        if !is_object || asked.id_data.len() > MAX_IDENTITY {
            return Err(Error::hawkbit(Trouble::Value, "id_data must be a JSON object as text"));
        }
        let id = id_of(&asked.id_data);
        let known = self.database.read("find a device", |reader| mender::get(reader, &id))?;
        let admission = match known {
            Some(known) if !is_same_key(&known.public_key, &key) => return Err(another_key()),
            Some(known) => known.status,
            None => self.first_request(&id, &asked, &key)?,
        };
        match admission {
            Admission::Accepted => self.new_token(&id),
            Admission::Pending => Err(refused("the device waits for somebody to accept it")),
            Admission::Rejected => Err(refused("the device was rejected")),
        }
    }

    fn first_request(&self, id: &str, asked: &AuthRequest, key: &SpkiKey) -> Result<Admission> {
        let tenant = self.tenant()?;
        let shown = asked.tenant_token.as_deref().unwrap_or_default();
        let knows_token = tenant.gateway_token.as_deref().is_some_and(|good| {
            Sha256::digest(good.as_bytes()) == Sha256::digest(shown.as_bytes())
        });
        let now = self.now();
        let status = if knows_token { Admission::Accepted } else { Admission::Pending };
        let device = MenderDevice {
            id: id.to_owned(),
            identity: asked.id_data.clone(),
            public_key: asked.pubkey.clone(),
            status,
            requested_at: now,
        };
        let secret = self.environment.secret().map_err(Error::random)?;
        let actor = format!("device:{id}");
        self.database.write("note a device that wants to be let in", |tx| {
            // It may have asked twice at a time, and the other request was first.
            if let Some(known) = mender::get(tx, id)? {
                return if is_same_key(&known.public_key, key) {
                    Ok(known.status)
                } else {
                    Err(another_key())
                };
            }
            if !knows_token && mender::count_pending(tx)? >= MAX_PENDING {
                let message = "too many devices wait to be accepted";
                return Err(Error::hawkbit(Trouble::Flood, message));
            }
            mender::insert(tx, &device)?;
            if knows_token {
                register(tx, &device, &secret, By { actor: &actor, at: now })?;
            }
            Ok(status)
        })
    }

    fn new_token(&self, id: &str) -> Result<String> {
        let now = self.now();
        let ends = now.checked_add(TOKEN_LIFE).map_err(|error| Error::Internal {
            action: "make a token",
            reason: error.to_string(),
        })?;
        let secret = self.environment.secret().map_err(Error::random)?;
        // Clients take it for a JSON Web Token. Nobody verifies it as one: it is looked up.
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.{secret}",
            part(json!({ "typ": "JWT", "alg": "HS256" })),
            part(json!({ "sub": id, "exp": ends.as_second(), "mender.device": true })),
        );
        let hash = Sha256::digest(token.as_bytes()).into();
        self.database
            .write("give a device a token", |tx| mender::set_token(tx, id, &hash, ends))?;
        self.note_seen(id);
        Ok(token)
    }

    /// The device whose token this is: the value of `Authorization`.
    pub fn mender_device(&self, authorization: Option<&str>) -> Result<String> {
        let (scheme, token) = authorization
            .and_then(|value| value.trim().split_once(' '))
            .ok_or_else(|| refused("no token was sent"))?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused("`Authorization` is not `Bearer TOKEN`"));
        }
        let hash = Sha256::digest(token.trim().as_bytes()).into();
        let now = self.now();
        let found = self.database.read("find a device", |reader| {
            let Some(id) = mender::by_token(reader, &hash, now)? else { return Ok(None) };
            Ok(devices::get(reader, &id)?.filter(|device| !device.revoked).map(|device| device.id))
        })?;
        let id = found.ok_or_else(|| refused("the token is unknown or has ended"))?;
        self.note_seen(&id);
        Ok(id)
    }

    /// The devices that asked to be let in.
    pub fn mender_devices(
        &self,
        status: Option<Admission>,
        page: (u32, u32),
    ) -> Result<Vec<MenderDevice>> {
        self.database.read("list devices", |reader| mender::list(reader, status, page))
    }

    /// Lets a device in, or not.
    pub fn decide_on_mender_device(
        &self,
        operator: &Operator,
        id: &str,
        status: Admission,
    ) -> Result<()> {
        let now = self.now();
        let actor = operator.actor();
        let secret = self.environment.secret().map_err(Error::random)?;
        self.database.write("decide on a device", |tx| {
            let device = mender::get(tx, id)?.ok_or_else(|| Error::not_found("device", id))?;
            mender::set_status(tx, id, status)?;
            if status == Admission::Accepted && devices::get(tx, id)?.is_none() {
                return register(tx, &device, &secret, By { actor: &actor, at: now });
            }
            let message = format!("device {id} is now {status:?}").to_lowercase();
            let kind = match status {
                Admission::Accepted => EventKind::DeviceRegistered,
                Admission::Pending | Admission::Rejected => EventKind::DeviceRevoked,
            };
            let event = NewEvent::new(kind, &actor, message).device(id);
            events::append(tx, now, &event)
        })
    }

    /// Forgets a device that asked to be let in, with all that is known of it.
    pub fn forget_mender_device(&self, operator: &Operator, id: &str) -> Result<()> {
        let is_registered = self.database.write("forget a device", |tx| {
            mender::get(tx, id)?.ok_or_else(|| Error::not_found("device", id))?;
            mender::remove(tx, id)?;
            Ok(devices::get(tx, id)?.is_some())
        })?;
        if is_registered { self.delete_device(operator, id) } else { Ok(()) }
    }
}

fn another_key() -> Error {
    refused("a device of this identity is known by another key")
}

fn is_same_key(known: &str, shown: &SpkiKey) -> bool {
    SpkiKey::from_pem(known).is_ok_and(|known| known.der() == shown.der())
}

/// From now on it is a device like others.
fn register(
    tx: &sql::Transaction<'_>,
    device: &MenderDevice,
    secret: &str,
    by: By<'_>,
) -> Result<()> {
    let values = DeviceValues {
        id: device.id.clone(),
        protocol: Protocol::Mender,
        name: device.identity.chars().take(128).collect(),
        description: None,
        security_token: secret.chars().take(32).collect(),
        address: None,
        group: None,
        target_type: None,
        status: UpdateStatus::Registered,
    };
    devices::insert(tx, &values, by)?;
    let id = &device.id;
    let message = format!("device {id} was let in; it calls itself {}", device.identity);
    let event = NewEvent::new(EventKind::DeviceRegistered, by.actor, message).device(id);
    events::append(tx, by.at, &event)
}
