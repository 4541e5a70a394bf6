//! Telling systemd that the server is ready, or ends (`sd_notify(3)`).

use std::os::unix::net::UnixDatagram;

/// Sends a state such as `READY=1` to the service manager, if there is one. A service manager
/// that does not listen is no reason to stop.
pub(crate) fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| match address(&path)? {
        Some(address) => socket.send_to_addr(state.as_bytes(), &address),
        None => socket.send_to(state.as_bytes(), &path),
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// The address of an abstract socket, which begins with `@`.
fn address(path: &std::ffi::OsStr) -> std::io::Result<Option<std::os::unix::net::SocketAddr>> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::ffi::OsStrExt as _;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => std::os::unix::net::SocketAddr::from_abstract_name(name).map(Some),
        None => Ok(None),
    }
}
