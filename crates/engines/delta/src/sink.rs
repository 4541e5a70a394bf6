//! [`PatchSink`]: where the steps of a patch go, one after the other or each kind for itself.

use std::io::{self, BufWriter, Read as _, Write};

use updraft_ostree::delta::Control;

use crate::varint::{put, put_signed};

const BUFFER: usize = 64 << 10;

/// Takes a patch as it is made.
pub trait PatchSink {
    /// The next step: `diff` is what to add to old bytes, after so many that stay as they are that
    /// it is as long as the control says; `extra` are new ones. The control also says where in the
    /// old file the next step begins.
    fn step(&mut self, control: &Control, diff: &[u8], extra: &[u8]) -> io::Result<()>;

    /// There are no more steps.
    fn finish(&mut self) -> io::Result<()>;
}

/// How many bytes of a step stay as they are before those that `diff` tells of.
fn same(control: &Control, diff: &[u8]) -> u64 {
    control.diff.saturating_sub(diff.len() as u64)
}

/// Writes each control with its bytes behind it, as libostree's deltas have it.
#[derive(Debug)]
pub struct Interleaved<W: Write>(BufWriter<W>);

impl<W: Write> Interleaved<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self(BufWriter::with_capacity(BUFFER, out))
    }
}

impl<W: Write> PatchSink for Interleaved<W> {
    fn step(&mut self, control: &Control, diff: &[u8], extra: &[u8]) -> io::Result<()> {
        self.0.write_all(&control.encode())?;
        io::copy(&mut io::repeat(0).take(same(control, diff)), &mut self.0)?;
        self.0.write_all(diff)?;
        self.0.write_all(extra)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes each kind of number and byte to a stream of its own, where like stands beside like; of
/// the differences to old bytes, of which nearly all are none, only those that there are.
///
/// See [`apply_streams`](crate::apply_streams) for what the streams hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchStreams<W> {
    /// For each step three numbers: bytes close to old ones, new bytes, the move in the old file.
    pub controls: W,
    /// For each byte that differs, how many before it do not; at the end how many are left.
    pub gaps: W,
    /// The bytes to add.
    pub values: W,
    /// The new bytes.
    pub literals: W,
    /// Bytes since the last one that differed.
    gap: u64,
}

impl<W: Write> PatchStreams<W> {
    /// Writes to these.
    pub fn new(controls: W, gaps: W, values: W, literals: W) -> Self {
        Self { controls, gaps, values, literals, gap: 0 }
    }
}

impl<W: Write> PatchSink for PatchStreams<W> {
    fn step(&mut self, control: &Control, diff: &[u8], extra: &[u8]) -> io::Result<()> {
        put(&mut self.controls, control.diff)?;
        put(&mut self.controls, control.extra)?;
        put_signed(&mut self.controls, control.seek)?;
        self.gap += same(control, diff);
        let mut from = 0;
        for (at, value) in diff.iter().enumerate().filter(|(_, value)| **value != 0) {
            put(&mut self.gaps, self.gap + (at - from) as u64)?;
            self.values.write_all(&[*value])?;
            (from, self.gap) = (at + 1, 0);
        }
        self.gap += (diff.len() - from) as u64;
        self.literals.write_all(extra)
    }

    fn finish(&mut self) -> io::Result<()> {
        put(&mut self.gaps, std::mem::take(&mut self.gap))
    }
}
