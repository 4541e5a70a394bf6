//! Who is told of events: webhooks and people.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::EventKind;

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionTarget {
    /// An address that events are sent to, each by itself, as Standard Webhooks says:
    /// `{"webhook": {"url": "https://…"}}`.
    Webhook {
        /// Below one of the server's `notifications.webhooks_to`.
        url: String,
    },
    /// A mailbox, which is told of what happened since the last mail: `{"email": {"address": "…"}}`.
    Email {
        /// Such as `ops@example.com`.
        address: String,
    },
}

/// A subscription to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[schema(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub name: String,
    /// Where events are sent.
    pub target: SubscriptionTarget,
    /// The kinds of events; none stands for all.
    #[serde(default)]
    pub events: Vec<EventKind>,
}

/// Somebody who is told of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// Where events are sent.
    pub target: SubscriptionTarget,
    /// The kinds of events; none stands for all.
    pub events: Vec<EventKind>,
    /// When it was made; it is told of what happened since.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The last event that it was told of, or that was not for it.
    pub told_up_to: u64,
    /// When it was last told of something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub told_at: Option<Timestamp>,
    /// How often the next event was tried in vain.
    pub failures: u32,
    /// What was wrong the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
}

/// A subscription that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedSubscription {
    /// The subscription.
    pub subscription: Subscription,
    /// With what its webhooks are signed, in the form of Standard Webhooks (`whsec_…`). It is never
    /// shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// How a trial of a subscription ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionTest {
    /// The event that was sent: it is of the kind `subscription_tested`.
    pub event: u64,
    /// Why it was not heard; absent when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
