//! The secondary's end: one connection at a time, one message after the other.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use updraft_ipuptane::{
    LegacyMetadata, LegacyResult, MAX_REQUEST, Message, Outcome, RepositoryKind, ResultCode,
    RoleFile, VERSION_2, VERSION_4,
};
use updraft_task::Context;
use updraft_tuf::{Repository, RoleFiles, RoleName, TrustedMetadata};

use crate::commit::FromPrimary;
use crate::ecu::{Ecu, Installation};
use crate::stream::{Messages, Stream};
use crate::{Error, Result};

/// How long a request to stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(200);
/// How long a connection may be silent between two messages: meanwhile nobody else is served.
const IDLE: Duration = Duration::from_secs(10);
/// How long one message may take to come or to go.
const TRANSFER: Duration = Duration::from_mins(2);

/// How a secondary serves.
pub struct ServerOptions<'a> {
    /// TLS, which demands a certificate of the primary.
    pub tls: Option<Arc<ServerConfig>>,
    /// Tells the time.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Whether serving ends when an installation needs a restart.
    pub end_for_restart: bool,
    /// Called when an installation needs a restart, before the primary hears of it.
    pub restart_needed: &'a dyn Fn() -> Result<()>,
}

impl std::fmt::Debug for ServerOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions")
            .field("end_for_restart", &self.end_for_restart)
            .finish_non_exhaustive()
    }
}

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked for it.
    Cancelled,
    /// An installation needs a restart.
    RestartNeeded,
}

/// Serves one ECU.
#[derive(Debug)]
pub struct Server<'a> {
    ecu: &'a mut Ecu,
    options: ServerOptions<'a>,
    /// The version that the primary was last seen to speak.
    version: i64,
}

impl<'a> Server<'a> {
    /// A server for this ECU.
    pub fn new(ecu: &'a mut Ecu, options: ServerOptions<'a>) -> Self {
        Self { ecu, options, version: 1 }
    }

    /// Serves whoever connects, until the work is cancelled or a restart is needed.
    pub fn serve(&mut self, ctx: &Context, listener: TcpListener) -> Result<Ending> {
        let connections = accept(listener);
        loop {
            if ctx.check().is_err() {
                return Ok(Ending::Cancelled);
            }
            let stream = match connections.recv_timeout(NOTICE) {
                Ok(stream) => stream,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Unreachable {
                        address: "the own port".to_owned(),
                        source: std::io::ErrorKind::NotConnected.into(),
                    });
                }
            };
            match self.connection(ctx, stream) {
                Ok(None) => {}
                Ok(Some(ending)) => return Ok(ending),
                Err(Error::Cancelled(_)) => return Ok(Ending::Cancelled),
                // Somebody else's fault, and no reason to end.
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a connection was given up"
                ),
            }
        }
    }

    /// Serves one connection to its end.
    pub fn connection(&mut self, ctx: &Context, stream: TcpStream) -> Result<Option<Ending>> {
        let peer = stream.peer_addr().map_or_else(|_| "somebody".to_owned(), |it| it.to_string());
        tracing::debug!(peer, "connected");
        let stream = match &self.options.tls {
            None => Stream::Plain(stream),
            Some(config) => {
                let session = ServerConnection::new(config.clone()).map_err(|error| {
                    Error::Tls { what: peer.clone(), problem: error.to_string() }
                })?;
                Stream::Server(Box::new(StreamOwned::new(session, stream)))
            }
        };
        let mut messages = Messages::new(stream, peer)?;
        while let Some(request) = messages.receive(ctx, MAX_REQUEST, (IDLE, TRANSFER))? {
            let name = request.name();
            let answer = match request {
                Message::TakeCommitReq => Some(self.take_commit(ctx, &mut messages)?),
                request => self.answer(ctx, request)?,
            };
            let Some(answer) = answer else {
                tracing::warn!(message = name, "this is no request");
                return Ok(None);
            };
            let needs_restart = matches!(
                &answer,
                Message::InstallResp2(Outcome { code: ResultCode::NeedCompletion, .. })
                    | Message::RevertResp(Outcome { code: ResultCode::NeedCompletion, .. })
                    | Message::InstallResp(ResultCode::NeedCompletion)
            );
            if needs_restart {
                (self.options.restart_needed)()?;
            }
            messages.send(ctx, &answer, TRANSFER)?;
            if needs_restart && self.options.end_for_restart {
                return Ok(Some(Ending::RestartNeeded));
            }
        }
        Ok(None)
    }

    /// Takes the assigned commit over the connection on which the primary offers it.
    fn take_commit(&mut self, ctx: &Context, messages: &mut Messages) -> Result<Message> {
        let now = (self.options.now)();
        let taken = self.ecu.take_commit(ctx, &FromPrimary::over(messages), now);
        Ok(Message::DownloadOstreeRevResp(outcome(taken)?))
    }

    /// The answer to a request. `None`: it is no request. Only an interruption is an error.
    fn answer(&mut self, ctx: &Context, request: Message) -> Result<Option<Message>> {
        let now = (self.options.now)();
        let answer = match request {
            Message::GetInfoReq => Message::GetInfoResp(self.ecu.info()),
            Message::VersionReq(theirs) => {
                self.version = theirs.clamp(VERSION_2, VERSION_4);
                Message::VersionResp(self.version)
            }
            Message::ManifestReq => Message::ManifestResp(self.ecu.manifest(ctx)?),
            Message::RootVerReq(kind) => {
                let version = repository(kind).map(|it| self.ecu.root_version(it));
                let version = version.and_then(|version| i64::try_from(version).ok());
                Message::RootVerResp(version.unwrap_or(-1))
            }
            Message::PutRootReq { repository: kind, json } => match repository(kind) {
                Some(it) => Message::PutRootResp(outcome(self.ecu.put_root(it, &json, now))?),
                None => Message::PutRootResp(Outcome::new(
                    ResultCode::InternalError,
                    "there is no such repository",
                )),
            },
            Message::PutMetaReq2 { image, director } => {
                self.version = self.version.max(VERSION_2);
                let offered =
                    TrustedMetadata { director: role_files(director), image: role_files(image) };
                Message::PutMetaResp2(outcome(self.ecu.put_metadata(&offered, now))?)
            }
            Message::UploadDataReq(data) => {
                Message::UploadDataResp(outcome(self.ecu.receive(&data, now))?)
            }
            Message::PutMetaReq(metadata) => {
                self.version = 1;
                let result = outcome(self.ecu.put_metadata(&legacy(*metadata), now))?;
                Message::PutMetaResp(legacy_result(&result))
            }
            Message::SendFirmwareReq(data) => {
                // Version 1 has one message for both.
                let result = if self.ecu.installs_commits() {
                    self.ecu.download(ctx, &data, now)
                } else {
                    self.ecu.receive(&data, now)
                };
                Message::SendFirmwareResp(legacy_result(&outcome(result)?))
            }
            Message::InstallReq(hash) => {
                let result = installation(self.ecu.install(ctx, &hash, now))?;
                if self.version == 1 {
                    Message::InstallResp(result.code)
                } else {
                    Message::InstallResp2(result)
                }
            }
            Message::DownloadOstreeRevReq(credentials) => {
                let result = outcome(self.ecu.download(ctx, &credentials, now))?;
                Message::DownloadOstreeRevResp(result)
            }
            Message::RevertReq => Message::RevertResp(installation(self.ecu.revert(ctx))?),
            Message::ConfirmReq => Message::ConfirmResp(outcome(self.ecu.confirm())?),
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }
}

