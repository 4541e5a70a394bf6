//! The server's own certificate, issued anew: before it expires, or for other names.

use updraft_crypto::tls::{CertificateAuthority, Validity, certificate_info, server_names};

use super::init::{SERVER_DAYS, write};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fleet::read_text;
use crate::layout::Layout;

/// Issues the server's certificate anew for these names, or for those that it has; gives the
/// names and the end of its validity. A running server takes it when it is started again.
///
/// The private key stays: whoever pinned it goes on trusting the server.
pub fn renew_server_certificate(
    layout: &Layout,
    names: &[String],
    environment: &Environment,
) -> Result<(Vec<String>, jiff::Timestamp)> {
    let action = "issue the server's certificate";
    let authority = CertificateAuthority::from_pem(
        &read_text(&layout.ca_certificate())?,
        &read_text(&layout.ca_key())?,
    )
    .map_err(Error::crypto("read the certificate authority in tls/"))?;
    let names = if names.is_empty() {
        server_names(&read_text(&layout.server_certificate())?)
            .map_err(Error::crypto("read the names of the certificate in tls/server.pem"))?
    } else {
        names.to_vec()
    };
    let validity = Validity::days(environment.now(), SERVER_DAYS);
    let key = read_text(&layout.server_key())?;
    let pem = authority
        .issue_server_for_key(&names, &key, validity)
        .map_err(|error| Error::invalid("the server's names", error))?;
    let end = certificate_info(pem.as_bytes()).map_err(Error::crypto(action))?.not_after;
    let chain = format!("{pem}{}", authority.certificate_pem());
    // Commit point: the key is the one that was there, so certificate and key always fit.
    write(&layout.server_certificate(), chain.as_bytes(), 0o644)?;
    Ok((names, end))
}
