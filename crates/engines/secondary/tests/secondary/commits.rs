//! A commit that the primary brings itself, over one connection: both ends of the exchange.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use updraft_ipuptane::{Message, Piece, ResultCode};
use updraft_secondary::payload::{NewImage, Observed, Payload};
use updraft_secondary::{
    CommitObjects, Error, Installation, Link, Result, Server, ServerOptions, Verification,
};
use updraft_task::{CancelToken, Context, Silent};
use updraft_tuf::TargetFormat;

use crate::vehicle::{HARDWARE, Home, SERIAL, Vehicle, now};

/// Takes two objects of every commit.
struct Commits(Arc<Mutex<Vec<Vec<u8>>>>);

impl Payload for Commits {
    fn format(&self) -> TargetFormat {
        TargetFormat::Ostree
    }

    fn take_commit(&mut self, ctx: &Context, sha256: &str, from: &dyn CommitObjects) -> Result<()> {
        for path in [format!("{sha256}.commit"), "of the tree".to_owned()] {
            let mut object = Vec::new();
            loop {
                match from.piece(ctx, &path, object.len() as u64)? {
                    Piece::Absent => {
                        return Err(Error::Payload {
                            action: "fetch the commit",
                            problem: format!("{path} is missing"),
                            kind: updraft_error::Kind::NotFound,
                        });
                    }
                    Piece::Next(data) => object.extend(data),
                    Piece::Last(data) => {
                        object.extend(data);
                        break;
                    }
                }
            }
            self.0.lock().unwrap().push(object);
        }
        Ok(())
    }

    fn observe(&mut self, _ctx: &Context) -> Result<Option<Observed>> {
        Ok(None)
    }

    fn install(&mut self, _ctx: &Context, _image: NewImage<'_>) -> Result<Installation> {
        Ok(Installation::Done)
    }

    fn complete(&mut self, _ctx: &Context, _image: NewImage<'_>) -> Result<Installation> {
        Ok(Installation::Done)
    }

    fn revert(&mut self, _ctx: &Context, _previous: Option<NewImage<'_>>) -> Result<Installation> {
        Ok(Installation::Done)
    }
}

/// A primary that has these objects.
struct Primary(Vec<(String, Vec<u8>)>);

impl CommitObjects for Primary {
    fn piece(&self, _ctx: &Context, path: &str, offset: u64) -> Result<Piece> {
        let Some((_, bytes)) = self.0.iter().find(|(known, _)| known == path) else {
            return Ok(Piece::Absent);
        };
        let rest = &bytes[usize::try_from(offset).unwrap()..];
        let (piece, more) = rest.split_at(rest.len().min(1000));
        let piece = piece.to_vec();
        Ok(if more.is_empty() { Piece::Last(piece) } else { Piece::Next(piece) })
    }
}

#[test]
fn a_secondary_asks_the_primary_for_the_objects_that_it_lacks() {
    let (mut vehicle, home) = (Vehicle::new(), Home::new());
    // A target without a length is a commit, named by its hash.
    let commit = updraft_crypto::sha256_hex(b"");
    let metadata = vehicle.assign("os-1", b"", &[(SERIAL, HARDWARE)]);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = Link::new(listener.local_addr().unwrap().to_string(), None);
    let cancel = CancelToken::new();
    let serving = Context::new(cancel.clone(), Arc::new(Silent));
    std::thread::scope(|scope| {
        let payload = Commits(Arc::clone(&taken));
        scope.spawn(|| {
            let mut ecu = home.ecu_with(Verification::Partial, |_| Box::new(payload));
            ecu.put_metadata(&metadata, now()).unwrap();
            let options = ServerOptions {
                tls: None,
                now: &now,
                end_for_restart: false,
                restart_needed: &|| Ok(()),
            };
            Server::new(&mut ecu, options).serve(&serving, listener).unwrap()
        });
        let ctx = Context::silent();
        let give = |objects: Vec<(String, Vec<u8>)>| {
            link.connect().unwrap().give_commit(&ctx, &Primary(objects))
        };
        // One that the primary does not have is told of, and the secondary goes on to serve.
        let lacking = give(vec![(format!("{commit}.commit"), vec![1; 10])]).unwrap();
        assert_eq!(lacking.code, ResultCode::DownloadFailed, "{lacking:?}");
        assert!(lacking.description.contains("of the tree is missing"), "{lacking:?}");
        taken.lock().unwrap().clear();
        let objects = vec![
            (format!("{commit}.commit"), vec![1; 1000]),
            ("of the tree".to_owned(), vec![2; 2500]),
        ];
        let outcome = give(objects.clone()).unwrap();
        assert_eq!(outcome.code, ResultCode::Ok, "{outcome:?}");
        let expected: Vec<Vec<u8>> = objects.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(*taken.lock().unwrap(), expected);
        // It is a secondary, and gives nothing.
        let answer = link.call(&ctx, &Message::ObjectReq { path: "x".to_owned(), offset: 0 });
        assert!(answer.is_err(), "a secondary gives objects: {answer:?}");
        assert!(matches!(link.call(&ctx, &Message::GetInfoReq), Ok(Message::GetInfoResp(_))));
        cancel.cancel();
    });
}
