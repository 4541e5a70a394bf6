//! `/repo`: the Image repository's metadata and target files, and ciphertexts of such.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::contents::Key;
use crate::error::Error;
use crate::http::answer::GatewayError;
use crate::http::callers::Anybody;
use crate::http::content::{self, Asked, Cache, Redirect};
use crate::http::names::GatewayNames;
use crate::http::{Shared, run};

pub(crate) async fn metadata(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    serve(&fleet, file, &headers).await
}

pub(crate) async fn delegation(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    serve(&fleet, format!("delegations/{file}"), &headers).await
}

async fn serve(
    fleet: &Shared,
    file: String,
    headers: &HeaderMap,
) -> Result<Response, GatewayError> {
    let bytes = content::image_file(fleet, file.clone()).await?.ok_or_else(|| {
        Error::not_found("Image repository metadata", file.escape_default().to_string())
    })?;
    let versioned = file.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let cache = if versioned { Cache::Immutable } else { Cache::Revalidate };
    Ok(content::metadata(headers, bytes, cache))
}

pub(crate) async fn target(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(name): GatewayNames<String>,
    asked: Asked,
) -> Result<Response, GatewayError> {
    let missing = || Error::not_found("target file", name.escape_default().to_string());
    // The stored name is the hash from signed metadata; the asked name never touches the disk.
    let mut hash = content::target_hash(&fleet, &name).await?;
    if hash.is_none() {
        let asked = name.clone();
        hash = run(&fleet, move |fleet| fleet.ciphertext_hash(&asked)).await?;
    }
    let hash = hash.ok_or_else(missing)?;
    let key = Key::target(&hash);
    let found = content::stored(&fleet, key, &asked, Cache::Revalidate, Redirect::Readers).await?;
    Ok(found.ok_or_else(missing)?)
}
