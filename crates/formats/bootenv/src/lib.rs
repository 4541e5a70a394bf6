//! What boot loaders read: boot loader entries (BLS), kernel command lines, the order in which
//! entries are offered, and where tries are counted: in the names of entries, in GRUB's environment
//! block, in U-Boot's environment; unified kernel images; the partition table of a disk; and the
//! superblock and the journal of ext4, as far as a power cut can tear them.
//!
//! Everything here is text in, types out, and back. The writers produce exactly the bytes that
//! libostree produces for the same values, so that either implementation can take over a system
//! from the other.

mod android;
mod android_slots;
mod bootloader_message;
mod counting;
mod efi_variables;
mod entry;
mod error;
mod ext4_journal;
mod ext4_superblock;
mod gpt;
mod gpt_copy;
mod grubenv;
mod kargs;
mod order;
mod pe;
mod pe_signature;
mod uboot;
mod uboot_config;
mod uimage;
mod unified;

pub use android::AndroidHeader;
pub use android_slots::{AndroidSlot, SlotControl};
pub use bootloader_message::BootloaderMessage;
pub use counting::{BootCount, BootVerdict, CountedName};
pub use efi_variables::{EfiBootEntry, EfiBootOrder, efi_entry_number, efi_variable};
pub use entry::{BootEntry, MAX_ENTRY_BYTES};
pub use error::Error;
pub use ext4_journal::TornCommit;
pub use ext4_superblock::Ext4Superblock;
pub use gpt::{Gpt, GptImage, GptPartition, Guid};
pub use gpt_copy::{GptCopy, GptEntriesPlace, SlotAttributes};
pub use grubenv::GrubEnv;
pub use kargs::KernelArgs;
pub use order::{EntryName, version_cmp};
pub use pe::{MAX_PE_HEADERS, PeImage, PeSection};
pub use pe_signature::{MAX_PE_SIGNATURES, PeSigning};
pub use uboot::{FoundUbootEnv, UbootCopy, UbootEnv, UbootLayout};
pub use uboot_config::UbootPlace;
pub use uimage::script_image;
pub use unified::{MAX_STUB, UnifiedLayout, UnifiedPart};
