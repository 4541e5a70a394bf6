//! What may help after an error.

use updraft_error::{Classify as _, Kind};

use super::{BucketTrouble, DatabaseTrouble, Error, OPEN_DATA_FOLDER};

impl Error {
    /// What may help.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated { .. } => {
                Some("send `Authorization: Bearer TOKEN`; `updraft-server token create` makes one")
            }
            Self::KeysOffline { .. } => Some("sign where the keys are and upload the signed file"),
            Self::NotReady { .. } => {
                Some("`updraft keys init` and `updraft release` set up the Image repository")
            }
            Self::DatabaseFile { trouble, .. } => match trouble {
                DatabaseTrouble::Missing => Some("`updraft-server init` makes a data folder"),
                DatabaseTrouble::Corrupt => Some(
                    "stop the server, and make another data folder with `updraft-server restore`",
                ),
                DatabaseTrouble::ReadOnly => {
                    Some("the file, its folder and its file system must be writable for the server")
                }
                DatabaseTrouble::Locked => Some("end the process that holds it, then try again"),
                DatabaseTrouble::Full => Some("free some space, then try again"),
                DatabaseTrouble::TooNew => Some("run the newer updraft-server"),
                DatabaseTrouble::Other => None,
            },
            Self::DatabaseServer { source: Some(_), .. } => {
                Some("see `[database]` in server.toml, and whether the database server runs")
            }
            Self::Bucket { trouble, .. } => match trouble {
                BucketTrouble::Unavailable => {
                    Some("see `storage.endpoint` in server.toml, and whether the store runs")
                }
                BucketTrouble::Full => Some("give the bucket more room, then try again"),
                BucketTrouble::Denied => Some(
                    "the access key must be known to the store and may list the bucket, and read, \
                     write and delete in it",
                ),
                BucketTrouble::NoBucket => {
                    Some("make the bucket, or see `storage.bucket` and `storage.path_style`")
                }
                BucketTrouble::Other => {
                    Some("see `storage.endpoint`, `storage.region` and `storage.path_style`")
                }
            },
            Self::Fs { action: OPEN_DATA_FOLDER, source } if source.kind() == Kind::NotFound => {
                Some("`updraft-server init` makes a data folder")
            }
            Self::Locked { .. } => Some("only one updraft-server may run on a data folder"),
            Self::Config { .. } => Some("`updraft-server config check` checks it"),
            _ => None,
        }
    }
}