/// Takes connections in a thread of its own. It waits for the next one until the process ends.
fn accept(listener: TcpListener) -> Receiver<TcpStream> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    if sender.send(stream).is_err() {
                        return;
                    }
                }
                // Too many open files, or a connection that was gone before it was taken.
                Err(_) => std::thread::sleep(NOTICE),
            }
        }
    });
    receiver
}

fn installation(result: Result<Installation>) -> Result<Outcome> {
    match result {
        Ok(Installation::NeedsRestart) => {
            Ok(Outcome::new(ResultCode::NeedCompletion, "it runs after a restart"))
        }
        other => outcome(other.map(|_| ())),
    }
}

/// What the primary is told. An interruption is none of its business.
fn outcome(result: Result<()>) -> Result<Outcome> {
    let error = match result {
        Ok(()) => return Ok(Outcome::ok()),
        Err(error @ Error::Cancelled(_)) => return Err(error),
        Err(error) => error,
    };
    let code = match &error {
        Error::Refused(_) | Error::NoTarget { .. } | Error::Unsupported { .. } => {
            ResultCode::VerificationFailed
        }
        Error::WrongContent { .. }
        | Error::Incomplete { .. }
        | Error::Payload { action: "fetch the commit", .. } => ResultCode::DownloadFailed,
        Error::Payload { .. } | Error::Process { .. } => ResultCode::InstallFailed,
        Error::NothingAssigned | Error::AnotherTarget { .. } => ResultCode::GeneralError,
        _ => ResultCode::InternalError,
    };
    tracing::warn!(error = &error as &dyn std::error::Error, code = code.name(), "not done");
    Ok(Outcome::new(code, error.chain()))
}

fn legacy_result(outcome: &Outcome) -> LegacyResult {
    if outcome.code.is_success() { LegacyResult::Success } else { LegacyResult::Failure }
}

fn repository(kind: RepositoryKind) -> Option<Repository> {
    match kind {
        RepositoryKind::Director => Some(Repository::Director),
        RepositoryKind::Image => Some(Repository::Image),
        RepositoryKind::Other(_) => None,
    }
}

/// Files by their roles. Of two for one role the first counts, as with aktualizr.
fn role_files(files: Vec<RoleFile>) -> RoleFiles {
    let mut roles = RoleFiles::new();
    for RoleFile { role, json } in files {
        let role = match role.as_str() {
            "root" => RoleName::Root,
            "timestamp" => RoleName::Timestamp,
            "snapshot" => RoleName::Snapshot,
            "targets" => RoleName::Targets,
            // A medium's, since version 3.
            "offline-snapshot" => RoleName::OfflineSnapshot,
            "offline-updates" => RoleName::OfflineUpdates,
            _ => RoleName::Delegated(role),
        };
        if roles.get(&role).is_none() {
            roles.insert(role, json);
        }
    }
    roles
}

fn legacy(metadata: LegacyMetadata) -> TrustedMetadata {
    let LegacyMetadata { image, director } = metadata;
    let image_roles = [RoleName::Root, RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets];
    TrustedMetadata {
        image: image_roles.into_iter().zip(image).collect(),
        director: [RoleName::Root, RoleName::Targets].into_iter().zip(director).collect(),
    }
}
