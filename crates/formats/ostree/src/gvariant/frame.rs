//! Splitting containers into children and joining children into containers.

use crate::Error;

/// How a child lies in its container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    /// 1, 2, 4 or 8.
    pub(crate) align: usize,
    /// The size when all values of the type have the same.
    pub(crate) fixed: Option<usize>,
}

impl Member {
    /// A child of variable size.
    pub(crate) const fn variable(align: usize) -> Self {
        Self { align, fixed: None }
    }

    /// A `u`, big- or little-endian.
    pub(crate) const U32: Self = Self { align: 4, fixed: Some(4) };
    /// A `t`.
    pub(crate) const U64: Self = Self { align: 8, fixed: Some(8) };
    /// An `s`, an `ay`, or anything made of them.
    pub(crate) const BYTES: Self = Self::variable(1);
}

fn align_up(position: usize, align: usize) -> Option<usize> {
    position.checked_add(align - 1).map(|p| p & !(align - 1))
}

/// The width of the offsets in a container of `size` bytes.
fn offset_width(size: usize) -> usize {
    match size {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn read_offset(data: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(width)?)?;
    // Least significant first. No copy: nearly all are one byte or two.
    let value = bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    usize::try_from(value).ok()
}

/// Appends `ends` as framing offsets in the narrowest width that holds the finished container,
/// which begins at `start` and counts from there.
pub(crate) fn push_offsets(
    out: &mut Vec<u8>,
    start: usize,
    ends: impl ExactSizeIterator<Item = usize>,
) {
    if ends.len() == 0 {
        return;
    }
    let size = out.len() - start;
    let width = [1, 2, 4, 8]
        .into_iter()
        .find(|width| offset_width(size + ends.len() * width) <= *width)
        .unwrap_or(8);
    for end in ends {
        out.extend_from_slice(&(end as u64).to_le_bytes()[..width]);
    }
}

/// The children of a tuple whose last member or some other one is of variable size.
///
/// Checks bounds only; callers compare with the re-encoded value for normal form.
pub(crate) fn split_tuple<'a, const N: usize>(
    what: &'static str,
    data: &'a [u8],
    members: [Member; N],
) -> Result<[&'a [u8]; N], Error> {
    let mut children = [&data[..0]; N];
    split_members(data, &members, |index, child| children[index] = child)
        .ok_or_else(|| Error::malformed(what, "the layout does not match the type"))?;
    Ok(children)
}

/// As [`split_tuple`], for a number of members known only at run time.
pub(crate) fn split_members<'a>(
    data: &'a [u8],
    members: &[Member],
    mut take: impl FnMut(usize, &'a [u8]),
) -> Option<()> {
    let width = offset_width(data.len());
    let last = members.len().checked_sub(1)?;
    let framed =
        members.iter().enumerate().filter(|(i, m)| m.fixed.is_none() && *i != last).count();
    let body_end = data.len().checked_sub(framed.checked_mul(width)?)?;
    let mut position = 0;
    let mut offset_at = data.len();
    for (index, member) in members.iter().enumerate() {
        let start = align_up(position, member.align)?;
        let end = match member.fixed {
            Some(size) => start.checked_add(size)?,
            None if index == last => body_end,
            None => {
                offset_at = offset_at.checked_sub(width)?;
                read_offset(data, offset_at, width)?
            }
        };
        if end > body_end {
            return None;
        }
        take(index, data.get(start..end)?);
        position = end;
    }
    Some(())
}

/// The elements of an array of variable-size elements.
///
/// Element count is bounded by the data: each element costs at least its offset.
pub(crate) fn split_array<'a>(
    what: &'static str,
    data: &'a [u8],
    align: usize,
) -> Result<Vec<&'a [u8]>, Error> {
    split_elements(data, align)
        .ok_or_else(|| Error::malformed(what, "the layout does not match the type"))
}

fn split_elements(data: &[u8], align: usize) -> Option<Vec<&[u8]>> {
    if data.is_empty() {
        return Some(Vec::new());
    }
    let width = offset_width(data.len());
    let body_end = read_offset(data, data.len().checked_sub(width)?, width)?;
    let table = data.get(body_end..)?;
    if !table.len().is_multiple_of(width) {
        return None;
    }
    let mut elements = Vec::with_capacity(table.len() / width);
    let mut position = 0;
    for index in 0..table.len() / width {
        let start = align_up(position, align)?;
        let end = read_offset(table, index * width, width)?;
        if end > body_end {
            return None;
        }
        elements.push(data.get(start..end)?);
        position = end;
    }
    Some(elements)
}

fn pad(out: &mut Vec<u8>, align: usize) {
    out.resize(out.len().next_multiple_of(align), 0);
}

/// Joins serialised children into a tuple.
pub(crate) fn build_tuple(children: &[(Member, &[u8])]) -> Vec<u8> {
    let size = children.iter().map(|(_, bytes)| bytes.len() + 8).sum();
    let mut out = Vec::with_capacity(size);
    let mut ends = Vec::new();
    for (index, (member, bytes)) in children.iter().enumerate() {
        pad(&mut out, member.align);
        out.extend_from_slice(bytes);
        if member.fixed.is_none() && index + 1 != children.len() {
            ends.push(out.len());
        }
    }
    if children.iter().all(|(member, _)| member.fixed.is_some()) {
        let align = children.iter().map(|(member, _)| member.align).max().unwrap_or(1);
        pad(&mut out, align);
        if children.is_empty() {
            out.push(0);
        }
    }
    push_offsets(&mut out, 0, ends.into_iter().rev());
    out
}

/// Joins serialised elements of variable size into an array.
pub(crate) fn build_array(align: usize, elements: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut ends = Vec::new();
    for element in elements {
        pad(&mut out, align);
        out.extend_from_slice(&element);
        ends.push(out.len());
    }
    push_offsets(&mut out, 0, ends.into_iter());
    out
}

/// Appends an array whose elements `push` appends in place, as [`build_array`] joins them when
/// nothing has to be aligned.
pub(crate) fn push_array<T>(
    out: &mut Vec<u8>,
    elements: impl Iterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T),
) {
    let start = out.len();
    let mut ends = Vec::with_capacity(elements.size_hint().0);
    for element in elements {
        push(out, element);
        ends.push(out.len() - start);
    }
    push_offsets(out, start, ends.into_iter());
}
