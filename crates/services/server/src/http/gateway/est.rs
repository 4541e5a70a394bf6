//! `/.well-known/est`: renewing certificates by RFC 7030, as far as devices need it.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use updraft_crypto::cms::certificate_list;
use updraft_tuf::pem_encode;

use crate::error::{Error, Result};
use crate::http::answer::GatewayError;
use crate::http::callers::Device;
use crate::http::{Shared, body, run};

/// `GET cacerts`: the authority that signs devices and this server. Anybody may ask; nobody should
/// believe the answer who does not know the server already.
pub(crate) async fn authorities(State(fleet): State<Shared>) -> Result<Response, GatewayError> {
    Ok(certificates(&[fleet.authority_pem()])?)
}

/// `POST simplereenroll`: a certificate for the key of the request, for the device that shows a
/// good one.
pub(crate) async fn renew(
    State(fleet): State<Shared>,
    Device(device): Device,
    content: Body,
) -> Result<Response, GatewayError> {
    let limit = fleet.config.limits.body_bytes;
    let idle = fleet.config.body_idle_timeout();
    let what = "the certificate request";
    let text = body::bytes(content, what, limit, idle).await?;
    let text: Vec<u8> = text.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(text).map_err(|error| Error::invalid(what, error))?;
    let request = pem_encode("CERTIFICATE REQUEST", &der);
    let certificate = run(&fleet, move |fleet| fleet.renew_certificate(&device, &request)).await?;
    Ok(certificates(&[&certificate])?)
}

fn certificates(pem: &[&str]) -> Result<Response> {
    let list = certificate_list(pem).map_err(Error::crypto("list certificates"))?;
    let headers = [
        (CONTENT_TYPE.as_str(), "application/pkcs7-mime; smime-type=certs-only"),
        ("content-transfer-encoding", "base64"),
    ];
    Ok((headers, STANDARD.encode(list)).into_response())
}
