//! The OpenAPI description of the operator interface.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::api::{
    alerts, devices, encrypted_images, event_stream, events, freezes, groups, image_repository,
    metrics, overview, releases, rollout_verbs, rollouts, status, subscriptions,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Updraft operator interface",
        description = "Devices, groups, releases and rollouts of an Updraft server. Every request \
            carries `Authorization: Bearer TOKEN`; errors are RFC 9457 problems whose `kind` says \
            what sort of failure it is.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        status::show, overview::show,
        devices::list, devices::show, devices::delete, devices::revoke, devices::events,
        devices::pin, devices::unpin,
        metrics::list, metrics::show,
        alerts::list, alerts::acknowledge, alerts::rules, alerts::rule, alerts::put_rule,
        alerts::delete_rule,
        subscriptions::list, subscriptions::create, subscriptions::show, subscriptions::delete,
        encrypted_images::list, encrypted_images::put, encrypted_images::delete,
        encrypted_images::put_ciphertext,
        groups::list, groups::create, groups::show, groups::update, groups::delete,
        groups::devices, groups::change_members, groups::add_device, groups::remove_device,
        releases::list, releases::create, releases::show,
        rollouts::list, rollouts::create, rollouts::preview, rollouts::show, rollouts::devices,
        overview::failures,
        rollout_verbs::pause, rollout_verbs::resume, rollout_verbs::stop,
        rollout_verbs::start, rollout_verbs::approve, rollout_verbs::deny,
        rollout_verbs::retry, rollout_verbs::rollback,
        freezes::list, freezes::put, freezes::delete,
        events::list, event_stream::follow,
        image_repository::online_keys, image_repository::root, image_repository::put_root,
        image_repository::root_version,
        image_repository::targets, image_repository::put_targets,
        image_repository::delegation, image_repository::put_delegation,
        image_repository::change, image_repository::put_file,
    ),
    modifiers(&BearerToken),
    security(("token" = [])),
)]
struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("`updraft-server token create NAME` makes one."))
            .build();
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
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
