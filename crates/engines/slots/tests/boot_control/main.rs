//! Boot control of every kind: against a model, against the tools of Debian, and with writes that fail.
//!
//! Needs the Debian packages cgpt, efibootmgr, gdisk, grub-common, libubootenv-tool, systemd-boot and
//! u-boot-tools.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod cuts;
mod loaders;
mod model;
mod new_device;
mod peers;
mod worlds;
