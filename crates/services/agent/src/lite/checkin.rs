//! What the repository has for this device.

use updraft_http::Method;
use updraft_ostree::{Checksum, ObjectName, ObjectType};
use updraft_repo::Repo;
use updraft_task::Context;
use updraft_tuf::{Reason, RoleName, TufOutcome};

use super::metadata::{self, Files};
use super::selection::{Candidate, Choice, Wish, choose, matching};
use super::work::Work;
use super::{
    Halt, LiteSettings, LiteTarget, OfflineBundle, StatusCode, apps_state, bundle, current, roots,
};
use crate::session::Session;
use crate::{Error, Result};

/// The targets for this device, lowest version first; never empty.
#[derive(Debug)]
pub(super) struct CheckedIn {
    /// `Ok`, or `CheckinOkCached` for stored metadata.
    pub(super) code: StatusCode,
    pub(super) candidates: Vec<Candidate>,
}

impl Work<'_> {
    /// Brings the metadata up to date and looks what there is.
    pub(super) fn check_in(&mut self, bundle: Option<&OfflineBundle>) -> Result<CheckedIn, Halt> {
        self.tell("check-for-update-pre", None, None);
        let checked = self
            .import_roots()
            .and_then(|()| match bundle {
                Some(bundle) => self.offline(bundle),
                None => self.online(),
            })
            .and_then(|(code, outcome)| self.narrow(code, outcome, bundle));
        if let Err(halt) = &checked {
            let result = format!("FAILED: {}", halt.problem);
            self.tell("check-for-update-post", None, Some(&result));
        }
        checked
    }

    /// Looks what there is in the stored metadata.
    pub(super) fn check_in_stored(
        &mut self,
        bundle: Option<&OfflineBundle>,
    ) -> Result<CheckedIn, Halt> {
        let checked = read_stored(self.ctx, self.lite, self.session, bundle)?;
        if let Some(bundle) = bundle {
            self.use_bundle(&bundle.repository());
        }
        Ok(checked)
    }

    /// What to do about a wish.
    pub(super) fn choose(&self, checked: &CheckedIn, wish: &Wish) -> Result<Choice> {
        chosen(self.session, &self.running, checked, wish)
    }

    fn import_roots(&self) -> Result<(), Halt> {
        roots::import(self.ctx, self.lite, self.session)
            .map_err(|error| Halt::with(metadata::code_of(&error, Files::Stored), &error))
    }

    fn online(&self) -> Result<(StatusCode, TufOutcome), Halt> {
        if self.lite.report_device {
            let own = &self.lite.own;
            crate::device_data::send_with(self.ctx, self.session, Method::Put, own)?;
            apps_state::send(self.ctx, self.lite, self.session, &self.running)?;
        }
        match metadata::update(self.ctx, self.session, Files::Server) {
            Ok(outcome) => Ok((StatusCode::Ok, outcome)),
            Err(Error::Cancelled(cancelled)) => Err(cancelled.into()),
            Err(error) => {
                let code = metadata::code_of(&error, Files::Server);
                let stored = metadata::stored(self.ctx, self.session)
                    .map_err(|_| Halt::with(code, &error))?;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the stored metadata is used");
                Ok((StatusCode::CheckinOkCached, stored))
            }
        }
    }

    fn offline(&self, bundle: &OfflineBundle) -> Result<(StatusCode, TufOutcome), Halt> {
        let folder = bundle.metadata();
        let files = Files::Folder(&folder);
        let trusted = self.session.store.trusted_metadata()?.image;
        let (code, mut outcome, trusted, changes) =
            match metadata::preview(self.ctx, self.session, files) {
                Ok((outcome, after, changes)) => (StatusCode::Ok, outcome, after, changes),
                // The device knows newer metadata: that is what counts.
                Err(Error::Refused(refusal))
                    if matches!(refusal.reason, Reason::Rollback { .. }) =>
                {
                    let stored = metadata::stored(self.ctx, self.session)
                        .map_err(|error| Halt::with(metadata::code_of(&error, files), &error))?;
                    tracing::warn!("the bundle's metadata is older than what this device knows");
                    (StatusCode::CheckinOkCached, stored, trusted, Vec::new())
                }
                Err(error) => return Err(Halt::with(metadata::code_of(&error, files), &error)),
            };
        let allowed = bundle::allowed(self.lite, self.session, &folder, &trusted)?;
        for change in &changes {
            metadata::apply(self.session, change)?;
        }
        keep_allowed(&mut outcome, allowed.as_deref());
        Ok((code, outcome))
    }

    /// Only what is for this device, and in the bundle. What runs gets its name by the way.
    fn narrow(
        &mut self,
        code: StatusCode,
        outcome: TufOutcome,
        bundle: Option<&OfflineBundle>,
    ) -> Result<CheckedIn, Halt> {
        let checked = narrow(self.lite, self.session, code, outcome, bundle);
        let candidates = checked.as_ref().map(|checked| checked.candidates.as_slice());
        let named = current::adopt(self.session, &self.running, candidates.unwrap_or_default())?;
        if let Some(named) = named {
            self.running = named;
            current::write(self.session, &self.running)?;
        }
        if let Some(bundle) = bundle {
            self.use_bundle(&bundle.repository());
        }
        checked
    }
}

