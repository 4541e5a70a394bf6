//! `POST /devices`: a device with the fleet's credentials gets a certificate of its own.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::provision::Provisioned;
use crate::http::answer::GatewayError;
use crate::http::callers::Bootstrap;
use crate::http::{Shared, body, run};

/// Other programs author this, so unknown fields are passed over.
#[derive(Debug, Deserialize)]
struct Registration {
    #[serde(rename = "deviceId")]
    device_id: String,
    /// Days; a number, or one in a string as aktualizr sends it.
    #[serde(default)]
    ttl: Value,
    #[serde(default)]
    csr: Option<String>,
}

impl Registration {
    fn days(&self) -> Option<u32> {
        match &self.ttl {
            Value::Number(number) => number.as_u64().and_then(|days| u32::try_from(days).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }
}

pub(crate) async fn register(
    State(fleet): State<Shared>,
    Bootstrap: Bootstrap,
    content: Body,
) -> Result<Response, GatewayError> {
    let registration: Registration = body::json(&fleet, content, "the registration").await?;
    let provisioned = run(&fleet, move |fleet| {
        let days = registration.days();
        fleet.register_device(&registration.device_id, days, registration.csr.as_deref())
    })
    .await?;
    Ok(match provisioned {
        Provisioned::Pkcs12(bundle) => {
            ([(CONTENT_TYPE, "application/x-pkcs12")], bundle).into_response()
        }
        Provisioned::Certificate { certificate, ca } => {
            (StatusCode::OK, Json(json!({ "certificate": certificate, "ca": ca }))).into_response()
        }
    })
}
