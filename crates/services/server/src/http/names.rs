//! The names in a request's path.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Shared;
use super::answer::{GatewayError, Problem};
use crate::error::Error;

/// The names in the path of an operator's request.
pub(crate) struct Names<T>(pub(crate) T);

/// The names in the path of a device's request.
pub(crate) struct GatewayNames<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Problem> {
        Ok(Self(read(parts, fleet).await?))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for GatewayNames<T> {
    type Rejection = GatewayError;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, GatewayError> {
        Ok(Self(read(parts, fleet).await?))
    }
}

async fn read<T: DeserializeOwned + Send>(parts: &mut Parts, fleet: &Shared) -> Result<T, Error> {
    let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, fleet).await;
    match path {
        Ok(Path(names)) => Ok(names),
        Err(rejection) => Err(Error::invalid("the path", rejection.body_text())),
    }
}
