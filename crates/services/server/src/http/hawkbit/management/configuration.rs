//! The tenant's configuration, and who the caller is.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use updraft_api::Scope;

use super::{Answer, Script, at, done, nothing, ok, user_info};
use crate::fleet::hawkbit::configuration::ConfigurationValue;
use crate::http::Shared;
use crate::http::hawkbit::answer::read_json;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route(&at("system/configs"), get(all).put(put_several))
        .route(&at("system/configs/{key}"), get(one).put(put).delete(reset))
        .route(&at("userinfo"), get(user))
}

#[derive(Deserialize)]
struct NewValue {
    value: Value,
}

fn shown(script: &Script, key: &str, found: ConfigurationValue) -> Value {
    let mut shown = Map::new();
    shown.insert("value".to_owned(), found.value);
    shown.insert("global".to_owned(), json!(found.set.is_none()));
    if let Some(set) = found.set {
        shown.insert("lastModifiedAt".to_owned(), json!(set.modified_at));
        shown.insert("lastModifiedBy".to_owned(), json!(set.modified_by));
        shown.insert("createdAt".to_owned(), json!(set.modified_at));
        shown.insert("createdBy".to_owned(), json!(set.modified_by));
    }
    let links = script.links(&[("self", format!("system/configs/{key}"))]);
    shown.insert("_links".to_owned(), json!(links));
    Value::Object(shown)
}

/// The values may be secrets, so whoever may only read does not see them.
async fn all(script: Script) -> Answer {
    let values = script.run(Scope::Admin, |fleet, _| fleet.configuration_values()).await?;
    let shown: Map<String, Value> = values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), shown(&script, key, value)))
        .collect();
    ok(&shown)
}

async fn one(script: Script, Path(key): Path<String>) -> Answer {
    let of = key.clone();
    let value = script.run(Scope::Admin, move |fleet, _| fleet.configuration_value(&of)).await?;
    ok(&shown(&script, &key, value))
}

async fn put(script: Script, Path(key): Path<String>, body: Body) -> Answer {
    let new: NewValue = read_json(&script.fleet, body, "the value").await?;
    let of = key.clone();
    let value = script
        .run(Scope::Admin, move |fleet, operator| {
            fleet.set_configuration(operator, &[(of.clone(), new.value)])?;
            fleet.configuration_value(&of)
        })
        .await?;
    ok(&shown(&script, &key, value))
}

async fn put_several(script: Script, body: Body) -> Answer {
    let new: BTreeMap<String, Value> = read_json(&script.fleet, body, "the values").await?;
    script
        .run(Scope::Admin, move |fleet, operator| {
            let new: Vec<(String, Value)> = new.into_iter().collect();
            fleet.set_configuration(operator, &new)
        })
        .await?;
    Ok(done())
}

async fn reset(script: Script, Path(key): Path<String>) -> Answer {
    script
        .run(Scope::Admin, move |fleet, operator| fleet.reset_configuration(operator, &key))
        .await?;
    Ok(nothing())
}

async fn user(script: Script) -> Answer {
    script.operator.require(Scope::Read)?;
    ok(&user_info(&script.fleet, &script.operator))
}
