//! The few system calls that rustix does not offer safely: OFD locks, fs-verity, loop devices, device-mapper,
//! mount namespaces, loading a kernel, and freezing a file system under a watchdog process.
//! Everything `unsafe` of this crate is here.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;

/// `_IOWR('X', 119, int)`.
const FIFREEZE: libc::c_ulong = 0xC004_5877;
/// `_IOWR('X', 120, int)`.
const FITHAW: libc::c_ulong = 0xC004_5878;

/// `_IOW('f', 133, struct fsverity_enable_arg)`.
const FS_IOC_ENABLE_VERITY: libc::c_ulong = 0x4080_6685;
/// `_IOWR('f', 134, struct fsverity_digest)`.
const FS_IOC_MEASURE_VERITY: libc::c_ulong = 0xC004_6686;
/// `FS_VERITY_HASH_ALG_SHA256`.
const VERITY_SHA256: u16 = 1;

/// `struct fsverity_enable_arg`.
#[repr(C)]
struct VerityEnable {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt: u64,
    signature_size: u32,
    reserved: u32,
    signature: u64,
    more_reserved: [u64; 11],
}

/// `struct fsverity_digest` with room for a SHA-256.
#[repr(C)]
struct VerityMeasure {
    algorithm: u16,
    size: u16,
    digest: [u8; 32],
}

/// Turns fs-verity on: SHA-256, blocks of 4096 bytes, no salt, no signature.
pub(crate) fn enable_verity(file: BorrowedFd<'_>) -> rustix::io::Result<()> {
    const { assert!(size_of::<VerityEnable>() == 128) };
    let argument = VerityEnable {
        version: 1,
        hash_algorithm: u32::from(VERITY_SHA256),
        block_size: 4096,
        salt_size: 0,
        salt: 0,
        signature_size: 0,
        reserved: 0,
        signature: 0,
        more_reserved: [0; 11],
    };
    // SAFETY: the descriptor is open while borrowed; the kernel reads 128 bytes, which is the
    // structure, and follows neither of its pointers, whose lengths are zero.
    let result =
        unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_ENABLE_VERITY, &raw const argument) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The fs-verity digest of a file, when it is a SHA-256.
pub(crate) fn measure_verity(file: BorrowedFd<'_>) -> rustix::io::Result<Option<[u8; 32]>> {
    let mut measure = VerityMeasure { algorithm: 0, size: 32, digest: [0; 32] };
    // SAFETY: the descriptor is open while borrowed; the kernel writes the four bytes of the
    // header and at most `size` bytes of digest, for which there is room.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_MEASURE_VERITY, &raw mut measure) };
    if result != 0 {
        return Err(last_errno());
    }
    let is_ours = measure.algorithm == VERITY_SHA256 && measure.size == 32;
    Ok(is_ours.then_some(measure.digest))
}

/// `LOOP_CTL_GET_FREE`.
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
/// `LOOP_CONFIGURE`.
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
/// `LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR`.
const LOOP_FLAGS: u32 = 1 | 4;

