//! The client against servers that misbehave.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use updraft_error::{Classify, Kind};
use updraft_http::testing::{Answer, Server};
use updraft_http::{
    Client, ClientOptions, DownloadOptions, Error, Expected, Method, Request, StreamOptions,
    Timeouts,
};
use updraft_task::Context;

fn client() -> Client {
    let options = ClientOptions {
        retry_pause: Duration::from_millis(1),
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            response: Duration::from_millis(300),
            read: Duration::from_millis(300),
        },
        ..ClientOptions::default()
    };
    Client::new(&options).expect("default options are valid")
}

fn resource() -> Vec<u8> {
    (0..300_000u32).flat_map(u32::to_le_bytes).collect()
}

fn read_stream(url: &str, limit: u64) -> Result<Vec<u8>, Error> {
    let (client, ctx) = (client(), Context::silent());
    let mut stream = client.stream(&ctx, url, StreamOptions::limit(limit))?.expect("it exists");
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match stream.read_typed(&mut buffer)? {
            0 => return Ok(bytes),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

#[test]
fn a_server_that_always_cuts_after_half_of_the_body_is_overcome() {
    let server = Server::start(|exchange| {
        let body = resource();
        let rest = body.len() - exchange.range_start().unwrap_or(0).min(body.len());
        Answer::Cut(body, rest.div_ceil(2))
    });
    assert_eq!(read_stream(&server.url(), 1 << 30).unwrap(), resource());
    assert!(server.log().iter().skip(1).all(|exchange| exchange.header("if-range").is_some()));
}

#[test]
fn a_server_without_ranges_is_read_again_up_to_where_it_broke() {
    let server = Server::start(|exchange| match exchange.number {
        0 => Answer::Cut(resource(), 700_001),
        _ => Answer::NoRanges(resource()),
    });
    assert_eq!(read_stream(&server.url(), 1 << 30).unwrap(), resource());
}

#[test]
fn a_resource_that_changes_its_length_in_between_is_refused() {
    let server = Server::start(|exchange| match exchange.number {
        0 => Answer::Cut(resource(), 1000),
        _ => Answer::Resource(vec![0; 2000]),
    });
    let error = read_stream(&server.url(), 1 << 30).unwrap_err();
    assert!(matches!(error, Error::Mismatch { what: "length", .. }), "{error}");
    assert_eq!(error.kind(), Kind::Rejected);
}

#[test]
fn endless_bodies_are_cut_off() {
    let server = Server::start(|_| Answer::Resource(vec![1; 5000]));
    let error = read_stream(&server.url(), 4999).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 4999, .. }));
    assert!(client().get_bytes(&server.url(), 4999).is_err());
    assert_eq!(client().get_bytes(&server.url(), 5000).unwrap().unwrap().len(), 5000);
}

#[test]
fn absent_things_are_none_and_errors_carry_their_problem() {
    let problem = br#"{"title":"No","detail":"the disk is full"}"#;
    let server = Server::start(move |exchange| match exchange.path.as_str() {
        "/404" => Answer::Bytes(404, Vec::new()),
        _ => Answer::Bytes(507, problem.to_vec()),
    });
    assert!(client().get_bytes(&format!("{}/404", server.url()), 10).unwrap().is_none());
    let error = client().get(&server.url()).unwrap_err();
    assert_eq!(error.status(), Some(507));
    assert_eq!(error.kind(), Kind::Exhausted);
    assert!(error.to_string().contains("the disk is full"), "{error}");
}

#[test]
fn passing_failures_are_repeated_and_others_are_not() {
    let server = Server::start(|exchange| match (exchange.path.as_str(), exchange.number) {
        ("/flaky", 0) => Answer::Bytes(503, Vec::new()),
        ("/flaky", 1) => Answer::HangUp,
        ("/flaky", _) => Answer::Bytes(200, b"fine".to_vec()),
        _ => Answer::Bytes(400, Vec::new()),
    });
    let flaky = format!("{}/flaky", server.url());
    assert_eq!(client().get(&flaky).unwrap().bytes(10).unwrap(), b"fine");
    assert_eq!(server.log().len(), 3);
    assert_eq!(client().get(&format!("{}/bad", server.url())).unwrap_err().status(), Some(400));
    assert_eq!(server.log().len(), 4);
}

