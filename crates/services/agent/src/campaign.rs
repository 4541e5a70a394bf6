//! Campaigns: updates that the server offers to a driver before it assigns them.

use serde::{Deserialize, Serialize};
use serde_json::json;
use updraft_task::Context;

use crate::session::Session;
use crate::{Result, events};

/// A campaign that the server offers: `GET /campaigner/campaigns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id, for [`CampaignAnswer`]s.
    pub id: String,
    /// Its name, for people.
    #[serde(default)]
    pub name: String,
    /// Bytes that it would fetch.
    #[serde(default)]
    pub size: Option<i64>,
    /// Whether it is installed without a word.
    #[serde(default, rename = "autoAccept")]
    pub auto_accept: bool,
    /// Texts for people.
    #[serde(default)]
    pub metadata: Vec<CampaignText>,
}

/// Something a campaign says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignText {
    /// `DESCRIPTION`, `ESTIMATED_INSTALLATION_DURATION` or `ESTIMATED_PREPARATION_DURATION`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text, or seconds.
    pub value: String,
}

/// What a driver says to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignAnswer {
    /// Yes.
    Accept,
    /// No.
    Decline,
    /// Not now.
    Postpone,
}

impl CampaignAnswer {
    fn event(self) -> &'static str {
        match self {
            Self::Accept => "campaign_accepted",
            Self::Decline => "campaign_declined",
            Self::Postpone => "campaign_postponed",
        }
    }
}

#[derive(Deserialize)]
struct Campaigns {
    #[serde(default)]
    campaigns: Vec<Campaign>,
}

/// What the server offers; a server without campaigns offers none.
pub(crate) fn list(ctx: &Context, session: &Session) -> Result<Vec<Campaign>> {
    let found: Option<Campaigns> = session.gateway.campaigns(ctx)?;
    Ok(found.map(|found| found.campaigns).unwrap_or_default())
}

/// Answers. The answer is queued first, so that the server hears it even if not at once.
pub(crate) fn answer(
    ctx: &Context,
    session: &Session,
    campaign: &str,
    answer: CampaignAnswer,
) -> Result<()> {
    let details = json!({ "campaignId": campaign });
    let event = events::plain(answer.event(), &details, session.now());
    session.store.queue_events(&[event])?;
    events::flush(ctx, session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_of_the_aktualizr_world_send_is_read() {
        let text = r#"{"campaigns":[{"id":"c2eb7e8d","name":"campaign1","size":62470,
            "autoAccept":true,"metadata":[{"type":"DESCRIPTION","value":"this is my message"}]},
            {"id":"x","name":"y","new":1}]}"#;
        let found: Campaigns = serde_json::from_str(text).unwrap();
        assert_eq!(found.campaigns[0].metadata[0].value, "this is my message");
        assert!(found.campaigns[0].auto_accept && !found.campaigns[1].auto_accept);
    }
}
