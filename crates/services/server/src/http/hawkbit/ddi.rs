//! The Direct Device Integration API: `/{tenant}/controller/v1/{controllerId}`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use updraft_hawkbit::ddi::{
    ActionFeedback, ActivateAutoConfirm, AssignedVersion, ConfigData, ConfirmationFeedback,
};

use super::Refusal;
use super::answer::{Form, read, read_optional};
use super::device::{Caller, check_tenant};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::http::{Shared, run};

/// What handlers answer.
pub(super) type Answer = Result<Response, Refusal>;

const AT: &str = "/{tenant}/controller/v1/{id}";

pub(super) fn routes() -> Router<Shared> {
    let at = |rest: &str| format!("{AT}{rest}");
    Router::new()
        .route(AT, get(poll))
        .route(&at("/configData"), axum::routing::put(config_data))
        .route(&at("/deploymentBase/{action}"), get(deployment))
        .route(&at("/deploymentBase/{action}/feedback"), post(deployment_feedback))
        .route(&at("/cancelAction/{action}"), get(cancel))
        .route(&at("/cancelAction/{action}/feedback"), post(cancel_feedback))
        .route(&at("/installedBase"), axum::routing::put(found_installed))
        .route(&at("/installedBase/{action}"), get(installed))
        .route(&at("/confirmationBase"), get(confirmation_base))
        .route(&at("/confirmationBase/activateAutoConfirm"), post(activate))
        .route(&at("/confirmationBase/deactivateAutoConfirm"), post(deactivate))
        .route(&at("/confirmationBase/{action}"), get(to_confirm))
        .route(&at("/confirmationBase/{action}/feedback"), post(confirmation_feedback))
        .route(&at("/softwaremodules/{module}/artifacts"), get(super::artifacts::list))
        .route(&at("/softwaremodules/{module}/artifacts/{file}"), get(super::artifacts::file))
}

/// How much of an action's history is wanted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    /// As text: a device may leave the number out.
    #[serde(default)]
    action_history: Option<String>,
}

impl Wanted {
    fn count(&self) -> Result<i32> {
        match self.action_history.as_deref() {
            None | Some("") => Ok(0),
            Some(text) => text.parse().map_err(|_| {
                Error::hawkbit(Trouble::Value, "actionHistory must be a whole number")
            }),
        }
    }
}

/// The number in a path; anything else is refused as the real server does.
pub(super) fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| {
        let message = format!("\"{}\" is not a number", text.chars().take(40).collect::<String>());
        Error::hawkbit(Trouble::Value, message)
    })
}

async fn poll(
    State(fleet): State<Shared>,
    Path((tenant, id)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let form = Form::wanted(&headers)?;
    let told = fleet.ddi_poll_from_memory(&id, &caller.presented, &caller.root);
    let body = match told {
        Some(body) => body,
        None => {
            run(&fleet, move |fleet| fleet.ddi_poll(&id, &caller.presented, &caller.root)).await?
        }
    };
    let hash = hex::encode(Sha256::digest(&body));
    let etag = format!("\"0{}\"", hash.get(..32).unwrap_or(&hash));
    let is_known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| {
            matches!(tag.trim().trim_start_matches("W/"), "*")
                || tag.trim().trim_start_matches("W/") == etag
        });
    if is_known {
        let length = body.len().to_string();
        return Ok(
            (StatusCode::NOT_MODIFIED, [(ETAG, etag), (CONTENT_LENGTH, length)]).into_response()
        );
    }
    let mut response = form.answer_json(body)?;
    if let Ok(value) = etag.parse() {
        response.headers_mut().insert(ETAG, value);
    }
    Ok(response)
}

