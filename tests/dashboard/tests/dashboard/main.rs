//! The dashboard in Debian's Chromium: what operators do with it, on a server with real devices.
//!
//! What is done in the browser is in `web/e2e`; here is the world that it is done to.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

mod browser;
mod many;
mod slots;

use std::net::TcpListener;

use anyhow::{Result, ensure};
use harness::{Device, DeviceOptions, Fleet, Site};
use serde_json::json;

use browser::Browser;
use slots::SlotsPage;

/// From the first look at an empty fleet to a rollout that finished and one that stopped by itself.
#[test]
fn operators_do_their_work() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::start(folder.path(), 2)?;
    let hooks = tell_of_alerts_soon(&mut site)?;
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
        "hooks": hooks,
    });
    Browser::new(&world).run(&["rollouts", "operators", "permissions", "pages", "keyboard"])?;
    fleet.stop()
}

/// Lets the server send webhooks to a port that is free at this moment, and look for alerts every
/// second. Gives the address.
fn tell_of_alerts_soon(site: &mut Site) -> Result<String> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("http://127.0.0.1:{port}/");
    site.server.stop()?;
    let path = site.server.data().join("server.toml");
    let mut text = std::fs::read_to_string(&path)?;
    for (usual, ours) in [
        ("webhooks_to = []", format!("webhooks_to = [\"{address}\"]")),
        ("flush_sec = 10", "flush_sec = 1".to_owned()),
    ] {
        ensure!(text.contains(usual), "{} has no `{usual}`", path.display());
        text = text.replace(usual, &ours);
    }
    std::fs::write(&path, text)?;
    site.server.run()?;
    Ok(address)
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

/// Somebody at a device updates it with its own page.
#[test]
fn a_device_is_updated_with_its_own_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let page = SlotsPage::start(folder.path())?;
    Browser::new(&page.world()?).run(&["slots"])?;
    ensure!(page.is_updated()?, "the other slot does not hold the new system");
    Ok(())
}
