//! [`Client`], [`Request`] and [`Response`].

use std::io::Read;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use updraft_task::Context;
use ureq::{ProxyProtocol, http};

use crate::error::shown;
use crate::pace::Pace;
use crate::retry::Retry;
use crate::tls::tls_config;
use crate::{Body, BodyReader, ClientOptions, Error, Result, connector, cookie, waiting};

/// How much of an error answer is looked at for an explanation.
const PROBLEM_LIMIT: u64 = 16 << 10;
/// How much of such an explanation is shown.
const DETAIL_CHARS: usize = 300;

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As it is written in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn as_http(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Head => http::Method::HEAD,
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }
}

/// What to ask for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Further headers: (name, value).
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// Whether repeating it does no harm. Set for all methods but POST and PATCH.
    pub repeatable: bool,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Body::Empty,
            repeatable: !matches!(method, Method::Post | Method::Patch),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Repeating this request does no harm, whatever its method.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// The headers of a response.
#[derive(Debug, Clone, Default)]
pub struct Headers(http::HeaderMap);

impl Headers {
    /// The first value of `name` (any case) if it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of `name` (any case) that are text, for headers that come more than once.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }
}

/// An answer; its body is still to be read.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body, as it arrives.
    pub body: BodyReader,
    url: String,
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// This answer if its status is 2xx, else the error it stands for.
    pub fn error_for_status(mut self) -> Result<Self> {
        if self.is_success() { Ok(self) } else { Err(self.take_error()) }
    }

    /// The whole body; more than `limit` bytes are an error.
    pub fn bytes(mut self, limit: u64) -> Result<Vec<u8>> {
        self.body.read_all(limit)
    }

    /// The body as JSON of at most `limit` bytes.
    pub fn json<T: DeserializeOwned>(mut self, limit: u64) -> Result<T> {
        let bytes = self.body.read_all(limit)?;
        serde_json::from_slice(&bytes)
            .map_err(|source| Error::Malformed { url: self.url, source: Box::new(source) })
    }

    fn take_error(&mut self) -> Error {
        let detail = self.body.read_all(PROBLEM_LIMIT).ok().and_then(|body| problem_detail(&body));
        Error::Status { url: self.url.clone(), status: self.status, detail }
    }
}

/// The text of an RFC 9457 problem document.
fn problem_detail(body: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = ["detail", "description", "title"].iter().find_map(|key| problem.get(key)?.as_str());
    text.map(|text| text.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS).collect())
}

/// Talks to servers. Clones share connections and options.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    options: Arc<ClientOptions>,
    pace: Option<Arc<Pace>>,
}

