//! Sets that devices are told by themselves: all that meet a query, now or later, and were never told.
//!
//! ```text
//! waiting_for_approval ─ approve ─> ready ─ its time, or start ─> running <─ resume ─ paused
//!          └─ deny ─> approval_denied                                └────── pause ──────┘
//! ```

use jiff::Timestamp;
use updraft_hawkbit::management::{ActionKind, AssignmentBody, AutoAssignment, AutoState};

use super::assignment::check_set;
use super::{MAX_DESCRIPTION, MAX_NAME, Wanted, check_optional, check_text, parse};
use crate::error::hawkbit::Trouble;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::fleet::operators::Operator;
use crate::storage::hawkbit::auto_assignments::{self as stored, AutoRecord, NewAuto};
use crate::storage::hawkbit::filter::{self, Entity};
use crate::storage::hawkbit::{By, Listing, devices, filters, sets};

/// How many devices are told at once; the rest follows in the next run.
const AT_ONCE: u32 = 1000;
/// The weight where none is given, as hawkBit has it.
const WEIGHT: i64 = 1000;
/// The most characters of a remark.
const MAX_REMARK: usize = 255;

/// What a script does with an automatic assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of hawkBit's API")]
pub enum AutoVerb {
    Approve,
    Deny,
    Start,
    Pause,
    Resume,
}

impl AutoVerb {
    /// From which state to which.
    fn step(self) -> (AutoState, AutoState) {
        match self {
            Self::Approve => (AutoState::WaitingForApproval, AutoState::Ready),
            Self::Deny => (AutoState::WaitingForApproval, AutoState::ApprovalDenied),
            Self::Start => (AutoState::Ready, AutoState::Running),
            Self::Pause => (AutoState::Running, AutoState::Paused),
            Self::Resume => (AutoState::Paused, AutoState::Running),
        }
    }
}

/// Which devices an assignment is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// Those that meet a filter that is there.
    Filter(i64),
    /// Those that meet a query; the assignment has a name of its own.
    Query {
        /// The name.
        name: String,
        /// What it is.
        description: Option<String>,
        /// RSQL.
        query: String,
    },
}

/// What devices are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The set.
    pub set: i64,
    /// How.
    pub kind: ActionKind,
    /// The greater goes first.
    pub weight: Option<i64>,
    /// Whether somebody at the device has to agree.
    pub confirmation: Option<bool>,
    /// When it begins, in milliseconds since 1970 (UTC); none: at once.
    pub start_at: Option<i64>,
}

impl Fleet {
    /// Has devices told a set that meet a query, now and later. A filter that has one is given this
    /// one instead.
    pub fn make_auto_assignment(
        &self,
        operator: &Operator,
        whom: Whom,
        told: &Told,
    ) -> Result<AutoAssignment> {
        check(told)?;
        let whom = match whom {
            Whom::Query { name, description, query } => {
                check_text("an automatic assignment's name", &name, MAX_NAME)?;
                self.check_query(&query)?;
                let what = "an automatic assignment's description";
                let description = check_optional(what, description, MAX_DESCRIPTION)?;
                Whom::Query { name, description, query }
            }
            of_filter @ Whom::Filter(_) => of_filter,
        };
        let state = if self.auto_needs_approval()? {
            AutoState::WaitingForApproval
        } else {
            AutoState::Ready
        };
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        let made = self.database.write("make an automatic assignment", |tx| {
            check_set(&sets::require(tx, told.set)?)?;
            let id = match &whom {
                Whom::Filter(id) => {
                    filters::require(tx, *id)?;
                    *id
                }
                Whom::Query { name, description, query } => {
                    let id = stored::insert_filter(tx, name, query, by)?;
                    stored::change(tx, id, None, description.as_deref(), by)?;
                    id
                }
            };
            let auto = NewAuto {
                set: told.set,
                kind: told.kind,
                weight: told.weight,
                confirmation: told.confirmation,
                start_at: told.start_at,
                state,
            };
            stored::put(tx, id, &auto, by)?;
            stored::require(tx, id)
        })?;
        self.kick();
        self.shown_auto(made)
    }