/// `struct loop_config` with its `struct loop_info64`.
#[repr(C)]
struct LoopConfig {
    file: u32,
    block_size: u32,
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    names: [[u8; 64]; 2],
    encrypt_key: [u8; 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// The number of a loop device that nobody uses.
pub(crate) fn free_loop_device(control: BorrowedFd<'_>) -> rustix::io::Result<u32> {
    // SAFETY: the descriptor is open while borrowed; the request has no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
    u32::try_from(number).map_err(|_| last_errno())
}

/// Puts a file behind a loop device: read-only, and only for as long as the device is used.
pub(crate) fn configure_loop_device(
    device: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
) -> rustix::io::Result<()> {
    const { assert!(size_of::<LoopConfig>() == 304) };
    let config = LoopConfig {
        file: file.as_raw_fd().try_into().map_err(|_| Errno::BADF)?,
        block_size: 0,
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: LOOP_FLAGS,
        names: [[0; 64]; 2],
        encrypt_key: [0; 32],
        init: [0; 2],
        reserved: [0; 8],
    };
    // SAFETY: both descriptors are open while borrowed; the kernel reads 304 bytes, which is the
    // structure, and takes its own reference to the file.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Gives the calling thread a mount namespace of its own, a copy of the present one.
pub(crate) fn unshare_mounts() -> rustix::io::Result<()> {
    // SAFETY: a new mount namespace shares no memory and closes no descriptors; the thread's
    // working directory and root stay what they are. Paths mean the same files until something
    // is mounted, and then what the caller wants them to mean.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
}

/// Has the kernel load another one, which `reboot` by kexec starts.
pub(crate) fn load_kernel(
    kernel: BorrowedFd<'_>,
    initramfs: Option<BorrowedFd<'_>>,
    command_line: &std::ffi::CStr,
) -> rustix::io::Result<()> {
    /// `KEXEC_FILE_NO_INITRAMFS`.
    const NO_INITRAMFS: libc::c_ulong = 4;
    let flags = if initramfs.is_some() { 0 } else { NO_INITRAMFS };
    let initramfs = initramfs.map_or(-1, |file| file.as_raw_fd());
    let line = command_line.to_bytes_with_nul();
    // SAFETY: the descriptors are open while borrowed, and the kernel reads as many bytes of the
    // command line as there are, its NUL included.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initramfs,
            line.len(),
            line.as_ptr(),
            flags,
        )
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// A request of device-mapper: of type `_IOWR(0xfd, NUMBER, struct dm_ioctl)`, whose structure the
/// message begins with.
pub(crate) fn device_mapper(
    control: BorrowedFd<'_>,
    number: u8,
    message: &mut [u8],
) -> rustix::io::Result<()> {
    const BASE: libc::c_ulong = 0xC138_FD00;
    /// Where the structure says how long the message is, and how long it is itself.
    const LENGTH: std::ops::Range<usize> = 12..16;
    const HEAD: usize = 312;
    let length = u32::try_from(message.len()).map_err(|_| Errno::INVAL)?.to_ne_bytes();
    if message.len() < HEAD || message[LENGTH] != length {
        return Err(Errno::INVAL);
    }
    let request = BASE | libc::c_ulong::from(number);
    // SAFETY: the descriptor is open while borrowed; the kernel reads and writes as many bytes as the
    // message says of itself, which is what there is of it.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), request, message.as_mut_ptr()) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The error number the last libc call left.
fn last_errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

/// Tries to lock the whole file for its open file description.
pub(crate) fn ofd_set_lock(file: BorrowedFd<'_>, exclusive: bool) -> rustix::io::Result<()> {
    ofd_set(file, if exclusive { libc::F_WRLCK } else { libc::F_RDLCK })
}

/// Takes the lock of an open file description away.
pub(crate) fn ofd_unlock(file: BorrowedFd<'_>) -> rustix::io::Result<()> {
    ofd_set(file, libc::F_UNLCK)
}

fn ofd_set(file: BorrowedFd<'_>, kind: libc::c_int) -> rustix::io::Result<()> {
    // SAFETY: `flock` is a plain C structure for which all zeroes is a valid value; the kernel
    // wants `l_pid` to be zero for this command.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind.try_into().map_err(|_| Errno::INVAL)?;
    lock.l_whence = libc::SEEK_SET.try_into().map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel only reads
    // the structure, which outlives the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

fn control(file: BorrowedFd<'_>, request: libc::c_ulong) -> rustix::io::Result<()> {
    // SAFETY: the descriptor is open while borrowed; both requests used here ignore their
    // argument.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request, 0) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Freezes and at once thaws the file system of `dir`, so that its journal is empty.
///
/// A child process thaws it as well when this process dies in between or takes longer than
/// `patience`.
pub(crate) fn freeze_and_thaw(dir: BorrowedFd<'_>, patience: Duration) -> rustix::io::Result<()> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map(|(reader, writer)| (writer, reader))?;
    let watchdog = spawn_watchdog(dir, &ours, &theirs, patience)?;
    let frozen = control(dir, FIFREEZE);
    let thawed = if frozen.is_ok() { thaw(dir) } else { Ok(()) };
    // A byte tells the watchdog that there is nothing to thaw; somebody else may freeze now.
    if thawed.is_ok() {
        let _ = rustix::io::write(&ours, b"d");
    }
    drop(ours);
    reap(watchdog);
    frozen.and(thawed)
}

/// Thaws; that it is thawed already is as good.
fn thaw(dir: BorrowedFd<'_>) -> rustix::io::Result<()> {
    match control(dir, FITHAW) {
        Err(Errno::INVAL) => Ok(()),
        other => other,
    }
}

fn spawn_watchdog(
    dir: BorrowedFd<'_>,
    ours: &OwnedFd,
    theirs: &OwnedFd,
    patience: Duration,
) -> rustix::io::Result<libc::pid_t> {
    let dir = dir.as_raw_fd();
    let (ours, theirs) = (ours.as_raw_fd(), theirs.as_fd().as_raw_fd());
    let timeout = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: this process may have other threads, so between `fork` and `_exit` the child calls
    // async-signal-safe functions only (close, poll, read, ioctl,
    // _exit), allocates nothing, and never
    // returns into Rust code. The descriptors were open at the time of the fork.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::close(ours);
            let mut waiting = libc::pollfd { fd: theirs, events: libc::POLLIN, revents: 0 };
            // Returns when the parent said that it is done, is dead, or has taken too long.
            let ready = libc::poll(&raw mut waiting, 1, timeout);
            let mut done = 0u8;
            if ready <= 0 || libc::read(theirs, (&raw mut done).cast(), 1) != 1 {
                libc::ioctl(dir, FITHAW, 0);
            }
            libc::_exit(0);
        }
        if pid < 0 { Err(last_errno()) } else { Ok(pid) }
    }
}

fn reap(child: libc::pid_t) {
    if let Some(pid) = rustix::process::Pid::from_raw(child) {
        let options = rustix::process::WaitOptions::empty();
        while matches!(rustix::process::waitpid(Some(pid), options), Err(Errno::INTR)) {}
    }
}
