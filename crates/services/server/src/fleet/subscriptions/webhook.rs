//! Events sent to an address, signed, in the form of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks>, version 1.0.0).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;
use updraft_api::Event;
use updraft_crypto::hmac_sha256;
use updraft_http::{Client, ClientOptions, Method, Request, Timeouts};

use super::WHAT;
use crate::config::NotificationsConfig;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fetch_from::Address;
use crate::storage::values;

/// How secrets are shown.
const SECRET_PREFIX: &str = "whsec_";
/// How long the other side may take.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(15);

/// Whether webhooks may go there.
pub(super) fn check_address(config: &NotificationsConfig, url: &str) -> Result<()> {
    allowed(config, url).map(drop).map_err(|reason| Error::invalid(WHAT, reason))
}

fn allowed(config: &NotificationsConfig, url: &str) -> Result<Address, String> {
    let address: Address = url.parse()?;
    if config.webhooks_to.iter().any(|from| from.allows(&address)) {
        return Ok(address);
    }
    Err("this server may not send to that address; an entry of `notifications.webhooks_to` in \
         server.toml with which it begins allows it"
        .to_owned())
}

/// A new secret.
pub(super) fn new_secret(environment: &Environment) -> Result<Vec<u8>> {
    let mut secret = vec![0; 32];
    environment.random.fill(&mut secret).map_err(Error::random)?;
    Ok(secret)
}

/// A secret as the receiver's libraries take it.
pub(super) fn shown(secret: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(secret))
}

/// Sends events to one address.
pub(super) struct Sender<'a> {
    client: Client,
    address: Address,
    secret: &'a [u8],
}

impl<'a> Sender<'a> {
    /// Asks again whether it may: the configuration may be another than when it was made.
    pub(super) fn new(
        config: &NotificationsConfig,
        url: &str,
        secret: &'a [u8],
    ) -> Result<Self, String> {
        let address = allowed(config, url)?;
        let timeouts = Timeouts { connect: CONNECT, response: ANSWER, ..Timeouts::default() };
        let options =
            ClientOptions { max_redirects: 0, retries: 0, timeouts, ..ClientOptions::default() };
        let client = Client::new(&options).map_err(|error| error.to_string())?;
        Ok(Self { client, address, secret })
    }

    /// Sends one event; good is any answer of 2xx. What the other side says is not read: it may be
    /// somebody else's secret.
    pub(super) fn send(&self, event: &Event, now: Timestamp) -> Result<(), String> {
        let kind = values::word(event.kind);
        let body = json!({ "type": kind, "timestamp": event.at, "data": event }).to_string();
        let (id, timestamp) = (format!("evt_{}", event.id), now.as_second().to_string());
        let request = Request::new(Method::Post, self.address.to_string())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signature(self.secret, &id, &timestamp, &body))
            .body(body.into_bytes());
        match self.client.send(request) {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(answer) => Err(format!("its server answered HTTP {}", answer.status)),
            Err(error) => match error.status() {
                Some(status) => Err(format!("its server answered HTTP {status}")),
                None => Err("its server does not answer, or breaks off".to_owned()),
            },
        }
    }
}

fn signature(secret: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let code = hmac_sha256(secret, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(code))
}

#[cfg(test)]
mod tests {
    use super::signature;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// The code was made by Python's `hmac`.
    #[test]
    fn a_signature_is_over_id_time_and_body() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
