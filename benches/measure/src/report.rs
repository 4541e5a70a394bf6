//! Lines of results, beside their goals.

/// What was measured.
#[derive(Debug)]
pub struct Report {
    missed: u32,
    skipped: u32,
}

/// On which side of it a goal is reached.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// There is none.
    Nothing,
}

impl Report {
    /// Begins a table.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it prints")]
    pub fn new() -> Self {
        println!("{:<58} {:>12} {:>10}", "", "measured", "goal");
        Self { missed: 0, skipped: 0 }
    }

    /// One result.
    pub fn line(&mut self, what: &str, value: f64, unit: &str, goal: Goal) {
        let (goal, is_missed) = match goal {
            Goal::AtLeast(goal) => (format!("≥ {goal}"), value < goal),
            Goal::AtMost(goal) => (format!("≤ {goal}"), value > goal),
            Goal::Nothing => (String::new(), false),
        };
        let digits = usize::from(value < 100.0) + usize::from(value < 10.0);
        let name = format!("{what} [{unit}]");
        let mark = if is_missed { "  missed" } else { "" };
        println!("{name:<58} {value:>12.digits$} {goal:>10}{mark}");
        self.missed += u32::from(is_missed);
    }

    /// Something that could not be measured here.
    pub fn skip(&mut self, what: &str, reason: &str) {
        self.skipped += 1;
        println!("{what}: not measured, {reason}");
    }

    /// Ends it.
    pub fn end(&self) {
        println!("{} goals missed, {} not measured", self.missed, self.skipped);
    }
}

/// The middle one of several results.
#[must_use]
pub fn median(mut results: Vec<f64>) -> f64 {
    results.sort_by(f64::total_cmp);
    results.get(results.len() / 2).copied().unwrap_or_default()
}
