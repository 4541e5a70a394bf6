//! What makes an Image repository current: its snapshot and timestamp.

use std::collections::BTreeMap;

use jiff::Timestamp as Time;
use serde_json::Map;
use updraft_tuf::{Dialect, FileMeta, Header, Payload, RoleName, Sign, Snapshot, Timestamp};

use crate::image::verify;
use crate::root::top_level_authority;
use crate::{Draft, Error, Expiries, ImageRepository, SignedFile};

impl ImageRepository {
    /// Makes a new snapshot and timestamp where the present ones do not fit, are signed by keys
    /// that the newest root no longer names, or expire before `renew_before`. Returns whether
    /// anything changed.
    ///
    /// # Errors
    /// [`Error::Absent`] while there are no targets; [`Error::Refused`] when the newest root has
    /// other targets keys than those that signed them; [`Error::NoUsableKey`],
    /// [`Error::Unfinished`] when `keys` are not those of the root.
    pub fn refresh(
        &mut self,
        keys: &[&dyn Sign],
        expiries: Expiries,
        renew_before: Time,
    ) -> Result<bool, Error> {
        let snapshot = self.refresh_snapshot(keys, expiries, renew_before)?;
        Ok(self.refresh_timestamp(keys, expiries, renew_before)? || snapshot)
    }

    /// Leaves out so many versions of the snapshot and timestamp. For a repository that goes on from
    /// an older state of itself: clients may have seen versions that it does not know of, and refuse
    /// every one that is not above (TUF 5.4.3, 5.5.5).
    pub fn leave_out_versions(&mut self, count: u64) {
        let next = next_version(self.snapshot.as_ref()).max(next_version(self.timestamp.as_ref()));
        self.least_version = next.saturating_add(count);
    }

    fn refresh_snapshot(
        &mut self,
        keys: &[&dyn Sign],
        expiries: Expiries,
        renew_before: Time,
    ) -> Result<bool, Error> {
        let targets = self
            .targets
            .as_ref()
            .ok_or_else(|| Error::Absent { what: "targets.json".to_owned() })?;
        let authority = top_level_authority(&self.root, &RoleName::Targets);
        verify(self.dialect, "targets", &targets.bytes, &authority)?;
        let mut meta = BTreeMap::new();
        let version = targets.payload.header.version;
        meta.insert("targets.json".to_owned(), FileMeta::of(version, &targets.bytes));
        if let (Dialect::Uptane, Some(root)) = (self.dialect, self.file("root.json")) {
            // TUF 1.0 took the root out of the snapshot; servers of the Uptane world list it, and
            // tools look it up there. Clients need not, and a root only ever grows older.
            let version = self.root.header.version;
            meta.insert("root.json".to_owned(), FileMeta::of(version, root));
        }
        for (name, file) in &self.delegated {
            // Clients refuse a snapshot that lists a role no more (TUF 5.5.5), so what belongs to
            // a delegation that was taken back stays listed. Nobody asks for it.
            if let Ok(authority) = self.delegated_authority(name) {
                verify(self.dialect, name, &file.bytes, &authority)?;
            }
            let version = file.payload.header.version;
            meta.insert(format!("{name}.json"), FileMeta::of(version, &file.bytes));
        }
        let fits = |file: &SignedFile<Snapshot>| file.payload.meta == meta;
        let mut changed = false;
        if !self.is_current(&RoleName::Snapshot, self.snapshot.as_ref(), renew_before, fits) {
            let version = next_version(self.snapshot.as_ref()).max(self.least_version);
            let header = Header::new(self.dialect, version, expiries.snapshot);
            let snapshot = Snapshot { header, meta, extra: Map::new() };
            self.snapshot = Some(self.sign(&RoleName::Snapshot, snapshot, keys)?);
            changed = true;
        }
        Ok(changed)
    }

    fn refresh_timestamp(
        &mut self,
        keys: &[&dyn Sign],
        expiries: Expiries,
        renew_before: Time,
    ) -> Result<bool, Error> {
        let Some(snapshot) = &self.snapshot else { return Ok(false) };
        let meta = FileMeta::of(snapshot.payload.header.version, &snapshot.bytes);
        let fits = |file: &SignedFile<Timestamp>| file.payload.snapshot == meta;
        if !self.is_current(&RoleName::Timestamp, self.timestamp.as_ref(), renew_before, fits) {
            let version = next_version(self.timestamp.as_ref()).max(self.least_version);
            let header = Header::new(self.dialect, version, expiries.timestamp);
            let timestamp = Timestamp { header, snapshot: meta, extra: Map::new() };
            self.timestamp = Some(self.sign(&RoleName::Timestamp, timestamp, keys)?);
            return Ok(true);
        }
        Ok(false)
    }

    /// Makes the snapshot of a TUF form where it does not fit, and a timestamp of the version that
    /// the timestamp of `leader`, the Uptane form, has: the two become current together.
    ///
    /// # Errors
    /// As [`ImageRepository::refresh`].
    pub fn refresh_beside(
        &mut self,
        leader: &Self,
        keys: &[&dyn Sign],
        expiries: Expiries,
        renew_before: Time,
    ) -> Result<(), Error> {
        self.refresh_snapshot(keys, expiries, renew_before)?;
        let (Some(snapshot), Some(leader)) = (&self.snapshot, &leader.timestamp) else {
            return Ok(());
        };
        let version = leader.payload.header.version;
        let header = Header::new(self.dialect, version, expiries.timestamp);
        let meta = FileMeta::of(snapshot.payload.header.version, &snapshot.bytes);
        let timestamp = Timestamp { header, snapshot: meta, extra: Map::new() };
        self.timestamp = Some(self.sign(&RoleName::Timestamp, timestamp, keys)?);
        Ok(())
    }

    fn is_current<P: Payload>(
        &self,
        role: &RoleName,
        file: Option<&SignedFile<P>>,
        renew_before: Time,
        fits: impl FnOnce(&SignedFile<P>) -> bool,
    ) -> bool {
        let Some(file) = file else { return false };
        let authority = top_level_authority(&self.root, role);
        let signed_by_root = verify(self.dialect, role.as_str(), &file.bytes, &authority).is_ok();
        signed_by_root && fits(file) && file.payload.header().expires >= renew_before
    }

    fn sign<P: Payload>(
        &self,
        role: &RoleName,
        payload: P,
        keys: &[&dyn Sign],
    ) -> Result<SignedFile<P>, Error> {
        let authorities = vec![top_level_authority(&self.root, role)];
        let signed = payload.to_value(self.dialect);
        let mut draft = Draft::new(self.dialect, role.clone(), signed, authorities, Vec::new());
        draft.sign(keys)?;
        Ok(SignedFile { payload, bytes: draft.finish()? })
    }
}

fn next_version<P: Payload>(file: Option<&SignedFile<P>>) -> u64 {
    file.map_or(1, |file| file.payload.header().version.saturating_add(1))
}
