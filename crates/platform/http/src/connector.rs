//! How connections are made and waited for: ureq's own way, but each wait for a name, a connection
//! or bytes ends when the work it belongs to is cancelled (see [`waiting`](crate::waiting)).

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, NextTimeout,
    RustlsConnector, TcpConnector, Transport,
};
use ureq::{Agent, Error};

use crate::waiting::{SLICE, apart, go_on};

/// An agent whose waits can be cancelled.
pub(crate) fn agent(config: Config) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default()).chain(Tcp).chain(RustlsConnector::default());
    Agent::with_parts(config, connector, Names)
}

/// Looks names up.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let (uri, config) = (uri.clone(), config.clone());
        apart(move || DefaultResolver::default().resolve(&uri, &config, timeout))
    }
}

/// Connects by TCP, unless a proxy did.
#[derive(Debug)]
struct Tcp;

/// What [`TcpConnector`] makes of nothing.
type Direct = <TcpConnector as Connector<()>>::Out;

impl<In: Transport> Connector<In> for Tcp {
    type Out = Either<In, Sliced<Direct>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(proxied) = chained {
            return Ok(Some(Either::A(proxied)));
        }
        let (uri, config) = (details.uri.clone(), details.config.clone());
        let (addrs, now, timeout) = (details.addrs.clone(), details.now, details.timeout);
        let request_level = details.request_level;
        let current_time = details.current_time.clone();
        let run_connector = details.run_connector.clone();
        let register_shutdown = details.register_shutdown.clone();
        let direct = apart(move || {
            let details = ConnectionDetails {
                uri: &uri,
                addrs,
                config: &config,
                request_level,
                resolver: &Names,
                now,
                timeout,
                current_time,
                run_connector,
                register_shutdown,
            };
            TcpConnector::default().connect(&details, None::<()>)
        })?;
        Ok(direct.map(|transport| Either::B(Sliced(transport))))
    }
}

/// A connection that waits for bytes in slices.
#[derive(Debug)]
struct Sliced<T>(T);

impl<T: Transport> Transport for Sliced<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        go_on()?;
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let whole = timeout.for_read();
        let mut left = whole.after;
        loop {
            go_on()?;
            let is_last = *left <= SLICE;
            let after = if is_last { left } else { Duration::Exact(SLICE) };
            match self.0.await_input(NextTimeout { after, per_read: None, ..whole }) {
                Err(Error::Timeout(_)) if !is_last => {}
                other => return other,
            }
            if let Duration::Exact(duration) = &mut left {
                *duration = duration.saturating_sub(SLICE);
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
