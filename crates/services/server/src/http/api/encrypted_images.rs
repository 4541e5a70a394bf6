//! `/api/v1/devices/ID/encrypted-images`, and the ciphertexts that they speak of.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{EncryptedImage, NewEncryptedImage, Page, Problem as ProblemBody, Scope, paths};

use crate::fleet::encrypted_images::For;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists the images that are encrypted for a device's components.
#[utoipa::path(get, path = paths::ENCRYPTED_IMAGES, tag = "encrypted-images",
    operation_id = "list_encrypted_images",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, body = Page<EncryptedImage>, description = "All of them, on one page"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Names(id): Names<String>,
) -> Result<Json<Page<EncryptedImage>>, Problem> {
    let items = run(&fleet, move |fleet| fleet.encrypted_images(&id)).await?;
    Ok(Json(Page { items, next: None }))
}

/// Lets a component have an image encrypted, whenever it is told to run it. The ciphertext must be
/// here, unless the request says where else it is; one that was there is replaced. Needs the scope
/// `publish`.
#[utoipa::path(put, tag = "encrypted-images", operation_id = "put_encrypted_image",
    path = "/api/v1/devices/{id}/components/{serial}/encrypted-images/{target}",
    params(
        ("id" = String, Path, description = "The device's id"),
        ("serial" = String, Path, description = "The component's serial"),
        ("target" = String, Path, description = "The target's name, slashes included"),
    ),
    request_body = NewEncryptedImage, responses(
    (status = 200, body = EncryptedImage),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names((device, serial, target)): Names<(String, String, String)>,
    content: Body,
) -> Result<Json<EncryptedImage>, Problem> {
    operator.require(Scope::Publish)?;
    let new: NewEncryptedImage = body::json(&fleet, content, "the encrypted image").await?;
    let whom = For { device, serial, target };
    let shown = run(&fleet, move |fleet| fleet.put_encrypted_image(&operator, &whom, &new)).await?;
    Ok(Json(shown))
}

/// Lets a component have an image plain again. Needs the scope `publish`.
#[utoipa::path(delete, tag = "encrypted-images", operation_id = "delete_encrypted_image",
    path = "/api/v1/devices/{id}/components/{serial}/encrypted-images/{target}",
    params(
        ("id" = String, Path, description = "The device's id"),
        ("serial" = String, Path, description = "The component's serial"),
        ("target" = String, Path, description = "The target's name, slashes included"),
    ), responses(
    (status = 204, description = "Taken away"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delete(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names((device, serial, target)): Names<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Publish)?;
    let whom = For { device, serial, target };
    run(&fleet, move |fleet| fleet.remove_encrypted_image(&operator, &whom)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Uploads the ciphertext of an image, before the Director speaks of it. Needs the scope `publish`.
#[utoipa::path(put, path = paths::CIPHERTEXT, tag = "encrypted-images",
    operation_id = "put_ciphertext",
    request_body(content = String, content_type = "application/octet-stream"),
    params(("sha256" = String, Path, description = "Its SHA-256 in lower hex")),
    responses(
    (status = 201, description = "Stored"),
    (status = 204, description = "It was stored before"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put_ciphertext(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(sha256): Names<String>,
    content: Body,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Publish)?;
    let stored = body::stream(&fleet, content, "the ciphertext", move |fleet, content| {
        fleet.store_ciphertext(&sha256, content)
    })
    .await?;
    Ok(if stored { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}
