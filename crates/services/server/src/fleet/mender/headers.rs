//! What the files say about themselves that devices may be offered.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use super::artifact::ArtifactHeader;
use super::deployments::files;
use crate::contents::{Key, read_error};
use crate::error::Result;
use crate::fleet::Fleet;
use crate::storage::hawkbit::actions;

/// Bytes that are read at a time.
const AT_A_TIME: usize = 64 << 10;

/// What a file says about itself, or why it says nothing.
pub(super) type Header = std::result::Result<ArtifactHeader, String>;

impl Fleet {
    /// The headers of the files that a device may be offered, by SHA-256. That a store does not answer
    /// is an error, and no fault of the file's: the device asks again.
    pub(super) fn artifact_headers(&self, device: &str) -> Result<BTreeMap<String, Header>> {
        let files = self.database().read("list what a device may be offered", |reader| {
            let mut all = Vec::new();
            for action in actions::active(reader, device)? {
                all.extend(files(reader, action.set)?);
            }
            Ok(all)
        })?;
        let mut headers = BTreeMap::new();
        for sha256 in files.into_iter().map(|file| file.hashes.sha256) {
            let key = Key::target(&sha256);
            let header = match self.contents.find(&key)? {
                Some(found) => {
                    let mut content = Watched { inner: found.read(0, found.length)?, broken: None };
                    let read =
                        ArtifactHeader::read(BufReader::with_capacity(AT_A_TIME, &mut content));
                    if let Some(error) = content.broken {
                        return Err(read_error(error));
                    }
                    read
                }
                None => Err("its content is missing".to_owned()),
            };
            headers.insert(sha256, header);
        }
        Ok(headers)
    }
}

/// Keeps the error of the source, of which its reader only tells.
struct Watched {
    inner: Box<dyn Read + Send>,
    broken: Option<io::Error>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let told = io::Error::new(error.kind(), error.to_string());
            self.broken = Some(error);
            told
        })
    }
}
