//! Refusing who asks too often: by address, and by device.
//!
//! A device behind an address that it shares with others has its own allowance, and one that asks
//! too often takes nothing from the others of its address but their common allowance. Under another
//! device's name nobody takes anything from that: without a certificate the name counts together
//! with the address.

use axum::http::request::Parts;

use super::Shared;
use super::callers::Peer;
use super::metering::interface;
use super::way;
use crate::error::Result;

/// Counts a request, and refuses it when there were too many.
pub(super) fn check(fleet: &Shared, parts: &Parts) -> Result<()> {
    let path = parts.uri.path();
    if is_content(path) {
        return Ok(());
    }
    let address = way::address(parts, fleet);
    if let Some(address) = address {
        fleet.count_address(address)?;
    }
    let shown = parts.extensions.get::<Peer>().and_then(|peer| peer.0.as_ref());
    if let Some(shown) = shown {
        return fleet.count_device(shown.certificate.hash);
    }
    match (device(path), address) {
        (Some(device), Some(address)) => fleet.count_device((device, address)),
        _ => Ok(()),
    }
}

/// Whether it is content, of which one update takes as many requests as it has files.
fn is_content(path: &str) -> bool {
    let starts = ["/treehub/", "/repo/targets/", "/tuf/targets/", "/healthz", "/readyz"];
    starts.iter().any(|start| path.starts_with(start))
        || (interface(path) == "hawkbit" && path.contains("/softwaremodules/"))
}

/// The device in a path of hawkBit's devices: `/TENANT/controller/v1/ID`.
fn device(path: &str) -> Option<&str> {
    let mut parts = path.trim_start_matches('/').split('/').skip(1);
    (parts.next() == Some("controller")).then_some(())?;
    parts.nth(1)
}

#[cfg(test)]
mod tests {
    use super::{device, is_content};

    #[test]
    fn devices_are_found_in_paths() {
        assert_eq!(device("/default/controller/v1/d1/configData"), Some("d1"));
        assert_eq!(device("/default/controller/v1"), None);
        assert_eq!(device("/api/v1/devices/d1"), None);
    }

    #[test]
    fn updates_of_many_files_are_no_flood() {
        assert!(is_content("/treehub/objects/aa/bb.filez"));
        assert!(is_content("/default/controller/v1/d1/softwaremodules/3/artifacts/a.bin"));
        assert!(!is_content("/default/controller/v1/d1"));
        assert!(!is_content("/repo/root.json"));
    }
}
