//! Removing objects that nothing refers to.
