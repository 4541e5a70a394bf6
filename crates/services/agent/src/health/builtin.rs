//! Checks that need no program of the device's maker: free space, units, the server.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use updraft_fs::{Dir, space};
use updraft_process::Command;
use updraft_task::{Context, Event};

use super::{CheckResult, chain, result};
use crate::clock::Clock;
use crate::config::Settings;
use crate::{Result, ostree};

const PAUSE: Duration = Duration::from_secs(1);
const CONNECT: Duration = Duration::from_secs(5);
const ASK_SYSTEMD: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;

/// What one look at something came to.
enum Look {
    Good,
    /// It may still come.
    NotYet(String),
    /// Waiting is in vain.
    Failed(String),
}

pub(super) fn run(
    ctx: &Context,
    settings: &Settings,
    clock: &dyn Clock,
    server: Option<&str>,
) -> Result<Vec<CheckResult>> {
    let health = &settings.health;
    let mut results = Vec::new();
    if health.disk_free_mib > 0 {
        results.push(result("disk".to_owned(), true, disk(settings)));
    }
    let mut wait = |name: String, look: &mut dyn FnMut() -> Result<Look>| -> Result<()> {
        ctx.report(&Event::Message(format!("health check {name}")));
        let problem = wait_for(ctx, clock, health.wait_sec, look)?;
        results.push(result(name, true, problem));
        Ok(())
    };
    for unit in &health.units {
        wait(format!("unit {unit}"), &mut || look_at_unit(ctx, unit))?;
    }
    if health.server {
        wait("server".to_owned(), &mut || Ok(look_at_server(server)))?;
    }
    Ok(results)
}

/// Looks until it is good, is in vain, or has taken too long; what is wrong then.
fn wait_for(
    ctx: &Context,
    clock: &dyn Clock,
    seconds: u64,
    look: &mut dyn FnMut() -> Result<Look>,
) -> Result<Option<String>> {
    for second in 0..=seconds {
        match look()? {
            Look::Good => return Ok(None),
            Look::Failed(problem) => return Ok(Some(problem)),
            Look::NotYet(problem) if second == seconds => {
                return Ok(Some(format!("{problem}, after {seconds} s")));
            }
            Look::NotYet(_) => clock.wait(ctx, PAUSE)?,
        }
    }
    Ok(None)
}

fn disk(settings: &Settings) -> Option<String> {
    let needed = settings.health.disk_free_mib;
    for path in [settings.storage.path.as_path(), ostree::path(&settings.pacman)] {
        let found = Dir::open(path).and_then(space::of);
        match found {
            Ok(space) if space.available / MIB >= needed => {}
            Ok(space) => {
                let free = space.available / MIB;
                return Some(format!("{} has {free} MiB free, not {needed}", path.display()));
            }
            Err(error) => return Some(format!("failed to {}", chain(&error))),
        }
    }
    None
}

fn look_at_unit(ctx: &Context, unit: &str) -> Result<Look> {
    let command = Command::new("systemctl")
        .args(["show", "--property=ActiveState", "--value", "--", unit])
        .timeout(ASK_SYSTEMD);
    let state = match command.run(ctx) {
        Ok(finished) => finished.stdout.text().trim().to_owned(),
        Err(updraft_process::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(error) => return Ok(Look::Failed(chain(&error))),
    };
    Ok(match state.as_str() {
        "active" => Look::Good,
        "failed" => Look::Failed("it has failed".to_owned()),
        state => Look::NotYet(format!("it is {state}")),
    })
}

fn look_at_server(server: Option<&str>) -> Look {
    let Some(server) = server else { return Look::Failed("no server is known".to_owned()) };
    let Some(place) = host_and_port(server) else {
        return Look::Failed(format!("{server} is no address"));
    };
    let addresses = match place.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return Look::NotYet(format!("{place} is not found: {error}")),
    };
    let mut problem = format!("{place} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Look::Good,
            Err(error) => problem = format!("{address} does not answer: {error}"),
        }
    }
    Look::NotYet(problem)
}

/// `HOST:PORT` of an address.
fn host_and_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    // An IPv6 address is in brackets and has colons of its own.
    let has_port = match host.rsplit_once(']') {
        Some((_, after)) => after.starts_with(':'),
        None => host.contains(':'),
    };
    let port = if scheme == "http" { 80 } else { 443 };
    Some(if has_port { host.to_owned() } else { format!("{host}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, expected) in [
            ("https://updates.example:9443/gateway", Some("updates.example:9443")),
            ("https://updates.example", Some("updates.example:443")),
            ("http://[::1]/x", Some("[::1]:80")),
            ("https://[::1]:8443", Some("[::1]:8443")),
            ("updates.example", None),
            ("https:///x", None),
        ] {
            assert_eq!(host_and_port(url).as_deref(), expected, "{url}");
        }
    }
}
