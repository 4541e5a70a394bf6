//! Deflate exactly as zlib packs, to the bit, for patches of imgdiff: what they unpacked has to be packed
//! again as it was.
//!
//! Libraries in Rust pack well, and not the same: zlib-rs, miniz_oxide and zopfli choose other matches or
//! other blocks. flate2 over the C library would do, but then it would have to do for the whole
//! workspace. So the algorithm is here: of level 1 to 9, with the default strategy, 15 bits of window and
//! memory level 8, which are all that imgdiff looks for. Its tests compare it with zlib itself.
//!
//! (Jean-loup Gailly and Mark Adler, zlib's `algorithm.txt`, `deflate.c`, `trees.c`; RFC 1951.)

mod huffman;
mod matches;
mod tables;
mod write;

/// Packs bytes at a level from 1 to 9.
pub(crate) fn deflate(bytes: &[u8], level: usize) -> Vec<u8> {
    matches::Packer::new(bytes, level).pack()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::deflate;

    /// Contents of many sorts: noise, few letters, words, runs, and programs.
    fn samples() -> Vec<Vec<u8>> {
        let mut chance = fastrand::Rng::with_seed(5);
        let mut samples = vec![Vec::new(), b"a".to_vec(), b"abc".to_vec(), vec![0; 70_000]];
        for size in [10, 262, 32_506, 65_536, 150_000] {
            samples.push((0..size).map(|_| chance.u8(..)).collect());
            samples.push((0..size).map(|_| chance.u8(0..4)).collect());
            samples.push((0..size).map(|_| chance.u8(0..40) * chance.u8(0..3)).collect());
            let mut words = Vec::new();
            while words.len() < size {
                let word = chance.usize(0..300);
                words
                    .extend(format!("{}{} ", word * word, ["ab", "x", "_long_"][word % 3]).bytes());
            }
            words.truncate(size);
            samples.push(words);
            let mut far: Vec<u8> = (0..size).map(|_| chance.u8(..)).collect();
            for _ in 0..size / 500 {
                let (from, to) = (chance.usize(0..size), chance.usize(0..size));
                let length = chance.usize(3..300).min(size - from.max(to));
                far.copy_within(from..from + length, to);
            }
            samples.push(far);
        }
        let program = std::env::current_exe().unwrap();
        let mut program = std::fs::read(program).unwrap();
        program.truncate(200_000);
        samples.push(program);
        samples
    }

    /// What zlib itself makes of a file, by way of Python: a file for each level.
    const SCRIPT: &str = "import sys, zlib\n\
                          for name in sys.argv[1:]:\n\
                          \x20for level in range(1, 10):\n\
                          \x20 c = zlib.compressobj(level, zlib.DEFLATED, -15)\n\
                          \x20 out = c.compress(open(name, 'rb').read()) + c.flush()\n\
                          \x20 open(f'{name}.{level}', 'wb').write(out)\n";

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test writes files without ceremony")]
    fn every_level_packs_as_zlib_does() {
        let (folder, samples) = (tempfile::tempdir().unwrap(), samples());
        let path = |index: usize| folder.path().join(index.to_string());
        for (index, bytes) in samples.iter().enumerate() {
            std::fs::write(path(index), bytes).unwrap();
        }
        let mut python = Command::new("python3");
        python.args(["-c", SCRIPT]).args((0..samples.len()).map(path));
        assert!(python.status().unwrap().success());
        for (index, bytes) in samples.iter().enumerate() {
            for level in 1..=9 {
                let theirs = std::fs::read(path(index).with_extension(level.to_string())).unwrap();
                let same = deflate(bytes, level) == theirs;
                assert!(same, "sample {index} of {} bytes at level {level}", bytes.len());
            }
        }
    }
}
