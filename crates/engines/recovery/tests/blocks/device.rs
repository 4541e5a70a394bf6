//! A device that forgets what was not synced when the power is cut.

use std::io;
use std::sync::Mutex;

use updraft_recovery_engine::BlockDevice;

const SECTOR: usize = 512;

pub(crate) struct CutDevice(Mutex<State>);

struct State {
    durable: Vec<u8>,
    seen: Vec<u8>,
    writes: Vec<(usize, usize)>,
    count: usize,
}

impl CutDevice {
    pub(crate) fn new(image: &[u8]) -> Self {
        let state =
            State { durable: image.to_vec(), seen: image.to_vec(), writes: Vec::new(), count: 0 };
        Self(Mutex::new(state))
    }

    pub(crate) fn image(&self) -> Vec<u8> {
        self.0.lock().unwrap().seen.clone()
    }

    /// How many blocks were written.
    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().count
    }

    /// Of what was not synced any sectors are there, and the others are not.
    pub(crate) fn cut_power(&self, chance: &mut fastrand::Rng) {
        let State { durable, seen, writes, .. } = &mut *self.0.lock().unwrap();
        for (start, end) in writes.drain(..) {
            for at in (start..end).step_by(SECTOR).filter(|_| chance.bool()) {
                durable[at..at + SECTOR].copy_from_slice(&seen[at..at + SECTOR]);
            }
        }
        seen.clone_from(durable);
    }
}

impl BlockDevice for CutDevice {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&self.0.lock().unwrap().seen[at..at + buffer.len()]);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let state = &mut *self.0.lock().unwrap();
        // Block by block: each is a moment at which the power may be cut.
        for (index, block) in bytes.chunks(4096).enumerate() {
            updraft_fs::fault::check()?;
            let start = at + index * 4096;
            state.seen[start..start + block.len()].copy_from_slice(block);
            state.count += 1;
            state.writes.push((start, start + block.len()));
        }
        Ok(())
    }

    fn erase(&self, offset: u64, length: u64) -> io::Result<()> {
        self.write_all_at(&vec![0xee; usize::try_from(length).unwrap()], offset)
    }

    fn sync(&self) -> io::Result<()> {
        updraft_fs::fault::check()?;
        let State { durable, seen, writes, .. } = &mut *self.0.lock().unwrap();
        durable.clone_from(seen);
        writes.clear();
        Ok(())
    }
}
