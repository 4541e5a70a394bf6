//! Registering the device and its ECU.

use serde::{Deserialize, Serialize};
use serde_json::json;
use updraft_crypto::{Identity, pkcs12};
use updraft_http::{Client, ClientOptions, Method, Request};
use updraft_task::Context;
use updraft_tuf::{Dialect, PublicKey};

use super::{ANSWER_LIMIT, Gateway, Refusal, client_options, kind_of};
use crate::config::Settings;
use crate::credentials::Credentials;
use crate::{Error, Result};

/// A device that asks for its certificate: the body of `POST /devices`.
#[derive(Debug, Serialize)]
pub struct NewDevice<'a> {
    /// Its id.
    #[serde(rename = "deviceId")]
    pub device_id: &'a str,
    /// How many days the certificate shall be valid. Text, as aktualizr sends it.
    pub ttl: String,
    /// Its certificate request, PEM. Servers of the aktualizr world ignore it.
    pub csr: &'a str,
}

/// A certificate for a key that never left the device.
#[derive(Debug, Clone, Deserialize)]
pub struct Certificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// The server's authority, PEM.
    pub ca: String,
}

/// How the server answered a device that wants to be registered.
#[derive(Debug)]
pub enum RegisteredDevice {
    /// It signed the request.
    Certificate(Certificate),
    /// It made a key and certificate of its own (servers of the aktualizr world).
    Identity(Identity, Option<String>),
    /// There is a device with this id already.
    IdTaken,
}

/// An ECU as the server is told of it.
#[derive(Debug, Clone)]
pub(crate) struct RegisteredEcu {
    pub(crate) serial: String,
    pub(crate) hardware_id: String,
    /// Its public key object.
    pub(crate) key: serde_json::Value,
}

/// `POST /devices` with the bootstrap identity.
pub(crate) fn register_device(
    ctx: &Context,
    settings: &Settings,
    credentials: &Credentials,
    server: &str,
    device: &NewDevice<'_>,
) -> Result<RegisteredDevice> {
    let client = Client::new(&ClientOptions {
        ca_pem: Some(credentials.ca_pem.as_bytes().to_vec()),
        identity: Some(updraft_http::Identity {
            certificate_pem: credentials.bootstrap.certificate_pem.as_bytes().to_vec(),
            private_key_pem: credentials.bootstrap.private_key_pem.as_bytes().to_vec(),
        }),
        ..client_options(settings)
    })?;
    let body = serde_json::to_vec(device)
        .map_err(|error| Error::Answer { request: "POST /devices", problem: error.to_string() })?;
    let request = Request::new(Method::Post, format!("{server}/devices"))
        .header("Content-Type", "application/json")
        .body(body)
        .repeatable();
    let response = client.send_with(ctx, &request)?;
    let status = response.status;
    if !response.is_success() {
        let refusal = Refusal::of(response);
        if refusal.code == "device_already_registered" {
            return Ok(RegisteredDevice::IdTaken);
        }
        return Err(Error::Registration { code: refusal.text(status), kind: kind_of(status) });
    }
    let bytes = response.bytes(ANSWER_LIMIT)?;
    let unusable = |problem: String| Error::Answer { request: "POST /devices", problem };
    if bytes.first() == Some(&b'{') {
        return serde_json::from_slice(&bytes)
            .map(RegisteredDevice::Certificate)
            .map_err(|error| unusable(error.to_string()));
    }
    let contents = pkcs12::decode(&bytes, "").map_err(|error| unusable(error.to_string()))?;
    Ok(RegisteredDevice::Identity(contents.identity, contents.ca_pem))
}

impl Gateway {
    /// `POST /director/ecus`. `false`: the server says that it knows such an ECU or device.
    pub(crate) fn register_ecu(
        &self,
        ctx: &Context,
        serial: &str,
        hardware_id: &str,
        key: &PublicKey,
    ) -> Result<bool> {
        let ecu = RegisteredEcu {
            serial: serial.to_owned(),
            hardware_id: hardware_id.to_owned(),
            key: key.to_json(Dialect::Uptane),
        };
        self.register_ecus(ctx, serial, &[ecu])
    }

    /// The same for all ECUs of the vehicle.
    pub(crate) fn register_ecus(
        &self,
        ctx: &Context,
        primary: &str,
        ecus: &[RegisteredEcu],
    ) -> Result<bool> {
        let ecu = |ecu: &RegisteredEcu| {
            json!({
                "ecu_serial": ecu.serial,
                "hardware_identifier": ecu.hardware_id,
                "clientKey": ecu.key,
            })
        };
        let ecus: Vec<_> = ecus.iter().map(ecu).collect();
        let body = json!({ "primary_ecu_serial": primary, "ecus": ecus });
        let url = &self.addresses.ecus;
        let response =
            self.send(ctx, Method::Post, url, "application/json", body.to_string().into_bytes())?;
        let status = response.status;
        if response.is_success() {
            return Ok(true);
        }
        let refusal = Refusal::of(response);
        match refusal.code.as_str() {
            "ecu_already_registered" | "device_already_registered" => Ok(false),
            _ => Err(Error::Registration { code: refusal.text(status), kind: kind_of(status) }),
        }
    }
}
