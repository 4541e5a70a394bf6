//! PEM (RFC 7468): one labelled block of base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::FormatError;

/// Characters in one line of the body.
const LINE: usize = 64;

/// `der` as a PEM block with this label, ending with a newline.
#[must_use]
pub fn pem_encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The bytes of the first block with this label.
///
/// # Errors
/// [`FormatError::Key`] when there is no such block or its base64 is malformed.
pub fn pem_decode(label: &str, text: &str) -> Result<Vec<u8>, FormatError> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let problem = |problem| FormatError::Key { problem };
    let (_, after) = text.split_once(&begin).ok_or(problem("no PEM block with its label"))?;
    let (body, _) = after.split_once(&end).ok_or(problem("a PEM block has no end"))?;
    let compact: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).map_err(|_| problem("PEM is not base64"))
}

#[cfg(test)]
mod tests {
    use super::{pem_decode, pem_encode};

    #[test]
    fn blocks_round_trip() {
        for length in [0, 1, 47, 48, 49, 500] {
            let der: Vec<u8> = (0..=255).cycle().take(length).collect();
            let text = pem_encode("PUBLIC KEY", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(pem_decode("PUBLIC KEY", &text).unwrap(), der);
        }
        assert!(pem_decode("PUBLIC KEY", "-----BEGIN PUBLIC KEY-----\n!").is_err());
    }
}
