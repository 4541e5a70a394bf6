//! attacks.
