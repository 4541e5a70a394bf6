//! hawkBit's interfaces: `/{tenant}/controller/v1` for devices, `/rest/v1` for scripts.

mod answer;
mod artifacts;
mod ddi;
mod device;
mod management;
mod ranges;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

use super::Shared;
pub(crate) use answer::Refusal;
pub(crate) use artifacts::content;
pub(crate) use device::Caller;

/// The routes of devices and scripts.
pub(crate) fn routes() -> Router<Shared> {
    Router::new().merge(ddi::routes()).merge(management::routes())
}

/// Devices put addresses together carelessly: several slashes are one, and one at the end is none.
pub(crate) fn collapse_slashes<B>(request: &mut Request<B>) {
    let path = request.uri().path();
    let is_ours = path.contains("/controller/") || path.contains("/rest/v1");
    let ends = path.len() > 1 && path.ends_with('/');
    if !is_ours || !(ends || path.contains("//")) {
        return;
    }
    let mut clean = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        clean.push('/');
        clean.push_str(part);
    }
    if let Some(query) = request.uri().query() {
        clean.push('?');
        clean.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = clean.parse::<PathAndQuery>().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::collapse_slashes;
    use axum::extract::Request;

    #[test]
    fn several_slashes_are_one() {
        let check = |uri: &str, expect: &str| {
            let mut request = Request::builder().uri(uri).body(()).expect("a request");
            collapse_slashes(&mut request);
            assert_eq!(request.uri().to_string(), expect);
        };
        check("/default//controller/v1///d1/?c=//", "/default/controller/v1/d1?c=//");
        check("https://h//rest/v1/system/configs/x/", "https://h/rest/v1/system/configs/x");
        check("/treehub//x/", "/treehub//x/");
        check("/rest/v1", "/rest/v1");
    }
}
