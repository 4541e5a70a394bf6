//! Telling webhooks and people of events.
//!
//! A subscription is a place in the list of events: what comes after it is told, in order, and then
//! the place moves on. So nothing is lost when the server stops or the other side is away, and an
//! event may be told twice when the answer was lost; its id tells.

mod mail;
mod webhook;

use jiff::{SignedDuration, Timestamp};
use updraft_api::{
    CreatedSubscription, Event, EventKind, NewSubscription, Page, Subscription, SubscriptionTarget,
    SubscriptionTest,
};

use super::Fleet;
use super::operators::Operator;
use crate::error::{Error, Result};
use crate::names;
use crate::storage::events::{self, Filter, NewEvent};
use crate::storage::leases;
use crate::storage::subscriptions::{self, SubscriptionRecord};

/// The most subscriptions of a server: each is a connection of its own.
const MAX_SUBSCRIPTIONS: u64 = 100;
/// How many events are looked at in one turn of a subscription.
const AT_ONCE: u32 = 100;
/// A turn begins no further event after this: a receiver that is slow with each must not keep the
/// server from stopping.
const TURN: SignedDuration = SignedDuration::from_secs(10);
/// How long one server has a subscription to itself: a turn, and the last request of it.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// The pause after the first failure; it doubles with each one more.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// And is never longer.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Doublings until then.
const MAX_DOUBLINGS: u32 = 9;
/// The longest text of a failure that is kept, in characters.
const MAX_PROBLEM: usize = 300;
const WHAT: &str = "the subscription";

impl Fleet {
    /// Makes a subscription, which is told of what happens from now on.
    pub fn create_subscription(
        &self,
        operator: &Operator,
        new: &NewSubscription,
    ) -> Result<CreatedSubscription> {
        names::name("subscription name", &new.name)?;
        if new.events.contains(&EventKind::Other) {
            return Err(Error::invalid(WHAT, "`events` has a kind that this server does not know"));
        }
        let secret = match &new.target {
            SubscriptionTarget::Webhook { url } => {
                webhook::check_address(&self.config.notifications, url)?;
                Some(webhook::new_secret(&self.environment)?)
            }
            SubscriptionTarget::Email { address } => {
                mail::check(&self.config.notifications, address)?;
                None
            }
        };
        let now = self.now();
        let shown = Subscription {
            name: new.name.clone(),
            target: new.target.clone(),
            events: new.events.clone(),
            created_at: now,
            told_up_to: 0,
            told_at: None,
            failures: 0,
            last_error: None,
            next_attempt_at: None,
        };
        let shown_secret = secret.as_deref().map(webhook::shown);
        let record = SubscriptionRecord { shown, secret };
        let subscription = self.database.write("make a subscription", |tx| {
            if subscriptions::count(tx)? >= MAX_SUBSCRIPTIONS {
                let reason = format!("there are {MAX_SUBSCRIPTIONS} already; remove one");
                return Err(Error::invalid(WHAT, reason));
            }
            let message = format!("subscription {} was made", new.name);
            let actor = operator.actor();
            let event = NewEvent::new(EventKind::SubscriptionChanged, &actor, message);
            events::append(tx, now, &event)?;
            subscriptions::insert(tx, &record)?;
            subscriptions::require(tx, &new.name)
        })?;
        Ok(CreatedSubscription { subscription, secret: shown_secret })
    }

    /// The subscriptions after `after`, by name.
    pub fn subscriptions(&self, after: &str, limit: u32) -> Result<Page<Subscription>> {
        self.database.read("list subscriptions", |reader| subscriptions::list(reader, after, limit))
    }

    /// One subscription.
    pub fn subscription(&self, name: &str) -> Result<Subscription> {
        self.database.read("show a subscription", |reader| subscriptions::require(reader, name))
    }

    /// Removes a subscription.
    pub fn delete_subscription(&self, operator: &Operator, name: &str) -> Result<()> {
        let now = self.now();
        self.database.write("delete a subscription", |tx| {
            if !subscriptions::delete(tx, name)? {
                return Err(Error::not_found("subscription", name));
            }
            let message = format!("subscription {name} was deleted");
            let actor = operator.actor();
            events::append(tx, now, &NewEvent::new(EventKind::SubscriptionChanged, &actor, message))
        })
    }

