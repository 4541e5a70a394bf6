//! Whole machines that update: images made by `updraft image build`, booted in QEMU, updated from
//! inside, and cut off the power.
//!
//! * [`Release`] is a version of a tiny system with our programs in it, [`Repository`] holds the
//!   releases, [`Image`] is a disk with one of them deployed.
//! * [`Rack`] is a machine with such a disk. Where no boot loader is on the disk it plays one: it
//!   reads the entries as a boot loader does, without replaying a journal.
//! * [`Workshop`] is where releases and disks are made; [`Inside`] is a machine from it that is looked
//!   at from its inside.
//! * [`Vehicle`] is a machine with an agent, and [`Vendor`] the server that it listens to.
//! * [`Product`] is Debian with systemd, made ready to be released as an integrator would.
//! * [`TwoRoots`] are small roots for a [`Board`] with one of many boot loaders ([`SlotLoader`]).
//! * [`VerityRoots`] are for a [`VerityBoard`], in which each byte of a slot is vouched for.
//! * [`SlotReleases`] are for machines with two roots, [`OneRoot`] is for those with one and a recovery.
//! * [`Playground`] is a machine for people (`cargo xtask vm`).
//! * [`WriteLog`] is what a machine wrote, write by write and flush by flush; [`Cut`] is a moment
//!   at which the power may fail, and [`Checker`] says what would come up then.

#![allow(clippy::disallowed_methods, reason = "it plays the part of people and their machines")]

mod check;
mod cuts;
mod disk_file;
mod fat;
mod fat_moments;
mod image;
mod one_root;
mod playground;
mod product;
mod rack;
mod release;
mod root_image;
mod slot_loader;
mod slots;
mod small_system;
mod starts;
mod two_roots;
mod vehicle;
mod vendor;
mod verity_roots;
mod workshop;
mod write_log;

pub use check::{Checker, Finding, Selected};
pub use cuts::{Cut, cuts};
pub use disk_file::{DiskFile, Part};
pub use fat::{Damage, fat_damage};
pub use fat_moments::fat_damage_at_any_moment;
pub use image::Image;
pub use one_root::{Leads, OneRoot};
pub use playground::Playground;
pub use product::{Product, shipped_units};
pub use rack::{Rack, first_entry};
pub use release::{Release, Repository};
pub use slot_loader::{SlotLoader, make_efi_entries};
pub use slots::SlotReleases;
pub use two_roots::{Board, TwoRoots};
pub use vehicle::Vehicle;
pub use vendor::Vendor;
pub use verity_roots::{VerityBoard, VerityRoots};
pub use workshop::{Inside, Workshop, updraft};
pub use write_log::{Entry, WriteLog};
