//! The protocol over TCP and TLS: all versions, broken peers, certificates.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use updraft_crypto::tls::{CertificateAuthority, Validity};
use updraft_ipuptane::{
    LegacyMetadata, LegacyResult, Message, RepositoryKind, ResultCode, RoleFile,
};
use updraft_secondary::tls::{ClientTls, TlsFiles, server_config};
use updraft_secondary::{Ending, Error, Link, Server, ServerOptions, Verification};
use updraft_task::{CancelToken, Context, Silent};
use updraft_tuf::{RoleFiles, RoleName, TrustedMetadata};

use crate::vehicle::{HARDWARE, Home, SERIAL, Vehicle, now};

/// Serves an ECU while `work` talks to it.
fn serving(home: &Home, tls: Option<&TlsFiles>, work: impl FnOnce(&str)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let cancel = CancelToken::new();
    let ctx = Context::new(cancel.clone(), std::sync::Arc::new(Silent));
    let tls = tls.map(|files| server_config(files).unwrap());
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut ecu = home.ecu(Verification::Full);
            let options = ServerOptions {
                tls,
                now: &now,
                end_for_restart: false,
                restart_needed: &|| Ok(()),
            };
            Server::new(&mut ecu, options).serve(&ctx, listener).unwrap()
        });
        work(&address);
        cancel.cancel();
        assert_eq!(server.join().unwrap(), Ending::Cancelled);
    });
}

fn role_files(files: &RoleFiles) -> Vec<RoleFile> {
    let file = |(role, json): (&RoleName, &[u8])| RoleFile {
        role: role.as_str().to_owned(),
        json: json.to_vec(),
    };
    files.iter().map(file).collect()
}

fn call(address: &str, message: &Message) -> Message {
    Link::new(address, None).call(&Context::silent(), message).unwrap()
}

fn is_ok(message: &Message) -> bool {
    matches!(
        message,
        Message::PutMetaResp2(outcome) | Message::UploadDataResp(outcome)
        | Message::InstallResp2(outcome) | Message::PutRootResp(outcome)
            if outcome.code == ResultCode::Ok
    )
}

#[test]
fn version_2_as_aktualizr_speaks_it_and_version_1() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    vehicle.publish("fw-1", &[7; 5000], HARDWARE, "1");
    let first = vehicle.assign("fw-1", &[7; 5000], &[(SERIAL, HARDWARE)]);
    serving(&home, None, |address| {
        let Message::GetInfoResp(info) = call(address, &Message::GetInfoReq) else { panic!() };
        assert_eq!((info.serial.as_str(), info.hardware_id.as_str()), (SERIAL, HARDWARE));
        assert_eq!(call(address, &Message::VersionReq(2)), Message::VersionResp(2));
        assert_eq!(call(address, &Message::VersionReq(9)), Message::VersionResp(4));
        let root = Message::RootVerReq(RepositoryKind::Director);
        assert_eq!(call(address, &root), Message::RootVerResp(0));
        let json = vehicle.director_root(1).to_vec();
        let put = Message::PutRootReq { repository: RepositoryKind::Director, json };
        assert!(is_ok(&call(address, &put)));
        assert_eq!(call(address, &root), Message::RootVerResp(1));
        let put = Message::PutMetaReq2 {
            image: role_files(&first.image),
            director: role_files(&first.director),
        };
        assert!(is_ok(&call(address, &put)));
        for piece in [7_u8; 5000].chunks(1024) {
            assert!(is_ok(&call(address, &Message::UploadDataReq(piece.to_vec()))));
        }
        assert!(is_ok(&call(address, &Message::InstallReq(b"fw-1".to_vec()))));
        // The same by version 1.
        vehicle.publish("fw-2", &vec![8; 200_000], HARDWARE, "2");
        let second = vehicle.assign("fw-2", &vec![8; 200_000], &[(SERIAL, HARDWARE)]);
        let TrustedMetadata { image, director } = second;
        let file = |files: &RoleFiles, role| files.get(&role).unwrap().to_vec();
        let put = Message::PutMetaReq(Box::new(LegacyMetadata {
            image: [RoleName::Root, RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets]
                .map(|role| file(&image, role)),
            director: [RoleName::Root, RoleName::Targets].map(|role| file(&director, role)),
        }));
        assert_eq!(call(address, &put), Message::PutMetaResp(LegacyResult::Success));
        let send = Message::SendFirmwareReq(vec![8; 200_000]);
        assert_eq!(call(address, &send), Message::SendFirmwareResp(LegacyResult::Success));
        let install = Message::InstallReq(b"fw-2".to_vec());
        assert_eq!(call(address, &install), Message::InstallResp(ResultCode::Ok));
        let Message::ManifestResp(json) = call(address, &Message::ManifestReq) else { panic!() };
        assert!(String::from_utf8(json).unwrap().contains("\"fw-2\""));
    });
    assert_eq!(home.firmware().unwrap(), vec![8; 200_000]);
}

