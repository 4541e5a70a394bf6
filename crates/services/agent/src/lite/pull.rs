//! Where a target's objects come from: a bundle's repository; or addresses that the gateway names
//! for this device, and the OSTree server itself.

use std::path::Path;

use serde::Deserialize;
use updraft_error::Kind;
use updraft_http::{Client, Method, Request};
use updraft_repo::Repo;
use updraft_repo::pull::Source;
use updraft_task::Context;
use updraft_update::StepError;

use crate::Error;
use crate::session::Session;

/// A list of addresses, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// Names the update in the server's log.
const CORRELATION: &str = "X-Correlation-ID";

/// One of `POST {ostree_server}/download-urls`.
#[derive(Deserialize)]
struct Place {
    download_url: String,
    #[serde(default)]
    access_token: String,
}

/// The sources of `target`, the best first.
pub(super) fn sources(
    ctx: &Context,
    session: &Session,
    bundle: Option<&Path>,
    target: &str,
) -> Result<Vec<Source>, StepError> {
    if let Some(folder) = bundle {
        return Ok(vec![local(folder)?]);
    }
    let url = &session.gateway.addresses.treehub;
    if let Some(path) = url.strip_prefix("file://") {
        return Ok(vec![local(Path::new(path))?]);
    }
    if url.is_empty() {
        return Err(StepError::new(Error::Config {
            place: "pacman.ostree_server".to_owned(),
            problem: "no OSTree server is named".to_owned(),
            hint: "write `ostree_server = \"https://HOST/…\"` into the section `[pacman]`"
                .to_owned(),
        }));
    }
    let mut sources = elsewhere(ctx, session, target);
    let client = with(session, |options| {
        options.headers.push((CORRELATION.to_owned(), header(target)));
    })?;
    sources.push(Source::Http { client, url: url.clone() });
    Ok(sources)
}

fn local(folder: &Path) -> Result<Source, StepError> {
    Repo::open(folder).map(Source::Local).map_err(StepError::new)
}

/// Addresses that the gateway names. A server that names none, or does not know the question, is
/// asked itself.
fn elsewhere(ctx: &Context, session: &Session, target: &str) -> Vec<Source> {
    let url = format!("{}/download-urls", session.gateway.addresses.treehub);
    let request = Request::new(Method::Post, url)
        .header("Content-Type", "application/json")
        .body(b"null".to_vec());
    let places =
        session.gateway.client.send_with(ctx, &request).ok().and_then(|response| {
            response.error_for_status().ok()?.json::<Vec<Place>>(MAX_ANSWER).ok()
        });
    let source = |place: Place| {
        let client = with(session, |options| {
            // Another company's server need not know who this device is.
            options.identity = None;
            options.token_identity = None;
            options.ca_pem = None;
            options.headers = vec![(CORRELATION.to_owned(), header(target))];
            options.bearer_token = Some(place.access_token).filter(|token| !token.is_empty());
        });
        client.ok().map(|client| Source::Http { client, url: place.download_url })
    };
    places.into_iter().flatten().filter_map(source).collect()
}

fn with(
    session: &Session,
    change: impl FnOnce(&mut updraft_http::ClientOptions),
) -> Result<Client, StepError> {
    let mut options = session.gateway.client.options().clone();
    change(&mut options);
    Client::new(&options).map_err(StepError::new)
}

/// A header is one line of ASCII.
fn header(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).collect()
}

/// What is said when there was nothing to ask.
pub(super) fn no_source() -> StepError {
    StepError::message(Kind::NotFound, "find a server of the target's objects")
}
