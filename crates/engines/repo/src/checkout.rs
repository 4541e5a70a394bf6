//! Making files from a commit.