#[test]
fn a_post_is_sent_once_unless_it_may_be_repeated() {
    let server = Server::start(|exchange| match exchange.number {
        0 | 1 => Answer::HangUp,
        _ => Answer::Bytes(200, Vec::new()),
    });
    let post = Request::new(Method::Post, server.url()).body(b"x".to_vec());
    assert_eq!(client().send(post.clone()).unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(server.log().len(), 1);
    assert!(client().send(post.repeatable()).unwrap().is_success());
    assert_eq!(server.log().last().unwrap().body, b"x");
}

#[test]
fn u_e1_a_silent_server_is_given_up() {
    let server = Server::start(|_| Answer::Stall);
    let options = ClientOptions {
        retries: 0,
        timeouts: Timeouts { response: Duration::from_millis(50), ..Timeouts::default() },
        ..ClientOptions::default()
    };
    let error = Client::new(&options).unwrap().get(&server.url()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[test]
fn an_unreachable_server_is_unavailable() {
    let error = client().get("http://127.0.0.1:1/").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("http://127.0.0.1:1/"));
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

#[test]
fn a_download_goes_on_where_an_earlier_process_stopped() {
    let server = Server::start(|_| Answer::Resource(resource()));
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &resource()[..400_000]).unwrap();
    let expected = Expected { length: None, sha256: Some(sha256(&resource())) };
    let (ctx, options) = (Context::silent(), DownloadOptions::default());
    let done = client().download(&ctx, &server.url(), &mut file, expected, options).unwrap();
    assert_eq!(done.resumed_at, 400_000);
    assert_eq!(server.log()[0].range_start(), Some(400_000));
    // Complete already: one conditional question, no bytes.
    let again = client().download(&ctx, &server.url(), &mut file, expected, options).unwrap();
    assert_eq!(again.resumed_at, again.length);
}

#[test]
fn a_wrong_beginning_is_thrown_away_and_a_wrong_file_is_emptied() {
    let server = Server::start(|_| Answer::Resource(resource()));
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"rubbish").unwrap();
    let good = Expected { length: Some(1_200_000), sha256: Some(sha256(&resource())) };
    let (ctx, options) = (Context::silent(), DownloadOptions::default());
    let done = client().download(&ctx, &server.url(), &mut file, good, options).unwrap();
    assert_eq!((done.resumed_at, done.length), (0, 1_200_000));
    file.set_len(0).unwrap();
    let wrong = Expected { sha256: Some([7; 32]), ..good };
    let error = client().download(&ctx, &server.url(), &mut file, wrong, options).unwrap_err();
    assert!(matches!(error, Error::Mismatch { what: "SHA-256", .. }));
    assert_eq!(file.metadata().unwrap().len(), 0);
}

#[test]
fn a_cancelled_stream_stops() {
    let server = Server::start(|_| Answer::Resource(resource()));
    let (client, ctx) = (client(), Context::silent());
    let mut stream =
        client.stream(&ctx, &server.url(), StreamOptions::limit(1 << 30)).unwrap().unwrap();
    ctx.cancel.cancel();
    assert!(matches!(stream.read_typed(&mut [0; 10]), Err(Error::Cancelled(_))));
    assert!(stream.read(&mut [0; 10]).is_err());
}

/// What `work` gives with patient timeouts when it is cancelled in its wait, which must end soon.
fn cancelled<T>(work: impl FnOnce(&Client, &Context) -> Result<T, Error>) -> Result<T, Error> {
    let client = Client::new(&ClientOptions::default()).expect("default options are valid");
    let ctx = Context::silent();
    let (cancel, at) = (ctx.cancel.clone(), Instant::now());
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        cancel.cancel();
    });
    let result = work(&client, &ctx);
    assert!(at.elapsed() >= Duration::from_millis(400), "it did not wait");
    assert!(at.elapsed() < Duration::from_secs(10), "it waited for {:?}", at.elapsed());
    result
}

