//! `/api/v1/session`: logging in and out, as a browser does it.

use std::net::IpAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use updraft_api::{Login, Problem as ProblemBody, Session, paths};

use crate::error::{Error, Result};
use crate::fleet::sessions::SessionId;
use crate::http::answer::Problem;
use crate::http::way::Way;
use crate::http::{Shared, acting, body, cookies, run};
use crate::names;

/// A caller of whom it is only known from where; a page of another site is refused.
pub(crate) struct Visitor {
    way: Way,
    id: Option<SessionId>,
}

impl Visitor {
    /// Whether what the caller sees is TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.way.is_https
    }

    /// From where the caller comes.
    pub(crate) fn address(&self) -> Result<IpAddr> {
        self.way.address()
    }

    /// Where a provider of identities sends the browser back to.
    pub(crate) fn callback(&self) -> Result<String> {
        let origin = self.way.origin();
        let unknown = || Error::invalid("the request", "it does not say for which host it is");
        Ok(format!("{}{}", origin.ok_or_else(unknown)?, paths::SESSION_OIDC_CALLBACK))
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Problem> {
        let way = Way::of(parts, fleet);
        if parts.method != axum::http::Method::GET {
            cookies::refuse_foreign(parts, &way)?;
        }
        let id = cookies::session(&parts.headers, way.is_https);
        Ok(Self { way, id })
    }
}

/// A session that is good and, where something changes, shows its CSRF token.
pub(crate) struct InSession {
    way: Way,
    id: SessionId,
    session: Session,
}

impl FromRequestParts<Shared> for InSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, fleet: &Shared) -> Result<Self, Problem> {
        let Visitor { way, id } = Visitor::from_request_parts(parts, fleet).await?;
        let nobody = || Error::Unauthenticated { reason: "nobody is logged in".to_owned() };
        let id = id.ok_or_else(nobody)?;
        let found = {
            let id = id.clone();
            run(fleet, move |fleet| fleet.recognise_session(&id)).await
        };
        let (operator, session) = acting::recognised(fleet, found, ("session", way.address))?;
        acting::is(fleet, operator.actor(), &operator.credential, way.address);
        cookies::check_session_request(parts, &way, &id)?;
        Ok(Self { way, id, session })
    }
}

type Answer<T> = Result<(StatusCode, [(axum::http::HeaderName, HeaderValue); 1], T), Problem>;

/// Logs in, by an account or by a token, and sets the session's cookie. Requests that change
/// something and carry the cookie must have the header `X-CSRF-Token`.
#[utoipa::path(post, path = paths::SESSION, tag = "session", operation_id = "log_in",
    request_body = Login, security(()), responses(
    (status = 200, body = Session),
    (status = 401, body = ProblemBody, content_type = "application/problem+json",
        description = "`code` is `wrong_credentials` or `one_time_code_needed`"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn log_in(
    State(fleet): State<Shared>,
    visitor: Visitor,
    content: Body,
) -> Answer<Json<Session>> {
    let login: Login = body::json(&fleet, content, "the login").await?;
    let from = visitor.way.address()?;
    note(&fleet, &login, from).await?;
    let permit = match login.password {
        Some(_) => Some(fleet.hashing().await?),
        None => None,
    };
    let (id, session) = run(&fleet, move |fleet| fleet.log_in(&login, from)).await?;
    drop(permit);
    let cookie = cookies::set(Some(&id), visitor.way.is_https)?;
    Ok((StatusCode::OK, [(SET_COOKIE, cookie)], Json(session)))
}

/// Notes who tries to log in, before it is known whether they may.
async fn note(fleet: &Shared, login: &Login, from: IpAddr) -> Result<()> {
    if let Some(name) = &login.user {
        // What cannot be a name is not repeated.
        let name = if names::name("user name", name).is_ok() { name.as_str() } else { "?" };
        acting::is(fleet, format!("user:{name}"), "password", Some(from));
    } else if let Some(token) = login.token.clone() {
        let found = run(fleet, move |fleet| fleet.owner_of(&token)).await;
        match found {
            Ok(operator) => acting::is(fleet, operator.actor(), &operator.credential, Some(from)),
            Err(_) => acting::tries(fleet, "unknown", "token", Some(from)),
        }
    }
    Ok(())
}

/// Shows who is logged in.
#[utoipa::path(get, path = paths::SESSION, tag = "session", operation_id = "show_session",
    security(("session" = [])), responses(
    (status = 200, body = Session),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(inside: InSession) -> Json<Session> {
    Json(inside.session)
}

/// Logs out.
#[utoipa::path(delete, path = paths::SESSION, tag = "session", operation_id = "log_out",
    security(("session" = [])), responses(
    (status = 204, description = "Logged out"),
    (status = "default", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn log_out(State(fleet): State<Shared>, inside: InSession) -> Answer<()> {
    let InSession { way, id, .. } = inside;
    run(&fleet, move |fleet| fleet.log_out(&id)).await?;
    let cookie = cookies::set(None, way.is_https)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)], ()))
}
