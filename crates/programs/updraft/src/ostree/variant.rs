//! Objects as GVariant text, for `--raw` and `--xattrs`.

use updraft_ostree::gvariant::{Type, Value};
use updraft_ostree::{Commit, DirMeta, DirTree, Metadata, Summary, Xattrs};

/// `a(ayay)` of a file's or directory's attributes.
pub(crate) fn xattrs(xattrs: &Xattrs) -> Value {
    let pairs = xattrs.iter().map(|(name, value)| {
        let mut name = name.to_vec();
        name.push(0);
        Value::Tuple(vec![Value::Bytes(name), Value::Bytes(value.to_vec())])
    });
    Value::Array(Type::Tuple(vec![Type::bytes(), Type::bytes()]), pairs.collect())
}

/// A commit as its tuple, with its numbers as stored.
pub(crate) fn commit(commit: &Commit) -> Value {
    let parent = commit.parent.map_or_else(Vec::new, |parent| parent.as_bytes().to_vec());
    let related = commit.related.iter().map(|(name, sum)| {
        Value::Tuple(vec![Value::String(name.clone()), Value::Bytes(sum.as_bytes().to_vec())])
    });
    Value::Tuple(vec![
        commit.metadata.to_value(),
        Value::Bytes(parent),
        Value::Array(Type::Tuple(vec![Type::String, Type::bytes()]), related.collect()),
        Value::String(commit.subject.clone()),
        Value::String(commit.body.clone()),
        Value::Uint64(commit.timestamp.swap_bytes()),
        Value::Bytes(commit.root_dirtree.as_bytes().to_vec()),
        Value::Bytes(commit.root_dirmeta.as_bytes().to_vec()),
    ])
}

/// A directory's names as its tuple.
pub(crate) fn dirtree(tree: &DirTree) -> Value {
    let files = tree.files.iter().map(|(name, sum)| {
        let sum = Value::Bytes(sum.as_bytes().to_vec());
        Value::Tuple(vec![Value::String(name.as_str().to_owned()), sum])
    });
    let dirs = tree.dirs.iter().map(|(name, entry)| {
        Value::Tuple(vec![
            Value::String(name.as_str().to_owned()),
            Value::Bytes(entry.dirtree.as_bytes().to_vec()),
            Value::Bytes(entry.dirmeta.as_bytes().to_vec()),
        ])
    });
    let file_type = Type::Tuple(vec![Type::String, Type::bytes()]);
    let dir_type = Type::Tuple(vec![Type::String, Type::bytes(), Type::bytes()]);
    Value::Tuple(vec![
        Value::Array(file_type, files.collect()),
        Value::Array(dir_type, dirs.collect()),
    ])
}

/// A directory's metadata as its tuple, with its numbers as stored.
pub(crate) fn dirmeta(meta: &DirMeta) -> Value {
    Value::Tuple(vec![
        Value::Uint32(meta.uid.swap_bytes()),
        Value::Uint32(meta.gid.swap_bytes()),
        Value::Uint32(meta.mode.swap_bytes()),
        xattrs(&meta.xattrs),
    ])
}

/// A summary as its tuple, with its numbers as stored.
pub(crate) fn summary(summary: &Summary) -> Value {
    Value::Tuple(vec![Summary::refs_to_value(&summary.refs), summary.metadata.to_value()])
}

/// The same value with the bytes of every number swapped, whether it was stored swapped or not:
/// what the peer shows unless told `--no-byteswap`.
pub(crate) fn byteswap(value: Value) -> Value {
    match value {
        Value::Int16(n) => Value::Int16(n.swap_bytes()),
        Value::Uint16(n) => Value::Uint16(n.swap_bytes()),
        Value::Int32(n) => Value::Int32(n.swap_bytes()),
        Value::Uint32(n) => Value::Uint32(n.swap_bytes()),
        Value::Handle(n) => Value::Handle(n.swap_bytes()),
        Value::Int64(n) => Value::Int64(n.swap_bytes()),
        Value::Uint64(n) => Value::Uint64(n.swap_bytes()),
        Value::Double(n) => Value::Double(n.swap_bytes()),
        Value::Variant(inner) => Value::Variant(Box::new(byteswap(*inner))),
        Value::Maybe(of, inner) => Value::Maybe(of, inner.map(|v| Box::new(byteswap(*v)))),
        Value::Array(of, items) => Value::Array(of, items.into_iter().map(byteswap).collect()),
        Value::Tuple(items) => Value::Tuple(items.into_iter().map(byteswap).collect()),
        Value::DictEntry(entry) => {
            Value::DictEntry(Box::new((byteswap(entry.0), byteswap(entry.1))))
        }
        other => other,
    }
}

/// A dictionary as JSON: each value as GVariant text, texts as they are.
pub(crate) fn metadata_json(metadata: &Metadata) -> serde_json::Map<String, serde_json::Value> {
    let entries = metadata.iter().map(|(key, value)| {
        let value = match value {
            Value::String(text) => text.clone().into(),
            Value::Bool(value) => (*value).into(),
            other => other.to_string().into(),
        };
        (key.to_owned(), value)
    });
    entries.collect()
}
