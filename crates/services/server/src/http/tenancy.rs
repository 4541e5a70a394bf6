//! The tenants that are served, while some come and others go.
//!
//! Commit point of a change: the new [`Hosts`] take the place of the old ones. Each request is answered by
//! those that it finds; a tenant that is gone ends its connections, writes what it has in memory, and only
//! then gives up its data folder.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use updraft_error::Classify as _;

use super::hosts::{Hosts, Tenant};
use super::serve::work_beside;
use super::{Shared, router, tls};
use crate::config::TenantConfig;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::tenants::{self, Changes, Tenants};

/// Between two looks whether the last request of a tenant that is gone has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// All tenants of a running server.
pub(super) struct Tenancy {
    default: Served,
    /// Keeps other servers from the data folder.
    _tenants: Tenants,
    others: Vec<Served>,
    hosts: watch::Sender<Arc<Hosts>>,
    leaving: JoinSet<()>,
}

/// What is done for a tenant.
struct Served {
    tenant: Tenant,
    /// None: it is the one that every server has.
    own: Option<tenants::Tenant>,
    stop: watch::Sender<bool>,
    work: Vec<JoinHandle<()>>,
}

impl Served {
    fn begin(fleet: &Shared, own: Option<tenants::Tenant>) -> Result<Self> {
        let tls = tls::configuration(&fleet.layout)?;
        let (stop, stopping) = watch::channel(false);
        let work = work_beside(fleet, &stopping).into();
        let tenant =
            Tenant { fleet: Arc::clone(fleet), router: router(Arc::clone(fleet)), tls, stopping };
        Ok(Self { tenant, own, stop, work })
    }

    fn fleet(&self) -> &Shared {
        &self.tenant.fleet
    }

    fn stop(&self) {
        // Nobody listening is fine: then nothing has to be told.
        let _ = self.stop.send(true);
        self.fleet().news.end();
    }

    /// Ends what it does beside requests, and writes what is in memory.
    async fn end(&mut self) -> Result<()> {
        for task in self.work.drain(..) {
            drop(task.await);
        }
        super::run(self.fleet(), Fleet::flush).await
    }

    /// Lets go of a tenant whose folder is gone: its last requests may end as at the server's own end.
    async fn leave(mut self) {
        let fleet = Arc::clone(self.fleet());
        let name = fleet.config.tenant.name.clone();
        self.stop();
        let mut result = self.end().await;
        let Self { tenant, own, .. } = self;
        drop(tenant);
        let limit = Duration::from_secs(fleet.config.server.shutdown_sec);
        // The one here, and the one beside the lock.
        let idle = async {
            while Arc::strong_count(&fleet) > 2 {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(limit, idle).await.is_err() {
            tracing::warn!(tenant = name, "some requests did not end in time");
        }
        result = result.and(super::run(&fleet, Fleet::flush).await);
        drop(own);
        if let Err(error) = result {
            failed(&name, "its last write failed", &error);
        }
        tracing::info!(tenant = name, "a tenant is gone");
    }
}

impl Tenancy {
    /// Begins to serve all of them.
    pub(super) fn begin(mut tenants: Tenants) -> Result<Self> {
        let others = std::mem::take(&mut tenants.others);
        let default = Served::begin(&tenants.default, None)?;
        let begin = |own: tenants::Tenant| Served::begin(&Arc::clone(&own.fleet), Some(own));
        let others = others.into_iter().map(begin).collect::<Result<Vec<_>>>()?;
        let (hosts, _) = watch::channel(Arc::new(Hosts::new(Vec::new())));
        let tenancy = Self { default, _tenants: tenants, others, hosts, leaving: JoinSet::new() };
        tenancy.publish();
        Ok(tenancy)
    }

    pub(super) fn default(&self) -> &Shared {
        self.default.fleet()
    }

    pub(super) fn hosts(&self) -> watch::Receiver<Arc<Hosts>> {
        self.hosts.subscribe()
    }

    fn publish(&self) {
        let tenants = std::iter::once(&self.default).chain(&self.others);
        let tenants = tenants.map(|served| served.tenant.clone()).collect();
        self.hosts.send_replace(Arc::new(Hosts::new(tenants)));
    }

    /// Looks for tenants that have come or gone, and for new certificates. What is wrong is told, and
    /// changes nothing for the others.
    pub(super) async fn look(&mut self) {
        let known =
            |served: &Served| Some((Arc::clone(served.fleet()), served.own.as_ref()?.known()));
        let served: Vec<_> = self.others.iter().filter_map(known).collect();
        let default = Arc::clone(self.default());
        let looked = tokio::task::spawn_blocking(move || tenants::changes(&default, &served)).await;
        let looked = looked.unwrap_or_else(|error| {
            Err(Error::Internal { action: "look for tenants", reason: error.to_string() })
        });
        let Changes { new, gone, refused } = looked.unwrap_or_else(|error| {
            failed("", "the tenants cannot be listed; they stay as they are", &error);
            Changes::default()
        });
        for (name, error) in refused {
            failed(&name, "a tenant cannot be served", &error);
        }
        self.renew_certificates();
        let (left, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.others)
            .into_iter()
            .partition(|served| gone.contains(&served.fleet().config.tenant.name));
        self.others = stay;
        for own in new {
            let fleet = Arc::clone(&own.fleet);
            let TenantConfig { name, hostnames } = &fleet.config.tenant;
            match Served::begin(&fleet, Some(own)) {
                Ok(served) => {
                    tracing::info!(tenant = name, hosts = hostnames.join(" "), "serving a tenant");
                    self.others.push(served);
                }
                Err(error) => failed(name, "a tenant cannot be served", &error),
            }
        }
        self.publish();
        for served in left {
            self.leaving.spawn(served.leave());
        }
        // Forget those that are gone.
        while self.leaving.try_join_next().is_some() {}
    }

    fn renew_certificates(&mut self) {
        for served in std::iter::once(&mut self.default).chain(&mut self.others) {
            let fleet = &served.tenant.fleet;
            match tls::configuration(&fleet.layout) {
                Ok(tls) => served.tenant.tls = tls,
                Err(error) => {
                    let name = &fleet.config.tenant.name;
                    failed(name, "the certificate stays the one that it was", &error);
                }
            }
        }
    }

    /// Has everything end.
    pub(super) fn stop(&self) {
        std::iter::once(&self.default).chain(&self.others).for_each(Served::stop);
    }

    /// Waits for it, and writes what is in memory.
    pub(super) async fn end(mut self) -> Result<()> {
        let mut result = Ok(());
        for served in std::iter::once(&mut self.default).chain(&mut self.others) {
            // One that cannot write does not keep the others from it.
            let ended = served.end().await;
            result = result.and(ended);
        }
        while self.leaving.join_next().await.is_some() {}
        result
    }
}

fn failed(tenant: &str, what: &str, error: &Error) {
    let reason = crate::error::chain(error);
    tracing::error!(tenant, reason, kind = %error.kind(), "{what}");
}
