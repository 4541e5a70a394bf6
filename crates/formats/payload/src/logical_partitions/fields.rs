//! Numbers and names at fixed places, low byte first.

/// Bytes that are being written.
#[derive(Default)]
pub(super) struct Fields(pub(super) Vec<u8>);

impl Fields {
    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A name, with zeros after it. What is too long was refused before.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        let mut place = [0; NAME];
        for (to, from) in place.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        self.bytes(&place)
    }
}

/// The longest name, in bytes.
pub(super) const NAME: usize = 36;

/// The number at a place. Places that are not there were refused before.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The name at a place, without the zeros after it. `None`: it is no text, or something follows zeros.
pub(super) fn name_at(bytes: &[u8], at: usize) -> Option<&str> {
    let place = bytes.get(at..at + NAME)?;
    let end = place.iter().position(|byte| *byte == 0).unwrap_or(NAME);
    let (name, rest) = place.split_at_checked(end)?;
    if rest.iter().any(|byte| *byte != 0) {
        return None;
    }
    std::str::from_utf8(name).ok()
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let place = bytes.get(at..at + N).and_then(|place| place.try_into().ok());
    place.unwrap_or([0; N])
}
