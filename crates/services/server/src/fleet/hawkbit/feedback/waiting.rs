//! Reports that wait to be stored.
//!
//! Whoever finds nobody storing has to do it for all, until none waits any more; so reports that come
//! while others are being stored gather, and are stored together.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{Receiver, Sender, channel};
use updraft_hawkbit::ddi::ActionFeedback;

use crate::error::Result;
use crate::fleet::hawkbit::access::Presented;

/// The most reports that are stored together.
const MOST: usize = 128;

/// What a device reports of an action, until somebody is told what came of it.
#[derive(Debug)]
pub(in crate::fleet) struct Report {
    /// Who says that it is its own report.
    pub(super) device: String,
    /// With what that is shown.
    pub(super) presented: Presented,
    /// The action that the report is of.
    pub(super) action: i64,
    /// What it says.
    pub(super) feedback: ActionFeedback,
    answer: Sender<Result<()>>,
}

impl Report {
    /// A report, and where it will be said what came of it.
    pub(super) fn new(
        device: String,
        presented: Presented,
        action: i64,
        feedback: ActionFeedback,
    ) -> (Self, Receiver<Result<()>>) {
        let (answer, answered) = channel();
        (Self { device, presented, action, feedback, answer }, answered)
    }

    /// Says what came of it, if somebody still listens.
    pub(super) fn answer(self, outcome: Result<()>) {
        drop(self.answer.send(outcome));
    }
}

/// The reports that wait.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reports: VecDeque<Report>,
    /// Whether somebody stores them.
    is_served: bool,
}

impl Waiting {
    /// Adds a report. True when nobody stores any: the caller has to see to it.
    pub(super) fn add(&self, report: Report) -> bool {
        let mut state = self.lock();
        state.reports.push_back(report);
        !std::mem::replace(&mut state.is_served, true)
    }

    /// The turn to store them.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's turn to store them. If that panics, those that wait are told that nothing came of
/// it, and the next one takes its turn.
#[derive(Debug)]
pub(super) struct Turn<'w>(&'w Waiting);

impl Turn<'_> {
    /// The next reports, no two of one action: what each is compared with is what the last one left.
    /// None: the turn is over.
    pub(super) fn next(&mut self) -> Option<Vec<Report>> {
        let mut state = self.0.lock();
        if state.reports.is_empty() {
            state.is_served = false;
            return None;
        }
        let mut actions = HashSet::new();
        let mut next = Vec::new();
        let mut later = VecDeque::new();
        while next.len() < MOST
            && let Some(report) = state.reports.pop_front()
        {
            if actions.insert(report.action) {
                next.push(report);
            } else {
                later.push_back(report);
            }
        }
        later.append(&mut state.reports);
        state.reports = later;
        Some(next)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.lock();
            state.reports.clear();
            state.is_served = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Report, Waiting};
    use crate::fleet::hawkbit::access::Presented;
    use tokio::sync::oneshot::Receiver;

    fn report(action: i64, code: i64) -> (Report, Receiver<crate::error::Result<()>>) {
        let presented = Presented { authorization: None, recognised: None, address: None };
        let feedback = serde_json::json!({ "status": { "execution": "proceeding",
            "result": { "finished": "none" }, "code": code } });
        let feedback = serde_json::from_value(feedback).expect("feedback");
        Report::new("d".to_owned(), presented, action, feedback)
    }

    #[test]
    fn one_stores_for_all_and_reports_of_one_action_keep_their_order() {
        let waiting = Waiting::default();
        let mut answers = Vec::new();
        let mut add = |action, code| {
            let (report, answer) = report(action, code);
            answers.push(answer);
            waiting.add(report)
        };
        assert!(add(1, 0), "nobody stores yet");
        assert!(!add(2, 0) && !add(1, 1) && !add(3, 0) && !add(1, 2));
        let mut turn = waiting.turn();
        let mut next = || {
            let reports = turn.next()?;
            let told = reports.iter().map(|one| (one.action, one.feedback.status.code));
            Some(told.collect::<Vec<_>>())
        };
        assert_eq!(next().unwrap(), [(1, Some(0)), (2, Some(0)), (3, Some(0))]);
        assert_eq!(next().unwrap(), [(1, Some(1))]);
        assert!(!add(4, 0), "somebody is at it");
        assert_eq!(next().unwrap(), [(1, Some(2)), (4, Some(0))]);
        assert!(next().is_none());
        assert!(add(5, 0), "nobody is at it any more");
        let most = i64::try_from(MOST).unwrap();
        for action in 6..=most + 5 {
            add(action, 0);
        }
        assert_eq!(next().unwrap().len(), MOST);
        assert_eq!(next().unwrap().len(), 1);
        assert!(next().is_none());
    }

    #[test]
    fn a_panic_leaves_nobody_waiting() {
        let waiting = Waiting::default();
        let (first, _first) = report(1, 0);
        let (second, mut second_answer) = report(2, 0);
        assert!(waiting.add(first));
        assert!(!waiting.add(second));
        let panicked = std::thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _turn = waiting.turn();
                panic!("a defect");
            });
            panics.join().is_err()
        });
        assert!(panicked);
        assert!(second_answer.try_recv().is_err(), "nothing will come");
        let (third, _third) = report(3, 0);
        assert!(waiting.add(third), "the next one takes its turn");
    }
}
