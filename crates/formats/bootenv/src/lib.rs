//! bootenv.
