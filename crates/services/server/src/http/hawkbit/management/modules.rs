//! Software modules and their files.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde::Deserialize;
use updraft_api::Scope;
use updraft_hawkbit::management::{Artifact, Linked, Metadata, SoftwareModule};

use super::targets::NewMetadata;
use super::{
    Answer, Asked, OneOrMany, Parameters, Script, at, created, done, list, metadata_list, nothing,
    number, ok,
};
use crate::error::Error;
use crate::error::hawkbit::Trouble;
use crate::fleet::hawkbit::modules::{Claims, NewModule};
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;
use crate::http::multipart::{FormFile, boundary};
use crate::storage::hawkbit::notes::About;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&at("softwaremodules"), get(all).post(make))
        .route(&at("softwaremodules/{id}"), get(one).put(change).delete(delete))
        .route(&at("softwaremodules/{id}/artifacts"), get(artifacts).post(upload))
        .route(
            &at("softwaremodules/{id}/artifacts/{artifact}"),
            get(artifact).delete(delete_artifact),
        )
        .route(&at("softwaremodules/{id}/artifacts/{artifact}/download"), get(download))
        .route(&at("softwaremodules/{id}/metadata"), get(metadata).post(add_metadata))
        .route(
            &at("softwaremodules/{id}/metadata/{key}"),
            get(one_metadata).put(put_metadata).delete(delete_metadata),
        )
}

pub(super) fn shown(script: &Script, module: SoftwareModule) -> Linked<SoftwareModule> {
    let this = format!("softwaremodules/{}", module.id);
    let links = script.links(&[
        ("self", this.clone()),
        ("artifacts", format!("{this}/artifacts")),
        ("type", format!("softwaremoduletypes?q=key=={}", module.module_type)),
        ("metadata", format!("{this}/metadata?offset=0&limit=50")),
    ]);
    super::linked(module, links)
}

fn shown_artifact(script: &Script, module: i64, artifact: Artifact) -> Linked<Artifact> {
    let this = format!("softwaremodules/{module}/artifacts/{}", artifact.id);
    let links = script.links(&[("self", this.clone()), ("download", format!("{this}/download"))]);
    super::linked(artifact, links)
}

async fn all(script: Script, Asked(parameters): Asked<Parameters>) -> Answer {
    let wanted = parameters.wanted();
    let (modules, total) = script.run(Scope::Read, move |fleet, _| fleet.modules(&wanted)).await?;
    list((modules.into_iter().map(|one| shown(&script, one)).collect(), total))
}

async fn make(script: Script, body: Body) -> Answer {
    let new: OneOrMany<NewModule> = read_json(&script.fleet, body, "the modules").await?;
    let made = script
        .run(Scope::Publish, move |fleet, operator| fleet.make_modules(operator, new.into_vec()))
        .await?;
    created(&made.into_iter().map(|one| shown(&script, one)).collect::<Vec<_>>())
}

async fn one(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let module = script.run(Scope::Read, move |fleet, _| fleet.module(id)).await?;
    ok(&shown(&script, module))
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    vendor: Option<String>,
}

async fn change(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let Change { description, vendor } = read_json(&script.fleet, body, "the change").await?;
    let module = script
        .run(Scope::Publish, move |fleet, operator| {
            fleet.change_module(operator, id, description, vendor)
        })
        .await?;
    ok(&shown(&script, module))
}

async fn delete(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    script.run(Scope::Publish, move |fleet, operator| fleet.delete_module(operator, id)).await?;
    Ok(nothing())
}

async fn artifacts(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    let files = script.run(Scope::Read, move |fleet, _| fleet.artifacts(id)).await?;
    ok(&files.into_iter().map(|one| shown_artifact(&script, id, one)).collect::<Vec<_>>())
}

