//! The provider's side of a login: where it is asked what, and its answers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use updraft_http::{Client, ClientOptions, Method, Request, Timeouts};

use crate::config::OidcConfig;
use crate::error::{Error, Result, chain};
use crate::fleet::read_text;
use crate::layout::Layout;

/// The largest answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The answer to a code (OpenID Connect Core 1.0, section 3.1.3.3).
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// An answer that refuses (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// A provider.
pub(super) struct Provider<'c> {
    config: &'c OidcConfig,
    client: Client,
    metadata: Metadata,
    secret: Option<String>,
}

impl<'c> Provider<'c> {
    /// Asks it where it is to be asked what.
    pub(super) fn discover(layout: &Layout, config: &'c OidcConfig) -> Result<Self> {
        let file = |path: &std::path::Path| read_text(&layout.root().join(path));
        let ca = config.ca_file.as_deref().map(file).transpose()?;
        let secret = config.client_secret_file.as_deref().map(file).transpose()?;
        let timeouts = Timeouts { connect: TIMEOUT, response: TIMEOUT, read: TIMEOUT };
        let client = Client::new(&ClientOptions {
            ca_pem: ca.map(String::into_bytes),
            max_redirects: 0,
            retries: 1,
            timeouts,
            ..ClientOptions::default()
        })
        .map_err(|error| remote(chain(&error)))?;
        let address =
            format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
        let metadata: Metadata = get(&client, &address)?;
        // Section 4.3: or one provider could speak for another.
        if metadata.issuer != config.issuer {
            let (own, named) = (&config.issuer, &metadata.issuer);
            return Err(remote(format!("{own} says that it is {named}")));
        }
        for endpoint in [&metadata.token_endpoint, &metadata.jwks_uri] {
            // What goes there is secret, and what comes from there is believed.
            if config.issuer.starts_with("https://") && !endpoint.starts_with("https://") {
                return Err(remote(format!("{endpoint} does not begin with https://")));
            }
        }
        let secret = secret.map(|secret| secret.trim().to_owned());
        Ok(Self { config, client, metadata, secret })
    }

    /// The address that the browser is sent to.
    pub(super) fn authorization(&self, parameters: &[(&str, &str)]) -> String {
        let endpoint = &self.metadata.authorization_endpoint;
        let sign = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{sign}{}", encoded(parameters))
    }

    /// The keys that it signs with.
    pub(super) fn keys(&self) -> Result<JwkSet> {
        get(&self.client, &self.metadata.jwks_uri)
    }

    /// Gives it a code; takes the token that says who somebody is.
    pub(super) fn exchange(&self, code: &str, callback: &str, verifier: &str) -> Result<String> {
        let mut parameters = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback),
            ("code_verifier", verifier),
        ];
        let mut request = Request::new(Method::Post, &self.metadata.token_endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        let id = self.config.client_id.as_str();
        // Without a word on it, it takes `Authorization` (Discovery, section 3).
        let takes_basic =
            |methods: &Vec<String>| methods.iter().any(|m| m == "client_secret_basic");
        let methods = self.metadata.token_endpoint_auth_methods_supported.as_ref();
        match &self.secret {
            Some(secret) if methods.is_none_or(takes_basic) => {
                // RFC 6749, section 2.3.1: both are encoded before they are put together.
                let (id, secret) = (component(id), component(secret));
                let both = STANDARD.encode(format!("{id}:{secret}"));
                request = request.header("authorization", format!("Basic {both}"));
            }
            Some(secret) => {
                parameters.extend([("client_id", id), ("client_secret", secret.as_str())]);
            }
            None => parameters.push(("client_id", id)),
        }
        let request = request.body(encoded(&parameters).into_bytes());
        let response = self.client.send(request).map_err(|error| remote(chain(&error)))?;
        let status = response.status;
        let bytes = response.bytes(MAX_ANSWER).map_err(|error| remote(chain(&error)))?;
        if status == 200 {
            // The answer is secret and is not repeated.
            let answer: TokenAnswer = serde_json::from_slice(&bytes)
                .map_err(|_| remote("its answer has no `id_token`".to_owned()))?;
            return Ok(answer.id_token);
        }
        let refusal = serde_json::from_slice(&bytes).map_or_else(
            |_| format!("it answered {status}"),
            |Refusal { error, error_description }| match error_description {
                Some(more) => format!("{error}: {more}"),
                None => error,
            },
        );
        Err(super::refused(refusal.chars().take(300).collect()))
    }
}

fn get<T: serde::de::DeserializeOwned>(client: &Client, address: &str) -> Result<T> {
    client
        .get(address)
        .and_then(updraft_http::Response::error_for_status)
        .and_then(|response| response.json(MAX_ANSWER))
        .map_err(|error| remote(chain(&error)))
}

fn remote(reason: String) -> Error {
    Error::Remote { what: "what the provider of identities says", reason }
}

fn encoded(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn component(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
