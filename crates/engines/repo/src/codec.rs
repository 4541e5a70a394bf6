//! Raw deflate, both ways, with buffers that a thread uses again for each object.

use std::cell::RefCell;
use std::io::{self, Read};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

const BUFFER: usize = 32 << 10;

thread_local! {
    static INFLATER: RefCell<Option<Inflater>> = const { RefCell::new(None) };
    static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
}

struct Inflater {
    state: Decompress,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Inflates all of `reader` and gives each piece to `sink`.
///
/// The stream must end exactly where deflate ends; anything else is `InvalidData`.
pub(crate) fn inflate(
    reader: &mut dyn Read,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    // Taken out, not borrowed: the reader may come here again.
    let mut inflater = INFLATER.take().unwrap_or_else(|| Inflater {
        state: Decompress::new(false),
        input: vec![0; BUFFER],
        output: vec![0; BUFFER],
    });
    let result = inflater.run(reader, sink);
    inflater.state.reset(false);
    INFLATER.set(Some(inflater));
    result
}

impl Inflater {
    fn run(
        &mut self,
        reader: &mut dyn Read,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let bad = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
        let (mut start, mut end) = (0, 0);
        loop {
            if start == end {
                (start, end) = (0, read(reader, &mut self.input)?);
            }
            let (before_in, before_out) = (self.state.total_in(), self.state.total_out());
            let input = &self.input[start..end];
            let status = self
                .state
                .decompress(input, &mut self.output, FlushDecompress::None)
                .map_err(|_| bad("its compressed data is damaged"))?;
            let took = usize::try_from(self.state.total_in() - before_in).unwrap_or(usize::MAX);
            let gave = usize::try_from(self.state.total_out() - before_out).unwrap_or(usize::MAX);
            start += took;
            sink(&self.output[..gave])?;
            if status == Status::StreamEnd {
                break;
            }
            if took == 0 && gave == 0 && start == end {
                return Err(bad("its compressed data is cut short"));
            }
        }
        if start != end || read(reader, &mut self.input)? != 0 {
            return Err(bad("there is more after its compressed data"));
        }
        Ok(())
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
                output: vec![0; BUFFER],
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
