//! [`Message`]: the CHOICE of all requests and answers.

use crate::tlv::{self, CHOICE, Reader};
use crate::{
    EcuInfo, Error, KeyKind, LegacyMetadata, LegacyResult, Outcome, Piece, RepositoryKind,
    ResultCode, RoleFile,
};

/// The most metadata files of one repository in one message.
const MAX_ROLE_FILES: usize = 1024;
/// The longest description that is kept, in bytes.
const MAX_DESCRIPTION: usize = 64 << 10;

/// A request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Who are you?
    GetInfoReq,
    /// The answer to [`Message::GetInfoReq`].
    GetInfoResp(EcuInfo),
    /// What is installed?
    ManifestReq,
    /// The signed report, as JSON.
    ManifestResp(Vec<u8>),
    /// Metadata, in version 1.
    PutMetaReq(Box<LegacyMetadata>),
    /// Whether the metadata is trusted, in version 1.
    PutMetaResp(LegacyResult),
    /// All of an image, in version 1.
    SendFirmwareReq(Vec<u8>),
    /// Whether the image was taken, in version 1.
    SendFirmwareResp(LegacyResult),
    /// Install what was sent; aktualizr sends the target's name.
    InstallReq(Vec<u8>),
    /// How the installation went, in version 1.
    InstallResp(ResultCode),
    /// The next piece of an image.
    UploadDataReq(Vec<u8>),
    /// Whether the piece was taken.
    UploadDataResp(Outcome),
    /// Fetch the assigned commit with these credentials (an archive).
    DownloadOstreeRevReq(Vec<u8>),
    /// Whether it was fetched.
    DownloadOstreeRevResp(Outcome),
    /// Metadata.
    PutMetaReq2 {
        /// Files of the Image repository.
        image: Vec<RoleFile>,
        /// Files of the Director repository.
        director: Vec<RoleFile>,
    },
    /// Whether the metadata is trusted.
    PutMetaResp2(Outcome),
    /// How the installation went.
    InstallResp2(Outcome),
    /// The newest version that the primary speaks.
    VersionReq(i64),
    /// The version that the secondary speaks.
    VersionResp(i64),
    /// Which root do you trust?
    RootVerReq(RepositoryKind),
    /// Its version; 0 or less: none.
    RootVerResp(i64),
    /// The next root.
    PutRootReq {
        /// Whose root.
        repository: RepositoryKind,
        /// The file.
        json: Vec<u8>,
    },
    /// Whether the root is trusted.
    PutRootResp(Outcome),
    /// Take the assigned commit from me, over this connection (version 4). The secondary asks for
    /// objects with [`Message::ObjectReq`], and ends with [`Message::DownloadOstreeRevResp`].
    TakeCommitReq,
    /// A piece of one of the commit's objects; the secondary asks (version 4).
    ObjectReq {
        /// Where an archive repository has it below `objects/`.
        path: String,
        /// How many of its bytes came already.
        offset: u64,
    },
    /// The piece.
    ObjectResp(Piece),
    /// Go back to what ran before the installation that was not confirmed (version 3).
    RevertReq,
    /// Whether the earlier image runs again.
    RevertResp(Outcome),
    /// The vehicle keeps the last installation (version 3).
    ConfirmReq,
    /// Whether it is confirmed.
    ConfirmResp(Outcome),
}

