//! Every message, there and back; what an independent codec, asn1c's, makes of them; and what
//! other encoders may write.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::path::Path;
use std::process::Command;

use updraft_ipuptane::{
    EcuInfo, Error, Framer, KeyKind, LegacyMetadata, LegacyResult, Message, Outcome, Piece,
    Progress, RepositoryKind, ResultCode, RoleFile,
};

fn every_message() -> Vec<Message> {
    let outcome = |code| Outcome::new(code, "why: ü");
    let files = |names: &[&str]| {
        let file = |name: &&str| RoleFile { role: (*name).to_owned(), json: vec![b'{'; 300] };
        names.iter().map(file).collect::<Vec<_>>()
    };
    let info = |key_kind| {
        Message::GetInfoResp(EcuInfo {
            serial: "ECU-1".into(),
            hardware_id: "brake".into(),
            key_kind,
            key: b"00ff".to_vec(),
        })
    };
    vec![
        Message::GetInfoReq,
        info(KeyKind::Ed25519),
        info(KeyKind::Rsa2048),
        info(KeyKind::Rsa4096),
        info(KeyKind::UNKNOWN),
        Message::ManifestReq,
        Message::ManifestResp(b"{}".to_vec()),
        Message::PutMetaReq(Box::new(LegacyMetadata {
            image: [vec![1; 10], vec![2; 200], Vec::new(), vec![4; 70_000]],
            director: [vec![5], vec![6; 128]],
        })),
        Message::PutMetaResp(LegacyResult::Success),
        Message::PutMetaResp(LegacyResult::Failure),
        Message::SendFirmwareReq(vec![0; 70_000]),
        Message::SendFirmwareResp(LegacyResult::Success),
        Message::InstallReq(b"fw.bin".to_vec()),
        Message::InstallResp(ResultCode::NeedCompletion),
        Message::UploadDataReq(vec![0xff; 1024]),
        Message::UploadDataResp(Outcome::ok()),
        Message::DownloadOstreeRevReq(vec![9]),
        Message::DownloadOstreeRevResp(outcome(ResultCode::DownloadFailed)),
        Message::PutMetaReq2 {
            image: files(&["root", "timestamp", "snapshot", "targets", "a/b"]),
            director: files(&["root", "targets"]),
        },
        Message::PutMetaReq2 { image: Vec::new(), director: Vec::new() },
        Message::PutMetaResp2(outcome(ResultCode::VerificationFailed)),
        Message::InstallResp2(outcome(ResultCode::UNKNOWN)),
        Message::InstallResp2(outcome(ResultCode::CustomError)),
        Message::VersionReq(2),
        Message::VersionResp(-1),
        Message::RootVerReq(RepositoryKind::Director),
        Message::RootVerReq(RepositoryKind::Image),
        Message::RootVerResp(1_000_000),
        Message::PutRootReq { repository: RepositoryKind::Image, json: b"{}".to_vec() },
        Message::PutRootResp(outcome(ResultCode::InternalError)),
        Message::TakeCommitReq,
        Message::ObjectReq { path: "ab/cd.filez".to_owned(), offset: 0 },
        Message::ObjectReq { path: String::new(), offset: 1 << 40 },
        Message::ObjectResp(Piece::Absent),
        Message::ObjectResp(Piece::Next(vec![7; 70_000])),
        Message::ObjectResp(Piece::Last(Vec::new())),
        Message::RevertReq,
        Message::RevertResp(outcome(ResultCode::GeneralError)),
        Message::ConfirmReq,
        Message::ConfirmResp(Outcome::ok()),
    ]
}

#[test]
fn every_message_reads_back_and_no_part_of_it_does() {
    for message in every_message() {
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes).as_ref(), Ok(&message), "{}", message.name());
        let mut framer = Framer::new(bytes.len());
        assert_eq!(framer.look(&bytes), Ok(Progress::Complete(bytes.len())));
        let step = (bytes.len() / 300).max(1);
        for end in (0..bytes.len()).step_by(step) {
            assert!(Message::decode(&bytes[..end]).is_err(), "{} cut at {end}", message.name());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Message::decode(&longer).is_err());
    }
}

