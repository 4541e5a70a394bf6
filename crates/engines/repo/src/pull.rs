//! Fetching commits from other repositories.
