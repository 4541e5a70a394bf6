//! The audit log: what operators did, and what they were refused.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::ListOrder;

/// Whether something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

/// One entry of the audit log.
///
/// `hash` is the SHA-256, in hexadecimal digits, of the entry without `hash`, as JSON whose members
/// are sorted, without white space, and in ASCII. `previous` is the hash of the entry before; that
/// of the first is 64 zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Counts up from 1, without gaps.
    pub number: u64,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who: `user:NAME`, `token:NAME`, `cli:uid-NUMBER`, or `unknown`.
    pub actor: String,
    /// By what the actor was recognised, such as `session` or `token:NAME`.
    pub credential: String,
    /// From where.
    pub address: Option<String>,
    /// What was to be done, in words.
    pub action: String,
    /// To what: method and path of a request, or the command.
    pub object: String,
    /// Whether it was.
    pub outcome: AuditOutcome,
    /// What it came to, with values before and after where they are small.
    pub details: Vec<String>,
    /// The same in all entries of one request, and in its answer's `X-Request-Id`.
    pub request_id: String,
    /// The hash of the entry before.
    pub previous: String,
    /// The hash of this one.
    #[serde(default)]
    pub hash: String,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The number after which to go on, in this order.
    pub after: Option<String>,
    /// Which come first.
    #[param(inline)]
    pub order: ListOrder,
    /// The most entries to give.
    pub limit: Option<u32>,
    /// Only what this actor did.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only where the object has this in it.
    pub object: Option<String>,
    /// Only since this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Only before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}
