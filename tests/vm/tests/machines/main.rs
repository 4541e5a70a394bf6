//! Whole machines: one program, so that as many of them run at the same time as there are
//! processors.

mod boot_loaders;
mod deployments;
mod foreign;
mod live_cuts;
mod power_cuts;
mod recovery;
mod slot_loaders;
mod slots;
mod soft_reboot;
mod streaming_cuts;
mod systemd;
mod updates;
mod verity;
