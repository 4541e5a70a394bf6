//! A secondary behind a network, by aktualizr's protocol: version 4 or 3 with those of ours, 2, or 1.

use std::fs::File;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use updraft_error::Kind;
use updraft_ipuptane::{
    EcuInfo, LegacyMetadata, LegacyResult, Message, OstreeCredentials, Outcome, RepositoryKind,
    ResultCode, RoleFile, VERSION_2, VERSION_3, VERSION_4,
};
use updraft_secondary::{CommitObjects, Error, Installation, Link, Result, Verification};
use updraft_task::Context;
use updraft_tuf::{PublicKey, Repository, RoleFiles, RoleName, TrustedMetadata};

use super::seam::{FromMedium, Known, Secondary};

/// Bytes of one piece of an image: as aktualizr sends them, and for secondaries of ours.
const PIECE: usize = 1024;
const OUR_PIECE: usize = 64 << 10;
/// The largest image that version 1 can carry, in bytes: it goes in one message.
const MAX_LEGACY_IMAGE: u64 = 60 << 20;
/// How long one that came by itself may take to say who it is.
const GREETING: Duration = Duration::from_secs(5);
/// How long an installation may take.
const INSTALL: Duration = Duration::from_mins(30);
const TOP_LEVEL: [RoleName; 6] = [
    RoleName::Root,
    RoleName::Timestamp,
    RoleName::Snapshot,
    RoleName::Targets,
    // Of a medium, and only from one.
    RoleName::OfflineSnapshot,
    RoleName::OfflineUpdates,
];
const LEGACY: [RoleName; 4] =
    [RoleName::Root, RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets];

/// A secondary at an address.
pub(crate) struct IpSecondary {
    link: Link,
    verification: Verification,
    /// Asked once for each piece of work: the secondary may have been replaced meanwhile.
    version: Option<i64>,
}

impl IpSecondary {
    pub(crate) fn new(link: Link, verification: Verification) -> Self {
        Self { link, verification, version: None }
    }

    fn wrong(&self, request: &'static str, answer: &Message) -> Error {
        let address = self.link.address().to_owned();
        Error::WrongAnswer { address, request, answer: answer.name() }
    }

    /// The version to speak. One that does not answer the question but answers others speaks the
    /// first, which did not have it.
    fn version(&mut self, ctx: &Context) -> Result<i64> {
        if let Some(version) = self.version {
            return Ok(version);
        }
        let version = match self.link.call(ctx, &Message::VersionReq(VERSION_4)) {
            Ok(Message::VersionResp(version)) => version.clamp(1, VERSION_4),
            Err(error @ Error::Cancelled(_)) => return Err(error),
            _ => self.info(ctx).map(|_| 1)?,
        };
        tracing::debug!(address = self.link.address(), version, "speaking to a secondary");
        self.version = Some(version);
        Ok(version)
    }

    fn put_legacy(&mut self, ctx: &Context, metadata: &TrustedMetadata) -> Result<()> {
        let file = |files: &RoleFiles, role| files.get(&role).unwrap_or_default().to_vec();
        let request = Message::PutMetaReq(Box::new(LegacyMetadata {
            image: LEGACY.map(|role| file(&metadata.image, role)),
            director: [RoleName::Root, RoleName::Targets]
                .map(|role| file(&metadata.director, role)),
        }));
        match self.link.call(ctx, &request)? {
            Message::PutMetaResp(result) => {
                legacy(result, "take metadata", ResultCode::VerificationFailed)
            }
            other => Err(self.wrong(request.name(), &other)),
        }
    }

    fn send_legacy(&mut self, ctx: &Context, image: &mut File, length: u64) -> Result<()> {
        if length > MAX_LEGACY_IMAGE {
            return Err(Error::Payload {
                action: "send the image",
                problem: "it is too large for version 1 of the protocol".to_owned(),
                kind: Kind::Unsupported,
            });
        }
        let mut firmware = Vec::new();
        image.take(length).read_to_end(&mut firmware).map_err(unreadable)?;
        let request = Message::SendFirmwareReq(firmware);
        match self.link.call_within(ctx, &request, INSTALL)? {
            Message::SendFirmwareResp(result) => {
                legacy(result, "take the image", ResultCode::DownloadFailed)
            }
            other => Err(self.wrong(request.name(), &other)),
        }
    }
}

impl Secondary for IpSecondary {
    fn info(&mut self, ctx: &Context) -> Result<Known> {
        match self.link.call(ctx, &Message::GetInfoReq)? {
            Message::GetInfoResp(info) => known(&info),
            other => Err(self.wrong("getInfoReq", &other)),
        }
    }

    fn is_at(&self, address: SocketAddr) -> bool {
        let known = self.link.address().to_socket_addrs();
        known.is_ok_and(|mut known| known.any(|one| one == address))
    }

