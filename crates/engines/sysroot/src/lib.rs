//! Deployments: whole operating systems side by side on one disk, and one switch between them.
//!
//! A [`Sysroot`] is laid out as libostree's, in every detail that it looks at, so that a real
//! `ostree admin` continues where this code stops, and the other way round:
//!
//! ```text
//! /ostree/repo                                     the repository
//! /ostree/deploy/OS/deploy/COMMIT.N[.origin]       a deployment, and where it came from
//! /ostree/deploy/OS/var                            data that all deployments of OS share
//! /ostree/boot.B -> boot.B.S/OS/BOOTCSUM/SERIAL -> ../../../deploy/OS/deploy/COMMIT.N
//! /boot/loader -> loader.B/entries/ostree-I.conf   what the boot loader offers
//! /boot/ostree/OS-BOOTCSUM/                        kernels
//! ```
//! Everything that a change needs is put beside what runs, and made durable; one rename then
//! makes the change ([`Locked::write_deployments`] says which); and only after that, what nobody
//! needs any more is removed. So at any moment the boot loader finds complete systems only.
//!
//! [`Sysroot`] reads. [`Sysroot::lock`] gives a [`Locked`], which changes.

mod sysroot;

mod deployment;
mod error;
mod init;
mod load;
mod origin;
mod own_view;
mod running;
mod staged;

mod backing;
mod boot_tree;
mod composefs;
mod copy;
mod deploy;
mod etc;
mod finalize;
mod label;
mod make;
mod policy_modules;
mod prepare_root;
mod var;

mod android_image;
mod boot_count;
mod boot_links;
mod boot_loader;
mod boot_room;
mod entries;
mod esp;
mod loader_link;
mod overlay_initrds;
mod retention;
mod switch;
mod unified_image;

mod cleanup;
mod kexec;
mod post_copy;
mod soft_reboot;
mod state_overlay;
mod unlock;

pub use boot_count::{BootCounting, grub_script};
pub use composefs::IMAGE as COMPOSEFS_IMAGE;
pub use deploy::{DeployRequest, Deployed, Merge};
pub use deployment::{Deployment, DeploymentId};
pub use error::{Error, Result};
pub use etc::EtcChanges;
pub use finalize::{Finalization, Finalized};
pub use init::InitEpoch;
pub use kexec::NextKernel;
pub use load::BootVersion;
pub use origin::Origin;
pub use own_view::make_running_writable;
pub use prepare_root::Composefs;
pub use retention::{Place, Retain};
pub use staged::Staged;
pub use switch::{Switch, Written};
pub use sysroot::{Locked, Options, Sysroot};
pub use unlock::{Unlock, Unlocked};
pub use updraft_bootenv::{BootCount, BootVerdict};
