//! `/tuf`: the Image repository in the form of TUF 1.0, for clients such as python-tuf.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::contents::Key;
use crate::error::Error;
use crate::http::answer::GatewayError;
use crate::http::callers::Anybody;
use crate::http::content::{self, Asked, Cache, Redirect};
use crate::http::names::GatewayNames;
use crate::http::{Shared, run};

pub(crate) async fn metadata(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(file): GatewayNames<String>,
    headers: HeaderMap,
) -> Result<Response, GatewayError> {
    let asked_for = file.clone();
    let found = run(&fleet, move |fleet| {
        Ok(fleet.tuf_repository().and_then(|tuf| tuf.file(&asked_for).map(<[u8]>::to_vec)))
    });
    let bytes = found.await?.ok_or_else(|| {
        Error::not_found("metadata in TUF's form", file.escape_default().to_string())
    })?;
    let versioned = file.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let cache = if versioned { Cache::Immutable } else { Cache::Revalidate };
    Ok(content::metadata(&headers, bytes, cache))
}

/// A target by its path, or by `HASH.NAME` in the path's folder, as clients of repositories with
/// consistent snapshots ask (TUF 5.7).
pub(crate) async fn target(
    State(fleet): State<Shared>,
    _: Anybody,
    GatewayNames(name): GatewayNames<String>,
    asked: Asked,
) -> Result<Response, GatewayError> {
    let missing = || Error::not_found("target file", name.escape_default().to_string());
    let asked_for = name.clone();
    // The stored name is the hash from signed metadata; the asked name never touches the disk.
    let hash = run(&fleet, move |fleet| {
        let of_hash = without_hash(&asked_for).and_then(|(hash, path)| {
            fleet.target_file_hash(&path).filter(|signed| signed.eq_ignore_ascii_case(hash))
        });
        Ok(of_hash.or_else(|| fleet.target_file_hash(&asked_for)))
    });
    let hash = hash.await?.ok_or_else(missing)?;
    let key = Key::target(&hash);
    let found = content::stored(&fleet, key, &asked, Cache::Revalidate, Redirect::Readers).await?;
    Ok(found.ok_or_else(missing)?)
}

/// `a/HASH.b` is `a/b` of this hash.
fn without_hash(name: &str) -> Option<(&str, String)> {
    let (folder, file) = match name.rsplit_once('/') {
        Some((folder, file)) => (Some(folder), file),
        None => (None, name),
    };
    let (hash, file) = file.split_once('.')?;
    let path = folder.map_or_else(|| file.to_owned(), |folder| format!("{folder}/{file}"));
    Some((hash, path))
}

#[cfg(test)]
mod tests {
    use super::without_hash;

    #[test]
    fn the_hash_stands_before_the_last_part_of_the_path() {
        assert_eq!(without_hash("ab.fw.bin"), Some(("ab", "fw.bin".to_owned())));
        assert_eq!(without_hash("x/y/ab.fw"), Some(("ab", "x/y/fw".to_owned())));
        assert_eq!(without_hash("a.b/fw"), None);
    }
}