    /// One automatic assignment.
    pub fn auto_assignment(&self, id: i64) -> Result<AutoAssignment> {
        let found = self
            .database
            .read("read an automatic assignment", |reader| stored::require(reader, id))?;
        self.shown_auto(found)
    }

    /// A page of automatic assignments, and how many there are; only those of a set where one is given.
    pub fn auto_assignments(
        &self,
        set: Option<i64>,
        wanted: &Wanted,
    ) -> Result<(Vec<AutoAssignment>, u64)> {
        let mut listing = self.listing(Entity::AutoAssignment, wanted)?;
        if let Some(set) = set {
            listing.also("f.auto_set = ?", set);
        }
        let (found, total) = self.database.read("list automatic assignments", |reader| {
            set.map(|set| sets::require(reader, set)).transpose()?;
            stored::list(reader, &listing)
        })?;
        let shown = found.into_iter().map(|one| self.shown_auto(one));
        Ok((shown.collect::<Result<_>>()?, total))
    }

    /// Changes name and description, where given.
    pub fn change_auto_assignment(
        &self,
        operator: &Operator,
        id: i64,
        name: Option<&str>,
        description: Option<String>,
    ) -> Result<AutoAssignment> {
        if let Some(name) = name {
            check_text("an automatic assignment's name", name, MAX_NAME)?;
        }
        let what = "an automatic assignment's description";
        let description = check_optional(what, description, MAX_DESCRIPTION)?;
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        let changed = self.database.write("change an automatic assignment", |tx| {
            stored::require(tx, id)?;
            stored::change(tx, id, name, description.as_deref(), by)?;
            stored::require(tx, id)
        })?;
        self.shown_auto(changed)
    }

    /// Has no more devices told. What was told stays so.
    pub fn end_auto_assignment(&self, operator: &Operator, id: i64) -> Result<()> {
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("remove an automatic assignment", |tx| {
            stored::require(tx, id)?;
            stored::remove(tx, id, by)
        })
    }

    /// Moves an automatic assignment on. Whoever said that it shall be cannot approve of it.
    pub fn steer_auto_assignment(
        &self,
        operator: &Operator,
        id: i64,
        verb: AutoVerb,
        remark: Option<&str>,
    ) -> Result<()> {
        let remark = check_optional("a remark", remark.map(str::to_owned), MAX_REMARK)?;
        let (from, to) = verb.step();
        let actor = operator.actor();
        let by = By { actor: &actor, at: self.now() };
        self.database.write("steer an automatic assignment", |tx| {
            let found = stored::require(tx, id)?;
            if found.auto.state != from {
                let message = format!("automatic assignment {id} is not in the state for this");
                return Err(Error::hawkbit(Trouble::AutoState, message));
            }
            if !matches!(verb, AutoVerb::Approve | AutoVerb::Deny) {
                return stored::set_state(tx, id, to, by);
            }
            if found.by == actor {
                return Err(Error::Rejected {
                    code: "own_auto_assignment",
                    what: "the decision",
                    reason: format!(
                        "{actor} made automatic assignment {id}; somebody else must decide on it"
                    ),
                });
            }
            stored::set_decision(tx, id, to, remark.as_deref(), by)
        })?;
        self.kick();
        Ok(())
    }

    /// Whether somebody else has to agree first.
    pub(super) fn auto_needs_approval(&self) -> Result<bool> {
        let value = self.configuration_value("auto.assignment.approval.enabled")?.value;
        Ok(value == serde_json::Value::Bool(true))
    }

    fn shown_auto(&self, found: AutoRecord) -> Result<AutoAssignment> {
        let (approval_decided_by, approval_remark) = found.decision;
        Ok(AutoAssignment {
            stamp: found.stamp,
            id: found.id,
            name: found.name,
            description: found.description,
            target_filter_query: found.query,
            distribution_set_id: found.auto.set,
            status: found.auto.state,
            start_at: found.auto.start_at,
            action_type: found.auto.kind,
            weight: found.auto.weight.unwrap_or(WEIGHT),
            confirmation_required: match found.auto.confirmation {
                Some(required) => required,
                None => self.tenant()?.confirmation,
            },
            approval_decided_by,
            approval_remark,
        })
    }