impl Message {
    /// The message in DER.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        let tag = self.write_fields(&mut fields);
        let mut sequence = Vec::with_capacity(fields.len() + 8);
        tlv::write(&mut sequence, tlv::SEQUENCE, &fields);
        let mut message = Vec::with_capacity(sequence.len() + 8);
        tlv::write(&mut message, CHOICE | tag, &sequence);
        message
    }

    /// Reads one message in BER; nothing may follow it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut whole = Reader::new(bytes);
        let (tag, mut explicit) = whole.next()?;
        if !whole.is_empty() {
            return Err(Error::malformed("message", "something follows it"));
        }
        // `CHOICE` is context-specific and constructed; the rest is the number.
        let number = tag ^ CHOICE;
        if number >= 0x1f {
            return Err(Error::malformed("message", "it has another type"));
        }
        let mut fields = explicit.sequence("message")?;
        if !explicit.is_empty() {
            return Err(Error::malformed("message", "something follows its fields"));
        }
        // What is left of `fields` afterwards are extensions of a newer version.
        Self::read(number, &mut fields)
    }

    /// The name in the schema.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::GetInfoReq => "getInfoReq",
            Self::GetInfoResp(_) => "getInfoResp",
            Self::ManifestReq => "manifestReq",
            Self::ManifestResp(_) => "manifestResp",
            Self::PutMetaReq(_) => "putMetaReq",
            Self::PutMetaResp(_) => "putMetaResp",
            Self::SendFirmwareReq(_) => "sendFirmwareReq",
            Self::SendFirmwareResp(_) => "sendFirmwareResp",
            Self::InstallReq(_) => "installReq",
            Self::InstallResp(_) => "installResp",
            Self::UploadDataReq(_) => "uploadDataReq",
            Self::UploadDataResp(_) => "uploadDataResp",
            Self::DownloadOstreeRevReq(_) => "downloadOstreeRevReq",
            Self::DownloadOstreeRevResp(_) => "downloadOstreeRevResp",
            Self::PutMetaReq2 { .. } => "putMetaReq2",
            Self::PutMetaResp2(_) => "putMetaResp2",
            Self::InstallResp2(_) => "installResp2",
            Self::VersionReq(_) => "versionReq",
            Self::VersionResp(_) => "versionResp",
            Self::RootVerReq(_) => "rootVerReq",
            Self::RootVerResp(_) => "rootVerResp",
            Self::PutRootReq { .. } => "putRootReq",
            Self::PutRootResp(_) => "putRootResp",
            Self::TakeCommitReq => "takeCommitReq",
            Self::ObjectReq { .. } => "objectReq",
            Self::ObjectResp(_) => "objectResp",
            Self::RevertReq => "revertReq",
            Self::RevertResp(_) => "revertResp",
            Self::ConfirmReq => "confirmReq",
            Self::ConfirmResp(_) => "confirmResp",
        }
    }

    /// Writes the fields and gives the number of the tag.
    fn write_fields(&self, into: &mut Vec<u8>) -> u8 {
        match self {
            Self::GetInfoReq => 0,
            Self::GetInfoResp(info) => {
                tlv::write(into, tlv::UTF8_STRING, info.serial.as_bytes());
                tlv::write(into, tlv::UTF8_STRING, info.hardware_id.as_bytes());
                enumerated(into, info.key_kind.number());
                octets(into, &info.key);
                1
            }
            Self::ManifestReq => 2,
            Self::ManifestResp(json) => {
                octets(into, json);
                3
            }
            Self::PutMetaReq(metadata) => {
                sequence_of_octets(into, &metadata.image);
                sequence_of_octets(into, &metadata.director);
                4
            }
            Self::PutMetaResp(result) => {
                enumerated(into, result.number());
                5
            }
            Self::SendFirmwareReq(firmware) => {
                octets(into, firmware);
                6
            }
            Self::SendFirmwareResp(result) => {
                enumerated(into, result.number());
                7
            }
            Self::InstallReq(hash) => {
                octets(into, hash);
                8
            }
            Self::InstallResp(code) => {
                enumerated(into, code.number());
                9
            }
            Self::UploadDataReq(data) => {
                octets(into, data);
                10
            }
            Self::UploadDataResp(outcome) => write_outcome(into, outcome, 11),
            Self::DownloadOstreeRevReq(credentials) => {
                octets(into, credentials);
                12
            }
            Self::DownloadOstreeRevResp(outcome) => write_outcome(into, outcome, 13),
            Self::PutMetaReq2 { image, director } => {
                collection(into, image);
                collection(into, director);
                14
            }
            Self::PutMetaResp2(outcome) => write_outcome(into, outcome, 15),
            Self::InstallResp2(outcome) => write_outcome(into, outcome, 16),
            Self::VersionReq(version) => {
                integer(into, *version);
                17
            }
            Self::VersionResp(version) => {
                integer(into, *version);
                18
            }
            Self::RootVerReq(repository) => {
                enumerated(into, repository.number());
                19
            }
            Self::RootVerResp(version) => {
                integer(into, *version);
                20
            }
            Self::PutRootReq { repository, json } => {
                enumerated(into, repository.number());
                octets(into, json);
                21
            }
            Self::PutRootResp(outcome) => write_outcome(into, outcome, 22),
            Self::TakeCommitReq => 23,
            Self::ObjectReq { path, offset } => {
                tlv::write(into, tlv::UTF8_STRING, path.as_bytes());
                integer(into, i64::try_from(*offset).unwrap_or(i64::MAX));
                24
            }
            Self::ObjectResp(piece) => {
                enumerated(into, piece.number());
                octets(into, piece.data());
                25
            }
            Self::RevertReq => 27,
            Self::RevertResp(outcome) => write_outcome(into, outcome, 28),
            Self::ConfirmReq => 29,
            Self::ConfirmResp(outcome) => write_outcome(into, outcome, 30),
        }
    }

    fn read(number: u8, fields: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(match number {
            0 => Self::GetInfoReq,
            1 => Self::GetInfoResp(EcuInfo {
                serial: fields.text("ecuSerial")?,
                hardware_id: fields.text("hwId")?,
                key_kind: KeyKind::of_number(fields.enumerated("keyType")?),
                key: fields.octets("key")?,
            }),
            2 => Self::ManifestReq,
            3 => Self::ManifestResp(fields.octets("manifest")?),
            4 => Self::PutMetaReq(Box::new(LegacyMetadata {
                image: octet_array(fields, "image")?,
                director: octet_array(fields, "director")?,
            })),
            5 => Self::PutMetaResp(LegacyResult::of_number(fields.enumerated("result")?)),
            6 => Self::SendFirmwareReq(fields.octets("firmware")?),
            7 => Self::SendFirmwareResp(LegacyResult::of_number(fields.enumerated("result")?)),
            8 => Self::InstallReq(fields.octets("hash")?),
            9 => Self::InstallResp(ResultCode::of_number(fields.enumerated("result")?)),
            10 => Self::UploadDataReq(fields.octets("data")?),
            11 => Self::UploadDataResp(outcome(fields)?),
            12 => Self::DownloadOstreeRevReq(fields.octets("tlsCred")?),
            13 => Self::DownloadOstreeRevResp(outcome(fields)?),
            14 => Self::PutMetaReq2 {
                image: role_files(fields, "imageRepo")?,
                director: role_files(fields, "directorRepo")?,
            },
            15 => Self::PutMetaResp2(outcome(fields)?),
            16 => Self::InstallResp2(outcome(fields)?),
            17 => Self::VersionReq(fields.integer("version")?),
            18 => Self::VersionResp(fields.integer("version")?),
            19 => Self::RootVerReq(RepositoryKind::of_number(fields.enumerated("repotype")?)),
            20 => Self::RootVerResp(fields.integer("version")?),
            21 => Self::PutRootReq {
                repository: RepositoryKind::of_number(fields.enumerated("repotype")?),
                json: fields.octets("json")?,
            },
            22 => Self::PutRootResp(outcome(fields)?),
            23 => Self::TakeCommitReq,
            24 => Self::ObjectReq {
                path: fields.text("path")?,
                offset: u64::try_from(fields.integer("offset")?)
                    .map_err(|_| Error::malformed("offset", "it is negative"))?,
            },
            25 => {
                let number = fields.enumerated("piece")?;
                let piece = Piece::of_number(number, fields.octets("data")?);
                Self::ObjectResp(piece.ok_or(Error::malformed("piece", "it is of no known kind"))?)
            }
            27 => Self::RevertReq,
            28 => Self::RevertResp(outcome(fields)?),
            29 => Self::ConfirmReq,
            30 => Self::ConfirmResp(outcome(fields)?),
            tag => return Err(Error::UnknownMessage { tag }),
        })
    }
}