/// What there is in the stored metadata, for who only reads.
pub(super) fn read_stored(
    ctx: &Context,
    lite: &LiteSettings,
    session: &Session,
    bundle: Option<&OfflineBundle>,
) -> Result<CheckedIn, Halt> {
    let trusted = session.store.trusted_metadata()?.image;
    if trusted.get(&RoleName::Root).is_none() {
        let problem = "nothing is known yet: run `aktualizr-lite check` first";
        return Err(Halt::saying(StatusCode::CheckinSecurityError, problem));
    }
    let mut outcome = metadata::stored(ctx, session)
        .map_err(|error| Halt::with(StatusCode::CheckinSecurityError, &error))?;
    if let Some(bundle) = bundle {
        let allowed = bundle::allowed(lite, session, &bundle.metadata(), &trusted)?;
        keep_allowed(&mut outcome, allowed.as_deref());
    }
    narrow(lite, session, StatusCode::CheckinOkCached, outcome, bundle)
}

/// What to do about a wish.
pub(super) fn chosen(
    session: &Session,
    running: &LiteTarget,
    checked: &CheckedIn,
    wish: &Wish,
) -> Result<Choice> {
    let failures = session.store.failures()?;
    Ok(choose(&checked.candidates, wish, running, |target| {
        failures.iter().any(|one| one.filepath == target.name && one.sha256 == target.sha256)
    }))
}

fn narrow(
    lite: &LiteSettings,
    session: &Session,
    code: StatusCode,
    outcome: TufOutcome,
    bundle: Option<&OfflineBundle>,
) -> Result<CheckedIn, Halt> {
    let hardware_id = &session.ecu.hardware_id;
    let mut candidates = matching(outcome.top_level, hardware_id, &lite.tags);
    if candidates.is_empty() {
        let tags = lite.tags.join(",");
        let problem = format!("no target is for hardware id {hardware_id} and tags {tags:?}");
        return Err(Halt::saying(StatusCode::CheckinNoMatchingTargets, problem));
    }
    if let Some(bundle) = bundle {
        let repo = Repo::open(bundle.repository()).map_err(|error| {
            let error = Error::below("open the bundle's repository")(error);
            Halt::with(StatusCode::CheckinNoTargetContent, &error)
        })?;
        candidates.retain(|one| holds(&repo, &one.target.sha256));
        if candidates.is_empty() {
            return Err(Halt::of(StatusCode::CheckinNoTargetContent));
        }
    }
    Ok(CheckedIn { code, candidates })
}

fn keep_allowed(outcome: &mut TufOutcome, allowed: Option<&[String]>) {
    if let Some(allowed) = allowed {
        outcome.top_level.retain(|name, _| allowed.contains(name));
    }
}

/// Whether a repository has all of a commit, as far as it says so itself; what comes from it is
/// hashed when it comes.
fn holds(repo: &Repo, sha256: &str) -> bool {
    let Ok(checksum) = sha256.parse::<Checksum>() else { return false };
    let name = ObjectName { checksum, object_type: ObjectType::Commit };
    repo.has_object(&name).unwrap_or(false)
        && repo.commit_state(&checksum).is_ok_and(|state| !state.is_partial())
}
