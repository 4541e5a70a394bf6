//! The OpenAPI description of the operator interface.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::api::{
    alerts, audit, device_logs, devices, encrypted_images, event_stream, events, freezes, groups,
    image_repository, metrics, oidc, overview, releases, rollout_verbs, rollouts, session,
    sessions, status, subscriptions, tokens, users,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Updraft operator interface",
        description = "Devices, groups, releases and rollouts of an Updraft server. Every request \
            carries `Authorization: Bearer TOKEN`, or the cookie of a session and, where something \
            changes, the header `X-CSRF-Token`; errors are RFC 9457 problems whose `kind` says \
            what sort of failure it is.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        status::show, overview::show,
        devices::list, devices::show, devices::delete, devices::revoke, devices::events,
        devices::pin, devices::unpin,
        device_logs::list, device_logs::request, device_logs::show, device_logs::configuration,
        metrics::list, metrics::show,
        alerts::list, alerts::acknowledge, alerts::rules, alerts::rule, alerts::put_rule,
        alerts::delete_rule,
        subscriptions::list, subscriptions::create, subscriptions::show, subscriptions::delete, subscriptions::test,
        encrypted_images::list, encrypted_images::put, encrypted_images::delete,
        encrypted_images::put_ciphertext,
        groups::list, groups::create, groups::show, groups::update, groups::delete,
        groups::devices, groups::change_members, groups::add_device, groups::remove_device,
        releases::list, releases::create, releases::show,
        rollouts::list, rollouts::create, rollouts::preview, rollouts::show, rollouts::devices,
        overview::failures,
        rollout_verbs::pause, rollout_verbs::resume, rollout_verbs::stop,
        rollout_verbs::start, rollout_verbs::approve, rollout_verbs::deny,
        rollout_verbs::advance, rollout_verbs::retry, rollout_verbs::rollback,
        freezes::list, freezes::put, freezes::delete,
        events::list, event_stream::follow,
        audit::list,
        session::show, session::log_in, session::log_out, oidc::ways, oidc::begin, oidc::end,
        users::list, users::create, users::show, users::update, users::delete,
        users::set_password, users::begin_one_time, users::confirm_one_time,
        users::remove_one_time, sessions::list, sessions::end,
        tokens::list, tokens::create, tokens::revoke,
        image_repository::online_keys, image_repository::root, image_repository::put_root,
        image_repository::root_version,
        image_repository::targets, image_repository::put_targets,
        image_repository::delegation, image_repository::put_delegation,
        image_repository::change, image_repository::put_file,
    ),
    modifiers(&Credentials, &PathNames),
    security(("token" = []), ("session" = [])),
)]
struct Description;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("`updraft-server token create NAME` makes one."))
            .build();
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
        let cookie = ApiKeyValue::with_description(
            "__Host-updraft_session",
            "`POST /api/v1/session` sets it; over plain HTTP its name is `updraft_session`.",
        );
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

struct PathNames;

impl Modify for PathNames {
    /// The router's `{*name}` takes slashes, too; the description has parameters without a star.
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let paths = std::mem::take(&mut description.paths.paths);
        let renamed = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item));
        description.paths.paths = renamed.collect();
    }
}

/// The description as JSON, ending with a line end.
#[allow(clippy::missing_panics_doc, reason = "it never panics")]
pub fn json() -> String {
    let mut text = Description::openapi()
        .to_pretty_json()
        .expect("the description has only what JSON can carry");
    text.push('\n');
    text
}

pub(crate) async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], json()).into_response()
}
