//! Telling subscriptions of events, beside everything else: a receiver that is slow holds up nobody.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Shared, run};
use crate::error::Result;

/// How often the list of events is looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// Looks that the database asks for are no nearer together: many commits are seen with one.
const BETWEEN: Duration = Duration::from_millis(100);

/// Tells of events until the server stops. What is being sent then is waited for; each request has
/// its own deadline.
pub(super) async fn tell(fleet: Shared, mut stopping: watch::Receiver<bool>) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = period.tick() => {}
            () = fleet.news.for_subscriptions.notified() => tokio::time::sleep(BETWEEN).await,
        }
        if let Err(error) = tell_all(&fleet).await {
            let reason = crate::error::chain(&error);
            tracing::error!(reason, "events could not be told");
        }
    }
}

async fn tell_all(fleet: &Shared) -> Result<()> {
    let due = run(fleet, crate::fleet::Fleet::due_subscriptions).await?;
    let mut all = JoinSet::new();
    for record in due {
        let fleet = fleet.clone();
        all.spawn(async move { run(&fleet, move |fleet| fleet.tell_subscription(&record)).await });
    }
    let mut result = Ok(());
    while let Some(told) = all.join_next().await {
        // One that panicked is tried again in the next turn, as one that failed is.
        result = result.and(told.unwrap_or(Ok(())));
    }
    result
}