async fn config_data(
    State(fleet): State<Shared>,
    Path((tenant, id)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let told: ConfigData = read(&fleet, &headers, body, "the attributes").await?;
    run(&fleet, move |fleet| fleet.ddi_attributes(&id, &caller.presented, &told)).await?;
    Ok(StatusCode::OK.into_response())
}

async fn deployment(
    State(fleet): State<Shared>,
    Path((tenant, id, action)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let form = Form::wanted(&headers)?;
    let what = (number(&action)?, wanted.count()?);
    let answer =
        run(&fleet, move |fleet| fleet.ddi_deployment(&id, &caller.presented, &caller.root, what))
            .await?;
    Ok(form.answer(&answer)?)
}

async fn deployment_feedback(
    State(fleet): State<Shared>,
    Path((tenant, id, action)): Path<(String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let action = number(&action)?;
    let feedback: ActionFeedback = read(&fleet, &headers, body, "the feedback").await?;
    let (answer, must_store) = fleet.ddi_report(id, caller.presented, action, feedback);
    if must_store {
        let fleet = Arc::clone(&fleet);
        // Whoever waits is told; nobody waits for the last one to be stored.
        drop(tokio::task::spawn_blocking(move || fleet.store_reports()));
    }
    let lost = |_| Error::Internal {
        action: "store a report",
        reason: "who stored it came to no end".to_owned(),
    };
    answer.await.map_err(lost)??;
    Ok(StatusCode::OK.into_response())
}

async fn cancel(
    State(fleet): State<Shared>,
    Path((tenant, id, action)): Path<(String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let form = Form::wanted(&headers)?;
    let action = number(&action)?;
    let answer = run(&fleet, move |fleet| fleet.ddi_cancel(&id, &caller.presented, action)).await?;
    Ok(form.answer(&answer)?)
}

async fn cancel_feedback(
    State(fleet): State<Shared>,
    Path((tenant, id, action)): Path<(String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let action = number(&action)?;
    let feedback: ActionFeedback = read(&fleet, &headers, body, "the feedback").await?;
    run(&fleet, move |fleet| fleet.ddi_cancel_feedback(&id, &caller.presented, action, &feedback))
        .await?;
    Ok(StatusCode::OK.into_response())
}

async fn installed(
    State(fleet): State<Shared>,
    Path((tenant, id, action)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let form = Form::wanted(&headers)?;
    let what = (number(&action)?, wanted.count()?);
    let answer =
        run(&fleet, move |fleet| fleet.ddi_installed(&id, &caller.presented, &caller.root, what))
            .await?;
    Ok(form.answer(&answer)?)
}

async fn found_installed(
    State(fleet): State<Shared>,
    Path((tenant, id)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let found: AssignedVersion = read(&fleet, &headers, body, "the installed version").await?;
    let is_news =
        run(&fleet, move |fleet| fleet.ddi_found_installed(&id, &caller.presented, &found)).await?;
    Ok(if is_news { StatusCode::CREATED } else { StatusCode::OK }.into_response())
}

async fn confirmation_base(
    State(fleet): State<Shared>,
    Path((tenant, id)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let form = Form::wanted(&headers)?;
    let answer =
        run(&fleet, move |fleet| fleet.ddi_confirmation_base(&id, &caller.presented, &caller.root))
            .await?;
    Ok(form.answer(&answer)?)
}

async fn to_confirm(
    State(fleet): State<Shared>,
    Path((tenant, id, action)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let form = Form::wanted(&headers)?;
    let what = (number(&action)?, wanted.count()?);
    let answer =
        run(&fleet, move |fleet| fleet.ddi_to_confirm(&id, &caller.presented, &caller.root, what))
            .await?;
    Ok(form.answer(&answer)?)
}

async fn confirmation_feedback(
    State(fleet): State<Shared>,
    Path((tenant, id, action)): Path<(String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let action = number(&action)?;
    let feedback: ConfirmationFeedback = read(&fleet, &headers, body, "the answer").await?;
    run(&fleet, move |fleet| {
        fleet.ddi_confirmation_feedback(&id, &caller.presented, action, &feedback)
    })
    .await?;
    Ok(StatusCode::OK.into_response())
}

async fn activate(
    State(fleet): State<Shared>,
    Path((tenant, id)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    let who: ActivateAutoConfirm =
        read_optional(&fleet, &headers, body, "who confirms everything").await?;
    run(&fleet, move |fleet| fleet.ddi_activate_auto_confirm(&id, &caller.presented, who)).await?;
    Ok(StatusCode::OK.into_response())
}

async fn deactivate(
    State(fleet): State<Shared>,
    Path((tenant, id)): Path<(String, String)>,
    caller: Caller,
) -> Answer {
    check_tenant(&fleet, &tenant)?;
    run(&fleet, move |fleet| fleet.ddi_deactivate_auto_confirm(&id, &caller.presented)).await?;
    Ok(StatusCode::OK.into_response())
}
