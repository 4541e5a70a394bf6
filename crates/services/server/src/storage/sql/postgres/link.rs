//! A connection's client, and what drives it while somebody waits for an answer.
//!
//! The library is asynchronous and sends what it is given before it waits for answers, so that
//! statements of which none needs another's answer travel together:
//!
//! ```text
//! SAVEPOINT ─ query ───────── one way to PostgreSQL and back
//! INSERT ─ UPDATE ─ COMMIT ── and one
//! ```

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, Socket, Statement};

use crate::storage::sql;
use crate::storage::sql::Value;
use crate::storage::sql::value::{ToValue as _, ValueRef};

/// How long the end of a connection may take.
const END: Duration = Duration::from_secs(5);

/// A connection's client with what drives it.
pub(super) struct Link {
    /// There until the end.
    client: Option<Client>,
    runtime: Runtime,
    driver: Option<JoinHandle<()>>,
}

/// A statement whose answer nobody waits for: it is sent before the next one.
#[derive(Debug)]
pub(super) enum Ahead {
    /// Without parameters, in PostgreSQL's own words.
    Batch(String),
    /// One that changes rows.
    Change(Statement, Vec<Value>),
}

impl Link {
    /// Connects.
    pub(super) fn connect<T>(config: &Config, tls: T) -> sql::Result<Self>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| sql::Error::Driver(error.to_string()))?;
        let (client, connection) = runtime.block_on(config.connect(tls))?;
        let driver = runtime.spawn(async move {
            // Whoever waits for an answer is told the same.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok(Self { client: Some(client), runtime, driver: Some(driver) })
    }

    /// The client; none at the end.
    pub(super) fn client(&self) -> sql::Result<&Client> {
        self.client.as_ref().ok_or(sql::Error::Closed)
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Waits for an answer.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// Sends some statements and then one more, and waits for all answers: how many rows the first
    /// ones changed, and what the last one gave. Of several errors the first one counts, since what
    /// follows it in a transaction fails, too.
    pub(super) fn after<T>(
        &self,
        ahead: &[Ahead],
        last: impl Future<Output = Result<T, Error>>,
    ) -> sql::Result<(u64, T)> {
        let client = self.client()?;
        self.wait(async {
            let mut ahead: Vec<_> =
                ahead.iter().map(|one| (Box::pin(one.send(client)), None)).collect();
            let mut last = pin!(last);
            let mut answer = None;
            // Each is sent when it is first asked for its answer: in this order.
            let answer = poll_fn(|context| {
                let mut is_open = false;
                for (future, outcome) in &mut ahead {
                    if outcome.is_none() {
                        match future.as_mut().poll(context) {
                            Poll::Ready(ready) => *outcome = Some(ready),
                            Poll::Pending => is_open = true,
                        }
                    }
                }
                if answer.is_none() {
                    match last.as_mut().poll(context) {
                        Poll::Ready(ready) => answer = Some(ready),
                        Poll::Pending => is_open = true,
                    }
                }
                match answer.take_if(|_| !is_open) {
                    Some(answer) => Poll::Ready(answer),
                    None => Poll::Pending,
                }
            })
            .await;
            let mut changed = 0;
            for outcome in ahead.into_iter().filter_map(|(_, outcome)| outcome) {
                changed += outcome?;
            }
            Ok((changed, answer?))
        })
    }
}

impl Ahead {
    async fn send(&self, client: &Client) -> sql::Result<u64> {
        match self {
            Self::Batch(sql) => client.batch_execute(sql).await.map(|()| 0).map_err(Into::into),
            Self::Change(statement, values) => {
                let values: Vec<ValueRef<'_>> = values.iter().map(Value::to_value).collect();
                let bound = super::bound(&values)?;
                client.execute(statement, &bound).await.map_err(Into::into)
            }
        }
    }
}

impl Drop for Link {
    /// Tells PostgreSQL that it is the end, as far as it listens.
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(driver) = self.driver.take() {
            let ended = self.runtime.block_on(async { tokio::time::timeout(END, driver).await });
            if ended.is_err() {
                tracing::debug!("a connection to the database did not end in order");
            }
        }
    }
}
