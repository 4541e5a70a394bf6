//! Why a division into phases is refused.

use updraft_error::{Classify, Kind};

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a division into phases is refused. Phases are counted from 1 here, as people do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing to divide.
    #[error("use a rollout without phases")]
    NoPhases,
    /// More phases than [`MAX_PHASES`](crate::allocate::MAX_PHASES).
    #[error("use {count} phases: at most {max} are allowed", max = crate::allocate::MAX_PHASES)]
    TooManyPhases {
        /// How many there are.
        count: usize,
    },
    /// A percentage outside 1 to 100.
    #[error("use {percent} per cent in phase {phase}: it must be 1 to 100")]
    PercentOutOfRange {
        /// The phase.
        phase: usize,
        /// Its percentage.
        percent: u8,
    },
    /// Percentages count earlier phases in, so they must rise.
    #[error(
        "use {percent} per cent in phase {phase}: it counts earlier phases in and must be above \
         {previous}"
    )]
    PercentNotRising {
        /// The phase.
        phase: usize,
        /// Its percentage.
        percent: u8,
        /// The percentage before it.
        previous: u8,
    },
    /// A phase lists a device that the rollout is not about.
    #[error("use device {device} in phase {phase}: the rollout is not about it")]
    NotInScope {
        /// The phase.
        phase: usize,
        /// The device.
        device: String,
    },
    /// A maintenance window that is too short or too long.
    #[error("use a window of {seconds} seconds: it must be a minute to a week")]
    WindowLength {
        /// Its length.
        seconds: u64,
    },
    /// A time zone that there is not.
    #[error("use the time zone {text:?}: it must be like Europe/Berlin or +02:00")]
    TimeZone {
        /// As it was written.
        text: String,
    },
    /// A threshold's percentage above 100.
    #[error("use a threshold of {percent} per cent: it must be 0 to 100")]
    ThresholdOutOfRange {
        /// The percentage.
        percent: u8,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}
