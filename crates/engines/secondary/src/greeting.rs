//! Secondaries that make themselves known at their start: they connect to the primary from the
//! port on which they serve, and are asked on that connection.
//!
//! The primary knows a secondary by the address that it comes from, as aktualizr does; what it says
//! then is believed no more than what it says when it is called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_reuseaddr, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::{Error, Result};

/// A port on which a primary waits for secondaries that are new to it
/// (`IP.secondaries_wait_port`).
#[derive(Debug)]
pub struct WaitPort {
    listener: TcpListener,
}

impl WaitPort {
    /// Listens on all addresses.
    ///
    /// # Errors
    /// [`Error::Unreachable`], when the port is taken.
    pub fn listen(port: u16) -> Result<Self> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        // A machine without IPv6 has the other one.
        let listener = TcpListener::bind(any)
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        let listener = listener
            .map_err(|source| Error::Unreachable { address: format!("the port {port}"), source })?;
        Ok(Self { listener })
    }

    /// Whoever has connected by now, and from where. Waits for nobody.
    #[must_use]
    pub fn visitor(&self) -> Option<(TcpStream, SocketAddr)> {
        let (stream, address) = self.listener.accept().ok()?;
        stream.set_nonblocking(false).ok()?;
        Some((stream, SocketAddr::new(address.ip().to_canonical(), address.port())))
    }

    /// The port, which the system chose when it was asked for 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |address| address.port())
    }
}

/// Connects a secondary that serves at `own` to its primary. It has to be done before the
/// secondary listens there: the connection comes from the same port.
///
/// # Errors
/// [`Error::Unreachable`].
pub fn greet(own: SocketAddr, primary: SocketAddr, time: Duration) -> Result<TcpStream> {
    let failed = |error: rustix::io::Errno| Error::Unreachable {
        address: primary.to_string(),
        source: error.into(),
    };
    let family = if primary.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let socket = socket.map_err(failed)?;
    set_socket_reuseaddr(&socket, true).map_err(failed)?;
    // Linux gives up connecting after the time for sending.
    set_socket_timeout(&socket, Timeout::Send, Some(time)).map_err(failed)?;
    let any: IpAddr = match primary {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let ip = if own.is_ipv4() == primary.is_ipv4() { own.ip() } else { any };
    bind(&socket, &SocketAddr::new(ip, own.port())).map_err(failed)?;
    connect(&socket, &primary).map_err(failed)?;
    Ok(TcpStream::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    #[test]
    fn a_secondary_comes_from_the_port_on_which_it_serves_afterwards() {
        let port = WaitPort::listen(0).unwrap();
        assert!(port.visitor().is_none());
        let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let primary = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.port());
        let greeted = greet(own, primary, TIME).unwrap();
        let (_stream, from) = port.visitor().unwrap();
        assert_eq!(from, own);
        let serving = TcpListener::bind(own).unwrap();
        drop((greeted, serving));
    }

    #[test]
    fn nobody_waits_for_ever_for_a_primary_that_does_not() {
        let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(greet(own, gone, TIME), Err(Error::Unreachable { .. })));
        let port = WaitPort::listen(0).unwrap();
        assert!(WaitPort::listen(port.port()).is_err());
    }
}
