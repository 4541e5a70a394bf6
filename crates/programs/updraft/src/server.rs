//! The operator interface of a server, as typed calls.

use serde::Serialize;
use serde::de::DeserializeOwned;
use updraft_api::{Page, Status, paths};
use updraft_error::{Classify as _, Kind};
use updraft_http::{Body, Client, ClientOptions, Method, Request};
use updraft_terminal::{Failure, Result};

use crate::account::Account;

/// Largest answer, in bytes. A page of 1000 devices has about 1 MB.
const ANSWER_LIMIT: u64 = 32 * 1024 * 1024;
/// Most pages that are read of one list.
const PAGE_LIMIT: usize = 10_000;

/// A server we may talk to.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    client: Client,
    base: String,
}

impl Server {
    /// The server of `account`; nothing is sent yet.
    pub(crate) fn new(account: &Account) -> Result<Self> {
        let client = Client::new(&ClientOptions {
            ca_pem: account.ca.as_ref().map(|pem| pem.clone().into_bytes()),
            bearer_token: Some(account.token.clone()),
            retries: 2,
            ..ClientOptions::default()
        })?;
        Ok(Self { client, base: account.server.clone() })
    }

    /// The server that this person is logged in to.
    pub(crate) fn connect() -> Result<Self> {
        Self::new(&Account::load()?)
    }

    /// The HTTP client, for uploads.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The address of `path` on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn status(&self) -> Result<Status> {
        self.get(paths::STATUS)
    }

    /// Reads one resource.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.client.get(&self.url(path)).and_then(|answer| answer.json(ANSWER_LIMIT));
        answer.map_err(explain)
    }

    /// Reads bytes; `None` when there are none yet.
    pub(crate) fn get_bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.client.send(Request::new(Method::Get, self.url(path)));
        let answer = answer.map_err(explain)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let bytes = answer.error_for_status().and_then(|answer| answer.bytes(ANSWER_LIMIT));
        bytes.map(Some).map_err(explain)
    }

    /// Reads a text.
    pub(crate) fn get_text(&self, path: &str) -> Result<String> {
        let answer = self.client.get(&self.url(path)).and_then(|answer| answer.bytes(ANSWER_LIMIT));
        answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(explain)
    }

    /// Reads a whole list, page by page; the path may have a query.
    pub(crate) fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGE_LIMIT {
            let page: Page<T> = match &after {
                None => self.get(&format!("{path}{joint}limit=1000"))?,
                Some(cursor) => {
                    self.get(&format!("{path}{joint}limit=1000&after={}", paths::encode(cursor)))?
                }
            };
            items.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
        Err(Failure::new(Kind::Exhausted, format!("the list {path} has more than 10,000 pages")))
    }

    /// Sends a value and reads the answer.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T> {
        let answer = self.client.send_json(method, &self.url(path), value).map_err(explain)?;
        let value = answer.error_for_status().and_then(|answer| answer.json(ANSWER_LIMIT));
        value.map_err(explain)
    }

    /// Sends bytes, such as signed metadata, and reads the answer.
    pub(crate) fn put_bytes<T: DeserializeOwned>(&self, path: &str, bytes: Vec<u8>) -> Result<T> {
        let request = Request::new(Method::Put, self.url(path))
            .header("Content-Type", "application/json")
            .body(bytes);
        let answer = self.client.send(request).map_err(explain)?;
        answer.error_for_status().and_then(|answer| answer.json(ANSWER_LIMIT)).map_err(explain)
    }

    /// Sends a file whose answer does not matter.
    pub(crate) fn put_body(&self, path: &str, body: Body) -> Result {
        let request = Request::new(Method::Put, self.url(path)).body(body);
        let answer = self.client.send(request).map_err(explain)?;
        answer.error_for_status().map_err(explain)?;
        Ok(())
    }

    /// Asks for a change that has no body and whose answer does not matter.
    pub(crate) fn change(&self, method: Method, path: &str) -> Result {
        let answer = self.client.send(Request::new(method, self.url(path))).map_err(explain)?;
        answer.error_for_status().map_err(explain)?;
        Ok(())
    }
}

/// The kind of failure that an answer of this status is.
fn error_kind(url: &str, status: u16) -> Kind {
    updraft_http::Error::Status { url: url.to_owned(), status, detail: None }.kind()
}

/// Adds the way out that fits an answer.
fn explain(error: updraft_http::Error) -> Failure {
    let status = error.status();
    // A file that was refused has nothing to do with the token.
    let is_scope = error.to_string().contains("scope");
    let failure = match error {
        // What the server says is the matter comes first; how it was said is its cause.
        updraft_http::Error::Status { url, status, detail: Some(detail) } => {
            let kind = error_kind(&url, status);
            Failure::new(kind, format!("the server answered HTTP {status} at {url}"))
                .context(detail)
        }
        other => Failure::from(other),
    };
    match status {
        Some(401) => {
            failure.hint("make a token with `updraft-server token create`, then `updraft login`")
        }
        Some(403) if is_scope => {
            failure.hint("a token's scope is set by `updraft-server token create --scope`")
        }
        None if failure.kind() == Kind::Unavailable => {
            failure.hint("check the address and that `updraft-server run` is running there")
        }
        None if failure.kind() == Kind::Rejected => failure
            .hint("the server's certificate is not from a trusted authority; `updraft login --ca`"),
        _ => failure,
    }
}
