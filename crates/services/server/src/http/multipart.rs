//! The one file in a `multipart/form-data` body (RFC 7578), read while it comes.
//!
//! ```text
//! --BOUNDARY CRLF
//! Content-Disposition: form-data; name="file"; filename="fw.bin" CRLF
//! other headers CRLF
//! CRLF
//! content CRLF
//! --BOUNDARY--
//! ```
//! Parts before the file are passed over; what comes after it is not looked at.

use std::io::{self, Read};

/// Longest boundary: RFC 2046 allows 70 characters.
const MAX_BOUNDARY: usize = 70;
/// Longest head of a part, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The most parts before the file.
const MAX_PARTS: usize = 64;
/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// The boundary that a `Content-Type` names, when it is that of a form with files.
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    let fits = !value.is_empty() && value.len() <= MAX_BOUNDARY && value.is_ascii();
    fits.then(|| value.to_owned())
}

/// Reads the content of the part of this name.
#[derive(Debug)]
pub struct FormFile<R> {
    inner: R,
    /// CRLF, two hyphens and the boundary.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    ended: bool,
    filename: Option<String>,
}

impl<R: Read> FormFile<R> {
    /// Goes to the content of the part called `name`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the body is no form, or has no such part.
    pub fn open(inner: R, boundary: &str, name: &str) -> io::Result<Self> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter may stand at the very beginning, without a line end before it.
        let mut file =
            Self { inner, delimiter, buffer: b"\r\n".to_vec(), ended: false, filename: None };
        file.pass_over()?;
        for _ in 0..MAX_PARTS {
            let head = file.head()?;
            if is_named(&head, name) {
                file.filename = parameter(&head, "filename");
                return Ok(file);
            }
            file.ended = false;
            file.pass_over()?;
        }
        Err(invalid("it has too many parts before the file"))
    }

    /// What the sender calls the file.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// Reads and throws away what is left of a part.
    fn pass_over(&mut self) -> io::Result<()> {
        let mut sink = [0_u8; 4096];
        while self.read(&mut sink)? > 0 {}
        self.ended = false;
        Ok(())
    }

    /// The head of a part, after its delimiter.
    fn head(&mut self) -> io::Result<String> {
        loop {
            if self.buffer.starts_with(b"--") {
                return Err(invalid("it has no such file"));
            }
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end.saturating_add(4)).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(invalid("the head of a part is too long"));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = vec![0_u8; PIECE];
        let count = self.inner.read(&mut piece)?;
        if count == 0 {
            return Err(invalid("it ends in the middle of a part"));
        }
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(())
    }
}

impl<R: Read> Read for FormFile<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended || out.is_empty() {
            return Ok(0);
        }
        loop {
            let found = find(&self.buffer, &self.delimiter);
            // The last bytes may be the beginning of a delimiter.
            let safe =
                found.unwrap_or_else(|| self.buffer.len().saturating_sub(self.delimiter.len()));
            if safe > 0 {
                let count = safe.min(out.len());
                for (to, from) in out.iter_mut().zip(self.buffer.drain(..count)) {
                    *to = from;
                }
                return Ok(count);
            }
            if found.is_some() {
                self.buffer.drain(..self.delimiter.len());
                self.ended = true;
                return Ok(0);
            }
            self.fill()?;
        }
    }
}

fn is_named(head: &str, name: &str) -> bool {
    parameter(head, "name").as_deref() == Some(name)
}

/// A parameter of the disposition in the head of a part.
fn parameter(head: &str, wanted: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (header, value) = line.split_once(':')?;
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            return None;
        }
        value.split(';').find_map(|parameter| {
            let (key, value) = parameter.trim().split_once('=')?;
            key.eq_ignore_ascii_case(wanted).then(|| value.trim_matches('"').to_owned())
        })
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{FormFile, boundary};
    use std::io::Read;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn file(body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut content = Vec::new();
        FormFile::open(Slow(body), "xyz", "file")?.read_to_end(&mut content)?;
        let mut at_once = Vec::new();
        FormFile::open(body, "xyz", "file")?.read_to_end(&mut at_once)?;
        assert_eq!(content, at_once);
        Ok(content)
    }

    #[test]
    fn the_file_is_found_and_read_to_its_end() {
        let body = b"--xyz\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n1\r\n\
            --xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\
            Content-Type: text/plain\r\n\r\nline\r\n--xy is no end\r\n\r\n--xyz--\r\n";
        assert_eq!(file(body).unwrap(), b"line\r\n--xy is no end\r\n");
        let empty = b"--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n--xyz--";
        assert_eq!(file(empty).unwrap(), b"");
    }

    #[test]
    fn what_is_no_form_or_lacks_the_file_is_an_error() {
        for body in [
            &b""[..],
            b"--xyz--",
            b"nothing",
            b"--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\ncut off",
            b"--xyz\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n1\r\n--xyz--",
        ] {
            assert!(file(body).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn only_forms_have_a_boundary() {
        let form = "multipart/form-data; boundary=\"a b\"";
        assert_eq!(boundary(form).as_deref(), Some("a b"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x;boundary=--1").as_deref(), Some("--1"));
        for other in ["multipart/mixed; boundary=1", "application/json", "multipart/form-data; a"] {
            assert_eq!(boundary(other), None, "{other}");
        }
    }
}
