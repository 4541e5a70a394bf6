//! Signed time: who may say what time it is, and that it never goes back.

use crate::common::{ToyVerifier, World, key, time};
use jiff::SignedDuration;
use serde_json::json;
use updraft_tuf::{
    Dialect, Envelope, SecureClock, Sign, TIME_SERVER_ROLE, TimeAttestation, TimeAuthority,
};

const D: Dialect = Dialect::Uptane;

fn authority() -> TimeAuthority {
    TimeAuthority::of_keys(D, &[key(1).public_key().clone()], 1)
}

fn attest(text: &str, nonces: &[&str], signer: u8) -> Vec<u8> {
    let nonces = nonces.iter().map(|nonce| (*nonce).to_owned()).collect();
    let signed = TimeAttestation::new(time(text), nonces).sign(D, &[&key(signer)]).unwrap();
    signed.to_bytes(D).unwrap()
}

fn verify(bytes: &[u8], nonce: Option<&str>) -> Result<String, &'static str> {
    let attested = authority().verify(D, bytes, nonce, &ToyVerifier);
    attested.map(|attested| attested.time.to_string()).map_err(|refusal| refusal.name())
}

#[test]
fn u_f1_time_is_signed_and_answers_the_question() {
    let now = "2030-06-01T00:00:00Z";
    assert_eq!(verify(&attest(now, &["a", "b"], 1), Some("b")), Ok(now.to_owned()));
    assert_eq!(verify(&attest(now, &["a"], 1), None), Ok(now.to_owned()));
    assert_eq!(verify(&attest(now, &["a"], 1), Some("b")), Err("missing-nonce"));
    assert_eq!(verify(&attest(now, &[], 1), Some("b")), Err("missing-nonce"));
    assert_eq!(verify(&attest(now, &["a"], 2), Some("a")), Err("threshold"));
    let sign = |value| Envelope::sign(D, value, &[&key(1)]).unwrap().to_bytes(D).unwrap();
    let number = sign(json!({ "nonces": [7], "time": now }));
    assert_eq!(verify(&number, Some("7")), Ok(now.to_owned()));
    // A key that signs time signs nothing else, and nothing else is a time.
    let other = sign(json!({ "_type": "Timestamp", "nonces": ["a"], "time": now }));
    assert_eq!(verify(&other, Some("a")), Err("malformed"));
    for broken in [json!({ "nonces": ["a"] }), json!({ "time": now }), json!([])] {
        assert_eq!(verify(&sign(broken), Some("a")), Err("malformed"));
    }
    let long = vec!["n"; 1025];
    assert_eq!(verify(&attest(now, &long, 1), Some("n")), Err("malformed"));
}

#[test]
fn u_s4_the_directors_root_names_the_time_server() {
    let mut world = World::uptane();
    assert_eq!(TimeAuthority::of_root(&world.director.root), None);
    world.director.rotate(|server| server.set_role(TIME_SERVER_ROLE, &[key(1)], 1));
    let authority = TimeAuthority::of_root(&world.director.root).unwrap();
    let bytes = attest("2030-06-01T00:00:00Z", &["a"], 1);
    assert!(authority.verify(D, &bytes, Some("a"), &ToyVerifier).is_ok());
    // Devices take a root that names it, and go on.
    world.accepted();
    world.director.rotate(|server| server.set_role(TIME_SERVER_ROLE, &[key(2)], 1));
    let next = TimeAuthority::of_root(&world.director.root).unwrap();
    assert_ne!(next, authority);
    assert!(next.verify(D, &bytes, Some("a"), &ToyVerifier).is_err());
}

#[test]
fn u_f1_time_never_goes_back_beyond_the_tolerance() {
    let mut clock = SecureClock::new(None, SignedDuration::from_secs(5));
    let accept = |clock: &mut SecureClock, text: &str| {
        let bytes = attest(text, &["a"], 1);
        let attested = authority().verify(D, &bytes, Some("a"), &ToyVerifier).unwrap();
        clock.accept(&attested).map_err(|refusal| refusal.name())
    };
    let latest = time("2030-06-01T00:00:10Z");
    assert_eq!(accept(&mut clock, "2030-06-01T00:00:10Z"), Ok(latest));
    // Within the tolerance an answer that was overtaken is no attack, and moves nothing back.
    assert_eq!(accept(&mut clock, "2030-06-01T00:00:05Z"), Ok(latest));
    assert_eq!(accept(&mut clock, "2030-06-01T00:00:04Z"), Err("time-rollback"));
    assert_eq!(clock.latest(), Some(latest));
    // So five seconds at a time lead nowhere.
    assert_eq!(accept(&mut clock, "2030-06-01T00:00:04Z"), Err("time-rollback"));
    assert!(clock.check(time("2030-06-01T00:00:06Z")).is_ok());
    assert_eq!(clock.check(time("2030-06-01T00:00:00Z")).unwrap_err().name(), "time-rollback");
    // A stored time is trusted after a restart; rotated keys forget it.
    let mut again = SecureClock::new(clock.latest(), SignedDuration::ZERO);
    assert_eq!(accept(&mut again, "2030-06-01T00:00:09Z"), Err("time-rollback"));
    again.reset();
    assert!(accept(&mut again, "2030-01-01T00:00:00Z").is_ok());
}
