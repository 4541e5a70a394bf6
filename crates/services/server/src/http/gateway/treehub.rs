//! `/treehub`: the OSTree repository, for devices to pull and for operators to push.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use updraft_api::Scope;
use updraft_ostree::{ObjectName, ObjectType, RefName, RepoMode};
use updraft_task::Context;

use crate::contents::Key;
use crate::error::{Error, Result};
use crate::fleet::operators::Operator;
use crate::fleet::treehub::{Move, Stored};
use crate::http::answer::{GatewayError, Problem};
use crate::http::callers::{Anybody, Token};
use crate::http::content::{self, Asked, Cache, Redirect};
use crate::http::multipart::FormFile;
use crate::http::names::GatewayNames;
use crate::http::{Shared, body, run};

/// The length of a commit and a line end.
const MAX_REF_BODY: u64 = 80;

/// What a path below `/treehub` means.
#[derive(Debug, PartialEq, Eq)]
enum Resource<'a> {
    /// `config`, `summary` and `summary.sig`: they change.
    Top(&'a str),
    /// `objects/XX/….TYPE`.
    Object(ObjectName),
    /// `refs/heads/NAME`.
    Branch(RefName),
    /// `deltas/…`, `updraft-deltas/…` and `delta-indexes/…`.
    Delta(&'a str),
}

impl<'a> Resource<'a> {
    /// Only what is named here exists; nothing else of a path reaches the disk.
    fn of(path: &'a str) -> Option<Self> {
        if matches!(path, "config" | "summary" | "summary.sig") {
            return Some(Self::Top(path));
        }
        let (folder, rest) = path.split_once('/')?;
        match folder {
            "objects" => {
                ObjectName::from_loose_path(rest, RepoMode::Archive).ok().map(Self::Object)
            }
            "refs" => rest.strip_prefix("heads/")?.parse().ok().map(Self::Branch),
            "deltas" | "updraft-deltas" | "delta-indexes" => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+_-.=".contains(&byte);
                let plain = |part: &str| {
                    !part.is_empty() && !part.starts_with('.') && part.bytes().all(fits)
                };
                rest.split('/').all(plain).then_some(Self::Delta(path))
            }
            _ => None,
        }
    }
}

fn missing(path: &str) -> Error {
    Error::not_found("in the OSTree repository", path.escape_default().to_string())
}

pub(crate) async fn get(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(path): GatewayNames<String>,
    asked: Asked,
) -> Result<Response, GatewayError> {
    let resource = Resource::of(&path).ok_or_else(|| missing(&path))?;
    // Metadata is small, and asked for one by one: going elsewhere for it would take longer.
    let (cache, redirect) = match &resource {
        Resource::Object(object) if object.object_type == ObjectType::File => {
            (Cache::Immutable, Redirect::Readers)
        }
        Resource::Object(_) => (Cache::Immutable, Redirect::Nobody),
        Resource::Delta(path) if path.starts_with("deltas/") => {
            (Cache::Revalidate, Redirect::Readers)
        }
        Resource::Top(_) | Resource::Branch(_) | Resource::Delta(_) => {
            (Cache::Revalidate, Redirect::Nobody)
        }
    };
    if !matches!(resource, Resource::Object(_)) {
        let asked_for = path.clone();
        let document = run(&fleet, move |fleet| fleet.treehub_document(&asked_for)).await?;
        match document {
            Some(Stored::Bytes(bytes)) => return Ok(content::document(&asked, bytes, cache)),
            Some(Stored::Nothing) => return Err(missing(&path).into()),
            None => {}
        }
    }
    let found = content::stored(&fleet, Key::treehub(&path), &asked, cache, redirect).await?;
    Ok(found.ok_or_else(|| missing(&path))?)
}

pub(crate) async fn post(
    State(fleet): State<Shared>,
    Token(operator): Token,
    GatewayNames(path): GatewayNames<String>,
    content: Body,
) -> Result<StatusCode, Problem> {
    operator.require_upload()?;
    Ok(upload(&fleet, operator, &path, Move::Anywhere, None, content).await?)
}

/// Stores what an operator uploads at a path: an object, a file of a delta, or where a branch is.
/// With a boundary the body is a form that holds it as `file`.
pub(crate) async fn upload(
    fleet: &Shared,
    operator: Operator,
    path: &str,
    allowed: Move,
    boundary: Option<String>,
    content: Body,
) -> Result<StatusCode> {
    match Resource::of(path) {
        Some(Resource::Object(object)) => {
            let what = "the object";
            body::stream(fleet, content, what, move |fleet, content| {
                let mut form;
                let content: &mut dyn std::io::Read = match &boundary {
                    None => content,
                    Some(boundary) => {
                        form = FormFile::open(content, boundary, "file")
                            .map_err(|error| Error::invalid(what, error))?;
                        &mut form
                    }
                };
                fleet.upload_object(&Context::silent(), &object, content)
            })
            .await?;
            Ok(StatusCode::NO_CONTENT)
        }
        Some(Resource::Branch(name)) => {
            operator.require_branch(name.as_ref())?;
            let idle = fleet.config.body_idle_timeout();
            let bytes = body::bytes(content, "the commit", MAX_REF_BODY, idle).await?;
            let commit = String::from_utf8_lossy(&bytes).into_owned();
            run(fleet, move |fleet| fleet.set_branch(&operator, name.as_ref(), &commit, allowed))
                .await?;
            Ok(StatusCode::OK)
        }
        Some(Resource::Delta(path)) if path.starts_with("deltas/") => {
            operator.require(Scope::Publish)?;
            let path = path.to_owned();
            body::stream(fleet, content, "the static delta", move |fleet, content| {
                fleet.upload_delta(&Context::silent(), &path, content)
            })
            .await?;
            Ok(StatusCode::NO_CONTENT)
        }
        _ => Err(missing(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::Resource;

    #[test]
    fn only_what_a_repository_has_is_a_resource() {
        let hex = "a".repeat(62);
        for path in [
            "config".to_owned(),
            "summary.sig".to_owned(),
            format!("objects/aa/{hex}.filez"),
            format!("objects/aa/{hex}.commit"),
            "refs/heads/os/main".to_owned(),
            "deltas/ab/cdEF+_-ghi/superblock".to_owned(),
            "updraft-deltas/ab/cdEF+_-ghi/0".to_owned(),
            "delta-indexes/ab/cd.index".to_owned(),
        ] {
            assert!(Resource::of(&path).is_some(), "{path}");
        }
        for path in [
            String::new(),
            ".lock".to_owned(),
            "tmp/x".to_owned(),
            "state/x".to_owned(),
            "../updraft.db".to_owned(),
            "objects/../../updraft.db".to_owned(),
            "objects/aa/../config".to_owned(),
            format!("objects/aa/{hex}.file"),
            format!("objects/AA/{hex}.commit"),
            "refs/heads/../../config".to_owned(),
            "refs/heads/".to_owned(),
            "refs/remotes/x/y".to_owned(),
            "deltas/../config".to_owned(),
            "deltas/a//b".to_owned(),
        ] {
            assert!(Resource::of(&path).is_none(), "{path}");
        }
    }
}
