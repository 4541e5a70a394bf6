//! A program that uses the agent as a library. The only test of its program: what is chosen holds for
//! a whole process.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use updraft_agent::config::Settings;
use updraft_agent::{Agent, BackgroundAgent, SystemClock};
use updraft_delta::can_pack;

#[test]
fn a_host_never_unpacks_deltas_of_our_own_format_itself() {
    assert!(can_pack(), "there would be nothing to choose");
    let clock = SystemClock::new(|| jiff::Timestamp::UNIX_EPOCH);
    let agent = Agent::new(Settings::default(), Arc::new(clock));
    // What its pulls take instead: `workers_only.rs` of the repository's tests.
    let background = BackgroundAgent::start(agent).unwrap();
    assert!(!can_pack(), "the host would pack again what a delta holds");
    background.shutdown();
}
