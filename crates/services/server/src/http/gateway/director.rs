//! `/director`: components, manifests, and what a device is to run.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::components::Registered;
use crate::fleet::manifest::Judgement;
use crate::http::answer::GatewayError;
use crate::http::callers::Device;
use crate::http::content::{self, Cache};
use crate::http::names::GatewayNames;
use crate::http::{Shared, body, look, run};
use crate::storage::metadata::DirectorFile;

/// The number of the log that the device is to send.
const WANTED_LOG_HEADER: &str = "updraft-wanted-log";
/// Of a larger manifest, in bytes, the signatures take too long for other requests to wait for; this is
/// one of a few dozen components.
const SMALL_MANIFEST: usize = 64 << 10;

pub(crate) async fn register_components(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<StatusCode, GatewayError> {
    let registration = body::json(&fleet, content, "the component registration").await?;
    let registered =
        run(&fleet, move |fleet| fleet.register_components(&device, &registration)).await?;
    Ok(match registered {
        Registered::Created => StatusCode::CREATED,
        Registered::Updated | Registered::Unchanged => StatusCode::OK,
    })
}

pub(crate) async fn manifest(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<Response, GatewayError> {
    let limit = fleet.config.limits.body_bytes;
    let idle = fleet.config.body_idle_timeout();
    let bytes = body::bytes(content, "the manifest", limit, idle).await?;
    let of = device.clone();
    let is_small = bytes.len() <= SMALL_MANIFEST;
    let judge = move |fleet: &Fleet| fleet.judge_manifest(&of, &bytes);
    let (judgement, log) =
        if is_small { look(&fleet, judge).await? } else { run(&fleet, judge).await? };
    // Most say nothing new.
    if !matches!(judgement, Judgement::Known) {
        run(&fleet, move |fleet| fleet.act_on_manifest(&device, judgement)).await?;
    }
    // Other agents than ours pass over the header.
    let wanted = log.map(|log| [(WANTED_LOG_HEADER, log.to_string())]);
    Ok((wanted, StatusCode::OK).into_response())
}

pub(crate) async fn metadata(
    State(fleet): State<Shared>,
    Device(device): Device,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let missing = || Error::not_found("Director metadata", file.escape_default().to_string());
    let (version, role) = split(&file).ok_or_else(missing)?;
    if role == "root" {
        let root = look(&fleet, move |fleet| fleet.director_root(version)).await?;
        let root = root.ok_or_else(missing)?;
        let cache = if version.is_some() { Cache::Immutable } else { Cache::Revalidate };
        return Ok(content::metadata(&headers, root.body, cache));
    }
    let wanted = match role {
        "targets" => DirectorFile::Targets,
        "snapshot" => DirectorFile::Snapshot,
        "timestamp" => DirectorFile::Timestamp,
        _ => return Err(missing().into()),
    };
    let of = device.clone();
    let (signed_version, bytes) =
        match look(&fleet, move |fleet| fleet.signed_director_file(&of, wanted)).await? {
            Some(signed) => signed,
            None => run(&fleet, move |fleet| fleet.director_file(&device, wanted)).await?,
        };
    if version.is_some_and(|version| version != signed_version) {
        return Err(missing().into());
    }
    Ok(content::metadata(&headers, bytes, Cache::Revalidate))
}

/// `7.root.json` → (7, `root`); `root.json` → (none, `root`).
fn split(file: &str) -> Option<(Option<u64>, &str)> {
    let stem = file.strip_suffix(".json")?;
    match stem.split_once('.') {
        None => Some((None, stem)),
        // One content has one name: no signs, no leading zeros.
        Some((version, role)) => {
            let number: u64 = version.parse().ok()?;
            (number.to_string() == version).then_some((Some(number), role))
        }
    }
}
