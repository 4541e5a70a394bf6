//! On whose behalf a request is answered: known from when the caller is recognised until the answer
//! is sent, so that what it writes, and that it was refused, stands in the audit log.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use tower::ServiceExt as _;

use super::answer::{Code, refusal};
use super::{Shared, run};
use crate::error::{Error, Result, chain};
use crate::storage::audit::Origin;

tokio::task_local! {
    static CALL: Arc<Call>;
}

struct Call {
    method: Method,
    uri: Uri,
    caller: OnceLock<Caller>,
}

/// Who is calling, and whether that is certain.
struct Caller {
    origin: Origin,
    is_known: bool,
}

/// What an answer carries that turns somebody away though its status does not say so; the code of the
/// reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnedAway(pub(crate) &'static str);

/// Answers a request.
pub(crate) async fn answer(
    fleet: Shared,
    router: Router,
    request: Request,
) -> Result<Response, Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let call = Arc::new(Call { method, uri, caller: OnceLock::new() });
    let begun = std::time::Instant::now();
    let (parts, body) = request.into_parts();
    let mut response = match super::flood::check(&fleet, &parts) {
        Ok(()) => {
            let peer = parts.extensions.get::<super::callers::Peer>();
            let whose = super::paced::whose(&parts.method, &parts.uri, peer);
            let mut request = Request::from_parts(parts, body);
            if let Some(whose) = &whose {
                request.extensions_mut().insert(whose.clone());
            }
            let response = CALL.scope(Arc::clone(&call), router.oneshot(request)).await?;
            super::paced::paced(&fleet, whose, response).await
        }
        Err(error) => refusal(&parts.uri, error),
    };
    let interface = super::metering::interface(call.uri.path());
    fleet.meter.count(interface, response.status().as_u16(), begun.elapsed());
    let Some(Caller { origin, .. }) = call.caller.get() else { return Ok(response) };
    if let Ok(id) = HeaderValue::try_from(&origin.request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
    let status = response.status();
    let refusals = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
    let turned_away = response.extensions().get::<TurnedAway>().map(|away| away.0);
    if refusals.contains(&status) || turned_away.is_some() {
        let origin = origin.clone();
        let code = response.extensions().get::<Code>().map(|code| code.0);
        let code = turned_away.or(code).unwrap_or_default();
        let reason = format!("{} {code}", status.as_u16()).trim_end().to_owned();
        let noted = run(&fleet, move |fleet| fleet.note_refusal(&origin, reason)).await;
        if let Err(error) = noted {
            tracing::error!(reason = chain(&error), "a refusal is not in the audit log");
        }
    }
    Ok(response)
}

/// Notes who is calling. What is certain comes once.
pub(crate) fn is(fleet: &Shared, actor: String, credential: &str, from: Option<IpAddr>) {
    note(fleet, (actor, credential), from, true);
}

/// Notes that somebody tries to be recognised by a credential of this sort.
pub(crate) fn tries(fleet: &Shared, actor: &str, credential: &str, from: Option<IpAddr>) {
    note(fleet, (actor.to_owned(), credential), from, false);
}

fn note(fleet: &Shared, (actor, credential): (String, &str), from: Option<IpAddr>, is_known: bool) {
    // Outside of a request there is nobody to note.
    let _ = CALL.try_with(|call| {
        let request_id =
            fleet.environment.uuid().map_or_else(|_| String::new(), |id| id.to_string());
        let origin = Origin {
            at: fleet.now(),
            actor,
            credential: credential.to_owned(),
            address: from.map(|address| address.to_canonical().to_string()),
            object: format!("{} {}", call.method, call.uri.path()),
            request_id,
        };
        // The first to be noted stays.
        drop(call.caller.set(Caller { origin, is_known }));
    });
}

/// On whose behalf the current request writes.
pub(crate) fn origin() -> Option<Origin> {
    let known = |call: &Arc<Call>| {
        let caller = call.caller.get().filter(|caller| caller.is_known)?;
        Some(caller.origin.clone())
    };
    CALL.try_with(known).ok().flatten()
}

/// Passes a result on, and notes a caller who was not recognised.
pub(crate) fn recognised<T>(
    fleet: &Shared,
    result: Result<T>,
    (credential, from): (&str, Option<IpAddr>),
) -> Result<T> {
    if let Err(Error::Unauthenticated { .. }) = &result {
        tries(fleet, "unknown", credential, from);
    }
    result
}
