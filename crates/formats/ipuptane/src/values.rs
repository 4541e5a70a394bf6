//! What messages carry.

/// The algorithm of an ECU's key, as `AKIpUptaneKeyType` knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Ed25519; the key is hexadecimal text.
    Ed25519,
    /// RSA with 2048 bits; the key is PEM.
    Rsa2048,
    /// RSA with 4096 bits; the key is PEM.
    Rsa4096,
    /// Any other algorithm, or a number that is not known.
    Other(i64),
}

impl KeyKind {
    /// What stands for an algorithm that the protocol has no number for.
    pub const UNKNOWN: Self = Self::Other(255);

    pub(crate) fn of_number(number: i64) -> Self {
        match number {
            0 => Self::Ed25519,
            1 => Self::Rsa2048,
            2 => Self::Rsa4096,
            other => Self::Other(other),
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Ed25519 => 0,
            Self::Rsa2048 => 1,
            Self::Rsa4096 => 2,
            Self::Other(number) => number,
        }
    }
}

/// One of the two repositories: `AKRepoType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryKind {
    /// The Director repository.
    Director,
    /// The Image repository.
    Image,
    /// A number that is not known.
    Other(i64),
}

impl RepositoryKind {
    pub(crate) fn of_number(number: i64) -> Self {
        match number {
            0 => Self::Director,
            1 => Self::Image,
            other => Self::Other(other),
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Director => 0,
            Self::Image => 1,
            Self::Other(number) => number,
        }
    }
}

/// The result of version 1: `AKInstallationResult`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyResult {
    /// It was done.
    Success,
    /// It was not done, or the number is not known.
    Failure,
}

impl LegacyResult {
    pub(crate) fn of_number(number: i64) -> Self {
        if number == 0 { Self::Success } else { Self::Failure }
    }

    pub(crate) fn number(self) -> i64 {
        i64::from(self == Self::Failure)
    }
}

/// `AKInstallationResultCode`, which is aktualizr's result code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultCode {
    /// Done.
    Ok,
    /// Nothing had to be done.
    AlreadyProcessed,
    /// Metadata, or an image, was refused.
    VerificationFailed,
    /// The image could not be put in place.
    InstallFailed,
    /// The image could not be brought.
    DownloadFailed,
    /// The ECU is at fault.
    InternalError,
    /// Something went wrong.
    GeneralError,
    /// The ECU has to restart before the image runs.
    NeedCompletion,
    /// Only the description says what.
    CustomError,
    /// `unknown`, or a number that is not known.
    Other(i64),
}

impl ResultCode {
    /// `unknown` on the wire.
    pub const UNKNOWN: Self = Self::Other(-1);
    const KNOWN: [(Self, i64, &'static str); 9] = [
        (Self::Ok, 0, "OK"),
        (Self::AlreadyProcessed, 1, "ALREADY_PROCESSED"),
        (Self::VerificationFailed, 3, "VERIFICATION_FAILED"),
        (Self::InstallFailed, 4, "INSTALL_FAILED"),
        (Self::DownloadFailed, 5, "DOWNLOAD_FAILED"),
        (Self::InternalError, 18, "INTERNAL_ERROR"),
        (Self::GeneralError, 19, "GENERAL_ERROR"),
        (Self::NeedCompletion, 21, "NEED_COMPLETION"),
        (Self::CustomError, 22, "CUSTOM_ERROR"),
    ];

    pub(crate) fn of_number(number: i64) -> Self {
        let known = Self::KNOWN.iter().find(|(_, known, _)| *known == number);
        known.map_or(Self::Other(number), |(code, ..)| *code)
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Other(number) => number,
            known => {
                Self::KNOWN.iter().find(|(code, ..)| *code == known).map_or(-1, |(_, n, _)| *n)
            }
        }
    }

    /// The name that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::KNOWN.iter().find(|(code, ..)| *code == self).map_or("UNKNOWN", |(.., name)| name)
    }

    /// Whether what was asked for is done.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::AlreadyProcessed)
    }
}

/// A code and its explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// For programs.
    pub code: ResultCode,
    /// For people; an OCTET STRING on the wire, of which other bytes than UTF-8 are replaced.
    pub description: String,
}

impl Outcome {
    /// Success.
    #[must_use]
    pub fn ok() -> Self {
        Self { code: ResultCode::Ok, description: String::new() }
    }

    /// Another code, and why.
    #[must_use]
    pub fn new(code: ResultCode, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }
}

/// Who an ECU is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcuInfo {
    /// Its serial.
    pub serial: String,
    /// Its hardware id.
    pub hardware_id: String,
    /// The algorithm of its key.
    pub key_kind: KeyKind,
    /// Its public key: hexadecimal text for Ed25519, else PEM.
    pub key: Vec<u8>,
}

/// Metadata of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyMetadata {
    /// The Image repository's root, timestamp, snapshot and targets.
    pub image: [Vec<u8>; 4],
    /// The Director's root and targets.
    pub director: [Vec<u8>; 2],
}

/// A metadata file and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFile {
    /// The role's name, such as `targets`.
    pub role: String,
    /// The file.
    pub json: Vec<u8>,
}

/// A piece of an object of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// There is no such object, or it was given already.
    Absent,
    /// Its next bytes, which others follow.
    Next(Vec<u8>),
    /// Its last bytes.
    Last(Vec<u8>),
}

impl Piece {
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Absent => 0,
            Self::Next(_) => 1,
            Self::Last(_) => 2,
        }
    }

    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::Absent => &[],
            Self::Next(data) | Self::Last(data) => data,
        }
    }

    pub(crate) fn of_number(number: i64, data: Vec<u8>) -> Option<Self> {
        match number {
            0 => Some(Self::Absent),
            1 => Some(Self::Next(data)),
            2 => Some(Self::Last(data)),
            _ => None,
        }
    }
}