impl Client {
    /// A client with these options. Certificates are read here, connections made later.
    pub fn new(options: &ClientOptions) -> Result<Self> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(options.user_agent.clone())
            .accept("*/*")
            .max_redirects(options.max_redirects)
            .timeout_connect(Some(options.timeouts.connect))
            .timeout_recv_response(Some(options.timeouts.response))
            .timeout_per_read(Some(options.timeouts.read))
            .timeout_per_write(Some(options.timeouts.read))
            .max_idle_connections(options.idle_connections)
            .max_idle_connections_per_host(options.idle_connections)
            .input_buffer_size(64 << 10)
            .tls_config(tls_config(options)?);
        config = config.proxy(options.proxy.as_deref().map(proxy).transpose()?);
        for (name, value) in &options.headers {
            check_header(name, value)?;
        }
        let mut options = options.clone();
        if let Some(token) = &options.bearer_token {
            let value = format!("Bearer {}", token.trim());
            check_header("Authorization", &value)
                .map_err(|_| bad_option("the token", "it holds characters no header may hold"))?;
            options.headers.push(("Authorization".to_owned(), value));
        }
        let pace = Pace::new(options.max_bytes_per_second).map(Arc::new);
        if let Some(pace) = &pace {
            // What we slow down ourselves is not too slow.
            let slowest = pace.bytes_per_second() / 8;
            options.low_speed.bytes_per_second = options.low_speed.bytes_per_second.min(slowest);
        }
        Ok(Self { agent: connector::agent(config.build()), options: Arc::new(options), pace })
    }

    /// The options this was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// `GET url`. Any status but 2xx is an error.
    pub fn get(&self, url: &str) -> Result<Response> {
        self.send(Request::new(Method::Get, url))?.error_for_status()
    }

    /// Sends a request and gives the answer. A repeatable request is repeated after failures that
    /// may pass; when they do not, that is an error, as are statuses such as 503 then. All other
    /// statuses are the caller's to judge.
    #[allow(clippy::needless_pass_by_value)]
    pub fn send(&self, request: Request) -> Result<Response> {
        self.send_with(&Context::silent(), &request)
    }

    /// [`send`](Self::send) that can be cancelled, also while it waits.
    pub fn send_with(&self, ctx: &Context, request: &Request) -> Result<Response> {
        let mut retry = Retry::new(&self.options);
        loop {
            let error = match self.send_once(ctx, request) {
                Ok(mut response) if request.repeatable && is_passing_status(response.status) => {
                    response.take_error()
                }
                Ok(response) => return Ok(response),
                Err(error) if !request.repeatable => return Err(error),
                Err(error) => error,
            };
            retry.after(ctx, error)?;
        }
    }

    /// One attempt.
    pub(crate) fn send_once(&self, ctx: &Context, request: &Request) -> Result<Response> {
        let url = shown(&request.url);
        let fail = |source| Error::Transport { url: url.clone(), source: Box::new(source) };
        let mut builder =
            http::Request::builder().method(request.method.as_http()).uri(&request.url);
        for (name, value) in self.options.headers.iter().chain(&request.headers) {
            builder = builder.header(name, value);
        }
        if let Some(cookies) = cookie::header(&self.options.cookies, &request.url) {
            builder = builder.header("Cookie", cookies);
        }
        let answer = match &request.body {
            Body::Empty => {
                let sent = builder.body(()).map_err(|error| fail(error.into()))?;
                self.run(ctx, request.method, sent)
            }
            Body::Bytes(bytes) => {
                let sent = builder.body(&bytes[..]).map_err(|error| fail(error.into()))?;
                self.run(ctx, request.method, sent)
            }
            Body::Reader { length, open } => {
                let reader = open().map_err(|source| Error::Local { url: url.clone(), source })?;
                let body = ureq::SendBody::from_owned_reader(reader.take(*length));
                let builder = builder.header("Content-Length", length.to_string());
                let sent = builder.body(body).map_err(|error| fail(error.into()))?;
                self.run(ctx, request.method, sent)
            }
        };
        // A wait that was cancelled ends as any that fails.
        let answer =
            answer.or_else(|error| ctx.is_open().map_err(Error::from).and(Err(fail(error))));
        let (head, body) = answer?.into_parts();
        let expected = body.content_length().filter(|_| request.method != Method::Head);
        let reader = Box::new(body.into_reader());
        Ok(Response {
            status: head.status.as_u16(),
            headers: Headers(head.headers),
            body: BodyReader::new(ctx, reader, url.as_str().into(), expected)
                .paced(self.options.low_speed, self.pace.clone()),
            url,
        })
    }

    /// Redirects are followed by what only reads. What is sent is for this server alone: a `PUT`
    /// that became a `GET` somewhere else would look as if it had been taken.
    fn run<S: ureq::AsSendBody>(
        &self,
        ctx: &Context,
        method: Method,
        request: http::Request<S>,
    ) -> std::result::Result<http::Response<ureq::Body>, ureq::Error> {
        if matches!(method, Method::Get | Method::Head) {
            return waiting::within(ctx, || self.agent.run(request));
        }
        let request = self.agent.configure_request(request).max_redirects(0).build();
        waiting::within(ctx, || self.agent.run(request))
    }

    /// Sends `value` as JSON; gives the answer whatever its status.
    pub fn send_json<T: Serialize + ?Sized>(
        &self,
        method: Method,
        url: &str,
        value: &T,
    ) -> Result<Response> {
        let bytes = serde_json::to_vec(value)
            .map_err(|source| Error::Malformed { url: shown(url), source: Box::new(source) })?;
        self.send(Request::new(method, url).header("Content-Type", "application/json").body(bytes))
    }
}

/// Statuses that another attempt may turn into success.
fn is_passing_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504)
}

pub(crate) fn bad_option(
    what: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::Options { what: what.to_owned(), source: source.into() }
}

fn proxy(address: &str) -> Result<ureq::Proxy> {
    let proxy = ureq::Proxy::new(address).map_err(|source| bad_option("the proxy", source))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ => Err(bad_option("the proxy", "it must be one of HTTP: http://HOST:PORT")),
    }
}

fn check_header(name: &str, value: &str) -> Result<()> {
    let known = http::HeaderName::try_from(name)
        .map_err(|error| bad_option(&format!("the header {name:?}"), error));
    let fits = http::HeaderValue::try_from(value)
        .map_err(|error| bad_option(&format!("the value of the header {name}"), error));
    known.and(fits).map(|_| ())
}
