//! End-to-end tests; they are in `tests/`.
