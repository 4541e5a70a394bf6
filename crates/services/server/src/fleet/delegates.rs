//! Operators who publish for one delegated role: they upload what that role signs, and nothing
//! that the delegation does not allow.
//!
//! A device would not believe the role about other targets anyway. Refusing them here keeps what
//! nobody can install out of the repository, and says so to the one who made the mistake.

use updraft_api::{ImageChange, NewRelease, Scope};
use updraft_publish::ImageRepository;
use updraft_tuf::{Dialect, Envelope, Payload as _, RoleName, Targets};

use super::Fleet;
use super::image::Upload;
use super::operators::Operator;
use crate::error::{Error, Result, chain};

impl Operator {
    /// Refuses what is beyond the role to which the operator is limited; `what` is what was to be
    /// done. Without such a role the scope `publish` decides.
    pub fn require_role(&self, role: &str, what: &str) -> Result<()> {
        match &self.role {
            None => self.require(Scope::Publish),
            Some(own) if own == role && self.allows(Scope::Publish) => Ok(()),
            Some(_) => Err(self.limited(what)),
        }
    }

    /// Refuses a change of more than the role to which the operator is limited.
    pub fn require_change(&self, change: &ImageChange) -> Result<()> {
        let Some(role) = &self.role else { return self.require(Scope::Publish) };
        let what = "publish for others";
        let tuf = change.tuf.iter();
        let others = change.root.is_some()
            || change.targets.is_some()
            || tuf.clone().any(|tuf| tuf.root.is_some() || tuf.targets.is_some());
        if others {
            return Err(self.limited(what));
        }
        let names = change.delegations.keys();
        let mut names = names.chain(tuf.flat_map(|tuf| tuf.delegations.keys())).peekable();
        if names.peek().is_none() {
            return Err(self.limited(what));
        }
        names.try_for_each(|name| self.require_role(name, what))?;
        self.require_role(role, what)
    }

    /// Refuses to move a branch of others: those of a role begin with its name.
    pub fn require_branch(&self, branch: &str) -> Result<()> {
        let Some(role) = &self.role else { return self.require(Scope::Publish) };
        let rest = branch.strip_prefix(role.as_str());
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return self.require_role(role, "move a branch");
        }
        Err(self.limited(&format!("move a branch that is not `{role}` or `{role}/…`")))
    }

    /// Lets operators upload what nobody sees before signed targets name it.
    pub fn require_upload(&self) -> Result<()> {
        match &self.role {
            None => self.require(Scope::Publish),
            Some(role) => self.require_role(role, "upload"),
        }
    }

    pub(super) fn limited(&self, what: &str) -> Error {
        Error::Rejected {
            code: "insufficient_scope",
            what: "the token",
            reason: format!(
                "token {} is limited to the role {} and may not {what}",
                self.name,
                self.role.as_deref().unwrap_or_default()
            ),
        }
    }
}

impl Fleet {
    /// Refuses an operator's files that list what the delegation of its role does not allow.
    pub(super) fn check_delegate(
        &self,
        operator: &Operator,
        files: &[(Upload<'_>, &[u8])],
    ) -> Result<()> {
        let Some(own) = &operator.role else { return Ok(()) };
        for (upload, bytes) in files {
            let Upload::Delegated(name) = upload else {
                return Err(operator.limited("publish for others"));
            };
            operator.require_role(name, "publish for others")?;
            let image = self.image_targets()?;
            let malformed = |error: &dyn std::fmt::Display| {
                Error::invalid("the delegated targets", error.to_string())
            };
            let envelope = Envelope::parse(Dialect::Uptane, bytes, bytes.len())
                .map_err(|error| malformed(&error))?;
            let targets = Targets::from_value(Dialect::Uptane, envelope.signed)
                .map_err(|error| malformed(&error))?;
            if targets.delegations.is_some() {
                return Err(operator.limited("delegate further"));
            }
            for (path, target) in &targets.targets {
                check_target(&image, own, path, target)?;
            }
        }
        Ok(())
    }

    /// Refuses content for a target that is not the operator's: one that is listed is to be listed
    /// by its role, one that will be is to be in its reach.
    pub fn check_content(&self, operator: &Operator, path: &str) -> Result<()> {
        let Some(role) = &operator.role else { return operator.require(Scope::Publish) };
        operator.require_role(role, "upload")?;
        let image = self.image_targets()?;
        match image.find_target(path) {
            Some((RoleName::Delegated(listing), _)) if listing == *role => Ok(()),
            Some(_) => Err(operator.limited("upload targets of others")),
            None => reach(&image, role, path),
        }
    }

    /// Refuses a release of targets that the operator's role does not list.
    pub fn check_release(&self, operator: &Operator, new: &NewRelease) -> Result<()> {
        let Some(role) = &operator.role else { return operator.require(Scope::Publish) };
        operator.require_role(role, "make releases")?;
        let image = self.image_targets()?;
        let is_own = |path: &str| {
            let found = image.find_target(path).map(|(role, _)| role);
            found == Some(RoleName::Delegated(role.clone()))
        };
        if new.targets.iter().all(|target| is_own(&target.filepath)) {
            return Ok(());
        }
        Err(operator.limited("release targets of others"))
    }
}

fn check_target(
    image: &ImageRepository,
    role: &str,
    path: &str,
    target: &updraft_tuf::Target,
) -> Result<()> {
    reach(image, role, path)?;
    let delegation = image.delegations().and_then(|all| all.roles.iter().find(|r| r.name == role));
    let Some(allowed) = delegation.and_then(|role| role.hardware_ids.as_ref()) else {
        return Ok(());
    };
    let listed = target.custom_field("hardwareIds").and_then(|ids| ids.as_array());
    let mut listed = listed.into_iter().flatten().filter_map(|id| id.as_str()).peekable();
    if listed.peek().is_some() && listed.all(|id| allowed.iter().any(|other| other == id)) {
        return Ok(());
    }
    let reason = format!("{path} is for other hardware than {}", allowed.join(", "));
    Err(Error::Rejected { code: "delegation_exceeded", what: "the delegated targets", reason })
}

fn reach(image: &ImageRepository, role: &str, path: &str) -> Result<()> {
    image.check_reach(role, path).map_err(|error| Error::Rejected {
        code: "delegation_exceeded",
        what: "the target",
        reason: chain(&error),
    })
}
