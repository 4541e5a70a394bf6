//! The planner against whole rollouts: played through by hand and at random.

mod fleet;
mod properties;
mod scenarios;
