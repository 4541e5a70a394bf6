//! sysroot.
