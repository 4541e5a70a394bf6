//! Finding a repository by a metalink: the addresses in it are tried in the order of the file; the
//! folder of the first whose summary is what the metalink says is the repository.

mod document;

use updraft_http::Client;
use updraft_task::Context;

use super::Error;
pub use document::{InvalidMetalink, Metalink};

/// The longest metalink that is read.
const MAX_SIZE: u64 = 1 << 20;

/// The repository that the metalink at `address` leads to, and its verified summary.
pub(super) fn resolve(
    ctx: &Context,
    client: &Client,
    address: &str,
) -> Result<(String, Vec<u8>), Error> {
    let bad = |reason: String| Error::Metalink { address: address.to_owned(), reason };
    let bytes = client.get_bytes_with(ctx, address, MAX_SIZE)?;
    let bytes = bytes.ok_or_else(|| bad("it is not there".into()))?;
    let metalink = Metalink::parse(&bytes).map_err(|error| bad(error.to_string()))?;
    let mut last = String::new();
    for url in &metalink.urls {
        ctx.check()?;
        // One byte more than it may have shows that it is too long.
        match client.get_bytes_with(ctx, url, metalink.size.saturating_add(1)) {
            Ok(Some(summary)) => match metalink.verify(&summary) {
                Ok(()) => {
                    let base = url.rsplit_once('/').map_or(url.as_str(), |(base, _)| base);
                    return Ok((base.to_owned(), summary));
                }
                Err(reason) => last = reason,
            },
            Ok(None) => last = format!("{url} is not there"),
            Err(error) => last = error.to_string(),
        }
    }
    let count = metalink.urls.len();
    Err(bad(format!("Exhausted {count} metalink targets, last error: {last}")))
}
