//! [`Budget`]: several threads share memory and processors without planning who does what when.

use std::sync::{Condvar, Mutex, PoisonError};

/// Memory that may be in use at a time, and how many may work.
#[derive(Debug)]
pub struct Budget {
    memory: u64,
    workers: usize,
    used: Mutex<(u64, usize)>,
    freed: Condvar,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
#[must_use = "the share is given back at once"]
pub struct Share<'a> {
    budget: &'a Budget,
    memory: u64,
}

impl Budget {
    /// A budget of this many bytes for this many workers.
    #[must_use]
    pub fn new(memory: u64, workers: usize) -> Self {
        Self { memory, workers: workers.max(1), used: Mutex::new((0, 0)), freed: Condvar::new() }
    }

    /// Waits until `memory` bytes are free and a worker may begin. More than there is in all is
    /// given to one alone.
    pub fn take(&self, memory: u64) -> Share<'_> {
        let memory = memory.min(self.memory);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while used.0 + memory > self.memory || used.1 >= self.workers {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        used.0 += memory;
        used.1 += 1;
        Share { budget: self, memory }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut used = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.0 = used.0.saturating_sub(self.memory);
        used.1 = used.1.saturating_sub(1);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_request_for_more_than_there_is_waits_for_all_of_it() {
        let budget = Budget::new(10, 2);
        drop(budget.take(100));
        let first = budget.take(4);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(budget.take(10)));
            drop(first);
            second.join().unwrap();
        });
    }
}
