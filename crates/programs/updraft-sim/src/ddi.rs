//! A device that speaks hawkBit's Direct Device Integration API.
//!
//! ```text
//! poll ─► configData ─► attributes
//!      ─► confirmationBase ─► yes
//!      ─► cancelAction ─► stopped
//!      ─► deploymentBase ─► proceeding ─► download, hashed ─► downloaded ─► … ─► closed
//! ```
//! Links of answers are followed on the connections to the one server that was named.

mod deployment;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hyper::header::{ACCEPT, AUTHORIZATION, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, StatusCode, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use updraft_hawkbit::ddi::{
    ActionFeedback, Cancel, ConfigData, Confirmation, ConfirmationFeedback, ControllerBase,
    Execution, FeedbackResult, Finished, Links, Status, UpdateMode,
};

use crate::device::{Life, Next, World, retry_after};
use crate::link::{Answer, Ask, Link, Trouble};
use crate::pool::Pool;
use crate::tally::Kind;
use deployment::Work;

/// How long a device waits after an answer that says nothing about it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between an action's end and the poll after it: the device starts again.
const SOON: Duration = Duration::from_millis(200);

/// By what devices are known.
#[derive(Debug)]
pub(crate) enum Tokens {
    /// One for all.
    Gateway(String),
    /// Each its own: ids with their tokens.
    Target(Vec<(String, String)>),
    /// None, for servers behind something that lets them pass.
    Nothing,
}

/// What all DDI devices of a run have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tenant: String,
    pub(crate) prefix: String,
    pub(crate) tokens: Tokens,
}

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    id: String,
    base: String,
    authorization: Option<HeaderValue>,
    etag: Option<HeaderValue>,
    sleep: Duration,
    work: Option<Work>,
    /// The last action that ended here, which the server may go on to name for a moment.
    last: Option<String>,
}

impl Shared {
    pub(crate) fn device(&self, index: u32, generation: u32) -> Device {
        let (id, token) = match &self.tokens {
            // Those that the server has tokens for.
            Tokens::Target(tokens) => {
                let (id, token) = tokens.get(index as usize).cloned().unwrap_or_default();
                (id, Some(format!("TargetToken {token}")))
            }
            Tokens::Gateway(token) => {
                (name(&self.prefix, index, generation), Some(format!("GatewayToken {token}")))
            }
            Tokens::Nothing => (name(&self.prefix, index, generation), None),
        };
        let authorization = token.and_then(|token| HeaderValue::try_from(token).ok());
        let base = format!("/{}/controller/v1/{id}", self.tenant);
        Device { id, base, authorization, etag: None, sleep: PATIENCE, work: None, last: None }
    }
}

impl Device {
    pub(crate) async fn visit(
        &mut self,
        life: &mut Life,
        world: &World,
        shared: &Shared,
        pool: &Pool,
    ) -> Next {
        match self.do_what_is_due(life, world, shared, pool).await {
            Ok(next) => next,
            // It is in the tally.
            Err(_) => Next::After(life.sleep(&world.model, self.sleep.min(PATIENCE))),
        }
    }

    async fn do_what_is_due(
        &mut self,
        life: &mut Life,
        world: &World,
        shared: &Shared,
        pool: &Pool,
    ) -> Result<Next, Trouble> {
        if let Some(next) = self.go_on(world, pool).await? {
            return Ok(next);
        }
        let Some(mut borrowed) = pool.take().await else { return Ok(Next::Silent) };
        let polled = self.poll(&mut borrowed.link, life, world, shared).await;
        pool.give(borrowed);
        polled
    }

    async fn poll(
        &mut self,
        link: &mut Link,
        life: &mut Life,
        world: &World,
        shared: &Shared,
    ) -> Result<Next, Trouble> {
        let mut ask = self.authorized(Ask::get(&self.base));
        if let Some(etag) = &self.etag {
            ask = ask.header(IF_NONE_MATCH, etag.clone());
        }
        let answer = link.ask(Kind::Poll, ask).await?;
        if let Some(wait) = retry_after(&answer.headers) {
            return Ok(Next::After(wait));
        }
        if answer.status == StatusCode::OK {
            let base: ControllerBase = read(&answer)?;
            self.sleep = clock(&base.config.polling.sleep).unwrap_or(PATIENCE);
            let next = self.follow(link, life, world, shared, &base.links).await?;
            // What was not done to its end must be told again.
            self.etag = answer.headers.get(ETAG).cloned();
            if let Some(next) = next {
                return Ok(next);
            }
        }
        Ok(Next::After(life.sleep(&world.model, self.sleep)))
    }

