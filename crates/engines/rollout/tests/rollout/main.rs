//! The planner against whole rollouts: played through from scripts and at random.

mod fleet;
mod properties;
mod script;
