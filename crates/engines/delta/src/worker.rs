//! Packing again in a process of its own, with little memory and time.
//!
//! What a delta says of a packed file is believed only when the file's checksum is right, which is
//! after it was made. Until then a hostile one may make the library that packs take memory without
//! end. So a program that applies deltas lets itself be started once more, as a worker that can
//! hold no more than [`MEMORY`] and calculate no longer than [`SECONDS`] for one file; what the
//! kernel does to it is the delta's fault, and nobody else's trouble.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::repack::{MAX_UNPACKED, repack_here};
use crate::{Error, Result};

/// The name by which a program is started to be a worker.
const NAME: &str = "updraft-repack";
/// Bytes of data that a worker may have.
const MEMORY: u64 = 192 << 20;
/// Seconds of processor time for one file.
const SECONDS: u64 = 60;
/// A stream that does not get smaller gets a little larger.
const MAX_PACKED: u64 = MAX_UNPACKED + (MAX_UNPACKED >> 3) + (64 << 10);

static CAN_WORK: AtomicBool = AtomicBool::new(false);
static ONLY_WORKERS: AtomicBool = AtomicBool::new(false);
static WORKER: Mutex<Option<Worker>> = Mutex::new(None);

/// To be called first of all in the `main` of a program that applies deltas. If the program was
/// started as a worker, works, and gives what `main` is to end with. Else the program is remembered
/// as one that can be started so; without that, files are packed in the process itself.
#[must_use]
pub fn work_if_called() -> Option<ExitCode> {
    if std::env::args_os().next().is_some_and(|name| name == NAME) {
        let (input, output) = (io::stdin().lock(), io::stdout().lock());
        return Some(match work(input, output) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        });
    }
    CAN_WORK.store(true, Ordering::Relaxed);
    None
}

/// From now on nothing is packed in this process itself: what packs may go on without end, and a
/// program that only uses a library of ours has no worker to be stopped in its place.
pub fn pack_in_workers_only() {
    ONLY_WORKERS.store(true, Ordering::Relaxed);
}

/// Whether files can be packed again, here or in a worker. Where they cannot, deltas of our format
/// are of no use.
#[must_use]
pub fn can_pack() -> bool {
    is_available() || !ONLY_WORKERS.load(Ordering::Relaxed)
}

/// Whether there are workers.
pub(crate) fn is_available() -> bool {
    CAN_WORK.load(Ordering::Relaxed)
}

/// Lets the worker pack, which is started if there is none.
pub(crate) fn ask(plain: &[u8], corrections: &[u8]) -> Result<Vec<u8>> {
    let mut worker = WORKER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut busy = match worker.take() {
        Some(worker) => worker,
        None => Worker::start().map_err(Error::io("start a process that packs"))?,
    };
    match busy.ask(plain, corrections) {
        Ok(Some(stream)) => {
            *worker = Some(busy);
            Ok(stream)
        }
        Ok(None) => {
            *worker = Some(busy);
            Err(Error::BadPatch("packed content cannot be packed again"))
        }
        // It took more than it may have, and is gone.
        Err(_) => Err(Error::BadPatch("packed content takes too much to be packed again")),
    }
}

struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Worker {
    fn start() -> io::Result<Self> {
        // Also after an update has replaced the program this is the one that runs.
        let mut command = Command::new("/proc/self/exe");
        command.arg0(NAME).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { child, input, output }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn ask(&mut self, plain: &[u8], corrections: &[u8]) -> io::Result<Option<Vec<u8>>> {
        for block in [plain, corrections] {
            send(&mut self.input, block)?;
        }
        self.input.flush()?;
        let stream = receive(&mut self.output, MAX_PACKED)?;
        // A deflate stream has at least one byte.
        Ok((!stream.is_empty()).then_some(stream))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Packs what comes until the input ends.
fn work(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    limit(Resource::Data, MEMORY)?;
    loop {
        let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
        limit(Resource::Cpu, u64::try_from(used).unwrap_or(0) + SECONDS)?;
        let plain = match receive(&mut input, MAX_UNPACKED) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            plain => plain?,
        };
        let corrections = receive(&mut input, 2 * MAX_UNPACKED)?;
        let made = repack_here(&plain, &corrections).unwrap_or_default();
        send(&mut output, &made)?;
        output.flush()?;
    }
}

/// Lowers the soft limit, the hard one being whatever it is.
fn limit(resource: Resource, to: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum;
    let current = Some(hard.map_or(to, |hard| hard.min(to)));
    Ok(setrlimit(resource, Rlimit { current, maximum: hard })?)
}

fn send(output: &mut impl Write, block: &[u8]) -> io::Result<()> {
    output.write_all(&(block.len() as u64).to_le_bytes())?;
    output.write_all(block)
}

fn receive(input: &mut impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let size = usize::try_from(length).ok().filter(|_| length <= limit);
    let mut block = vec![0; size.ok_or(io::ErrorKind::InvalidData)?];
    input.read_exact(&mut block)?;
    Ok(block)
}