    /// Does what the first link asks for; none when there is nothing to do at once.
    async fn follow(
        &mut self,
        link: &mut Link,
        life: &mut Life,
        world: &World,
        shared: &Shared,
        links: &Links,
    ) -> Result<Option<Next>, Trouble> {
        self.etag = None;
        if let Some(to) = links.get("configData") {
            let attributes =
                ConfigData { mode: Some(UpdateMode::Merge), data: self.attributes(shared) };
            self.tell(link, Kind::Attributes, Method::PUT, path(&to.href)?, &attributes).await?;
        }
        if let Some(to) = links.get("confirmationBase") {
            let yes = ConfirmationFeedback {
                confirmation: Confirmation::Confirmed,
                code: None,
                details: None,
            };
            let to = format!("{}/feedback", without_query(path(&to.href)?));
            self.tell(link, Kind::Confirmation, Method::POST, to, &yes).await?;
            return Ok(Some(Next::After(SOON)));
        }
        if let Some(to) = links.get("cancelAction") {
            return self.cancel(link, world, path(&to.href)?).await.map(Some);
        }
        if let Some(to) = links.get("deploymentBase") {
            return self.begin(link, life, world, path(&to.href)?).await;
        }
        Ok(None)
    }

    async fn cancel(
        &mut self,
        link: &mut Link,
        world: &World,
        to: String,
    ) -> Result<Next, Trouble> {
        let ask = self.authorized(Ask::get(&to));
        let answer = link.ask(Kind::Cancel, ask).await?;
        let cancel: Cancel = read(&answer)?;
        let feedback = feedback(Execution::Closed, Finished::Success, "stopped as asked");
        let to = format!("{}/feedback", without_query(to));
        self.tell(link, Kind::Feedback, Method::POST, to, &feedback).await?;
        let stopped = self.work.take_if(|work| work.action == cancel.cancel_action.stop_id);
        if stopped.is_none() {
            return Ok(Next::After(SOON));
        }
        world.tally.actions(|actions| actions.cancelled += 1);
        Ok(Next::Ended(SOON))
    }

    fn attributes(&self, shared: &Shared) -> BTreeMap<String, Option<String>> {
        let kind = shared.prefix.trim_end_matches('-').to_owned();
        [("device_type", kind), ("serial", self.id.clone())]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Some(value)))
            .collect()
    }

    async fn tell<T: Serialize>(
        &self,
        link: &mut Link,
        kind: Kind,
        method: Method,
        to: String,
        what: &T,
    ) -> Result<StatusCode, Trouble> {
        let body = serde_json::to_vec(what).map_err(|error| Trouble::Answer(error.to_string()))?;
        let answer = link.ask(kind, self.authorized(Ask::send(method, to, body))).await?;
        Ok(answer.status)
    }

    fn authorized(&self, ask: Ask) -> Ask {
        let ask = ask.header(ACCEPT, HeaderValue::from_static("application/hal+json"));
        match &self.authorization {
            Some(authorization) => ask.header(AUTHORIZATION, authorization.clone()),
            None => ask,
        }
    }
}

/// The id of a device.
pub(crate) fn name(prefix: &str, index: u32, generation: u32) -> String {
    match generation {
        0 => format!("{prefix}{index:06}"),
        _ => format!("{prefix}{index:06}-{generation}"),
    }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Trouble> {
    if answer.status != StatusCode::OK {
        return Err(Trouble::Answer(format!("HTTP {}", answer.status.as_u16())));
    }
    serde_json::from_slice(&answer.body).map_err(|error| Trouble::Answer(error.to_string()))
}

fn feedback(execution: Execution, finished: Finished, text: &str) -> ActionFeedback {
    let result = FeedbackResult { finished };
    let details = Some(vec![text.to_owned()]);
    ActionFeedback { timestamp: None, status: Status { execution, result, code: None, details } }
}

/// The path of an address, with its query.
fn path(address: &str) -> Result<String, Trouble> {
    let uri = Uri::try_from(address);
    let uri = uri.map_err(|error| Trouble::Answer(format!("the link {address}: {error}")))?;
    Ok(uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string))
}

fn without_query(mut path: String) -> String {
    if let Some(at) = path.find('?') {
        path.truncate(at);
    }
    path
}

/// `HH:MM:SS`.
fn clock(text: &str) -> Option<Duration> {
    let mut parts = text.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    minutes.checked_mul(60)?.checked_add(seconds).map(Duration::from_secs)
}

/// Whether a moment has come.
fn is_past(moment: Instant) -> bool {
    moment <= Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_clocks_are_read() {
        let link = "https://h:1/t/controller/v1/d/deploymentBase/3?c=7";
        let to = path(link).unwrap();
        assert_eq!(to, "/t/controller/v1/d/deploymentBase/3?c=7");
        assert_eq!(without_query(to), "/t/controller/v1/d/deploymentBase/3");
        assert_eq!(clock("01:02:03"), Some(Duration::from_secs(3723)));
        assert_eq!(clock("soon"), None);
    }
}