fn octets(into: &mut Vec<u8>, bytes: &[u8]) {
    tlv::write(into, tlv::OCTET_STRING, bytes);
}

fn enumerated(into: &mut Vec<u8>, number: i64) {
    tlv::write(into, tlv::ENUMERATED, &tlv::number_bytes(number));
}

fn integer(into: &mut Vec<u8>, number: i64) {
    tlv::write(into, tlv::INTEGER, &tlv::number_bytes(number));
}

fn write_outcome(into: &mut Vec<u8>, outcome: &Outcome, tag: u8) -> u8 {
    enumerated(into, outcome.code.number());
    octets(into, outcome.description.as_bytes());
    tag
}

fn sequence_of_octets(into: &mut Vec<u8>, files: &[Vec<u8>]) {
    let mut fields = Vec::new();
    for file in files {
        octets(&mut fields, file);
    }
    tlv::write(into, tlv::SEQUENCE, &fields);
}

fn collection(into: &mut Vec<u8>, files: &[RoleFile]) {
    let mut entries = Vec::new();
    for file in files {
        let mut fields = Vec::new();
        octets(&mut fields, file.role.as_bytes());
        octets(&mut fields, &file.json);
        tlv::write(&mut entries, tlv::SEQUENCE, &fields);
    }
    tlv::write(into, tlv::SEQUENCE, &entries);
}

fn outcome(fields: &mut Reader<'_>) -> Result<Outcome, Error> {
    let code = ResultCode::of_number(fields.enumerated("result")?);
    let mut description = fields.octets("description")?;
    description.truncate(MAX_DESCRIPTION);
    Ok(Outcome { code, description: String::from_utf8_lossy(&description).into_owned() })
}

fn octet_array<const N: usize>(
    fields: &mut Reader<'_>,
    field: &'static str,
) -> Result<[Vec<u8>; N], Error> {
    let mut inner = fields.sequence(field)?;
    let mut array = std::array::from_fn(|_| Vec::new());
    for file in &mut array {
        *file = inner.octets(field)?;
    }
    Ok(array)
}

fn role_files(fields: &mut Reader<'_>, field: &'static str) -> Result<Vec<RoleFile>, Error> {
    let mut entries = fields.sequence(field)?;
    let mut files = Vec::new();
    while !entries.is_empty() {
        if files.len() == MAX_ROLE_FILES {
            return Err(Error::malformed(field, "it has more than 1024 files"));
        }
        let mut entry = entries.sequence(field)?;
        let role = String::from_utf8(entry.octets("role")?)
            .map_err(|_| Error::malformed("role", "it is not UTF-8"))?;
        files.push(RoleFile { role, json: entry.octets("json")? });
    }
    Ok(files)
}
