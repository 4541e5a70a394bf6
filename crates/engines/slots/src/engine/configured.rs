//! An update that an [`UpdateConfig`] names: where its payload is read from, and what is asked for.

use std::io::Read as _;

use updraft_http::{Client, ClientOptions};
use updraft_task::Context;

use super::preflight::Obstacle;
use super::{Engine, Headers, HttpSource, UpdateRequest};
use crate::update_config::{ByteRange, InstallType, UpdateConfig};
use crate::{Error, FileSource, Result, Source};

/// The properties' name in an OTA package.
const PROPERTIES: &str = "payload_properties.txt";
/// Longest properties that are read, in bytes.
const MAX_PROPERTIES: u64 = 64 << 10;

/// An update that is ready to be applied.
pub type ConfiguredUpdate = (Box<dyn Source + Send>, UpdateRequest);

impl Engine {
    /// The payload of a configuration, and the request to apply it, with the properties that its
    /// package has. Where those come from nobody knows: they are looked at beside the signature by
    /// one of the device's keys, and never in its place.
    ///
    /// # Errors
    /// When the device has no keys, or the package cannot be read.
    pub fn configured(
        &self,
        context: &Context,
        options: &ClientOptions,
        config: &UpdateConfig,
    ) -> Result<ConfiguredUpdate> {
        if self.config.keys.is_empty() {
            let problem = "nobody vouches for the payload: slots.toml names no keys";
            let way_out = "name `keys` in slots.toml: a configuration's properties are no proof";
            return Err(Error::Refused(vec![Obstacle::new(18, problem, way_out)]));
        }
        let (source, properties) = match &config.install {
            InstallType::Streaming { payload, properties } => {
                self.streamed(context, options, config, *payload, *properties)?
            }
            InstallType::NonStreaming { path } => {
                let properties = FileSource::open_entry(path, PROPERTIES)?;
                let properties = properties.map(|mut file| text(&mut file)).transpose()?;
                let source: Box<dyn Source + Send> = Box::new(FileSource::open(path)?);
                (source, properties.unwrap_or_default())
            }
        };
        let mut headers = Headers::parse(properties.lines())?;
        headers.switch_slot &= config.force_switch_slot;
        let origin = without_password(&config.url);
        Ok((source, UpdateRequest { origin, headers, image: None }))
    }

    fn streamed(
        &self,
        context: &Context,
        options: &ClientOptions,
        config: &UpdateConfig,
        payload: ByteRange,
        properties: ByteRange,
    ) -> Result<(Box<dyn Source + Send>, String)> {
        let mut options = options.clone();
        if let Some(authorization) = &config.authorization {
            options.headers.push(("Authorization".to_owned(), authorization.clone()));
        }
        let client = Client::new(&options)
            .map_err(|error| Error::read("the payload")(std::io::Error::other(error)))?;
        let at = |context: Context, range: ByteRange| {
            let (offset, size) = (range.offset, Some(range.size));
            HttpSource::new(context, client.clone(), &config.url, offset, size)
        };
        let properties = text(&mut at(context.clone(), properties))?;
        Ok((Box::new(at(self.attended(context), payload)), properties))
    }
}

fn text(source: &mut dyn Source) -> Result<String> {
    let mut text = String::new();
    let mut reader = source.open(0)?.take(MAX_PROPERTIES);
    reader.read_to_string(&mut text).map_err(Error::read("the properties"))?;
    Ok(text)
}

/// An address without user name and password, for people.
#[must_use]
pub fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn an_origin_has_no_password() {
        for (address, shown) in [
            ("https://me:secret@host:1/a?b", "https://host:1/a?b"),
            ("https://host/a@b", "https://host/a@b"),
            ("file:///a", "file:///a"),
            ("a.bin", "a.bin"),
        ] {
            assert_eq!(without_password(address), shown);
        }
    }
}
