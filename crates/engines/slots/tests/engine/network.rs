//! Updates from a server, whose connections break and which says no.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use updraft_crypto::KeyAlgorithm;
use updraft_http::testing::{Answer, Server};
use updraft_http::{Client, ClientOptions};
use updraft_payload::OperationKind as Kind;
use updraft_slots::{ErrorCode, HttpSource};
use updraft_task::Context;

use super::device::Device;
use super::make::{Maker, delta, signer};

fn source(url: String, offset: u64, size: Option<u64>, retries: u32) -> HttpSource {
    let options = ClientOptions {
        retries,
        retry_pause: Duration::from_millis(1),
        ..ClientOptions::default()
    };
    HttpSource::new(Context::silent(), Client::new(&options).unwrap(), url, offset, size)
}

/// Four operations of 3 MiB that nothing makes smaller, and so at least as many records.
fn large() -> Maker {
    const BLOCKS: usize = 6144;
    let mut maker = Maker::new(0);
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let new: Vec<u8> = std::iter::repeat_with(&mut noise).take(4 * BLOCKS * 512).collect();
    maker.partition("system", None, &new);
    for (number, piece) in new.chunks(BLOCKS * 512).enumerate() {
        let start = (number * BLOCKS) as u64;
        maker.operation(Kind::Replace, Some(piece), &[], &[(start, BLOCKS as u64)]);
    }
    maker
}

#[test]
fn an_update_is_read_from_within_a_package_on_a_server_that_cuts() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = large();
    let payload = maker.signed(&[&key]);
    let package = [&b"head"[..], &payload, b"tail"].concat();
    let size = payload.len() as u64;
    // Each connection ends after a megabyte or so.
    let server = Server::start(move |_| Answer::Cut(package.clone(), 1_300_000));
    let device = Device::new(&maker, &key);
    let url = format!("{}/ota.zip", server.url());
    let code = device.apply_from(&mut source(url, 4, Some(size), 5), &[]).unwrap();
    assert_eq!(code, ErrorCode::SUCCESS);
    device.assert_updated(&maker);
    let log = server.log();
    let starts: Vec<usize> =
        log.iter().map(|exchange| exchange.range_start().unwrap_or(0)).collect();
    assert!(starts.len() >= 10 && starts.is_sorted(), "{starts:?}");
}

#[test]
fn what_was_read_is_not_read_again_by_the_next_try() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = large();
    let payload = maker.signed(&[&key]);
    let length = payload.len();
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    // Two connections that end after a while, then none, for each try.
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) % 3 {
        2 => Answer::HangUp,
        _ => Answer::Cut(payload.clone(), 3_500_000),
    });
    let device = Device::new(&maker, &key);
    let mut tries = 0;
    loop {
        tries += 1;
        let done = device.apply_from(&mut source(format!("{}/p", server.url()), 0, None, 0), &[]);
        match done {
            Ok(_) => break,
            Err(error) => assert_eq!(ErrorCode::of(&error), ErrorCode(9), "{error}"),
        }
        assert!(tries < 12, "it gets no further");
    }
    device.assert_updated(&maker);
    assert!(tries > 1);
    // Each try reads the metadata from the start, and then goes on behind the operations that are done,
    // which have 3 MiB each.
    let log = server.log();
    let starts: Vec<usize> =
        log.iter().filter_map(updraft_http::testing::Exchange::range_start).collect();
    assert!(starts.len() >= 3 && starts.is_sorted(), "{starts:?}");
    assert!(starts.iter().any(|start| (3 * (3 << 20)..length).contains(start)), "{starts:?}");
}

#[test]
fn a_server_that_says_no_is_told_by_its_status() {
    let key = signer(KeyAlgorithm::EcdsaP256);
    let maker = delta();
    for (answered, code) in [(404, 2404), (401, 2401), (500, 2500)] {
        let device = Device::new(&maker, &key);
        let server = Server::start(move |_| Answer::Bytes(answered, Vec::new()));
        let url = format!("{}/p", server.url());
        let error = device.apply_from(&mut source(url, 0, None, 0), &[]).unwrap_err();
        assert_eq!(ErrorCode::of(&error), ErrorCode(code), "{error}");
        assert_eq!(device.overview().last.unwrap().name, "HttpError");
    }
}
