//! The dashboard in a real browser, with a real server and real devices. All of it is in `tests/`.
