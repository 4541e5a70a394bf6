//! Campaigns: updates that the server offers before it assigns them.

use std::ffi::c_int;
use std::ptr::null_mut;

use updraft_agent::{Campaign as Offered, CampaignAnswer};

use crate::agent::{Aktualizr, agent};
use crate::error::{status, told, work};
use crate::pointers::{free, give, reference};

/// A campaign that the server offers.
#[derive(Debug)]
pub struct Campaign {
    offered: Offered,
}

/// Asks the server for campaigns; the first of them, or null when there is none or that fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_campaigns_check(a: *mut Aktualizr) -> *mut Campaign {
    work(|| {
        // SAFETY: the crate's contract for pointers.
        let agent = unsafe { agent(a) }?;
        let campaigns = agent.check_campaigns().wait().map_err(|error| told(&error))?;
        Ok(campaigns.into_iter().next().map_or(null_mut(), |offered| give(Campaign { offered })))
    })
    .unwrap_or(null_mut())
}

/// Says yes to a campaign.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_campaign_accept(a: *mut Aktualizr, c: *mut Campaign) -> c_int {
    // SAFETY: the crate's contract for pointers.
    unsafe { answer(a, c, CampaignAnswer::Accept) }
}

/// Says: not now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_campaign_postpone(a: *mut Aktualizr, c: *mut Campaign) -> c_int {
    // SAFETY: the crate's contract for pointers.
    unsafe { answer(a, c, CampaignAnswer::Postpone) }
}

/// Says no to a campaign.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_campaign_decline(a: *mut Aktualizr, c: *mut Campaign) -> c_int {
    // SAFETY: the crate's contract for pointers.
    unsafe { answer(a, c, CampaignAnswer::Decline) }
}

/// Frees a campaign.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn Aktualizr_campaign_free(c: *mut Campaign) {
    // SAFETY: the crate's contract for pointers.
    unsafe { free(c) }
}

/// # Safety
/// The crate's contract for pointers.
unsafe fn answer(a: *mut Aktualizr, c: *mut Campaign, answer: CampaignAnswer) -> c_int {
    status(|| {
        // SAFETY: the same contract.
        let (agent, campaign) = unsafe { (agent(a)?, reference(c, "the campaign")?) };
        let answered = agent.answer_campaign(&campaign.offered.id, answer).wait();
        answered.map_err(|error| told(&error))
    })
}
