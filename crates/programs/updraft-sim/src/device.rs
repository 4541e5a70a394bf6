//! A virtual device, whichever protocol it speaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;

use crate::model::{Dice, Fate, Model};
use crate::pool::Pool;
use crate::tally::Tally;
use crate::{ddi, uptane};

/// The longest that a server can send a device away for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// What all devices of a run have in common.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) tally: Arc<Tally>,
    pub(crate) protocol: Protocol,
}

/// How the devices speak.
#[derive(Debug)]
pub(crate) enum Protocol {
    /// hawkBit's Direct Device Integration API.
    Ddi(ddi::Shared, Pool),
    /// Uptane.
    Uptane(uptane::Shared),
}

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    /// Its place in the fleet.
    pub(crate) index: u32,
    /// The how-manieth device there.
    pub(crate) generation: u32,
    /// Actions that ended, one way or another.
    pub(crate) ended: u32,
    /// When it leaves.
    leaves: Option<Instant>,
    life: Life,
    speaker: Speaker,
}

/// What a device draws its fate from, and how often it has.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) dice: Dice,
    polls: u32,
    begun: u32,
}

/// An action that a device has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drawn {
    pub(crate) fate: Fate,
    pub(crate) takes: Duration,
}

#[derive(Debug)]
enum Speaker {
    Ddi(Box<ddi::Device>),
    Uptane(Box<uptane::Device>),
}

/// What a visit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Visit it again after this time.
    After(Duration),
    /// The same, and an action has ended.
    Ended(Duration),
    /// It is never heard of again.
    Silent,
}

impl World {
    /// The device at a place, for the how-manieth time.
    pub(crate) fn device(&self, index: u32, generation: u32) -> Device {
        let dice = self.model.dice(index, generation);
        let leaves = self.model.lifetime(&dice).and_then(|life| Instant::now().checked_add(life));
        let speaker = match &self.protocol {
            Protocol::Ddi(shared, _) => Speaker::Ddi(Box::new(shared.device(index, generation))),
            Protocol::Uptane(shared) => Speaker::Uptane(Box::new(shared.device(index, generation))),
        };
        let life = Life { dice, polls: 0, begun: 0 };
        Device { index, generation, ended: 0, leaves, life, speaker }
    }

    /// Closes all connections that are between visits.
    pub(crate) fn cut(&self) {
        if let Protocol::Ddi(_, pool) = &self.protocol {
            pool.cut();
        }
    }
}

impl Device {
    /// Whether its time is over.
    pub(crate) fn leaves(&self) -> bool {
        self.leaves.is_some_and(|moment| moment <= Instant::now())
    }

    /// Share of `span` after which it is visited first.
    pub(crate) fn first_visit(&self, span: Duration) -> Duration {
        self.life.dice.share_of(span)
    }

    /// It starts again: what it was doing goes on, connections do not.
    pub(crate) fn restart(&mut self) {
        if let Speaker::Uptane(device) = &mut self.speaker {
            device.cut();
        }
    }

    /// Does what is due.
    pub(crate) async fn visit(&mut self, world: &World) -> Next {
        let next = match (&mut self.speaker, &world.protocol) {
            (Speaker::Ddi(device), Protocol::Ddi(shared, pool)) => {
                device.visit(&mut self.life, world, shared, pool).await
            }
            (Speaker::Uptane(device), Protocol::Uptane(shared)) => {
                device.visit(&mut self.life, world, shared).await
            }
            // A world has one protocol, and makes devices of it only.
            _ => Next::Silent,
        };
        if matches!(next, Next::Ended(_)) {
            self.ended += 1;
        }
        next
    }
}

impl Life {
    /// Draws how the next action goes.
    pub(crate) fn draw(&mut self, model: &Model) -> Drawn {
        self.begun += 1;
        let fate = model.fate(&self.dice, self.begun);
        Drawn { fate, takes: model.installation(&self.dice, self.begun) }
    }

    /// The how-manieth time that it waits.
    pub(crate) fn sleep(&mut self, model: &Model, asked: Duration) -> Duration {
        self.polls = self.polls.wrapping_add(1);
        model.sleep(&self.dice, self.polls, asked)
    }
}

/// How long the server asks the device to stay away, where it does (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}