#[test]
fn a_silent_server_does_not_hold_up_who_cancels() {
    let server = Server::start(|_| Answer::Stall);
    let request = Request::new(Method::Get, server.url());
    let result = cancelled(|client, ctx| client.send_with(ctx, &request));
    assert!(matches!(result, Err(Error::Cancelled(_))), "{result:?}");
    let result = cancelled(|client, ctx| client.get_bytes_with(ctx, &server.url(), 10));
    assert!(matches!(result, Err(Error::Cancelled(_))), "{result:?}");
}

#[test]
fn a_body_that_stops_coming_does_not_hold_up_who_cancels() {
    let server = Server::start(|_| Answer::Stuck(resource(), 10));
    let result = cancelled(|client, ctx| {
        let options = StreamOptions::limit(1 << 30);
        let mut stream = client.stream(ctx, &server.url(), options)?.expect("it exists");
        let read = stream.read_typed(&mut [0; 100])?;
        assert_eq!(read, 10);
        stream.read_typed(&mut [0; 100])
    });
    assert!(matches!(result, Err(Error::Cancelled(_))), "{result:?}");
}

/// A listener whose queue is full answers no further connection.
#[test]
fn a_connection_that_nobody_takes_does_not_hold_up_who_cancels() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(500));
    let queue: Vec<_> = std::iter::repeat_with(connect).map_while(Result::ok).take(9000).collect();
    assert!(connect().is_err(), "{} connections were taken", queue.len());
    let request = Request::new(Method::Get, format!("http://{address}/"));
    let result = cancelled(|client, ctx| client.send_with(ctx, &request));
    assert!(matches!(result, Err(Error::Cancelled(_))), "{result:?}");
}

#[test]
fn a_server_that_takes_its_time_is_waited_for() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_millis(900));
        Answer::Resource(resource())
    });
    let client = Client::new(&ClientOptions::default()).unwrap();
    assert_eq!(client.get_bytes(&server.url(), 1 << 30).unwrap(), Some(resource()));
    assert_eq!(server.log().len(), 1);
}

#[test]
fn a_proxy_of_another_kind_is_refused() {
    let proxy = Some("socks5://localhost:1080".to_owned());
    let error = Client::new(&ClientOptions { proxy, ..ClientOptions::default() }).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[test]
fn a_token_is_sent_and_never_shown() {
    let server = Server::start(|exchange| {
        Answer::Bytes(200, exchange.header("authorization").unwrap_or("none").into())
    });
    let options =
        ClientOptions { bearer_token: Some("s3cret".to_owned()), ..ClientOptions::default() };
    let client = Client::new(&options).unwrap();
    let seen = client.get_bytes(&server.url(), 100).unwrap().unwrap();
    assert_eq!(seen, b"Bearer s3cret");
    let bad = ClientOptions { bearer_token: Some("a\nb".to_owned()), ..ClientOptions::default() };
    assert_eq!(Client::new(&bad).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn what_is_sent_goes_nowhere_else_and_what_is_read_may() {
    let elsewhere = Server::start(|_| Answer::Bytes(200, b"welcome".to_vec()));
    let address = elsewhere.url();
    let server = Server::start(move |_| Answer::Redirect(address.clone()));
    for method in [Method::Put, Method::Post, Method::Patch, Method::Delete] {
        let request = Request::new(method, server.url()).body(b"for you alone".to_vec());
        let answer = client().send(request).unwrap();
        assert_eq!(answer.status, 302, "{method:?}");
        assert!(answer.error_for_status().is_err());
    }
    assert!(elsewhere.log().is_empty(), "{:?}", elsewhere.log());
    let read = client().get_bytes(&server.url(), 100).unwrap();
    assert_eq!(read.as_deref(), Some(&b"welcome"[..]));
}
