//! The list of refs that a repository publishes.
