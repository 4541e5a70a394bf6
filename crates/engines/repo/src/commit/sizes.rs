//! The commit key `ostree.sizes`: what each object takes packed and unpacked.
//!
//! `aay`, sorted by checksum; each element is 32 bytes of checksum, the packed and the unpacked
//! size as varuints, and the number of the type.

use std::collections::BTreeMap;

use updraft_error::Kind;
use updraft_ostree::gvariant::Value;
use updraft_ostree::{Checksum, DirEntry, ObjectName, ObjectType, RepoMode, write_varuint};

use crate::{Error, Result, Transaction};

pub(super) fn of(transaction: &Transaction, root: DirEntry) -> Result<Value> {
    if transaction.repo().mode() != RepoMode::Archive {
        let message = "commit: sizes are recorded in archive repositories only";
        return Err(Error::other(Kind::Unsupported, message));
    }
    let mut elements: BTreeMap<Checksum, Vec<u8>> = BTreeMap::new();
    let mut waiting = vec![root];
    while let Some(DirEntry { dirtree, dirmeta }) = waiting.pop() {
        if !elements.contains_key(&dirmeta) {
            add(transaction, &mut elements, ObjectName::new(dirmeta, ObjectType::DirMeta))?;
        }
        if elements.contains_key(&dirtree) {
            continue;
        }
        add(transaction, &mut elements, ObjectName::new(dirtree, ObjectType::DirTree))?;
        let tree = transaction.load_dirtree(&dirtree)?;
        for file in tree.files.values() {
            if !elements.contains_key(file) {
                add(transaction, &mut elements, ObjectName::new(*file, ObjectType::File))?;
            }
        }
        waiting.extend(tree.dirs.values());
    }
    Ok(Value::byte_arrays(elements.into_values()))
}

fn add(
    transaction: &Transaction,
    elements: &mut BTreeMap<Checksum, Vec<u8>>,
    object: ObjectName,
) -> Result<()> {
    let packed = transaction.stored_size(&object)?;
    let unpacked = if object.object_type == ObjectType::File {
        let file = transaction.open_file(&object.checksum)?;
        file.header.symlink_target.as_ref().map_or(file.size, |target| target.len() as u64)
    } else {
        packed
    };
    let mut element = object.checksum.as_bytes().to_vec();
    write_varuint(&mut element, packed);
    write_varuint(&mut element, unpacked);
    element.push(object.object_type.number());
    elements.insert(object.checksum, element);
    Ok(())
}
