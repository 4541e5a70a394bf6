//! Refusals that hawkBit's interfaces have names for.

use updraft_error::Kind;

/// Why a request of the hawkBit world was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A query cannot be read.
    QuerySyntax,
    /// A query names a field that there is not.
    QueryField,
    /// An order cannot be read, or names a field that there is not.
    Sort,
    /// A body cannot be read.
    Body,
    /// A value is not what it may be.
    Value,
    /// Attributes are not what they may be.
    Attributes,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    Exists,
    /// There are too many.
    Quota,
    /// An upload is not what its sender says.
    Md5,
    /// An upload is not what its sender says.
    Sha1,
    /// An upload is not what its sender says.
    Sha256,
    /// A distribution set lacks a module that its type demands.
    Incomplete,
    /// A distribution set may not be assigned any more.
    Invalidated,
    /// A distribution set's type does not allow a module.
    Unsupported,
    /// A device's type does not take a distribution set's type.
    Incompatible,
    /// A type of devices is in use.
    TypeInUse,
    /// It is in use and does not change any more.
    Locked,
    /// It is in use and cannot be removed.
    InUse,
    /// An action has ended, or is being cancelled.
    NotCancelable,
    /// An action is not being cancelled.
    NotForceQuitable,
    /// An action has ended.
    Gone,
    /// There is no such configuration value.
    ConfigurationKey,
    /// A configuration value cannot be that.
    ConfigurationValue,
    /// A maintenance window is none, or is over.
    Window,
    /// A rollout is not in the state for this.
    RolloutState,
    /// A rollout's groups, or their conditions, are not what they may be.
    RolloutDefinition,
    /// An automatic assignment is not in the state for this.
    AutoState,
    /// A device agrees to everything already.
    AutoConfirmActive,
    /// Devices are not asked, or not about this.
    NotAsked,
    /// A body is of a kind that is not taken.
    MediaType,
    /// An answer cannot be of the kind that is wanted.
    NotAcceptable,
    /// One device sends too much.
    Flood,
}

impl Trouble {
    /// Status, code without `hawkbit.server.error.`, and the class that clients may look for.
    fn words(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::QuerySyntax => {
                (400, "rest.param.rsqlParamSyntax", "RSQLParameterSyntaxException")
            }
            Self::QueryField => {
                (400, "rest.param.rsqlInvalidField", "RSQLParameterUnsupportedFieldException")
            }
            Self::Sort => (400, "rest.param.sortParamSyntax", "SortParameterSyntaxErrorException"),
            Self::Body => (400, "rest.body.notReadable", "MessageNotReadableException"),
            Self::Value => (400, "repo.constraintViolation", "ConstraintViolationException"),
            Self::Attributes => {
                (400, "repo.invalidTargetAttribute", "InvalidTargetAttributeException")
            }
            Self::NotFound => (404, "repo.entitiyNotFound", "EntityNotFoundException"),
            Self::Exists => (409, "repo.entitiyAlreayExists", "EntityAlreadyExistsException"),
            Self::Quota => (429, "quota.tooManyEntries", "AssignmentQuotaExceededException"),
            Self::Md5 => {
                (400, "artifact.uploadFailed.checksum.md5.match", "InvalidMD5HashException")
            }
            Self::Sha1 => {
                (400, "artifact.uploadFailed.checksum.sha1.match", "InvalidSHA1HashException")
            }
            Self::Sha256 => {
                (400, "artifact.uploadFailed.checksum.sha256.match", "InvalidSHA256HashException")
            }
            Self::Incomplete => {
                (400, "distributionset.incomplete", "IncompleteDistributionSetException")
            }
            Self::Invalidated => {
                (400, "distributionset.invalid", "InvalidDistributionSetException")
            }
            Self::Unsupported => (
                400,
                "distributionset.modules.unsupported",
                "UnsupportedSoftwareModuleForThisDistributionSetException",
            ),
            Self::Incompatible => {
                (400, "target.type.incompatible", "IncompatibleTargetTypeException")
            }
            Self::TypeInUse => (409, "target.type.used", "TargetTypeInUseException"),
            Self::Locked => (423, "locked", "LockedException"),
            Self::InUse => (409, "entityreadonly", "EntityReadOnlyException"),
            Self::NotCancelable => (405, "action.notcancelable", "CancelActionNotAllowedException"),
            Self::NotForceQuitable => {
                (405, "action.notforcequitable", "ForceQuitActionNotAllowedException")
            }
            Self::Gone => (410, "action.inactive", "ActionNotActiveException"),
            Self::ConfigurationKey => {
                (400, "configKeyInvalid", "InvalidTenantConfigurationKeyException")
            }
            Self::ConfigurationValue => {
                (400, "configValueInvalid", "TenantConfigurationValidatorException")
            }
            Self::Window => {
                (400, "maintenanceScheduleInvalid", "InvalidMaintenanceScheduleException")
            }
            Self::RolloutState => (400, "rollout.illegalstate", "RolloutIllegalStateException"),
            Self::RolloutDefinition => {
                (400, "rollout.verificationFailed", "RolloutVerificationException")
            }
            Self::AutoState => {
                (409, "autoassignment.illegalstate", "AutoAssignmentIllegalStateException")
            }
            Self::AutoConfirmActive => (
                409,
                "repo.autoConfirmationAlreadyActive",
                "AutoConfirmationAlreadyActiveException",
            ),
            Self::NotAsked => (404, "confirmation.invalid", "InvalidConfirmationFeedbackException"),
            Self::MediaType => (415, "rest.mediaType", "HttpMediaTypeNotSupportedException"),
            Self::NotAcceptable => (406, "rest.accept", "HttpMediaTypeNotAcceptableException"),
            Self::Flood => (429, "quota.tooManyRequests", "TooManyRequestsException"),
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.words().0
    }

    /// The code that scripts look at, without its beginning.
    pub fn code(self) -> &'static str {
        self.words().1
    }

    /// The class that clients may look for.
    pub fn class(self) -> &'static str {
        self.words().2
    }

    /// What sort of thing it is.
    pub fn kind(self) -> Kind {
        match self.status() {
            404 | 410 => Kind::NotFound,
            405 | 409 | 423 => Kind::Conflict,
            429 => Kind::Exhausted,
            _ => Kind::Invalid,
        }
    }
}
