//! [`Headers`]: what is told of a payload beside it, as `KEY=VALUE`, by the names that Android's
//! `update_engine` has. What is not known here is let pass, as there.

use updraft_payload::Properties;

use crate::{Error, Result};

const PROPERTIES: [&str; 4] = ["FILE_HASH", "FILE_SIZE", "METADATA_HASH", "METADATA_SIZE"];

/// What is told of a payload beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Sizes and hashes: `FILE_HASH`, `FILE_SIZE`, `METADATA_HASH`, `METADATA_SIZE`.
    pub properties: Option<Properties>,
    /// `FILE_SIZE`.
    pub file_size: Option<u64>,
    /// `SWITCH_SLOT_ON_REBOOT`: whether the new slot is started next.
    pub switch_slot: bool,
    /// `RUN_POST_INSTALL`: whether programs of the new slot are run before.
    pub run_postinstall: bool,
    /// `POWERWASH`: whether the user's data is to be removed.
    pub powerwash: bool,
    /// `AUTHORIZATION`: sent to the server.
    pub authorization: Option<String>,
    /// `USER_AGENT`: sent to the server.
    pub user_agent: Option<String>,
}

impl Default for Headers {
    fn default() -> Self {
        Self {
            properties: None,
            file_size: None,
            switch_slot: true,
            run_postinstall: true,
            powerwash: false,
            authorization: None,
            user_agent: None,
        }
    }
}

impl Headers {
    /// Reads them.
    ///
    /// # Errors
    /// When one is not `KEY=VALUE`, is there twice, or has a value that cannot be right.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut headers = Self::default();
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for line in lines.into_iter().filter(|line| !line.trim().is_empty()) {
            let (key, value) =
                line.split_once('=').ok_or_else(|| bad(format!("{line:?} is not KEY=VALUE")))?;
            if seen.iter().any(|(other, _)| *other == key) {
                return Err(bad(format!("{key} is there twice")));
            }
            seen.push((key, value));
            match key {
                "SWITCH_SLOT_ON_REBOOT" => headers.switch_slot = flag(key, value)?,
                "RUN_POST_INSTALL" => headers.run_postinstall = flag(key, value)?,
                "POWERWASH" => headers.powerwash = flag(key, value)?,
                "AUTHORIZATION" => headers.authorization = Some(value.to_owned()),
                "USER_AGENT" => headers.user_agent = Some(value.to_owned()),
                "FILE_SIZE" => {
                    let size = value.trim().parse();
                    headers.file_size =
                        Some(size.map_err(|_| bad(format!("FILE_SIZE={value:?} is no number")))?);
                }
                _ => {}
            }
        }
        if seen.iter().any(|(key, _)| *key != "FILE_SIZE" && PROPERTIES.contains(key)) {
            let told = seen.iter().filter(|(key, _)| PROPERTIES.contains(key));
            let lines: Vec<String> = told.map(|(key, value)| format!("{key}={value}")).collect();
            let text = lines.join("\n");
            headers.properties = Some(Properties::parse(&text)?);
        }
        Ok(headers)
    }
}

fn bad(problem: String) -> Error {
    updraft_payload::Error::Properties(problem).into()
}

fn flag(key: &str, value: &str) -> Result<bool> {
    match value.trim() {
        "0" | "false" => Ok(false),
        "1" | "true" => Ok(true),
        _ => Err(bad(format!("{key}={value:?} is neither 0 nor 1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn headers_are_those_of_update_engine() {
        let lines = "FILE_HASH=EgTYgwQHRHfppfPaEfc7QqThOWhSEnPsAJoBj/ZmE1s=\nFILE_SIZE=2658\n\
                     METADATA_HASH=KxKZuEYXj/AUY3Xj56xN/PqdCvzjH8QJHMUVlvJX8mE=\nMETADATA_SIZE=281\n\
                     SWITCH_SLOT_ON_REBOOT=0\nNETWORK_ID=5\nUSER_AGENT=a=b\n";
        let headers = Headers::parse(lines.lines()).unwrap();
        assert_eq!(headers.properties.unwrap().metadata_size, 281);
        assert!(!headers.switch_slot && headers.run_postinstall && !headers.powerwash);
        assert_eq!(headers.user_agent.as_deref(), Some("a=b"));
        for (lines, words) in [
            ("FILE_SIZE", "is not KEY=VALUE"),
            ("POWERWASH=1\nPOWERWASH=1", "is there twice"),
            ("POWERWASH=yes", "neither 0 nor 1"),
            ("FILE_SIZE=x", "no number"),
            ("FILE_HASH=x", "FILE_HASH"),
            ("METADATA_SIZE=281", "there is no FILE_HASH"),
        ] {
            let said = Headers::parse(lines.lines()).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(Headers::parse(["FILE_SIZE=7"]).unwrap().properties, None);
    }
}
