//! Following the recipes of a part of our own format.

use std::io::{self, Read};
use std::sync::Mutex;

use updraft_delta::{
    MAX_UNPACKED, PatchReaders, ReadAt, Unpacked, apply_streams, plain_content, repack,
};
use updraft_ostree::Checksum;
use updraft_ostree::delta::{PartHeader, Recipe, Source, StreamKind};
use updraft_task::Context;

use super::maker::{Executed, Maker};
use super::spill::read_anywhere;
use super::stream_part::{StreamReader, StreamsPart};
use crate::{Error, FileObject, Result, Transaction};

const BUFFER: usize = 64 << 10;
/// Packed files of more plain bytes than this are made one at a time, whatever the number of parts
/// that are executed: each is in memory several times.
const SHARED: u64 = 1 << 20;
static LARGE: Mutex<()> = Mutex::new(());

/// Makes the objects of a part that the repository does not have.
pub(crate) fn execute(
    ctx: &Context,
    transaction: &Transaction,
    number: usize,
    header: &PartHeader,
    part: &StreamsPart,
) -> Result<Executed> {
    let mut recipes = part.recipes()?;
    let tables = std::mem::take(&mut recipes.tables);
    let streams = PatchReaders {
        controls: part.stream(StreamKind::Controls)?,
        gaps: part.stream(StreamKind::Gaps)?,
        values: part.stream(StreamKind::Values)?,
        literals: part.stream(StreamKind::Literals)?,
    };
    let maker = Maker::new(transaction, number, &tables, &header.objects);
    let mut machine = Machine { maker, streams, buffer: vec![0; BUFFER] };
    while let Some(recipe) =
        recipes.next_recipe().map_err(|error| machine.maker.bad(error.to_string()))?
    {
        ctx.check()?;
        machine.follow(recipe)?;
    }
    machine.ends()?;
    machine.maker.finish()
}

/// Makes objects as their recipes say.
struct Machine<'a> {
    maker: Maker<'a>,
    streams: PatchReaders<StreamReader<'a>>,
    buffer: Vec<u8>,
}

