//! A connection that writes nothing and hears that others did: PostgreSQL's `LISTEN`.
//!
//! Source: <https://www.postgresql.org/docs/current/sql-listen.html>. What is sent while nobody
//! listens is lost, so whoever listens looks once when it begins.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use super::PostgresOptions;
use crate::storage::sql;

/// The channel on which a trigger says that there are new events.
const LISTEN: &str = "LISTEN updraft_events";
/// A connection that was cut without a word is found out after this, times a few.
const PROBE: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Says when there are new events, and once when it begins to listen. Ends with the connection.
pub(in crate::storage) async fn listen(
    options: &PostgresOptions,
    heard: impl Fn(),
) -> sql::Result<()> {
    let mut config = options.config.clone();
    config.application_name("updraft-server listener");
    config.keepalives_idle(PROBE).keepalives_interval(PROBE).keepalives_retries(PROBES);
    if let Some(tls) = &options.tls {
        let (client, connection) = config.connect(tls.clone()).await?;
        follow(client, connection, heard).await
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        follow(client, connection, heard).await
    }
}

async fn follow<S, T>(
    client: Client,
    mut connection: Connection<S, T>,
    heard: impl Fn(),
) -> sql::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut asked = pin!(client.batch_execute(LISTEN));
    let mut listens = false;
    loop {
        tokio::select! {
            begun = asked.as_mut(), if !listens => {
                begun?;
                listens = true;
                heard();
            }
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(_))) => heard(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(sql::Error::Closed),
            }
        }
    }
}
