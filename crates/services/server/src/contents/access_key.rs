//! The key with which requests to a bucket are signed.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};

/// An access key of an S3-compatible store.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Which key it is.
    pub id: String,
    /// What requests are signed with.
    pub secret: String,
    /// What goes with a key that is good for a time only.
    pub session_token: Option<String>,
}

/// The secret is for nobody to read.
impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// Reads the form of AWS's tools: lines `aws_access_key_id = …` and `aws_secret_access_key = …`,
    /// in the section `[default]` or before any.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self> {
        let value = |wanted: &str| {
            let mut is_ours = true;
            text.lines().map(str::trim).find_map(|line| {
                if line.starts_with('[') {
                    is_ours = line == "[default]";
                }
                let (name, value) = line.split_once('=')?;
                let fits = is_ours && name.trim().eq_ignore_ascii_case(wanted);
                fits.then(|| value.trim().to_owned()).filter(|value| !value.is_empty())
            })
        };
        let missing = |name: &str| Error::Config {
            path: path.to_owned(),
            reason: format!("it has no line `{name} = …`"),
        };
        let (id, secret) = ("aws_access_key_id", "aws_secret_access_key");
        Ok(Self {
            id: value(id).ok_or_else(|| missing(id))?,
            secret: value(secret).ok_or_else(|| missing(secret))?,
            session_token: value("aws_session_token"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_aws_s_tools_is_read() {
        let read = |text| AccessKey::parse(Path::new("key"), text);
        let text = "# ours\n[other]\naws_access_key_id=x\n[default]\naws_access_key_id = A\n\
                    aws_secret_access_key = s/e=c\n";
        let key = read(text).expect("a key");
        assert_eq!((key.id.as_str(), key.secret.as_str()), ("A", "s/e=c"));
        assert!(!format!("{key:?}").contains("s/e=c"));
        let error = read("aws_access_key_id = A\n[other]\naws_secret_access_key = x\n");
        assert!(error.expect_err("no secret").to_string().contains("aws_secret_access_key"));
    }
}