#[test]
fn bytes_of_the_wire_as_other_implementations_have_them() {
    let golden = [
        (Message::GetInfoReq, "a0023000"),
        (Message::VersionReq(2), "b1053003020102"),
        (Message::RootVerReq(RepositoryKind::Image), "b30530030a0101"),
        (Message::InstallReq(b"fw".to_vec()), "a806300404026677"),
        (Message::InstallResp2(Outcome::new(ResultCode::UNKNOWN, "")), "b00730050a01ff0400"),
    ];
    for (message, hex) in golden {
        assert_eq!(hex::encode(message.encode()), hex, "{}", message.name());
    }
}

#[test]
fn extensions_are_passed_over_and_unknown_numbers_kept() {
    let unhex = |text: &str| Message::decode(&hex::decode(text).unwrap());
    // A second field behind the version, and one behind an empty SEQUENCE.
    assert_eq!(unhex("b108300602010204010f").unwrap(), Message::VersionReq(2));
    assert_eq!(unhex("a00530030401ff").unwrap(), Message::GetInfoReq);
    assert_eq!(unhex("a90530030a0163").unwrap(), Message::InstallResp(ResultCode::Other(99)));
    assert_eq!(unhex("ba023000"), Err(Error::UnknownMessage { tag: 26 }));
    for bad in
        ["", "a0", "a000", "a0020400", "3000", "61023000", "bf023000", "a1023000", "a00430003000"]
    {
        assert!(unhex(bad).is_err(), "{bad}");
    }
}

/// The same elements with lengths that have no end, and strings in pieces.
fn indefinite(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let [tag, first, ..] = *rest {
        let (head, length) = if first < 0x80 {
            (2, usize::from(first))
        } else {
            let count = usize::from(first & 0x7f);
            let digits = &rest[2..2 + count];
            (2 + count, digits.iter().fold(0, |sum, digit| sum * 256 + usize::from(*digit)))
        };
        let value = &rest[head..head + length];
        if tag & 0x20 != 0 {
            out.extend([tag, 0x80]);
            out.extend(indefinite(value));
            out.extend([0, 0]);
        } else if tag == 4 || tag == 12 {
            out.extend([tag | 0x20, 0x80]);
            for piece in value.chunks(100) {
                out.extend([tag, u8::try_from(piece.len()).unwrap()]);
                out.extend(piece);
            }
            out.extend([0, 0]);
        } else {
            out.extend(&rest[..head + length]);
        }
        rest = &rest[head + length..];
    }
    out
}

#[test]
fn ber_without_lengths_says_the_same() {
    for message in every_message() {
        let ber = indefinite(&message.encode());
        assert_eq!(Message::decode(&ber).as_ref(), Ok(&message), "{}", message.name());
        assert_eq!(Framer::new(1 << 20).look(&ber), Ok(Progress::Complete(ber.len())));
    }
}

/// asn1c, made to convert between DER and text, is a codec that shares nothing with ours.
#[test]
fn asn1c_writes_and_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema.asn1");
    run(Command::new("asn1c").arg("-fcompound-names").arg(schema).current_dir(at));
    let script = "gcc -w -O0 -DPDU=Message -I. -o codec *.c";
    run(Command::new("sh").args(["-c", script]).current_dir(at));
    let convert = |from: &str, to: &str, bytes: &[u8]| {
        std::fs::write(at.join("in"), bytes).unwrap();
        run(Command::new("./codec").args([from, to, "in"]).current_dir(at))
    };
    for message in every_message() {
        let (der, name) = (message.encode(), message.name());
        let text = convert("-iber", "-oxer", &der);
        assert!(String::from_utf8_lossy(&text).contains(&format!("<{name}")), "{name}");
        // What asn1c understood, written by asn1c: the same bytes, and they mean the same to us.
        let theirs = convert("-ixer", "-oder", &text);
        assert_eq!(hex::encode(&theirs), hex::encode(&der), "{name}");
        assert_eq!(Message::decode(&theirs).unwrap(), message, "{name}");
    }
    // And what both take from a message without lengths.
    let message = every_message().into_iter().find(|one| one.name() == "putMetaReq2").unwrap();
    let theirs = convert("-iber", "-oder", &indefinite(&message.encode()));
    assert_eq!(Message::decode(&theirs).unwrap(), message);
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}
