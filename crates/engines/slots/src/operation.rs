//! Does one operation. Each writes only blocks of the target and reads only the source and its data,
//! so that it can be done again.

use std::fs::File;
use std::io::{self, Read as _};

use updraft_payload::{Operation, OperationKind};

use crate::blob::Blob;
use crate::blocks::{BlockReader, BlockWriter, WriteFailed};
use crate::bspatch::{PatchFailed, bspatch};
use crate::decompress::Compression;
use crate::puff::puffpatch;

const BUFFER: usize = 64 << 10;

/// Why an operation was not done.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Its data is damaged, although it has the hash that it should have.
    Data(&'static str),
    /// What it reads is not what the payload was made for.
    WrongSource,
    /// The old partition could not be read.
    Source(io::Error),
    /// The new partition could not be written.
    Target(io::Error),
}

impl From<WriteFailed> for Failed {
    fn from(failed: WriteFailed) -> Self {
        match failed {
            WriteFailed::TooMuch => Self::Data("its data makes more than its blocks hold"),
            WriteFailed::Content(problem) => Self::Data(problem),
            WriteFailed::Io(error) => Self::Target(error),
        }
    }
}

impl From<PatchFailed> for Failed {
    fn from(failed: PatchFailed) -> Self {
        match failed {
            PatchFailed::Patch(problem) => Self::Data(problem),
            PatchFailed::Source(error) => Self::Source(error),
            PatchFailed::Write(failed) => failed.into(),
        }
    }
}

/// What an operation works on.
pub(crate) struct Ground<'a> {
    pub(crate) target: &'a File,
    pub(crate) source: Option<&'a File>,
    pub(crate) block_size: u64,
}

/// Does the operation.
pub(crate) fn run(
    operation: &Operation,
    data: Option<&Blob>,
    ground: &Ground<'_>,
) -> Result<(), Failed> {
    let mut writer = BlockWriter::new(ground.target, &operation.destinations, ground.block_size);
    if let Some(compression) = Compression::of(operation.kind) {
        let data = data.ok_or(Failed::Data("it has no data"))?;
        return replace(compression, data, writer);
    }
    if matches!(operation.kind, OperationKind::Zero | OperationKind::Discard) {
        return Ok(writer.zero()?);
    }
    let source = ground.source.ok_or(Failed::Data("it has no old content"))?;
    let reader = BlockReader::new(source, &operation.sources, ground.block_size);
    if let Some(expected) = operation.source_sha256
        && reader.sha256().map_err(Failed::Source)? != expected
    {
        return Err(Failed::WrongSource);
    }
    if operation.kind == OperationKind::SourceCopy {
        return copy(&reader, writer);
    }
    let data = data.ok_or(Failed::Data("it has no data"))?;
    let most = operation.destination_blocks().saturating_mul(ground.block_size);
    if operation.kind == OperationKind::Puffdiff {
        puffpatch(&reader, data, most, &mut |piece| writer.write(piece))?;
    } else {
        bspatch(&reader, data, 0, most, &mut |piece| writer.write(piece))?;
    }
    finish(writer)
}

fn replace(
    compression: Compression,
    data: &Blob,
    mut writer: BlockWriter<'_>,
) -> Result<(), Failed> {
    let damaged = |_| Failed::Data("its data cannot be decompressed");
    let mut reader = compression.read(data).map_err(damaged)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => writer.write(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
    finish(writer)
}

fn copy(reader: &BlockReader<'_>, mut writer: BlockWriter<'_>) -> Result<(), Failed> {
    // An error that is not of writing is one of reading.
    struct Copy(Failed);
    impl From<io::Error> for Copy {
        fn from(error: io::Error) -> Self {
            Self(Failed::Source(error))
        }
    }
    let copied =
        reader.copy::<Copy>(&mut |piece| writer.write(piece).map_err(|failed| Copy(failed.into())));
    copied.map_err(|Copy(failed)| failed)?;
    finish(writer)
}

fn finish(writer: BlockWriter<'_>) -> Result<(), Failed> {
    if writer.finish()? {
        return Ok(());
    }
    Err(Failed::Data("its data makes fewer blocks than it writes"))
}
