//! How a cycle is run.

/// What a cycle may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstallChoice {
    /// Everything.
    #[default]
    Install,
    /// Nothing but show the plan.
    OnlyPlan,
}

/// How a cycle is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunOptions {
    /// What it may do.
    pub choice: InstallChoice,
    /// Whether targets that failed on this device are tried again.
    pub retry_failed: bool,
}