    /// Tells a subscription of a trial, and says whether it was heard.
    pub fn test_subscription(&self, operator: &Operator, name: &str) -> Result<SubscriptionTest> {
        let now = self.now();
        let actor = operator.actor();
        let message = format!("{actor} tries whether subscription {name} is heard");
        let (record, id) = self.database.write("try a subscription", |tx| {
            let record = subscriptions::get(tx, name)?;
            let record = record.ok_or_else(|| Error::not_found("subscription", name))?;
            let kind = EventKind::SubscriptionTested;
            events::append(tx, now, &NewEvent::new(kind, &actor, message.clone()))?;
            Ok((record, events::newest(tx)?))
        })?;
        let event = Event {
            id,
            at: now,
            kind: EventKind::SubscriptionTested,
            actor,
            device: None,
            rollout: None,
            message,
            data: None,
        };
        let config = &self.config.notifications;
        let told = match &record.shown.target {
            SubscriptionTarget::Webhook { url } => {
                let secret = record.secret.as_deref().unwrap_or_default();
                webhook::Sender::new(config, url, secret)
                    .and_then(|sender| sender.send(&event, now))
            }
            SubscriptionTarget::Email { address } => mail::send(config, address, &[event]),
        };
        let problem = told.err().map(|problem| problem.chars().take(MAX_PROBLEM).collect());
        Ok(SubscriptionTest { event: id, problem })
    }

    /// The subscriptions that there may be something to tell.
    pub fn due_subscriptions(&self) -> Result<Vec<SubscriptionRecord>> {
        let now = self.now();
        self.database.read("look for subscriptions", |reader| subscriptions::due(reader, now))
    }

    /// Tells a subscription what comes next, and remembers how far that went. A failure of the other
    /// side is no error here: it is kept with the subscription.
    pub fn tell_subscription(&self, record: &SubscriptionRecord) -> Result<()> {
        if !self.database.is_shared() {
            return self.tell_in_turn(record);
        }
        let lease = format!("subscription {}", record.shown.name);
        let record = self.database.write("take a subscription's turn", |tx| {
            let now = self.now();
            if !leases::take(tx, &lease, &self.holder, (now, now + LEASE))? {
                return Ok(None);
            }
            // Another server may have told it of some events since.
            subscriptions::get(tx, &record.shown.name)
        })?;
        let Some(record) = record else { return Ok(()) };
        let told = self.tell_in_turn(&record);
        self.database.write("give a subscription's turn back", |tx| {
            leases::give(tx, &lease, &self.holder)
        })?;
        told
    }

    fn tell_in_turn(&self, record: &SubscriptionRecord) -> Result<()> {
        let shown = &record.shown;
        let next = self.database.read("list events", |reader| {
            events::list(reader, Filter::default(), shown.told_up_to, AT_ONCE)
        })?;
        let Some(last) = next.items.last().map(|event| event.id) else { return Ok(()) };
        let is_wanted =
            |event: &Event| shown.events.is_empty() || shown.events.contains(&event.kind);
        let wanted: Vec<Event> = next.items.into_iter().filter(is_wanted).collect();
        if wanted.is_empty() {
            return self.note_told(shown, last, None);
        }
        match &shown.target {
            SubscriptionTarget::Webhook { url } => {
                let secret = record.secret.as_deref().unwrap_or_default();
                let config = &self.config.notifications;
                let sender = match webhook::Sender::new(config, url, secret) {
                    Ok(sender) => sender,
                    Err(problem) => return self.note_failure(shown, &problem),
                };
                let begun = self.now();
                for event in wanted {
                    let now = self.now();
                    if now.duration_since(begun) > TURN {
                        return Ok(());
                    }
                    if let Err(problem) = sender.send(&event, now) {
                        return self.note_failure(shown, &problem);
                    }
                    self.note_told(shown, event.id, Some(now))?;
                }
                self.note_told(shown, last, None)
            }
            SubscriptionTarget::Email { address } => {
                match mail::send(&self.config.notifications, address, &wanted) {
                    Ok(()) => self.note_told(shown, last, Some(self.now())),
                    Err(problem) => self.note_failure(shown, &problem),
                }
            }
        }
    }

    fn note_told(&self, shown: &Subscription, up_to: u64, at: Option<Timestamp>) -> Result<()> {
        // Commit point: from here on these events are not told again.
        self.database.write("store what a subscription was told", |tx| {
            subscriptions::told(tx, &shown.name, up_to, at)
        })
    }

    fn note_failure(&self, shown: &Subscription, problem: &str) -> Result<()> {
        let problem: String = problem.chars().take(MAX_PROBLEM).collect();
        let pause = pause_after(shown.failures);
        tracing::warn!(subscription = shown.name, problem, "events could not be told");
        let again = self.now().checked_add(pause).unwrap_or(Timestamp::MAX);
        self.database.write("store that a subscription was not told", |tx| {
            subscriptions::failed(tx, &shown.name, &problem, again)
        })
    }
}

/// How long to wait after one more failure than so many.
fn pause_after(failures: u32) -> SignedDuration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(MAX_DOUBLINGS));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PAUSE, pause_after};

    #[test]
    fn pauses_double_up_to_an_hour() {
        let seconds: Vec<i64> = (0..12).map(|failures| pause_after(failures).as_secs()).collect();
        let expected = [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600];
        assert_eq!(seconds, expected);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }
}