#[test]
fn peers_that_are_broken_do_not_keep_others_from_being_served() {
    let home = Home::new();
    serving(&home, None, |address| {
        for bytes in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100], &[0xa0, 0x89], &[0xba, 2, 0x30, 0]]
        {
            let mut peer = TcpStream::connect(address).unwrap();
            peer.write_all(bytes).unwrap();
            // It hangs up, and says nothing.
            let _ = peer.read_to_end(&mut Vec::new());
        }
        // An answer where a request is due; a length that no message may have; half a message.
        let answer = Link::new(address, None).call(&Context::silent(), &Message::VersionResp(2));
        assert!(matches!(answer, Err(Error::Unreachable { .. })));
        let mut peer = TcpStream::connect(address).unwrap();
        peer.write_all(&[0xa0, 0x84, 0xff, 0xff, 0xff, 0xff]).unwrap();
        drop(peer);
        TcpStream::connect(address).unwrap().write_all(&[0xa0, 2, 0x30]).unwrap();
        assert!(matches!(call(address, &Message::GetInfoReq), Message::GetInfoResp(_)));
    });
}

#[test]
fn a_secondary_that_lies_about_its_answers_is_found_out_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        // Garbage; an answer without end; one that drips.
        for (index, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 100]);
            match index {
                0 => drop(stream.write_all(b"nonsense")),
                1 => drop(stream.write_all(&[0xa1, 0x84, 0x7f, 0xff, 0xff, 0xff])),
                _ => {
                    while stream.write_all(&[0xa1, 0x81]).is_ok() {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
            }
        }
    });
    let (link, ctx) = (Link::new(address, None), Context::silent());
    assert!(matches!(link.call(&ctx, &Message::GetInfoReq), Err(Error::Message { .. })));
    assert!(matches!(link.call(&ctx, &Message::GetInfoReq), Err(Error::Message { .. })));
    let begun = Instant::now();
    let time = Duration::from_millis(300);
    assert!(link.call_within(&ctx, &Message::GetInfoReq, time).is_err());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn with_tls_both_ends_show_a_certificate_of_the_authority() {
    let validity = Validity::days(jiff::Timestamp::now(), 1);
    let authority = |name: &str| CertificateAuthority::create(name, validity).unwrap();
    let (ours, theirs) = (authority("vehicle"), authority("somebody"));
    let files = |ca: &CertificateAuthority, identity: updraft_crypto::Identity| TlsFiles {
        ca_pem: ca.certificate_pem().as_bytes().to_vec(),
        certificate_pem: identity.certificate_pem.into_bytes(),
        private_key_pem: identity.private_key_pem.into_bytes(),
    };
    let names = ["127.0.0.1".to_owned()];
    let server = files(&ours, ours.issue_server(&names, validity).unwrap());
    let primary = files(&ours, ours.issue_device("primary", validity).unwrap());
    let stranger = files(&ours, theirs.issue_device("stranger", validity).unwrap());
    let credulous = files(&theirs, ours.issue_device("primary", validity).unwrap());
    let home = Home::new();
    serving(&home, Some(&server), |address| {
        let ctx = Context::silent();
        let ask = |files: &TlsFiles, name: &str| {
            let tls = ClientTls::new(files, name).unwrap();
            Link::new(address, Some(tls)).call(&ctx, &Message::GetInfoReq)
        };
        assert!(matches!(ask(&primary, "127.0.0.1"), Ok(Message::GetInfoResp(_))));
        assert!(ask(&stranger, "127.0.0.1").is_err(), "a stranger is served");
        assert!(ask(&credulous, "127.0.0.1").is_err(), "another authority is believed");
        assert!(ask(&primary, "10.0.0.1").is_err(), "another name is believed");
        let plain = Link::new(address, None);
        let time = Duration::from_secs(2);
        assert!(plain.call_within(&ctx, &Message::GetInfoReq, time).is_err());
        assert!(ask(&primary, "127.0.0.1").is_ok());
    });
}