impl Machine<'_> {
    fn follow(&mut self, recipe: Recipe) -> Result<()> {
        let Self { maker, streams, .. } = self;
        let literals = &mut streams.literals;
        match recipe {
            Recipe::Metadata { length } => {
                maker.metadata(|maker| few(maker, literals, length, true))
            }
            Recipe::Whole { mode, xattrs, length } => {
                let header = maker.file_header(mode, xattrs)?;
                if header.is_symlink() {
                    return maker.symlink(header, |maker| few(maker, literals, length, false));
                }
                maker.begin("a whole file", header, length)?;
                maker.claim(length)?;
                let mut left = length;
                while left > 0 {
                    let size = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
                    let piece = self.buffer.get_mut(..size).unwrap_or_default();
                    literals.read_exact(piece).map_err(|error| broken(maker, error))?;
                    maker.write(piece)?;
                    left -= size as u64;
                }
                maker.close()
            }
            Recipe::Patch { mode, xattrs, length, source } => {
                let header = maker.file_header(mode, xattrs)?;
                maker.begin("a patch", header, length)?;
                maker.claim(length)?;
                let is_needed = maker.progress().is_some_and(|(.., is_needed)| is_needed);
                let old = if is_needed { content(maker, &source)? } else { Box::new(Vec::new()) };
                let patched =
                    apply_streams(&*old, streams, length, &mut |piece| maker.write(piece));
                patched.map_err(|error: Error| maker.wrong(error))?;
                maker.close()
            }
            Recipe::Packed { mode, xattrs, length, plain, prefix, corrections, suffix, source } => {
                let header = maker.file_header(mode, xattrs)?;
                maker.begin("a packed file", header, length)?;
                let alone = (plain > SHARED).then(|| LARGE.lock());
                let sizes = [prefix, corrections, suffix, plain];
                let Unpacked { prefix, corrections, suffix, plain } =
                    self.unpacked(sizes, source)?;
                let maker = &mut self.maker;
                maker.claim(length)?;
                if maker.progress().is_some_and(|(.., is_needed)| is_needed) {
                    let stream = repack(&plain, &corrections);
                    let stream = stream.map_err(|error| maker.wrong(error.into()))?;
                    let made = [&prefix, &stream, &suffix];
                    let size = made.iter().map(|piece| piece.len() as u64).sum::<u64>();
                    if size != length {
                        return Err(maker.bad(format!("packed again it has {size} bytes")));
                    }
                    for piece in made.into_iter().flat_map(|piece| piece.chunks(BUFFER)) {
                        maker.write(piece)?;
                    }
                }
                drop(alone);
                maker.close()
            }
        }
    }

    /// The pieces of a packed file.
    fn unpacked(&mut self, sizes: [u64; 4], source: Source) -> Result<Unpacked> {
        let Self { maker, streams, .. } = self;
        if sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)) > 2 * MAX_UNPACKED {
            return Err(maker.bad("a packed file is too large"));
        }
        let [prefix, corrections, suffix, plain] = sizes;
        let literals = &mut streams.literals;
        let mut read = |length| some(maker, literals, length);
        let (prefix, corrections, suffix) = (read(prefix)?, read(corrections)?, read(suffix)?);
        let plain = match source {
            Source::None => read(plain)?,
            Source::File(checksum) | Source::Packed(checksum) => {
                let is_needed = maker.progress().is_some_and(|(.., is_needed)| is_needed);
                let old = if !is_needed {
                    Vec::new()
                } else if matches!(source, Source::Packed(_)) {
                    let packed = small(maker, &checksum)?;
                    plain_content(&packed)
                        .ok_or_else(|| maker.bad(format!("{checksum} is no packed file")))?
                } else {
                    small(maker, &checksum)?
                };
                let room = plain.min(MAX_UNPACKED);
                let mut made = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
                let patched = apply_streams(&old, streams, plain, &mut |piece| {
                    made.extend_from_slice(piece);
                    Ok(())
                });
                patched.map_err(|error: Error| maker.wrong(error))?;
                made
            }
        };
        Ok(Unpacked { prefix, corrections, suffix, plain })
    }

    /// After the last recipe nothing may be left of any stream.
    fn ends(&mut self) -> Result<()> {
        let PatchReaders { controls, gaps, values, literals } = &mut self.streams;
        for stream in [controls, gaps, values, literals] {
            let read = stream.read(&mut [0]).map_err(|error| broken(&self.maker, error))?;
            if read > 0 {
                return Err(self.maker.bad("there is more in a stream than recipes take"));
            }
        }
        Ok(())
    }
}

/// A stream could not be read, which is the part's fault when it ends early or is damaged.
fn broken(maker: &Maker<'_>, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => maker.bad("a stream ends too early"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            maker.bad(format!("decompress: {error}"))
        }
        _ => Error::io("read a delta part", error),
    }
}

/// Bytes of a metadata object or a link's target.
fn few(
    maker: &Maker<'_>,
    literals: &mut StreamReader<'_>,
    length: u64,
    is_metadata: bool,
) -> Result<Vec<u8>> {
    maker.length(length, is_metadata)?;
    some(maker, literals, length)
}

/// So many bytes, of which no more memory is taken than there are.
fn some(maker: &Maker<'_>, literals: &mut StreamReader<'_>, length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    literals.take(length).read_to_end(&mut bytes).map_err(|error| broken(maker, error))?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(maker.bad("a stream ends too early")) }
}

fn no_file(maker: &Maker<'_>, checksum: &Checksum) -> Error {
    maker.bad(format!("its source {checksum} is no regular file"))
}

/// The content of a source, for reading anywhere.
fn content(maker: &Maker<'_>, checksum: &Checksum) -> Result<Box<dyn ReadAt>> {
    let transaction = maker.transaction();
    let file = transaction.open_file(checksum)?;
    let content = read_anywhere(checksum, file, &transaction.scratch()?)?;
    content.ok_or_else(|| no_file(maker, checksum))
}

/// The content of a source in memory, which is small.
fn small(maker: &Maker<'_>, checksum: &Checksum) -> Result<Vec<u8>> {
    let FileObject { size, reader, .. } = maker.transaction().open_file(checksum)?;
    if size > MAX_UNPACKED {
        return Err(maker.bad(format!("its source {checksum} is too large")));
    }
    let mut bytes = Vec::new();
    let read = reader.take(MAX_UNPACKED).read_to_end(&mut bytes);
    read.map_err(|error| Error::io(format!("read object {checksum}.file"), error))?;
    Ok(bytes)
}
