//! The tree as a list of inodes, with all that overlayfs needs to see.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use super::{S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG};
use crate::verity::ALGORITHM_SHA256;
use crate::{Attributes, Directory, Error, File, Node};

/// What overlayfs takes for its own.
const OVERLAY: &[u8] = b"trusted.overlay.";
/// How overlayfs spells a name of its own that belongs to the files it shows.
const ESCAPED: &[u8] = b"trusted.overlay.overlay.";
const METACOPY: &[u8] = b"trusted.overlay.metacopy";
const REDIRECT: &[u8] = b"trusted.overlay.redirect";
const OPAQUE: &[u8] = b"trusted.overlay.opaque";
const SELINUX: &[u8] = b"security.selinux";

/// The longest name in a directory (`NAME_MAX`).
const MAX_NAME: usize = 255;
/// The most inodes of an image: more than any system has files, and their numbers still fit.
const MAX_INODES: usize = 1 << 26;

/// One inode.
pub(super) struct Inode {
    /// Type and permissions.
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) content: Content,
    pub(super) xattrs: Vec<Xattr>,
    /// Where it lies; set by the layout.
    pub(super) place: super::layout::Place,
}

/// What an inode has besides its attributes.
pub(super) enum Content {
    /// Names and the inodes they lead to, in the order of the names, with `.` and `..`.
    Directory(Vec<(Vec<u8>, usize)>),
    /// The size of a file.
    File(u64),
    /// The target of a link.
    Symlink(Vec<u8>),
    /// A whiteout: a device 0:0.
    Whiteout,
}

/// One extended attribute of one inode.
pub(super) struct Xattr {
    /// Most are one of overlayfs's own, of which there are two for every file.
    pub(super) name: Cow<'static, [u8]>,
    pub(super) value: Vec<u8>,
    /// Bytes into the shared table, when it is there.
    pub(super) shared_at: Option<u64>,
}

/// All inodes, breadth first, the root first; the order of their numbers. The tree is taken apart
/// meanwhile: a large one is not held twice.
pub(super) fn flatten(root: Directory) -> Result<Vec<Inode>, Error> {
    let root_attributes = root.attributes.clone();
    let (first, entries) = directory(root, true);
    let mut inodes = vec![first];
    let mut waiting = VecDeque::from([(0, 0, entries, String::new())]);
    while let Some((own, parent, tree, path)) = waiting.pop_front() {
        let mut names = vec![(b".".to_vec(), own), (b"..".to_vec(), parent)];
        for (name, entry) in entries_of(tree, own == 0) {
            let path = format!("{path}/{}", String::from_utf8_lossy(&name));
            check_name(&name, &path)?;
            let number = inodes.len();
            if number >= MAX_INODES {
                return Err(Error::TooLarge);
            }
            names.push((name, number));
            let inode = match entry {
                Entry::Whiteout => whiteout(&root_attributes),
                Entry::Node(Node::Directory(below)) => {
                    let (inode, below) = directory(below, false);
                    waiting.push_back((number, own, below, path.clone()));
                    inode
                }
                Entry::Node(Node::File(of)) => file(of),
                Entry::Node(Node::Symlink(link)) => {
                    if link.target.is_empty() || link.target.contains(&0) {
                        let reason = "the target of a link is empty or holds a NUL";
                        return Err(Error::Unsupported { path, reason });
                    }
                    inode(S_IFLNK, link.attributes, Content::Symlink(link.target))
                }
            };
            check_xattrs(&inode, &path)?;
            inodes.push(inode);
        }
        // `.` and `..` have no place of their own: a name may sort before them.
        names.sort();
        inodes[own].content = Content::Directory(names);
    }
    check_xattrs(&inodes[0], "/")?;
    Ok(inodes)
}

type Entries = BTreeMap<Vec<u8>, Node>;

enum Entry {
    Node(Node),
    Whiteout,
}

/// What is in a directory, in the order of the names. The root hides the folders of the store,
/// which has one for each pair of digits and lies below it in the overlay.
fn entries_of(tree: Entries, is_root: bool) -> BTreeMap<Vec<u8>, Entry> {
    let mut entries: BTreeMap<_, _> = BTreeMap::new();
    if is_root {
        let digits = (0..=u8::MAX).map(|first| format!("{first:02x}").into_bytes());
        entries.extend(digits.map(|name| (name, Entry::Whiteout)));
    }
    entries.extend(tree.into_iter().map(|(name, node)| (name, Entry::Node(node))));
    entries
}

