//! `/api/v1/audit`.

use axum::Json;
use axum::extract::State;
use updraft_api::{AuditEntry, AuditQuery, Page, Problem as ProblemBody, Scope, paths};

use super::{Asked, by_number};
use crate::http::answer::Problem;
use crate::http::callers::Token;
use crate::http::{Shared, run};

/// Lists what operators did and were refused, the newest first unless asked otherwise. Needs the scope `audit`.
#[utoipa::path(get, path = paths::AUDIT, tag = "audit", operation_id = "list_audit",
    params(AuditQuery), responses(
    (status = 200, body = Page<AuditEntry>),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(fleet): State<Shared>,
    Token(operator): Token,
    Asked(query): Asked<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    operator.require(Scope::Audit)?;
    let page = by_number(query.after.as_deref(), query.limit)?;
    Ok(Json(run(&fleet, move |fleet| fleet.audit(&query, page)).await?))
}
