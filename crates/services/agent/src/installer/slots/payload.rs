//! A target's payload: what its signed description says, and where its bytes are.

use updraft_error::Kind;
use updraft_payload::DescribedPayload;
use updraft_payload::described::{DescribedDelta, properties_of};
use updraft_slots::{
    Engine, FileSource, Headers, HttpSource, Result, SlotImage, Source, UpdateRequest,
};
use updraft_task::Context;
use updraft_tuf::UptaneTarget;
use updraft_update::{Digest, StepError};

use super::super::digest_of;
use super::super::file::{address_of, address_of_name};
use crate::medium::Medium;
use crate::session::Session;

/// The member of a target's `custom`.
const CUSTOM: &str = "payload";

/// A payload that a target describes.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    target: &'a UptaneTarget,
    described: DescribedPayload,
}

/// A payload in a file that is a target.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The target's name.
    pub(super) name: &'a str,
    /// The target, unless it is one that another names.
    target: Option<&'a UptaneTarget>,
    digest: Digest,
    offset: u64,
    headers: Headers,
    size: u64,
}

impl<'a> Payload<'a> {
    /// What the target says of its payload, as the Image repository's keys have signed it.
    pub(super) fn of(target: &'a UptaneTarget) -> std::result::Result<Self, StepError> {
        let name = &target.filepath;
        let refused = |kind, problem: &str| {
            StepError::message(kind, format!("use {name} for a slot: {problem}"))
        };
        if target.encrypted.is_some() {
            return Err(refused(Kind::Unsupported, "it is encrypted, and payloads are streamed"));
        }
        let described = target.custom.as_ref().and_then(|custom| custom.get(CUSTOM));
        let described = described.ok_or_else(|| {
            refused(
                Kind::Unsupported,
                "its custom data describes no payload; publish it with `updraft release create \
                 --payload`",
            )
        })?;
        let described = DescribedPayload::parse(described).map_err(StepError::new)?;
        let properties = properties_of(&described.properties).map_err(StepError::new)?;
        let (offset, size) = (described.offset, properties.file_size);
        if offset.checked_add(size).is_none_or(|end| end > target.length) {
            return Err(refused(Kind::Invalid, "its payload is not within its file"));
        }
        let is_whole = offset == 0 && size == target.length;
        let file_sha256 = hex::encode(properties.file_sha256);
        if is_whole && target.hashes.sha256().is_some_and(|sha256| sha256 != file_sha256) {
            return Err(refused(Kind::Rejected, "its FILE_HASH is not the target's SHA-256"));
        }
        Ok(Self { target, described })
    }

    /// The first delta that leads here from just what runs.
    pub(super) fn fitting_delta(
        &self,
        ctx: &Context,
        engine: &Engine,
    ) -> Result<Option<Place<'_>>> {
        for delta in &self.described.deltas {
            if engine.runs_on(ctx, &delta.from)? {
                return Ok(Place::of_delta(delta));
            }
        }
        Ok(None)
    }

    /// Applies it whole.
    pub(super) fn apply(
        &self,
        ctx: &Context,
        session: &Session,
        engine: &Engine,
        medium: Option<&Medium>,
        image: &SlotImage,
    ) -> std::result::Result<(), StepError> {
        let (headers, size) = headers_of(&self.described.properties).map_err(StepError::new)?;
        let place = Place {
            name: &self.target.filepath,
            target: Some(self.target),
            digest: digest_of(self.target)?,
            offset: self.described.offset,
            headers,
            size,
        };
        place.apply(ctx, session, engine, medium, image).map_err(super::failed)
    }
}

impl<'a> Place<'a> {
    fn of_delta(delta: &'a DescribedDelta) -> Option<Self> {
        let (headers, size) = headers_of(&delta.properties).ok()?;
        let digest = delta.sha256.parse().ok()?;
        Some(Self {
            name: &delta.target,
            target: None,
            digest,
            offset: delta.offset,
            headers,
            size,
        })
    }

    /// Applies it, or goes on with that. Its slot is not started yet.
    pub(super) fn apply(
        &self,
        ctx: &Context,
        session: &Session,
        engine: &Engine,
        medium: Option<&Medium>,
        image: &SlotImage,
    ) -> Result<()> {
        let request = UpdateRequest {
            origin: self.name.to_owned(),
            headers: self.headers.clone(),
            image: Some(image.clone()),
        };
        let mut source = self.source(ctx, session, engine, medium)?;
        engine.apply(ctx, &mut *source, &request).map(drop)
    }

    fn source(
        &self,
        ctx: &Context,
        session: &Session,
        engine: &Engine,
        medium: Option<&Medium>,
    ) -> Result<Box<dyn Source>> {
        if let Some(medium) = medium {
            let file = medium.image(&self.digest).map_err(|error| updraft_slots::Error::Read {
                what: "the file",
                source: std::io::Error::new(std::io::ErrorKind::NotFound, error),
            })?;
            return Ok(Box::new(FileSource::within(file, self.offset, self.size)));
        }
        let url = match self.target {
            Some(target) => address_of(session, target),
            None => address_of_name(session, self.name),
        };
        let (ctx, client) = (engine.attended(ctx), session.gateway.client.clone());
        Ok(Box::new(HttpSource::new(ctx, client, url, self.offset, Some(self.size))))
    }
}

/// What is told of a payload: its slot is not started before the update is activated.
fn headers_of(lines: &std::collections::BTreeMap<String, String>) -> Result<(Headers, u64)> {
    let size = properties_of(lines)?.file_size;
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers = Headers::parse(lines.iter().map(String::as_str))?;
    Ok((Headers { switch_slot: false, ..headers }, size))
}
