//! How much memory a manifest will take, counted before it is read.
//!
//! In protobuf an empty message has two bytes, and in memory some hundred. So what there may be many
//! of is counted on the bytes first; all that is malformed is left to the reader to name.

use crate::Error;
use crate::fields::Fields;

/// The most partitions that are read.
pub const MAX_PARTITIONS: usize = 256;
/// The most operations of all partitions that are read: 256 GiB in the usual pieces of 2 MiB.
pub const MAX_OPERATIONS: usize = 128 << 10;
/// The most extents of all operations that are read.
pub const MAX_EXTENTS: usize = 1 << 20;
/// The most of anything else.
const MAX_OTHER: usize = 64 << 10;

/// Which messages are in a message.
struct Shape {
    /// Number of the field, shape of its message, what it counts as.
    fields: &'static [(u64, &'static Shape, Count)],
}

#[derive(Clone, Copy)]
enum Count {
    Partitions,
    Operations,
    Extents,
    Other,
}

const LEAF: Shape = Shape { fields: &[] };
const OPERATION: Shape =
    Shape { fields: &[(4, &LEAF, Count::Extents), (6, &LEAF, Count::Extents)] };
const PARTITION: Shape = Shape {
    fields: &[
        (5, &LEAF, Count::Other),
        (8, &OPERATION, Count::Operations),
        (18, &LEAF, Count::Operations),
    ],
};
const GROUP: Shape = Shape { fields: &[(3, &LEAF, Count::Other)] };
const DYNAMIC: Shape = Shape { fields: &[(1, &GROUP, Count::Other)] };
const MANIFEST: Shape = Shape {
    fields: &[
        (13, &PARTITION, Count::Partitions),
        (15, &DYNAMIC, Count::Other),
        (17, &LEAF, Count::Other),
    ],
};

/// Counts what is in the bytes of a manifest.
pub(crate) fn check_manifest(bytes: &[u8]) -> Result<(), Error> {
    let mut left = [
        (MAX_PARTITIONS, "partitions"),
        (MAX_OPERATIONS, "operations"),
        (MAX_EXTENTS, "extents"),
        (MAX_OTHER, "groups, packages and signatures"),
    ]
    .map(|(limit, what)| Budget { left: limit, limit, what });
    walk(bytes, &MANIFEST, &mut left)
}

struct Budget {
    left: usize,
    limit: usize,
    what: &'static str,
}

/// Goes through the fields of one message. Ends where the bytes are no message any more.
fn walk(bytes: &[u8], shape: &Shape, budgets: &mut [Budget; 4]) -> Result<(), Error> {
    for field in Fields(bytes).map_while(Result::ok) {
        let Some(content) = field.content else { continue };
        let known = shape.fields.iter().find(|(number, ..)| *number == field.number);
        let Some((_, inner, count)) = known else { continue };
        let [partitions, operations, extents, other] = budgets;
        let budget = match count {
            Count::Partitions => partitions,
            Count::Operations => operations,
            Count::Extents => extents,
            Count::Other => other,
        };
        budget.left = budget
            .left
            .checked_sub(1)
            .ok_or(Error::TooMany { what: budget.what, limit: budget.limit })?;
        walk(content, inner, budgets)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MAX_OPERATIONS, MAX_PARTITIONS, check_manifest};
    use crate::Error;

    #[test]
    fn what_would_fill_the_memory_is_refused_before_it_is_read() {
        let partitions = [0x6a, 0].repeat(MAX_PARTITIONS);
        assert!(check_manifest(&partitions).is_ok());
        let more = [0x6a, 0].repeat(MAX_PARTITIONS + 1);
        assert!(matches!(check_manifest(&more), Err(Error::TooMany { what: "partitions", .. })));
        // 131073 operations of two bytes in one partition: its length is 262146.
        let operations = [&[0x6a, 0x82, 0x80, 0x10][..], &[0x42, 0].repeat(MAX_OPERATIONS + 1)];
        let error = check_manifest(&operations.concat()).unwrap_err();
        assert_eq!(error, Error::TooMany { what: "operations", limit: MAX_OPERATIONS });
    }

    #[test]
    fn what_is_malformed_is_left_to_the_reader() {
        for bytes in [&b""[..], &[0x6a], &[0x6a, 9, 1], &[0xff; 12], &[0x6b], &[0x80]] {
            assert!(check_manifest(bytes).is_ok(), "{bytes:?}");
        }
    }
}
