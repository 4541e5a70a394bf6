//! Repositories of peers on the local network, found by multicast DNS. What a peer says serves for
//! finding only: what is pulled has to be signed by a key of the collection's configured remote.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mdns_sd::{RecvTimeoutError, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent};
use updraft_error::Kind;
use updraft_http::{Client, ClientOptions, Timeouts};
use updraft_ostree::{Advert, CollectionRef, Summary};
use updraft_repo::Repo;
use updraft_repo::pull::{self, Source};
use updraft_terminal::{Failure, Result, Terminal};

use super::{Found, Vouching, collection_of, refs_in};
use crate::ostree::program::COMPATIBLE_WITH;

/// How long peers have to answer: they wait up to a tenth of a second, and what was lost is asked
/// again after one.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often Ctrl-C is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Services that are listened to, and those of them that may have a ref.
const MAX_SERVICES: usize = 256;
const MAX_PEERS: usize = 16;
/// Addresses of a peer that are tried.
const MAX_ADDRESSES: usize = 4;
/// A peer on the same network answers soon or not at all.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    response: Duration::from_secs(5),
    read: Duration::from_secs(5),
};

/// The repositories that have some of the refs. A peer that does not answer is passed over.
pub(super) fn found(
    repo: &Repo,
    wanted: &[CollectionRef],
    terminal: &Terminal,
) -> Result<Vec<Found>> {
    let unavailable = |error: mdns_sd::Error| {
        let message = format!("failed to look for peers on the local network: {error}");
        Failure::new(Kind::Unavailable, message)
    };
    let services = browse(terminal).map_err(unavailable)?;
    let user_agent = format!("libostree/{COMPATIBLE_WITH}");
    let asking = ClientOptions {
        user_agent: user_agent.clone(),
        timeouts: TIMEOUTS,
        retries: 0,
        ..ClientOptions::default()
    };
    let asking = Client::new(&asking)?;
    let pulling = Client::new(&ClientOptions { user_agent, ..ClientOptions::default() })?;
    let mut found = Vec::new();
    let candidates = services.values().filter_map(|service| {
        let advert = advert(service)?;
        let possible = wanted.iter().filter(|name| advert.refs.may_have(name)).cloned();
        let possible: Vec<CollectionRef> = possible.collect();
        (!possible.is_empty()).then_some((service, advert, possible))
    });
    for (service, advert, possible) in candidates.take(MAX_PEERS) {
        let urls = urls(service, advert.repository);
        let summaries = urls.into_iter().find_map(|url| {
            let answer = pull::remote_summary(&terminal.context, &asking, &url).ok()?;
            Some((url, Summary::decode(&answer.summary?).ok()?))
        });
        terminal.context.check()?;
        let Some((url, summary)) = summaries else { continue };
        for remote in repo.remotes()? {
            let Some(collection) = collection_of(repo, &remote) else { continue };
            let of_it = possible.iter().filter(|name| name.collection.as_str() == collection);
            let of_it: Vec<CollectionRef> = of_it.cloned().collect();
            // A summary that makes no sense is the peer's affair.
            let Ok(refs) = refs_in(&summary, &of_it) else { continue };
            found.push(Found {
                url: url.clone(),
                finder: "OstreeRepoFinderAvahi",
                remote,
                priority: 60,
                modified: Some(advert.summary_time),
                refs,
                source: Source::Http { client: pulling.clone(), url: url.clone() },
                vouching: Vouching::Signatures,
            });
        }
    }
    Ok(found)
}

/// All services of the type that answer in time, by their names.
fn browse(terminal: &Terminal) -> mdns_sd::Result<BTreeMap<String, ResolvedService>> {
    let daemon = ServiceDaemon::new()?;
    let events = daemon.browse(&format!("{}.local.", Advert::SERVICE))?;
    let until = Instant::now() + PATIENCE;
    let mut services = BTreeMap::new();
    while services.len() < MAX_SERVICES && !terminal.context.cancel.is_cancelled() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match events.recv_timeout(left.min(TICK)) {
            Ok(ServiceEvent::ServiceResolved(service)) => {
                services.insert(service.fullname.clone(), *service);
            }
            Ok(ServiceEvent::ServiceRemoved(_, name)) => {
                services.remove(&name);
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // It ends with this program in any case.
    drop(daemon.shutdown());
    Ok(services)
}

/// What the service says; `None` when that makes no sense.
fn advert(service: &ResolvedService) -> Option<Advert> {
    let attributes = service.txt_properties.iter();
    Advert::decode(attributes.map(|attribute| (attribute.key(), attribute.val()))).ok()
}

/// Where the repository may be, the best first.
fn urls(service: &ResolvedService, repository: u16) -> Vec<String> {
    let mut addresses: Vec<IpAddr> = service.addresses.iter().filter_map(usable).collect();
    addresses.sort_by_key(|address| (address.is_loopback(), address.is_ipv6(), *address));
    addresses.truncate(MAX_ADDRESSES);
    let url = |address: IpAddr| {
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        format!("http://{host}:{}/{repository}", service.port)
    };
    addresses.into_iter().map(url).collect()
}

/// An address that can stand in a URL. Of this machine itself a peer may only speak on it.
fn usable(address: &ScopedIp) -> Option<IpAddr> {
    match address {
        ScopedIp::V4(v4) if v4.addr().is_loopback() => {
            let own = v4.interface_ids().iter().all(|interface| interface.name == "lo");
            own.then(|| IpAddr::V4(*v4.addr()))
        }
        ScopedIp::V4(v4) => Some(IpAddr::V4(*v4.addr())),
        // With a scope it would be another machine on each interface.
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() || v6.addr().is_loopback() => None,
        ScopedIp::V6(v6) => Some(IpAddr::V6(*v6.addr())),
        _ => None,
    }
}
