//! `/api/v1/session/oidc`: logging in by a provider of identities, as a browser does it.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use updraft_api::{LoginWays, Problem as ProblemBody, paths};

use super::session::Visitor;
use crate::error::{Error, Result, chain};
use crate::fleet::oidc::{Begun, PATIENCE};
use crate::http::answer::Problem;
use crate::http::{Shared, acting, cookies, run};

/// Says how one can log in.
#[utoipa::path(get, path = paths::SESSION_WAYS, tag = "session", operation_id = "show_login_ways",
    security(()), responses((status = 200, body = LoginWays)))]
pub(crate) async fn ways(State(fleet): State<Shared>) -> Json<LoginWays> {
    Json(LoginWays { oidc: fleet.oidc_name().map(str::to_owned) })
}

/// Which page to show after the login.
#[derive(Debug, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// Sends the browser to the provider of identities.
#[utoipa::path(get, path = paths::SESSION_OIDC, tag = "session", operation_id = "begin_oidc_login",
    params(("next" = Option<String>, Query, description = "The path of the page to show afterwards")),
    security(()), responses(
    (status = 303, description = "On to the provider"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn begin(
    State(fleet): State<Shared>,
    visitor: Visitor,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Problem> {
    let callback = visitor.callback()?;
    let (address, begun) = run(&fleet, move |fleet| fleet.begin_oidc(&callback, &next)).await?;
    let cookie = cookies::set_login(Some((&begun.text()?, PATIENCE)), visitor.is_https())?;
    Ok(on_to(&address, vec![cookie])?)
}

/// What the provider sends back with the browser (OpenID Connect Core 1.0, sections 3.1.2.5, 3.1.2.6).
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    error: Option<String>,
}

/// Takes the browser back from the provider: sets the session's cookie and shows the page that was
/// asked for, or the login page with what went wrong.
#[utoipa::path(get, path = paths::SESSION_OIDC_CALLBACK, tag = "session",
    operation_id = "end_oidc_login", security(()), responses(
    (status = 303, description = "On to the page, or to the login page with `problem` in its query"),
))]
pub(crate) async fn end(
    State(fleet): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response, Problem> {
    let is_https = visitor.is_https();
    let forget = cookies::set_login(None, is_https)?;
    match take(&fleet, &visitor, &headers, answer).await {
        Ok((cookie, next)) => Ok(on_to(&next, vec![cookie, forget])?),
        Err(error) => {
            tracing::warn!(reason = chain(&error), "a login by the provider was refused");
            let problem = form_urlencoded::byte_serialize(error.code().as_bytes());
            let page = format!("/?problem={}", problem.collect::<String>());
            let mut response = on_to(&page, vec![forget])?;
            response.extensions_mut().insert(acting::TurnedAway(error.code()));
            Ok(response)
        }
    }
}

async fn take(
    fleet: &Shared,
    visitor: &Visitor,
    headers: &HeaderMap,
    answer: Answer,
) -> Result<(HeaderValue, String)> {
    let from = visitor.address()?;
    let unknown = || acting::tries(fleet, "unknown", "oidc", Some(from));
    if let Some(error) = answer.error {
        // Such as `access_denied`.
        let reason = error.chars().take(100).collect();
        unknown();
        return Err(Error::Rejected { code: "identity_refused", what: "the login", reason });
    }
    let begun = cookies::login(headers, visitor.is_https()).and_then(|text| Begun::parse(&text));
    let begun = begun.ok_or(Error::Login {
        code: "login_not_begun",
        reason: "it was not begun in this browser, or too long ago: begin anew",
    });
    let begun = begun.inspect_err(|_| unknown())?;
    let next = begun.next.clone();
    let Answer { state, code, .. } = answer;
    let identified =
        run(fleet, move |fleet| fleet.identify_oidc(&begun, (&state, &code), from)).await;
    let identified = identified.inspect_err(|_| unknown())?;
    acting::is(fleet, format!("user:{}", identified.name), "oidc", Some(from));
    let (id, _) = run(fleet, move |fleet| fleet.enter_oidc(&identified)).await?;
    Ok((cookies::set(Some(&id), visitor.is_https())?, next))
}

fn on_to(address: &str, set: Vec<HeaderValue>) -> Result<Response> {
    let location = HeaderValue::try_from(address).map_err(|error| Error::Remote {
        what: "the provider's address",
        reason: error.to_string(),
    })?;
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response();
    for cookie in set {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
