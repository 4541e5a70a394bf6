//! Renewing the device's certificate: EST (RFC 7030), `simplereenroll` over the present one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use updraft_crypto::cms::certificates_of_list;
use updraft_http::{Method, Request};
use updraft_task::Context;
use updraft_tuf::pem_decode;

use super::Gateway;
use crate::{Error, Result};

const NAME: &str = "POST /simplereenroll";
/// The largest answer, in bytes.
const LIMIT: u64 = 512 << 10;

impl Gateway {
    /// A certificate (PEM, its issuers following) for the key of this request (PEM).
    pub(crate) fn renew_certificate(&self, ctx: &Context, request_pem: &str) -> Result<String> {
        let unusable = |problem: String| Error::Answer { request: NAME, problem };
        let der = pem_decode("CERTIFICATE REQUEST", request_pem)
            .map_err(Error::below("encode the certificate request"))?;
        let url = format!("{}/simplereenroll", self.addresses.est);
        let request = Request::new(Method::Post, url)
            .header("Content-Type", "application/pkcs10")
            .header("Content-Transfer-Encoding", "base64")
            .body(STANDARD.encode(der).into_bytes())
            .repeatable();
        let response = self.client.send_with(ctx, &request)?.error_for_status()?;
        if response.status != 200 {
            // 202: somebody has to approve it first, and it is asked for again.
            return Err(unusable(format!("HTTP {}", response.status)));
        }
        let text: Vec<u8> =
            response.bytes(LIMIT)?.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let list = STANDARD.decode(text).map_err(|error| unusable(error.to_string()))?;
        let certificates =
            certificates_of_list(&list).map_err(|error| unusable(error.to_string()))?;
        Ok(certificates.concat())
    }
}
