//! How the C library's allocator gives memory back. Everything `unsafe` of this crate is here.
#![allow(unsafe_code)]

/// Blocks at least this large are mapped by themselves.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1 << 20;

/// Has large blocks given back to the system as soon as they are freed, for the whole program.
///
/// glibc by itself raises the size from which blocks are mapped to that of the largest one that
/// was freed. Work that frees many large blocks on several threads, as making a delta does, then
/// holds about twice what it uses, in the holes of each thread's heap. Call it first thing in
/// `main`. With another C library it does nothing.
pub fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes two numbers and changes nothing but the settings of the allocator,
    // under the allocator's own lock; a setting that it does not know is ignored.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * LARGE);
    }
}

/// Gives what the program has freed back to the system. glibc keeps what is freed in the heaps of
/// threads until somebody asks for it, and a program that waits for long does not. With another C
/// library it does nothing.
pub fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` takes a number and touches nothing but free blocks, under the
    // allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
