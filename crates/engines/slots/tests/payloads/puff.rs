//! Patches that know of deflate. Those of `golden/puff` were made by other libraries: `puffdiff` 0.1.0
//! opened the streams, `bsdiff-android` 0.0.2 made the patch between them, and `puffdiff` applied it.
//!
//! * `stored`, `fast`, `best`: an archive of eight streams, with what is not compressed around them; of
//!   zlib's levels 0 and 6, 1 and 1, 6 and 9.
//! * `ends`: forty short streams, whose last bytes hold bits of something else.

use std::path::Path;

use updraft_payload::OperationKind as Kind;
use updraft_slots::{Error, Trust};

use super::make::{BLOCK, Maker, World};

/// Old and new content, and a patch.
struct Case {
    old: Vec<u8>,
    new: Vec<u8>,
    patch: Vec<u8>,
}

impl Case {
    fn read(name: &str, old_size: usize) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/puff");
        let read = |end: &str| std::fs::read(folder.join(format!("{name}.{end}"))).unwrap();
        let mut old = zstd::decode_all(&read("both.zst")[..]).unwrap();
        let new = old.split_off(old_size);
        Self { old, new, patch: read("puf") }
    }

    fn apply(&self, patch: &[u8]) -> Result<(), Error> {
        let count = |content: &[u8]| (content.len() / BLOCK) as u64;
        let mut maker = Maker::new(5);
        maker.partition("system", Some(&self.old), &self.new);
        let (from, to) = ([(0, count(&self.old))], [(0, count(&self.new))]);
        maker.operation(Kind::Puffdiff, Some(patch), &from, &to);
        let world = World::of(&maker);
        world.apply(&maker.unsigned(), &Trust::default())?;
        world.assert_holds(&maker);
        Ok(())
    }
}

#[test]
fn streams_of_every_kind_are_opened_and_closed() {
    let cases = [("stored", 269_824), ("fast", 151_040), ("best", 150_016), ("ends", 3072)];
    for (name, old_size) in cases {
        let case = Case::read(name, old_size);
        case.apply(&case.patch).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn damaged_patches_are_refused() {
    let case = Case::read("ends", 3072);
    let (mut tried, mut refused) = (0, 0);
    // Bytes of the head, of its extents, and of the patch behind it, which is not compressed.
    for at in (0..16).chain((16..case.patch.len()).step_by(29)) {
        for bit in [0, 3, 7] {
            let mut bad = case.patch.clone();
            bad[at] ^= 1 << bit;
            tried += 1;
            match case.apply(&bad) {
                Err(Error::Operation { .. } | Error::Result { .. }) => refused += 1,
                Err(error) => panic!("{at}: {error}"),
                // A move in the old content after the last step.
                Ok(()) => {}
            }
        }
    }
    assert!(refused + 9 > tried, "{refused} of {tried}");
    for end in (1..case.patch.len()).step_by(97) {
        let error = case.apply(&case.patch[..end]).unwrap_err();
        assert!(matches!(error, Error::Operation { .. }), "{end}: {error}");
    }
}

#[test]
fn patches_by_zucchini_and_for_other_places_are_refused() {
    let case = Case::read("ends", 3072);
    let head = u32::from_be_bytes(case.patch[4..8].try_into().unwrap());
    // The head's last field says so.
    let (start, rest) = case.patch.split_at(8 + usize::try_from(head).unwrap());
    let mut other = [start, &[0x20, 1], rest].concat();
    other[4..8].copy_from_slice(&(head + 2).to_be_bytes());
    let error = case.apply(&other).unwrap_err().to_string();
    assert!(error.contains("zucchini"), "{error}");
    let short = Case { old: case.old[..2560].to_vec(), ..Case::read("ends", 3072) };
    let error = short.apply(&case.patch).unwrap_err().to_string();
    assert!(error.contains("old blocks"), "{error}");
    let short = Case { new: case.new[..3072].to_vec(), ..Case::read("ends", 3072) };
    let error = short.apply(&case.patch).unwrap_err().to_string();
    assert!(error.contains("blocks hold"), "{error}");
}
