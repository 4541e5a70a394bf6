//! Telling the local network which repositories are served, so that `find-remotes --finders=lan`
//! of either program finds them.
//!
//! Of libostree's programs none does this: systems that offer what they have to their neighbours
//! have written a service file for Avahi.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mdns_sd::{ServiceDaemon, ServiceInfo, TxtProperty};
use updraft_error::Kind;
use updraft_ostree::{Advert, CollectionId, CollectionRef, RefFilter, RefName, Summary};
use updraft_repo::{Repo, summary};
use updraft_terminal::{Failure, Result};

/// Numbers below which repositories are looked for.
const REPOSITORIES: usize = 16;
/// Of a name on the network no part has more than 63 bytes.
const MAX_HOST: usize = 40;

/// Adverts as long as it lives.
pub(super) struct Advertiser {
    daemon: ServiceDaemon,
    folder: PathBuf,
    host: String,
    port: u16,
    /// Of each repository, of when the summary is that was looked at last.
    seen: [Option<SystemTime>; REPOSITORIES],
    /// Whether anything was told.
    has_told: bool,
}

impl Advertiser {
    /// Tells of the repositories `0`, `1`, … of a folder that is served on this port.
    pub(super) fn start(folder: &Path, port: u16) -> Result<Self> {
        let daemon = ServiceDaemon::new().map_err(|error| failed(&error))?;
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let mut host: String =
            name.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        host.truncate(MAX_HOST);
        let seen = [None; REPOSITORIES];
        let folder_served = folder.to_owned();
        let mut advertiser =
            Self { daemon, folder: folder_served, host, port, seen, has_told: false };
        advertiser.refresh(&|_| {})?;
        if !advertiser.has_told {
            let message = format!("nothing to advertise in {}", folder.display());
            return Err(Failure::new(Kind::NotFound, message)
                .hint("a repository called 0 with a summary and refs of a collection is needed"));
        }
        Ok(advertiser)
    }

    /// Tells of what is new, and logs it.
    pub(super) fn refresh(&mut self, log: &dyn Fn(&str)) -> Result {
        for (number, seen) in (0_u16..).zip(&mut self.seen) {
            let path = self.folder.join(number.to_string());
            let time = std::fs::metadata(path.join("summary")).and_then(|file| file.modified());
            let Ok(time) = time else { continue };
            if seen.replace(time) == Some(time) {
                continue;
            }
            let Some(advert) = advert(&path, number) else { continue };
            let info = service(&advert, &self.host, self.port).map_err(|error| failed(&error))?;
            self.daemon.register(info).map_err(|error| failed(&error))?;
            self.has_told = true;
            log(&format!("advertising {}", path.display()));
        }
        Ok(())
    }
}

impl Drop for Advertiser {
    fn drop(&mut self) {
        // Says goodbye to the neighbours; they forget by themselves, too.
        if let Ok(gone) = self.daemon.shutdown() {
            let _ = gone.recv_timeout(std::time::Duration::from_secs(1));
        }
    }
}

/// What to tell of the repository; `None` when it is none, or has nothing of any collection.
fn advert(path: &Path, number: u16) -> Option<Advert> {
    let summary = summary::read(&Repo::open(path).ok()?).ok()??;
    let mut collections = summary.collection_map().ok()?;
    if let Some(own) = summary.metadata.get_str(Summary::COLLECTION_ID) {
        collections.insert(CollectionId::new(own).ok()?, summary.refs.clone());
    }
    let refs: Vec<CollectionRef> = collections
        .into_iter()
        .flat_map(|(collection, refs)| refs.into_iter().map(move |one| (collection.clone(), one)))
        .filter_map(|(collection, one)| {
            Some(CollectionRef { collection, name: RefName::new(one.name).ok()? })
        })
        .collect();
    let time = summary.metadata.get(Summary::LAST_MODIFIED).and_then(Summary::from_big_endian);
    (!refs.is_empty()).then(|| Advert {
        refs: RefFilter::of(&refs),
        summary_time: time.unwrap_or(0),
        repository: number,
    })
}

fn service(advert: &Advert, host: &str, port: u16) -> mdns_sd::Result<ServiceInfo> {
    let attributes: Vec<TxtProperty> = advert.encode().into_iter().map(TxtProperty::from).collect();
    let number = advert.repository;
    // A name of our own: the machine's may be told of by another program.
    let host_name = format!("ostree-{host}-{port}.local.");
    let name = format!("{host} {port} {number}");
    let service = format!("{}.local.", Advert::SERVICE);
    let info = ServiceInfo::new(&service, &name, &host_name, "", port, attributes)?;
    Ok(info.enable_addr_auto())
}

fn failed(error: &mdns_sd::Error) -> Failure {
    let message = format!("failed to advertise on the local network: {error}");
    Failure::new(Kind::Unavailable, message)
}
