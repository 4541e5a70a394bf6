//! The operator interface `/api/v1`.

pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod device_logs;
pub(crate) mod devices;
pub(crate) mod encrypted_images;
pub(crate) mod event_stream;
pub(crate) mod events;
pub(crate) mod freezes;
pub(crate) mod groups;
pub(crate) mod image_repository;
pub(crate) mod metrics;
pub(crate) mod oidc;
pub(crate) mod overview;
pub(crate) mod releases;
pub(crate) mod rollout_verbs;
pub(crate) mod rollouts;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod subscriptions;
pub(crate) mod tokens;
pub(crate) mod users;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::routing::{delete, get, post, put};
use serde::de::DeserializeOwned;
use updraft_api::{PageQuery, page, paths};

use super::Shared;
use super::answer::Problem;
use crate::error::{Error, Result};

/// The routes of operators.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route(paths::OPENAPI, get(super::openapi::serve))
        .route(paths::STATUS, get(status::show))
        .route(paths::OVERVIEW, get(overview::show))
        .route(paths::DEVICES, get(devices::list))
        .route(paths::DEVICE, get(devices::show).delete(devices::delete))
        .route(paths::DEVICE_REVOKE, post(devices::revoke))
        .route(paths::DEVICE_PIN, put(devices::pin).delete(devices::unpin))
        .route(paths::DEVICE_EVENTS, get(devices::events))
        .route(paths::DEVICE_CONFIGURATION, get(device_logs::configuration))
        .route(paths::DEVICE_LOGS, get(device_logs::list).post(device_logs::request))
        .route(paths::DEVICE_LOG, get(device_logs::show))
        .route(paths::DEVICE_METRICS, get(metrics::list))
        .route(paths::DEVICE_METRIC, get(metrics::show))
        .route(paths::ENCRYPTED_IMAGES, get(encrypted_images::list))
        .route(paths::ENCRYPTED_IMAGE, put(encrypted_images::put).delete(encrypted_images::delete))
        .route(paths::CIPHERTEXT, put(encrypted_images::put_ciphertext))
        .route(paths::ALERTS, get(alerts::list))
        .route(paths::ALERT_ACKNOWLEDGE, post(alerts::acknowledge))
        .route(paths::ALERT_RULES, get(alerts::rules))
        .route(
            paths::ALERT_RULE,
            get(alerts::rule).put(alerts::put_rule).delete(alerts::delete_rule),
        )
        .route(paths::SUBSCRIPTIONS, get(subscriptions::list).post(subscriptions::create))
        .route(paths::SUBSCRIPTION_TEST, post(subscriptions::test))
        .route(paths::SUBSCRIPTION, get(subscriptions::show).delete(subscriptions::delete))
        .route(paths::GROUPS, get(groups::list).post(groups::create))
        .route(paths::GROUP, get(groups::show).put(groups::update).delete(groups::delete))
        .route(paths::GROUP_DEVICES, get(groups::devices).post(groups::change_members))
        .route(paths::GROUP_DEVICE, put(groups::add_device).delete(groups::remove_device))
        .route(paths::RELEASES, get(releases::list).post(releases::create))
        .route(paths::RELEASE, get(releases::show))
        .route(paths::ROLLOUTS, get(rollouts::list).post(rollouts::create))
        .route(paths::ROLLOUT_PREVIEW, post(rollouts::preview))
        .route(paths::ROLLOUT, get(rollouts::show))
        .route(paths::ROLLOUT_DEVICES, get(rollouts::devices))
        .route(paths::ROLLOUT_FAILURES, get(overview::failures))
        .route(paths::ROLLOUT_PAUSE, post(rollout_verbs::pause))
        .route(paths::ROLLOUT_RESUME, post(rollout_verbs::resume))
        .route(paths::ROLLOUT_STOP, post(rollout_verbs::stop))
        .route(paths::ROLLOUT_START, post(rollout_verbs::start))
        .route(paths::ROLLOUT_APPROVE, post(rollout_verbs::approve))
        .route(paths::ROLLOUT_DENY, post(rollout_verbs::deny))
        .route(paths::ROLLOUT_ADVANCE, post(rollout_verbs::advance))
        .route(paths::ROLLOUT_RETRY, post(rollout_verbs::retry))
        .route(paths::ROLLOUT_ROLLBACK, post(rollout_verbs::rollback))
        .route(paths::FREEZES, get(freezes::list))
        .route(paths::FREEZE, put(freezes::put).delete(freezes::delete))
        .route(paths::AUDIT, get(audit::list))
        .route(paths::SESSION_WAYS, get(oidc::ways))
        .route(paths::SESSION_OIDC, get(oidc::begin))
        .route(paths::SESSION_OIDC_CALLBACK, get(oidc::end))
        .route(paths::SESSION, get(session::show).post(session::log_in).delete(session::log_out))
        .route(paths::USERS, get(users::list).post(users::create))
        .route(paths::USER, get(users::show).patch(users::update).delete(users::delete))
        .route(paths::USER_SESSIONS, get(sessions::list))
        .route(paths::USER_SESSION, delete(sessions::end))
        .route(paths::USER_PASSWORD, put(users::set_password))
        .route(
            paths::USER_ONE_TIME_CODES,
            post(users::begin_one_time).put(users::confirm_one_time).delete(users::remove_one_time),
        )
        .route(paths::TOKENS, get(tokens::list).post(tokens::create))
        .route(paths::TOKEN, axum::routing::delete(tokens::revoke))
        .route(paths::EVENTS, get(events::list))
        .route(paths::EVENT_STREAM, get(event_stream::follow))
        .route(paths::ONLINE_KEYS, get(image_repository::online_keys))
        .route(paths::IMAGE_ROOT, get(image_repository::root).put(image_repository::put_root))
        .route(paths::IMAGE_ROOT_VERSION, get(image_repository::root_version))
        .route(
            paths::IMAGE_TARGETS,
            get(image_repository::targets).put(image_repository::put_targets),
        )
        .route(
            paths::IMAGE_DELEGATION,
            get(image_repository::delegation).put(image_repository::put_delegation),
        )
        .route(paths::IMAGE_CHANGE, post(image_repository::change))
        .route(paths::IMAGE_FILE, put(image_repository::put_file))
}

/// The query of a request; what cannot be read is a problem like any other.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Problem> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, fleet).await;
        match query {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Error::invalid("the query", rejection.body_text()).into()),
        }
    }
}

/// Cursor and size of a page of things that have names.
fn by_name(query: &PageQuery) -> Result<(String, u32)> {
    Ok((query.after.clone().unwrap_or_default(), limit(query.limit)?))
}

/// Cursor and size of a page of numbered things.
fn by_number(after: Option<&str>, asked: Option<u32>) -> Result<(u64, u32)> {
    let after = match after {
        None | Some("") => 0,
        Some(after) => after
            .parse()
            .map_err(|_| Error::invalid("the query", "`after` is not the id of an event"))?,
    };
    Ok((after, limit(asked)?))
}

fn limit(asked: Option<u32>) -> Result<u32> {
    let limit = asked.unwrap_or(page::DEFAULT_LIMIT);
    if !(1..=page::MAX_LIMIT).contains(&limit) {
        return Err(Error::invalid(
            "the query",
            format!("`limit` must be 1 to {}", page::MAX_LIMIT),
        ));
    }
    Ok(limit)
}
