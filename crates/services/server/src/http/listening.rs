//! Listening to what other servers write, so that nobody has to look for it all the time. Where the
//! database does not tell, or cannot be reached, everybody looks as often as they did without.

use std::time::Duration;

use tokio::sync::watch;

use super::Shared;

/// The pause after the connection was lost; it doubles with each attempt that fails.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Listens until the server stops.
pub(super) async fn listen(fleet: Shared, mut stopping: watch::Receiver<bool>) {
    if !fleet.database().is_shared() {
        return;
    }
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = tokio::select! {
            _ = stopping.changed() => return,
            ended = fleet.database().listen(|| fleet.news.hear()) => ended,
        };
        if fleet.news.deafen() {
            pause = FIRST_PAUSE;
        }
        if let Err(error) = ended {
            let reason = crate::error::chain(&error);
            tracing::warn!(reason, "what other servers write is looked for, and not heard of");
        }
        tokio::select! {
            _ = stopping.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
