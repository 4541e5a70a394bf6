//! The dashboard, below `/ui`.
//!
//! It has a prefix of its own because devices own names at the root, such as `/devices` and
//! `/events`: below `/ui` every address that is no file shows the one page, whose script knows what
//! to show; elsewhere nothing does. `/` leads there.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use updraft_dashboard::{Asset, asset, page};

use super::Shared;

/// Everything comes from this server, nothing is inline, and nobody may put the page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

/// What is shown by a program that was built without the dashboard.
const WITHOUT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Updraft: no dashboard</title>
<h1>This server was built without its dashboard</h1>
<p>The server works: devices are served, and <code>updraft</code> and the interface
below <a href=\"/api/v1/openapi.json\"><code>/api/v1</code></a> do all that the dashboard does.</p>
<p>To build the dashboard into the program, install Node.js 20.19 or newer with npm, and in the
folder of Updraft's source run</p>
<pre>cargo xtask web
cargo build --release -p updraft-server</pre>
<p>Then start the new <code>target/release/updraft-server</code> in the place of this one.</p>
</html>
";

/// The routes of the dashboard.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/ui/")))
        .route("/ui", get(async || Redirect::temporary("/ui/")))
        .route("/ui/", get(show_page))
        .route("/ui/{*path}", get(show))
}

async fn show_page(headers: HeaderMap) -> Response {
    let Some(page) = page() else {
        let head = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")];
        return protected((head, WITHOUT).into_response());
    };
    serve(page, &headers)
}

async fn show(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match asset(&path) {
        Some(found) => serve(found, &headers),
        // A file of another version must not be answered with a page.
        None if path.starts_with("assets/") => {
            protected((StatusCode::NOT_FOUND, "there is no such file\n").into_response())
        }
        None => show_page(headers).await,
    }
}

fn serve(asset: Asset, headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let (encoding, content) = asset.content(text(ACCEPT_ENCODING).unwrap_or_default());
    let etag = asset.etag(encoding);
    let known = text(IF_NONE_MATCH).unwrap_or_default();
    let is_known = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, asset.media_type())], content).into_response()
    };
    let keep =
        if asset.is_immutable() { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    head.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        head.insert(ETAG, etag);
    }
    if let (Some(encoding), false) = (encoding, is_known) {
        head.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    }
    protected(response)
}

fn protected(mut response: Response) -> Response {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