/// Takes a form with one part `file`; its name is that of the form unless a parameter says another.
async fn upload(
    script: Script,
    Path(id): Path<String>,
    Asked(mut claims): Asked<Claims>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = number(&id)?;
    script.operator.require(Scope::Publish)?;
    let boundary = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(boundary)
        .ok_or_else(|| {
            let message = "a file is sent as multipart/form-data with the part \"file\"";
            Error::hawkbit(Trouble::MediaType, message)
        })?;
    let operator = script.operator.clone();
    let made =
        crate::http::body::stream(&script.fleet, body, "the artifact", move |fleet, body| {
            let wrong = |error: std::io::Error| Error::hawkbit(Trouble::Body, error.to_string());
            let mut file = FormFile::open(body, &boundary, "file").map_err(wrong)?;
            claims.filename = claims.filename.or_else(|| file.filename().map(str::to_owned));
            fleet.upload_artifact(&operator, id, &claims, &mut file)
        })
        .await?;
    created(&shown_artifact(&script, id, made))
}

async fn artifact(script: Script, Path((id, artifact)): Path<(String, String)>) -> Answer {
    let (id, artifact) = (number(&id)?, number(&artifact)?);
    let found = script.run(Scope::Read, move |fleet, _| fleet.artifact(id, artifact)).await?;
    ok(&shown_artifact(&script, id, found))
}

async fn download(
    script: Script,
    Path((id, artifact)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let (id, artifact) = (number(&id)?, number(&artifact)?);
    let found = script.run(Scope::Read, move |fleet, _| fleet.artifact(id, artifact)).await?;
    Ok(crate::http::hawkbit::artifacts::content(&script.fleet, &found, &headers).await?)
}

async fn delete_artifact(script: Script, Path((id, artifact)): Path<(String, String)>) -> Answer {
    let (id, artifact) = (number(&id)?, number(&artifact)?);
    script
        .run(Scope::Publish, move |fleet, operator| fleet.delete_artifact(operator, id, artifact))
        .await?;
    Ok(nothing())
}

async fn metadata(script: Script, Path(id): Path<String>) -> Answer {
    let id = number(&id)?;
    metadata_list(script.run(Scope::Read, move |fleet, _| fleet.notes(&About::Module(id))).await?)
}

async fn add_metadata(script: Script, Path(id): Path<String>, body: Body) -> Answer {
    let id = number(&id)?;
    let new: OneOrMany<Metadata> = read_json(&script.fleet, body, "the metadata").await?;
    let new = new.into_vec();
    let added = script
        .run(Scope::Publish, move |fleet, _| {
            fleet.put_notes(&About::Module(id), &new, false)?;
            let all = fleet.notes(&About::Module(id))?;
            let is_new = |note: &Metadata| new.iter().any(|one| one.key == note.key);
            Ok(all.into_iter().filter(is_new).collect::<Vec<_>>())
        })
        .await?;
    created(&added)
}

async fn one_metadata(script: Script, Path((id, key)): Path<(String, String)>) -> Answer {
    let id = number(&id)?;
    let notes = script.run(Scope::Read, move |fleet, _| fleet.notes(&About::Module(id))).await?;
    match notes.into_iter().find(|note| note.key == key) {
        Some(note) => ok(&note),
        None => Err(Error::not_found("metadata", key).into()),
    }
}

async fn put_metadata(
    script: Script,
    Path((id, key)): Path<(String, String)>,
    body: Body,
) -> Answer {
    let id = number(&id)?;
    let new: NewMetadata = read_json(&script.fleet, body, "the metadata").await?;
    let note = Metadata { key, value: new.value, target_visible: new.target_visible };
    script
        .run(Scope::Publish, move |fleet, _| fleet.put_notes(&About::Module(id), &[note], true))
        .await?;
    Ok(done())
}

async fn delete_metadata(script: Script, Path((id, key)): Path<(String, String)>) -> Answer {
    let id = number(&id)?;
    script.run(Scope::Publish, move |fleet, _| fleet.delete_note(&About::Module(id), &key)).await?;
    Ok(nothing())
}
