//! [`Fields`]: the fields of a protobuf message, one after the other, without a copy of any.
//!
//! Manifests are read with it piece by piece: the structures of all operations at the same time would
//! take ten times the memory of what is kept of them.

/// One field as it stands in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    /// All of it: key, length and content.
    whole: &'a [u8],
    /// What it holds, if that is a message, text or bytes.
    pub(crate) content: Option<&'a [u8]>,
}

/// The fields of a message. Ends after `Err`: what follows is no field, or a group, which no message of
/// a payload has.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let start = self.0;
        let field = self.read(start);
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(()))
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self, start: &'a [u8]) -> Option<Field<'a>> {
        let key = self.varint()?;
        let is_bytes = key & 7 == 2;
        let length = match key & 7 {
            0 => self.varint().map(|_| 0)?,
            1 => 8,
            2 => usize::try_from(self.varint()?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let whole = start.get(..start.len() - rest.len())?;
        Some(Field { number: key >> 3, whole, content: is_bytes.then_some(content) })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for (index, byte) in (0_u32..10).zip(self.0) {
            value |= u64::from(byte & 0x7f).wrapping_shl(7 * index);
            if byte & 0x80 == 0 {
                let used = usize::try_from(index).ok()? + 1;
                self.0 = self.0.get(used..)?;
                return Some(value);
            }
        }
        None
    }
}

/// The contents of all fields with this number, and the message without them. `None`: it is none.
pub(crate) fn take_out(message: &[u8], number: u64) -> Option<(Vec<&[u8]>, Vec<u8>)> {
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    for field in Fields(message) {
        match field.ok()? {
            Field { number: found, content: Some(content), .. } if found == number => {
                taken.push(content);
            }
            Field { whole, .. } => rest.extend_from_slice(whole),
        }
    }
    Some((taken, rest))
}

#[cfg(test)]
mod tests {
    use super::take_out;

    #[test]
    fn fields_are_taken_out_and_the_rest_is_as_it_was() {
        let message = [0x08, 0x96, 1, 0x12, 2, 7, 8, 0x1d, 1, 2, 3, 4, 0x12, 0, 0x10, 5];
        let (taken, rest) = take_out(&message, 2).unwrap();
        assert_eq!(taken, [&[7, 8][..], &[]]);
        // A number in the place of bytes is left for the reader to complain of.
        assert_eq!(rest, [0x08, 0x96, 1, 0x1d, 1, 2, 3, 4, 0x10, 5]);
        for bad in [&[0x12, 3, 1][..], &[0x13], &[0x14], &[0x08], &[0x80], &[0x1d, 1], &[0xff; 11]]
        {
            assert_eq!(take_out(bad, 2), None, "{bad:?}");
        }
    }
}
