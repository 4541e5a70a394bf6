//! `/api/v1/alerts` and `/api/v1/alert-rules`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use updraft_api::{Alert, AlertQuery, AlertRule, Page, Problem as ProblemBody, Scope, paths};

use super::{Asked, by_number};
use crate::error::Error;
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::names::Names;
use crate::http::{Shared, body, run};

/// Lists alarms, the newest first unless asked otherwise; those that are over only when asked for.
#[utoipa::path(get, path = paths::ALERTS, tag = "alerts", operation_id = "list_alerts",
    params(AlertQuery), responses(
    (status = 200, body = Page<Alert>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    _: Token,
    Asked(query): Asked<AlertQuery>,
) -> Result<Json<Page<Alert>>, Problem> {
    let place = by_number(query.after.as_deref(), query.limit)?;
    Ok(Json(run(&fleet, move |fleet| fleet.alerts(&query, place)).await?))
}

/// Notes that somebody knows of an alarm. Needs the scope `operate`.
#[utoipa::path(post, path = paths::ALERT_ACKNOWLEDGE, tag = "alerts",
    operation_id = "acknowledge_alert",
    params(("id" = u64, Path, description = "The alarm's number")), responses(
    (status = 200, body = Alert),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn acknowledge(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(id): Names<String>,
) -> Result<Json<Alert>, Problem> {
    operator.require(Scope::Operate)?;
    let number: u64 = id.parse().map_err(|_| Error::not_found("alert", &id))?;
    Ok(Json(run(&fleet, move |fleet| fleet.acknowledge_alert(&operator, number)).await?))
}

/// Lists the rules for alarms, by name.
#[utoipa::path(get, path = paths::ALERT_RULES, tag = "alerts", operation_id = "list_alert_rules",
    responses(
    (status = 200, body = Vec<AlertRule>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn rules(
    State(fleet): State<Shared>,
    _: Token,
) -> Result<Json<Vec<AlertRule>>, Problem> {
    Ok(Json(run(&fleet, crate::fleet::Fleet::alert_rules).await?))
}

/// Shows one rule.
#[utoipa::path(get, path = paths::ALERT_RULE, tag = "alerts", operation_id = "show_alert_rule",
    params(("name" = String, Path, description = "The rule's name")), responses(
    (status = 200, body = AlertRule),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn rule(
    State(fleet): State<Shared>,
    _: Token,
    Names(name): Names<String>,
) -> Result<Json<AlertRule>, Problem> {
    Ok(Json(run(&fleet, move |fleet| fleet.alert_rule(&name)).await?))
}

/// Makes a rule, or changes it; its name is that of the path. Needs the scope `operate`.
#[utoipa::path(put, path = paths::ALERT_RULE, tag = "alerts", operation_id = "put_alert_rule",
    params(("name" = String, Path, description = "The rule's name")),
    request_body = AlertRule, responses(
    (status = 200, body = AlertRule, description = "Changed"),
    (status = 201, body = AlertRule, description = "Made"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn put_rule(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
    content: Body,
) -> Result<(StatusCode, Json<AlertRule>), Problem> {
    operator.require(Scope::Operate)?;
    let rule: AlertRule = body::json(&fleet, content, "the rule").await?;
    if rule.name != name {
        return Err(Error::invalid("the rule", "its name is not that of the path").into());
    }
    let (is_new, rule) =
        run(&fleet, move |fleet| Ok((fleet.put_alert_rule(&operator, &rule)?, rule))).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(rule)))
}

/// Deletes a rule with its alarms. Needs the scope `operate`.
#[utoipa::path(delete, path = paths::ALERT_RULE, tag = "alerts", operation_id = "delete_alert_rule",
    params(("name" = String, Path, description = "The rule's name")), responses(
    (status = 204, description = "Deleted"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn delete_rule(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Names(name): Names<String>,
) -> Result<StatusCode, Problem> {
    operator.require(Scope::Operate)?;
    run(&fleet, move |fleet| fleet.delete_alert_rule(&operator, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
