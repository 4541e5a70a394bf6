//! Raw deflate, both ways, with buffers that a thread uses again for each object.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Large against the 32 KiB that the inflater copies each time it runs out of either buffer.
const INPUT: usize = 64 << 10;
const OUTPUT: usize = 128 << 10;

thread_local! {
    static INFLATER: RefCell<Option<Inflater>> = const { RefCell::new(None) };
    static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
}

struct Inflater {
    state: Decompress,
    input: Vec<u8>,
    /// Empty until it is needed.
    output: Vec<u8>,
    /// What of `input` was not taken yet.
    start: usize,
    end: usize,
}

/// Inflates all of `reader` and gives each piece to `sink`.
///
/// The stream must end exactly where deflate ends; anything else is `InvalidData`.
pub(crate) fn inflate(
    reader: &mut dyn Read,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut inflater = Inflater::take();
    let mut output = std::mem::take(&mut inflater.output);
    output.resize(OUTPUT, 0);
    let result = inflater.run(reader, &mut output, sink);
    inflater.output = output;
    inflater.give_back();
    result
}

impl Inflater {
    /// The thread's own, ready for a new stream. Taken out, not borrowed: the reader may come here
    /// again.
    fn take() -> Self {
        INFLATER.take().unwrap_or_else(|| Self {
            state: Decompress::new(false),
            input: vec![0; INPUT],
            output: Vec::new(),
            start: 0,
            end: 0,
        })
    }

    /// Keeps it for the thread's next stream.
    fn give_back(mut self) {
        self.state.reset(false);
        (self.start, self.end) = (0, 0);
        // A thread that ends keeps nothing.
        let _ = INFLATER.try_with(|kept| kept.replace(Some(self)));
    }

    fn run(
        &mut self,
        reader: &mut dyn Read,
        output: &mut [u8],
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            let (gave, status) = self.step(reader, output)?;
            sink(&output[..gave])?;
            if status == Status::StreamEnd {
                break;
            }
        }
        if self.start != self.end || read(reader, &mut self.input)? != 0 {
            return Err(bad("there is more after its compressed data"));
        }
        Ok(())
    }

    /// Inflates into `output` until something came out or the stream has ended.
    fn step(&mut self, reader: &mut dyn Read, output: &mut [u8]) -> io::Result<(usize, Status)> {
        loop {
            self.fill(reader)?;
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let input = &self.input[self.start..self.end];
            let status = self
                .state
                .decompress(input, output, FlushDecompress::None)
                .map_err(|_| bad("its compressed data is damaged"))?;
            let took = usize::try_from(self.state.total_in() - before_in).unwrap_or(usize::MAX);
            let gave = usize::try_from(self.state.total_out() - before_out).unwrap_or(usize::MAX);
            self.start += took;
            if gave > 0 || status == Status::StreamEnd {
                return Ok((gave, status));
            }
            // Neither took nor gave anything: the file is at its end, the stream is not.
            if took == 0 {
                return Err(bad("its compressed data is cut short"));
            }
        }
    }

    /// Reads on when all that was read is taken.
    fn fill(&mut self, reader: &mut dyn Read) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, read(reader, &mut self.input)?);
        }
        Ok(())
    }
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A file that is inflated while it is read; what comes before can be read as it is.
pub(crate) struct DeflatedFile {
    file: File,
    /// There until it is dropped.
    inflater: Option<Inflater>,
    is_over: bool,
}

impl DeflatedFile {
    pub(crate) fn new(file: File) -> Self {
        Self { file, inflater: Some(Inflater::take()), is_over: false }
    }

    /// The bytes of the file that come next, as they are.
    pub(crate) fn raw(&mut self) -> impl Read {
        Raw(self)
    }

    /// Whether the file ends here.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        let Some(inflater) = &mut self.inflater else { return Ok(true) };
        inflater.fill(&mut self.file)?;
        Ok(inflater.start == inflater.end)
    }
}

impl Read for DeflatedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inflater) = self.inflater.as_mut().filter(|_| !self.is_over) else {
            return Ok(0);
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        let (gave, status) = inflater.step(&mut self.file, buffer)?;
        self.is_over = status == Status::StreamEnd;
        Ok(gave)
    }
}

impl Drop for DeflatedFile {
    fn drop(&mut self) {
        if let Some(inflater) = self.inflater.take() {
            inflater.give_back();
        }
    }
}

struct Raw<'a>(&'a mut DeflatedFile);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inflater) = &mut self.0.inflater else { return Ok(0) };
        inflater.fill(&mut self.0.file)?;
        let mut here = &inflater.input[inflater.start..inflater.end];
        let read = here.read(buffer)?;
        inflater.start += read;
        Ok(read)
    }
}

fn read(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A running compression. Made with [`Deflater::take`], given back by dropping it.
pub(crate) struct Deflater {
    state: Compress,
    level: u32,
    output: Vec<u8>,
}

impl Deflater {
    /// The thread's compressor at this level, ready for a new stream.
    pub(crate) fn take(level: u32) -> Self {
        match DEFLATER.take() {
            Some(mut deflater) if deflater.level == level => {
                deflater.state.reset();
                deflater
            }
            _ => Self {
                state: Compress::new(Compression::new(level), false),
                level,
                output: vec![0; OUTPUT],
            },
        }
    }

    /// Keeps the compressor for the thread's next stream.
    pub(crate) fn give_back(self) {
        DEFLATER.set(Some(self));
    }

    /// Compresses `input` and gives what comes out to `sink`.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while !input.is_empty() {
            let (took, _) = self.step(input, FlushCompress::None, sink)?;
            input = &input[took..];
        }
        Ok(())
    }

    /// Ends the stream.
    pub(crate) fn finish(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while self.step(&[], FlushCompress::Finish, sink)?.1 != Status::StreamEnd {}
        Ok(())
    }

    fn step(
        &mut self,
        input: &[u8],
        flush: FlushCompress,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<(usize, Status)> {
        let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
        let status = self
            .state
            .compress(input, &mut self.output, flush)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let took = usize::try_from(self.state.total_in() - before_in).unwrap_or(usize::MAX);
        let gave = usize::try_from(self.state.total_out() - before_out).unwrap_or(usize::MAX);
        sink(&self.output[..gave])?;
        Ok((took, status))
    }
}

#[cfg(test)]
mod tests {
    use super::{Deflater, inflate};
    use proptest::prelude::*;

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut deflater = Deflater::take(6);
        let mut sink = |piece: &[u8]| {
            out.extend_from_slice(piece);
            Ok(())
        };
        deflater.push(data, &mut sink).unwrap();
        deflater.finish(&mut sink).unwrap();
        deflater.give_back();
        out
    }

    fn undo(mut data: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        inflate(&mut data, &mut |piece| {
            out.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn streams_end_exactly_where_they_end() {
        let data: Vec<u8> = (0..200_000_u32).map(|n| n.wrapping_mul(n).to_le_bytes()[1]).collect();
        let packed = deflate(&data);
        assert_eq!(undo(&packed).unwrap(), data);
        assert!(undo(&packed[..packed.len() - 1]).is_err());
        assert!(undo(&[&packed[..], &[0]].concat()).is_err());
        assert!(undo(&[]).is_err());
        assert_eq!(undo(&deflate(&[])).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn round_trip(data in proptest::collection::vec(0_u8..4, 0..5000)) {
            prop_assert_eq!(undo(&deflate(&data)).unwrap(), data);
        }

        #[test]
        fn hostile_streams_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = undo(&data);
        }
    }
}