    /// Tells devices what is due. One assignment that cannot be followed does not stop others.
    pub(in crate::fleet) fn assign_by_filters(&self) -> Result<()> {
        let listing = Listing {
            condition: "f.auto_state IN ('ready', 'running')".to_owned(),
            order: "f.id".to_owned(),
            limit: u32::MAX,
            ..Listing::default()
        };
        let (found, _) = self
            .database
            .read("list automatic assignments", |reader| stored::list(reader, &listing))?;
        let now = self.now();
        for one in found.into_iter().filter(|one| is_due(one, now)) {
            if let Err(error) = self.follow(&one, now) {
                let reason = crate::error::chain(&error);
                tracing::warn!(filter = one.name, reason, "a filter assigned nothing");
            }
        }
        Ok(())
    }

    fn follow(&self, one: &AutoRecord, now: Timestamp) -> Result<()> {
        if one.auto.state == AutoState::Ready {
            let itself = Operator::itself().actor();
            let by = By { actor: &itself, at: now };
            let runs = self.database.write("begin an automatic assignment", |tx| {
                // Somebody may have taken it back since, or begun it.
                match stored::require(tx, one.id)?.auto.state {
                    AutoState::Ready => {
                        stored::set_state(tx, one.id, AutoState::Running, by).map(|()| true)
                    }
                    state => Ok(state == AutoState::Running),
                }
            })?;
            if !runs {
                return Ok(());
            }
        }
        while self.assign_by(one)? {}
        Ok(())
    }

    /// True when there may be more devices to tell.
    fn assign_by(&self, one: &AutoRecord) -> Result<bool> {
        let set = one.auto.set;
        let (condition, parameters) =
            filter::condition(Entity::Target, &parse(&one.query)?, self.times()?)?;
        let mut listing = Listing {
            condition,
            parameters,
            order: "t.device".to_owned(),
            limit: AT_ONCE,
            offset: 0,
        };
        // Who was told once is not told again, whatever came of it.
        listing.also(
            "d.revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM actions x
                 WHERE x.device = t.device AND x.set_id = ?)",
            set,
        );
        listing.also(
            "(t.target_type IS NULL OR EXISTS (SELECT 1 FROM target_type_set_types c
                 JOIN distribution_sets s ON s.type = c.set_type
                 WHERE c.target_type = t.target_type AND s.id = ?))",
            set,
        );
        let (found, _) =
            self.database.read("list targets", |reader| devices::list(reader, &listing))?;
        if found.is_empty() {
            return Ok(false);
        }
        let wanted: Vec<AssignmentBody<String>> = found
            .into_iter()
            .map(|device| AssignmentBody {
                id: device.id,
                kind: Some(one.auto.kind),
                weight: one.auto.weight,
                confirmation_required: one.auto.confirmation,
                ..AssignmentBody::default()
            })
            .collect();
        let assigned = self.assign_set(&Operator::itself(), set, &wanted, false)?;
        // Where nothing was assigned, nothing would be the next time.
        Ok(!assigned.actions.is_empty())
    }
}

fn is_due(one: &AutoRecord, now: Timestamp) -> bool {
    one.auto.state == AutoState::Running
        || one.auto.start_at.is_none_or(|start| start <= now.as_millisecond())
}

fn check(told: &Told) -> Result<()> {
    if told.kind == ActionKind::TimeForced {
        let message = "what is assigned by itself cannot be forced from a time on";
        return Err(Error::hawkbit(Trouble::Value, message));
    }
    if told.weight.is_some_and(|weight| !(0..=1000).contains(&weight)) {
        return Err(Error::hawkbit(Trouble::Value, "a weight must be 0 to 1000"));
    }
    Ok(())
}
