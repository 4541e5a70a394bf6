//! Work done by several threads whose results are wanted in order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use updraft_task::Context;

use crate::Result;

struct State<R> {
    next: usize,
    taken: usize,
    ready: BTreeMap<usize, Result<R>>,
    stopped: bool,
}

struct Shared<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<R>>) -> MutexGuard<'a, State<R>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the threads when the consumer ends, however it does.
struct Stop<'a, R>(&'a Shared<R>);

impl<R> Drop for Stop<'_, R> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

/// Calls `work` with each item on one of `jobs` threads, and `consume` with each result, in order,
/// on this one. No more than `lookahead` results wait for their turn.
pub(super) fn run<T: Sync, R: Send>(
    ctx: &Context,
    items: &[T],
    (jobs, lookahead): (usize, usize),
    work: impl Fn(&T) -> Result<R> + Sync,
    mut consume: impl FnMut(usize, R) -> Result<()>,
) -> Result<()> {
    let state = State { next: 0, taken: 0, ready: BTreeMap::new(), stopped: false };
    let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
    let worker = || {
        loop {
            let mut state = shared.lock();
            while !state.stopped
                && state.next < items.len()
                && state.next >= state.taken + lookahead
            {
                state = shared.wait(state);
            }
            let index = state.next;
            let Some(item) = items.get(index).filter(|_| !state.stopped) else { return };
            state.next += 1;
            drop(state);
            let result = ctx.check().map_err(Into::into).and_then(|()| work(item));
            shared.lock().ready.insert(index, result);
            shared.changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        let _stop = Stop(&shared);
        for _ in 0..jobs.max(1) {
            scope.spawn(worker);
        }
        for index in 0..items.len() {
            let mut state = shared.lock();
            let result = loop {
                if let Some(result) = state.ready.remove(&index) {
                    break result;
                }
                state = shared.wait(state);
            };
            state.taken = index + 1;
            drop(state);
            shared.changed.notify_all();
            consume(index, result?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use updraft_error::Kind;
    use updraft_task::Context;

    use super::run;
    use crate::Error;

    #[test]
    fn results_come_in_order_and_the_first_failure_ends_it() {
        let items: Vec<usize> = (0..200).collect();
        let mut seen = Vec::new();
        let ctx = Context::silent();
        run(
            &ctx,
            &items,
            (4, 3),
            |item| Ok(item * 2),
            |index, result| {
                assert_eq!(index * 2, result);
                seen.push(result);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen.len(), 200);
        let fail = |item: &usize| match item {
            150 => Err(Error::other(Kind::Bug, "stop")),
            _ => Ok(()),
        };
        let mut last = 0;
        let result = run(&ctx, &items, (4, 3), fail, |index, ()| {
            last = index;
            Ok(())
        });
        assert_eq!((result.unwrap_err().to_string(), last), ("stop".to_owned(), 149));
    }
}