    fn info_over(&mut self, ctx: &Context, visitor: TcpStream) -> Result<Known> {
        let mut connection = self.link.over(visitor)?;
        match connection.call_within(ctx, &Message::GetInfoReq, GREETING)? {
            Message::GetInfoResp(info) => known(&info),
            other => Err(self.wrong("getInfoReq", &other)),
        }
    }

    fn takes_from_medium(&mut self, ctx: &Context) -> Result<FromMedium> {
        self.version = None;
        Ok(match self.version(ctx)? {
            VERSION_4.. => FromMedium::All,
            VERSION_3 if self.verification == Verification::Full => FromMedium::Files,
            _ => FromMedium::Nothing,
        })
    }

    fn manifest(&mut self, ctx: &Context) -> Result<Vec<u8>> {
        match self.link.call(ctx, &Message::ManifestReq)? {
            Message::ManifestResp(json) => Ok(json),
            other => Err(self.wrong("manifestReq", &other)),
        }
    }

    fn root_version(&mut self, ctx: &Context, repository: Repository) -> Result<Option<u64>> {
        self.version = None;
        let needed = match self.verification {
            Verification::Full => true,
            Verification::Tuf => repository == Repository::Image,
            Verification::Partial => repository == Repository::Director,
        };
        if !needed || self.version(ctx)? < VERSION_2 {
            return Ok(None);
        }
        match self.link.call(ctx, &Message::RootVerReq(kind_of(repository))) {
            Ok(Message::RootVerResp(version)) => Ok(Some(u64::try_from(version).unwrap_or(0))),
            Ok(other) => Err(self.wrong("rootVerReq", &other)),
            // Older secondaries of version 2 do not know the question, and hang up.
            Err(Error::Unreachable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put_root(&mut self, ctx: &Context, repository: Repository, bytes: &[u8]) -> Result<()> {
        let request = Message::PutRootReq { repository: kind_of(repository), json: bytes.to_vec() };
        match self.link.call(ctx, &request)? {
            Message::PutRootResp(outcome) => done(outcome, "take a root"),
            other => Err(self.wrong(request.name(), &other)),
        }
    }

    fn put_metadata(&mut self, ctx: &Context, metadata: &TrustedMetadata) -> Result<()> {
        if self.version(ctx)? < VERSION_2 {
            return self.put_legacy(ctx, metadata);
        }
        let (image, director) = match self.verification {
            Verification::Full => (role_files(&metadata.image), role_files(&metadata.director)),
            Verification::Tuf => (role_files(&metadata.image), signs_of_medium(metadata)),
            Verification::Partial => (Vec::new(), role_files(&metadata.director)),
        };
        let request = Message::PutMetaReq2 { image, director };
        match self.link.call(ctx, &request)? {
            Message::PutMetaResp2(outcome) => done(outcome, "take metadata"),
            other => Err(self.wrong(request.name(), &other)),
        }
    }

    fn send_image(&mut self, ctx: &Context, image: &mut File, length: u64) -> Result<()> {
        let piece = match self.version(ctx)? {
            ..VERSION_2 => return self.send_legacy(ctx, image, length),
            VERSION_2 => PIECE,
            _ => OUR_PIECE,
        };
        let mut connection = self.link.connect()?;
        let mut sent = 0_u64;
        while sent < length {
            let mut data = Vec::new();
            let next = (piece as u64).min(length - sent);
            image.take(next).read_to_end(&mut data).map_err(unreadable)?;
            if data.is_empty() {
                return Err(unreadable(std::io::ErrorKind::UnexpectedEof.into()));
            }
            sent = sent.saturating_add(data.len() as u64);
            match connection.call(ctx, &Message::UploadDataReq(data))? {
                Message::UploadDataResp(outcome) => done(outcome, "take the image")?,
                other => return Err(self.wrong("uploadDataReq", &other)),
            }
        }
        Ok(())
    }

    fn download_commit(&mut self, ctx: &Context, from: &OstreeCredentials) -> Result<()> {
        if !self.link.has_tls() {
            // aktualizr's protocol has nothing else for its secondaries.
            tracing::warn!(
                address = self.link.address(),
                "the vehicle's key goes to a secondary over a connection without TLS"
            );
        }
        if self.version(ctx)? < VERSION_2 {
            let request = Message::SendFirmwareReq(from.encode());
            return match self.link.call_within(ctx, &request, INSTALL)? {
                Message::SendFirmwareResp(result) => {
                    legacy(result, "fetch the commit", ResultCode::DownloadFailed)
                }
                other => Err(self.wrong(request.name(), &other)),
            };
        }
        let request = Message::DownloadOstreeRevReq(from.encode());
        match self.link.call_within(ctx, &request, INSTALL)? {
            Message::DownloadOstreeRevResp(outcome) => done(outcome, "fetch the commit"),
            other => Err(self.wrong(request.name(), &other)),
        }
    }

    fn give_commit(&mut self, ctx: &Context, objects: &dyn CommitObjects) -> Result<()> {
        done(self.link.connect()?.give_commit(ctx, objects)?, "fetch the commit")
    }

    fn install(&mut self, ctx: &Context, filepath: &str) -> Result<Installation> {
        let request = Message::InstallReq(filepath.as_bytes().to_vec());
        let outcome = match self.link.call_within(ctx, &request, INSTALL)? {
            Message::InstallResp2(outcome) => outcome,
            Message::InstallResp(code) => Outcome::new(code, ""),
            other => return Err(self.wrong(request.name(), &other)),
        };
        if outcome.code == ResultCode::NeedCompletion {
            return Ok(Installation::NeedsRestart);
        }
        done(outcome, "install").map(|()| Installation::Done)
    }

    fn revert(&mut self, ctx: &Context) -> Result<()> {
        if self.version(ctx)? < VERSION_3 {
            return Err(Error::Payload {
                action: "go back",
                problem: "this secondary's protocol has no way back".to_owned(),
                kind: Kind::Unsupported,
            });
        }
        match self.link.call_within(ctx, &Message::RevertReq, INSTALL)? {
            Message::RevertResp(outcome) if outcome.code == ResultCode::NeedCompletion => Ok(()),
            Message::RevertResp(outcome) => done(outcome, "go back"),
            other => Err(self.wrong("revertReq", &other)),
        }
    }

    fn confirm(&mut self, ctx: &Context) -> Result<()> {
        if self.version(ctx)? < VERSION_3 {
            return Ok(());
        }
        match self.link.call(ctx, &Message::ConfirmReq)? {
            Message::ConfirmResp(outcome) => done(outcome, "confirm"),
            other => Err(self.wrong("confirmReq", &other)),
        }
    }
}

fn known(info: &EcuInfo) -> Result<Known> {
    let unusable = |problem: &str| Error::Payload {
        action: "read the secondary's key",
        problem: problem.to_owned(),
        kind: Kind::Invalid,
    };
    let text = std::str::from_utf8(&info.key).map_err(|_| unusable("it is not text"))?;
    // The text says more than the number: the protocol has none for some algorithms.
    let names =
        if text.contains("-----BEGIN") { &["RSA", "ECPRIME256V1"][..] } else { &["ED25519"][..] };
    let key = names.iter().find_map(|name| {
        let json = serde_json::json!({ "keytype": name, "keyval": { "public": text } });
        PublicKey::from_json(&json).ok().flatten()
    });
    let key = key.ok_or_else(|| unusable("its algorithm is not known"))?;
    let is_name = |text: &str, longest: usize| {
        !text.is_empty() && text.len() <= longest && text.bytes().all(|it| it.is_ascii_graphic())
    };
    if !is_name(&info.serial, 64) || !is_name(&info.hardware_id, 200) {
        return Err(unusable("its serial or hardware id cannot be one"));
    }
    Ok(Known { serial: info.serial.clone(), hardware_id: info.hardware_id.clone(), key })
}

fn kind_of(repository: Repository) -> RepositoryKind {
    match repository {
        Repository::Director => RepositoryKind::Director,
        Repository::Image => RepositoryKind::Image,
    }
}

/// Top-level roles first, in the order of verification, then delegated ones.
fn role_files(files: &RoleFiles) -> Vec<RoleFile> {
    let file = |role: &RoleName, bytes: &[u8]| RoleFile {
        role: role.as_str().to_owned(),
        json: bytes.to_vec(),
    };
    let top = TOP_LEVEL.iter().filter_map(|role| Some(file(role, files.get(role)?)));
    let delegated = files.iter().filter(|(role, _)| matches!(role, RoleName::Delegated(_)));
    top.chain(delegated.map(|(role, bytes)| file(role, bytes))).collect()
}

/// What tells a secondary that does not ask the Director that the files are those of a medium.
fn signs_of_medium(metadata: &TrustedMetadata) -> Vec<RoleFile> {
    let mut files = role_files(&metadata.director);
    files.retain(|file| file.role == RoleName::OfflineUpdates.as_str());
    files
}

fn done(outcome: Outcome, action: &'static str) -> Result<()> {
    if outcome.code.is_success() { Ok(()) } else { Err(Error::Answered { action, outcome }) }
}

fn legacy(result: LegacyResult, action: &'static str, code: ResultCode) -> Result<()> {
    match result {
        LegacyResult::Success => Ok(()),
        LegacyResult::Failure => Err(Error::Answered { action, outcome: Outcome::new(code, "") }),
    }
}

fn unreadable(source: std::io::Error) -> Error {
    Error::Fs(updraft_fs::Error::new("read", "the image", source))
}
