//! The real clock and the system's randomness.

use std::sync::Arc;

use jiff::Timestamp;
use updraft_server_service::contents::AccessKey;
use updraft_server_service::storage::audit::Origin;
use updraft_server_service::{Clock, Environment, Random};

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl Random for System {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        for piece in bytes.chunks_mut(32) {
            let random: [u8; 32] = updraft_crypto::random_bytes().map_err(std::io::Error::other)?;
            for (to, from) in piece.iter_mut().zip(random) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// What a server on this machine runs with.
pub(crate) fn environment() -> Environment {
    Environment { clock: Arc::new(System), random: Arc::new(System), access_key: access_key() }
}

/// The access key for a bucket, where AWS's tools look for it.
fn access_key() -> Option<AccessKey> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(AccessKey {
        id: variable("AWS_ACCESS_KEY_ID")?,
        secret: variable("AWS_SECRET_ACCESS_KEY")?,
        session_token: variable("AWS_SESSION_TOKEN"),
    })
}

/// Whoever runs this command, for the audit log.
pub(crate) fn origin(command: &str) -> Origin {
    let environment = environment();
    Origin {
        at: environment.now(),
        actor: format!("cli:uid-{}", rustix::process::getuid().as_raw()),
        credential: "data folder".to_owned(),
        address: None,
        object: command.to_owned(),
        request_id: environment.uuid().map_or_else(|_| String::new(), |id| id.to_string()),
    }
}
