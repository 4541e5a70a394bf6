//! A whole installation on one machine: server, operator, devices, and an attacker in between.
//!
//! Everything is done as a user would do it, by running the programs. A device is a process of
//! its own with a sysroot folder of its own; its reboot stands for switching to the deployment
//! that the boot loader entries name. The demo and the end-to-end tests share this code.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

mod aktualizr;
mod attacker;
mod attacks;
mod boot;
mod device;
mod files;
mod fleet;
mod operator;
mod programs;
mod relay;
mod scenario;
mod secondary;
mod server;
mod share;
mod site;
mod slot_device;
mod tree;

pub use aktualizr::AktualizrDevice;
pub use attacker::{Attacker, ObjectChange, director_root_without, evil_director_files};
pub use attacks::{Enrolment, Refused};
pub use boot::{boot, bootable, entry_names};
pub use device::{Device, DeviceOptions};
pub use fleet::Fleet;
pub use operator::Operator;
pub use programs::{Answer, Programs, ostree};
pub use relay::{Fault, Passed, Relay};
pub use scenario::{HARDWARE, Installation, Scenario};
pub use secondary::{Secondary, issue_certificates};
pub use server::Server;
pub use share::Share;
pub use site::Site;
pub use slot_device::{ILL, SLOT_TRIES, SlotDevice};
pub use tree::{HEALTH_MARK, small_tree};
