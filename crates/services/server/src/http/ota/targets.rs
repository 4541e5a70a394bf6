//! Targets one by one: added, described, removed, commented on; and their contents.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use updraft_api::Scope;

use super::{Words, header, page};
use crate::contents::Key;
use crate::error::Error;
use crate::fleet::ota::repository::{NewTarget, TargetAbout};
use crate::fleet::ota::updates::Checksum;
use crate::http::answer::GatewayError;
use crate::http::callers::{Admin, Anybody};
use crate::http::content::{self as answering, Asked, Cache, Redirect};
use crate::http::multipart::{self, FormFile};
use crate::http::names::GatewayNames;
use crate::http::{Shared, body, run};
use crate::storage::notes;

/// Longest comment, in bytes.
const MAX_COMMENT: usize = 64 * 1024;

/// The body of `POST targets/NAME`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetRequest {
    #[serde(default)]
    uri: Option<String>,
    checksum: Checksum,
    #[serde(default)]
    target_format: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    hardware_ids: Vec<String>,
    length: u64,
}

pub(super) async fn add(
    admin: Admin,
    GatewayNames(path): GatewayNames<String>,
    content: Body,
) -> Result<Response, GatewayError> {
    let request: TargetRequest = admin.read(content, "the target").await?;
    if request.checksum.method != "sha256" {
        return Err(Error::invalid("the target", "its checksum is not of the method sha256").into());
    }
    let new = NewTarget {
        sha256: request.checksum.hash,
        length: request.length,
        about: TargetAbout {
            name: request.name,
            version: request.version,
            hardware_ids: request.hardware_ids,
            format: request.target_format,
            uri: request.uri.filter(|uri| !uri.is_empty()),
        },
    };
    let signed = admin
        .act(Scope::Publish, move |fleet, operator| fleet.add_target(operator, &path, &new))
        .await?;
    Ok(signed_targets(signed))
}

/// `PUT targets/NAME?name=…&version=…&hardwareIds=a,b`: the content itself, or a form with it.
pub(super) async fn add_content(
    Admin { fleet, operator }: Admin,
    GatewayNames(path): GatewayNames<String>,
    words: Words,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, GatewayError> {
    operator.require(Scope::Publish)?;
    crate::names::target_name(&path)?;
    let required = |name: &'static str| {
        let missing = || Error::invalid("the query", format!("`{name}` is missing"));
        words.get(name).map(str::to_owned).ok_or_else(missing)
    };
    let about = TargetAbout {
        name: Some(required("name")?),
        version: Some(required("version")?),
        hardware_ids: words.list("hardwareIds"),
        format: words.get("targetFormat").map(str::to_owned),
        uri: None,
    };
    let boundary = header(&headers, "content-type").and_then(multipart::boundary);
    let is_form = boundary.is_some();
    let signed = body::stream(&fleet, content, "the target file", move |fleet, content| {
        let (sha256, length) = match &boundary {
            None => fleet.store_new_content(content)?,
            Some(boundary) => {
                let mut file = FormFile::open(content, boundary, "file")
                    .map_err(|error| Error::invalid("the target file", error))?;
                fleet.store_new_content(&mut file)?
            }
        };
        fleet.add_target(&operator, &path, &NewTarget { sha256, length, about })
    })
    .await?;
    // Forms are answered with the targets, bare contents with nothing: so do others.
    Ok(if is_form { signed_targets(signed) } else { StatusCode::NO_CONTENT.into_response() })
}

