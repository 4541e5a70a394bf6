//! Deployments, boot loaders and boot images, in one program: each costs its time to link.

mod android_slots;
mod boot_counting;
mod boot_loaders;
mod delivered;
mod differential;
mod esp;
mod etc;
mod faults;
mod selinux;
mod staged;
mod support;
mod unified_images;
