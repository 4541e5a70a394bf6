//! What a commit consists of.