/// Content for targets that are signed elsewhere and come later.
pub(super) async fn upload(
    Admin { fleet, operator }: Admin,
    GatewayNames(path): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    operator.require_upload()?;
    crate::names::target_name(&path)?;
    body::stream(&fleet, content, "the target file", move |fleet, content| {
        fleet.check_content(&operator, &path)?;
        fleet.store_new_content(content)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    admin: Admin,
    GatewayNames(path): GatewayNames<String>,
) -> Result<StatusCode, GatewayError> {
    admin.act(Scope::Publish, move |fleet, operator| fleet.remove_target(operator, &path)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The body of `PATCH targets/NAME`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetEdit {
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    hardware_ids: Vec<String>,
    #[serde(default)]
    proprietary_custom: Option<Value>,
}

pub(super) async fn edit(
    admin: Admin,
    GatewayNames(path): GatewayNames<String>,
    content: Body,
) -> Result<Json<Value>, GatewayError> {
    let edit: TargetEdit = admin.read(content, "the target").await?;
    edit.hardware_ids.iter().try_for_each(|id| crate::names::hardware_id(id).map(drop))?;
    let shown = admin
        .act(Scope::Publish, move |fleet, operator| {
            fleet.describe_target(operator, &path, |custom| {
                if let Some(uri) = &edit.uri {
                    custom.insert("uri".to_owned(), uri.as_str().into());
                }
                if !edit.hardware_ids.is_empty() {
                    custom.insert("hardwareIds".to_owned(), json!(edit.hardware_ids));
                }
                if let Some(Value::Object(added)) = edit.proprietary_custom {
                    merge(custom, added);
                }
            })
        })
        .await?;
    Ok(Json(shown))
}

pub(super) async fn patch_custom(
    admin: Admin,
    GatewayNames(path): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let added: serde_json::Map<String, Value> = admin.read(content, "the custom fields").await?;
    admin
        .act(Scope::Publish, move |fleet, operator| {
            fleet.describe_target(operator, &path, |custom| merge(custom, added))
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds fields; those that the repository itself writes stay as they are.
fn merge(custom: &mut serde_json::Map<String, Value>, added: serde_json::Map<String, Value>) {
    const OWN: [&str; 7] =
        ["name", "version", "hardwareIds", "targetFormat", "uri", "createdAt", "updatedAt"];
    custom.extend(added.into_iter().filter(|(name, _)| !OWN.contains(&name.as_str())));
}

pub(super) async fn content(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(path): GatewayNames<String>,
    asked: Asked,
) -> Result<Response, GatewayError> {
    let missing = || Error::not_found("target file", path.escape_default().to_string());
    let hash = answering::target_hash(&fleet, &path).await?.ok_or_else(missing)?;
    let key = Key::target(&hash);
    // Whether it is here decides what is answered, so that it is looked for in any case.
    let found = answering::stored(&fleet, key, &asked, Cache::Revalidate, Redirect::Nobody);
    if let Some(found) = found.await? {
        return Ok(found);
    }
    let asked_for = path.clone();
    let uri = run(&fleet, move |fleet| {
        let image = fleet.image_repository();
        let target = image.as_ref().and_then(|image| image.find_target(&asked_for));
        let uri = target.and_then(|(_, target)| target.custom_field("uri")?.as_str());
        Ok(uri.map(str::to_owned))
    });
    let uri = uri.await?.filter(|uri| uri.starts_with("http")).ok_or_else(missing)?;
    Ok((StatusCode::FOUND, [(LOCATION, uri)]).into_response())
}

pub(super) async fn items(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let contains = words.get("nameContains").unwrap_or_default().to_owned();
    let (items, total) = admin
        .act(Scope::Read, move |fleet, _| {
            let items = fleet.target_items(&contains)?.into_iter().map(|(path, mut item)| {
                item["filename"] = path.into();
                item
            });
            Ok(window.cut(items.collect()))
        })
        .await?;
    Ok(page(items, total, window))
}

pub(super) async fn item(
    admin: Admin,
    GatewayNames(path): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let item = admin
        .act(Scope::Read, move |fleet, _| {
            let found = fleet.target_items("")?.remove(&path);
            found.ok_or_else(|| Error::not_found("target", path))
        })
        .await?;
    Ok(Json(item))
}

/// The body of `PUT comments/NAME`.
#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    comment: String,
}

pub(super) async fn put_comment(
    admin: Admin,
    GatewayNames(path): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let Comment { comment } = admin.read(content, "the comment").await?;
    if comment.len() > MAX_COMMENT {
        return Err(Error::TooLarge { what: "the comment", limit: MAX_COMMENT as u64 }.into());
    }
    admin
        .act(Scope::Publish, move |fleet, _| {
            crate::names::target_name(&path)?;
            fleet.database().write("store a comment", |tx| notes::set_comment(tx, &path, &comment))
        })
        .await?;
    Ok(StatusCode::OK)
}

pub(super) async fn comment(
    admin: Admin,
    GatewayNames(path): GatewayNames<String>,
) -> Result<Json<Value>, GatewayError> {
    let comment = admin
        .act(Scope::Read, move |fleet, _| {
            let found =
                fleet.database().read("read a comment", |reader| notes::comment(reader, &path))?;
            found.ok_or_else(|| Error::not_found("comment on", path))
        })
        .await?;
    Ok(Json(json!({ "comment": comment })))
}

pub(super) async fn comments(admin: Admin, words: Words) -> Result<Json<Value>, GatewayError> {
    let window = words.window()?;
    let contains = words.get("nameContains").unwrap_or_default().to_owned();
    let (items, total) = admin
        .act(Scope::Read, move |fleet, _| {
            let all = fleet.database().read("list comments", notes::comments)?;
            let found = all.into_iter().filter(|(name, _)| name.contains(&contains));
            let found = found.map(|(name, text)| json!({ "filename": name, "comment": text }));
            Ok(window.cut(found.collect()))
        })
        .await?;
    Ok(page(items, total, window))
}

/// The body of `PUT targets/expire/not-before`.
#[derive(Debug, Deserialize)]
pub(super) struct NotBefore {
    #[serde(rename = "expireAt")]
    at: Timestamp,
}

pub(super) async fn set_not_before(
    admin: Admin,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let NotBefore { at } = admin.read(content, "the time").await?;
    admin.act(Scope::Admin, move |fleet, _| fleet.set_targets_not_before(at)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn signed_targets(bytes: Vec<u8>) -> Response {
    ([("content-type", "application/json")], bytes).into_response()
}
