//! ostree.
