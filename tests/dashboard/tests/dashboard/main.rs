//! The dashboard in Debian's Chromium: what operators do with it, on a server with real devices.
//!
//! What is done in the browser is in `web/e2e`; here is the world that it is done to.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

mod browser;
mod many;

use anyhow::Result;
use harness::{Device, DeviceOptions, Fleet, Site};
use serde_json::json;

use browser::Browser;

/// From the first look at an empty fleet to a rollout that finished and one that stopped by itself.
#[test]
fn operators_do_their_work() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = Site::start(folder.path(), 2)?;
    let devices: Vec<Device> = (1..=3)
        .map(|number| {
            let fails_on = (number == 3).then(|| "v2".to_owned());
            let options = DeviceOptions { fails_on, ..DeviceOptions::default() };
            site.device(&format!("device-{number:02}"), &options)
        })
        .collect::<Result<_>>()?;
    let fleet = Fleet::start(&devices);
    let world = json!({
        "url": site.server.url(),
        "token": site.operator.token(),
        "readToken": site.server.token_with_scope("reader", "read")?,
    });
    Browser::new(&world).run(&["rollouts", "permissions", "pages", "keyboard"])?;
    fleet.stop()
}

/// A fleet of ten thousand is listed, sorted, filtered and grouped without waiting.
#[test]
fn ten_thousand_devices_are_listed_smoothly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::start(folder.path(), 2)?;
    site.server.stop()?;
    many::seed(site.server.data(), &[site.commit("v1"), site.commit("v2")])?;
    site.server.run()?;
    let world = json!({
        "url": site.server.url(),
        "token": site.operator.token(),
        "readToken": site.server.token_with_scope("reader", "read")?,
    });
    Browser::new(&world).run(&["many"])
}