fn inode(kind: u16, attributes: Attributes, content: Content) -> Inode {
    let xattrs = attributes.xattrs.into_iter().map(|(name, value)| (escaped(name), value));
    // `bits` has no bits above 07777, so nothing is cut off.
    let bits = u16::try_from(attributes.permissions & 0o7777).unwrap_or_default();
    Inode {
        mode: kind | bits,
        uid: attributes.uid,
        gid: attributes.gid,
        links: 1,
        content,
        xattrs: sorted(xattrs.collect()),
        place: super::layout::Place::default(),
    }
}

/// The inode of a directory, and what is in it.
fn directory(tree: Directory, is_root: bool) -> (Inode, Entries) {
    let Directory { attributes, entries } = tree;
    let mut inode = inode(S_IFDIR, attributes, Content::Directory(Vec::new()));
    let below = entries.values().filter(|node| matches!(node, Node::Directory(_))).count();
    // Bounded by the number of inodes, which is checked.
    inode.links = u32::try_from(below).unwrap_or(u32::MAX).saturating_add(2);
    if is_root {
        // Nothing of the store may shine through.
        insert(&mut inode.xattrs, OPAQUE, b"y".to_vec());
    }
    (inode, entries)
}

fn file(of: File) -> Inode {
    let mut inode = inode(S_IFREG, of.attributes, Content::File(of.size));
    if of.size == 0 {
        return inode;
    }
    let metacopy = of.digest.map(|digest| {
        // struct ovl_metacopy: version, length, flags, algorithm, digest.
        let mut value = vec![0, 4 + 32, 0, ALGORITHM_SHA256];
        value.extend_from_slice(digest.as_bytes());
        value
    });
    insert(&mut inode.xattrs, METACOPY, metacopy.unwrap_or_default());
    if !of.backing_path.is_empty() {
        let path = [b"/", of.backing_path.as_slice()].concat();
        insert(&mut inode.xattrs, REDIRECT, path);
    }
    inode
}

/// A whiteout belongs to whom the root belongs to.
fn whiteout(root: &Attributes) -> Inode {
    let label = root.xattrs.get(SELINUX);
    let xattrs = label.map(|label| (SELINUX.to_vec(), label.clone())).into_iter().collect();
    let attributes = Attributes { uid: root.uid, gid: root.gid, permissions: 0o644, xattrs };
    inode(S_IFCHR, attributes, Content::Whiteout)
}

fn escaped(name: Vec<u8>) -> Vec<u8> {
    match name.strip_prefix(OVERLAY) {
        Some(rest) => [ESCAPED, rest].concat(),
        None => name,
    }
}

fn sorted(list: BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Xattr> {
    let xattr = |(name, value)| Xattr { name: Cow::Owned(name), value, shared_at: None };
    list.into_iter().map(xattr).collect()
}

/// Adds an attribute that is not there: what is there was escaped.
fn insert(xattrs: &mut Vec<Xattr>, name: &'static [u8], value: Vec<u8>) {
    let at = xattrs.partition_point(|have| *have.name < *name);
    xattrs.insert(at, Xattr { name: Cow::Borrowed(name), value, shared_at: None });
}

fn check_name(name: &[u8], path: &str) -> Result<(), Error> {
    let bad = name.is_empty()
        || name.len() > MAX_NAME
        || matches!(name, b"." | b"..")
        || name.iter().any(|byte| matches!(byte, 0 | b'/'));
    if bad {
        let reason = "it is not the name of a file";
        return Err(Error::Unsupported { path: path.to_owned(), reason });
    }
    Ok(())
}

fn check_xattrs(inode: &Inode, path: &str) -> Result<(), Error> {
    let too_long = |xattr: &Xattr| {
        super::xattrs::suffix(&xattr.name).1.len() > usize::from(u8::MAX)
            || xattr.value.len() > usize::from(u16::MAX)
            || xattr.name.contains(&0)
    };
    if inode.xattrs.iter().any(too_long) {
        let reason = "an extended attribute is too long";
        return Err(Error::Unsupported { path: path.to_owned(), reason });
    }
    Ok(())
}
