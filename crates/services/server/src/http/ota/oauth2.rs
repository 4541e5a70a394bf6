//! `POST /oauth2/token`: the way in which garage-push and its like turn a secret into a token
//! (RFC 6749, 4.4). The secret is the token: nothing is made, it is only looked at.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::header;
use crate::error::Error;
use crate::fleet::operators::token_of;
use crate::http::answer::GatewayError;
use crate::http::{Shared, run};

/// What callers are told about how long a token is good, in seconds; they ask anew each time.
const EXPIRES_IN: u64 = 3600;

pub(crate) async fn token(
    State(fleet): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Value>, GatewayError> {
    let value = header(&headers, AUTHORIZATION.as_str()).ok_or_else(|| Error::Unauthenticated {
        reason: "neither client id nor secret were sent".to_owned(),
    })?;
    let token = token_of(value)?;
    let owner = {
        let token = token.clone();
        run(&fleet, move |fleet| fleet.owner_of(&token)).await?
    };
    Ok(Json(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": EXPIRES_IN,
        "scope": owner.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" "),
    })))
}
