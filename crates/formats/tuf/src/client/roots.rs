//! The chain of roots: from the stored one, version by version, to the newest.

use std::cell::RefCell;

use super::FirstRoot;
use super::open::Judge;
use super::repository::{Freshness, Phase, RepositoryClient, Request};
use crate::{
    FormatError, PublicKey, Reason, Refusal, Repository, RoleKeys, RoleName, Root, VerifySignature,
};

impl RepositoryClient {
    /// Begins with the stored root, or asks for the first one where that is allowed.
    pub(super) fn start(&mut self, verifier: &dyn VerifySignature) -> Result<(), Refusal> {
        let judge = self.judge(verifier);
        let refuse = |this: &Self, reason| this.refusal(&RoleName::Root, reason);
        match self.stored.get(&RoleName::Root) {
            Some(bytes) => {
                let root = self_signed(judge, bytes).map_err(|reason| refuse(self, reason))?;
                self.root = Some(root);
                self.phase = Phase::Roots;
            }
            None if self.options.first_root == FirstRoot::TrustOnFirstUse => {
                self.request = Some(self.root_request(1));
            }
            None => return Err(refuse(self, Reason::NoTrustedRoot)),
        }
        Ok(())
    }

    pub(super) fn request_next_root(&mut self) {
        let version = self.root.as_ref().map_or(0, |root| root.header.version);
        self.request = Some(self.root_request(version.saturating_add(1)));
    }

    fn root_request(&self, version: u64) -> Request {
        Request {
            role: RoleName::Root,
            file_name: format!("{version}.root.json"),
            fallbacks: Vec::new(),
            max_length: self.options.limits.root_length,
            meta: None,
            delegator: None,
        }
    }

    /// Steps 5.3.3 to 5.3.9 of the TUF workflow, for one root.
    pub(super) fn accept_root(&mut self, judge: Judge<'_>, bytes: &[u8]) -> Result<(), Reason> {
        let offered = match &self.root {
            Some(trusted) => next_root(judge, trusted, bytes)?,
            None => first_root(judge, bytes)?,
        };
        self.forget_rotated(&offered);
        self.persist(RoleName::Root, bytes);
        self.root = Some(offered);
        self.phase = Phase::Roots;
        self.rotations = self.rotations.saturating_add(1);
        if self.rotations >= self.options.limits.root_rotations {
            // The rest of the chain is for the next run.
            self.finish_with_root(judge)?;
        }
        Ok(())
    }

    /// Step 5.3.11: when timestamp or snapshot keys change, both files go.
    ///
    /// They go before the new root is stored. In the other order a crash in between would leave
    /// files whose removal nothing would ask for again.
    fn forget_rotated(&mut self, offered: &Root) {
        let Some(trusted) = &self.root else { return };
        let rotated = [RoleName::Timestamp, RoleName::Snapshot]
            .iter()
            .any(|role| trusted.role_material(role) != offered.role_material(role));
        if rotated {
            self.delete(RoleName::Timestamp);
            self.delete(RoleName::Snapshot);
        }
    }

    /// There is no newer root: step 5.3.10.
    pub(super) fn finish_roots(&mut self, verifier: &dyn VerifySignature) -> Result<(), Refusal> {
        let judge = self.judge(verifier);
        self.finish_with_root(judge).map_err(|reason| self.refusal(&RoleName::Root, reason))
    }

    fn finish_with_root(&mut self, judge: Judge<'_>) -> Result<(), Reason> {
        judge.check_expiry(&self.trusted_root()?.header)?;
        self.phase = match (self.freshness, self.repository) {
            (Freshness::Medium, Repository::Director) => Phase::OfflineSnapshot,
            (Freshness::Medium, Repository::Image) => Phase::Snapshot,
            (Freshness::Timestamp, _) if self.has_snapshot() => Phase::Timestamp,
            (Freshness::Timestamp, _) => Phase::Targets,
        };
        Ok(())
    }
}

/// Reads a root that its own keys sign.
pub(super) fn self_signed(judge: Judge<'_>, bytes: &[u8]) -> Result<Root, Reason> {
    let (root, signed) = judge.read::<Root>(bytes)?;
    judge.check_signatures(&signed, &root.keys, own_keys(&root)?)?;
    Ok(root)
}

fn own_keys(root: &Root) -> Result<&RoleKeys, Reason> {
    Ok(root.role(&RoleName::Root).ok_or_else(|| FormatError::missing("roles.root"))?)
}

fn first_root(judge: Judge<'_>, bytes: &[u8]) -> Result<Root, Reason> {
    let root = self_signed(judge, bytes)?;
    if root.header.version == 1 {
        Ok(root)
    } else {
        Err(Reason::RootVersion { expected: 1, found: root.header.version })
    }
}

/// A root that follows `trusted`: signed by the old and the new keys, and one version up.
pub(super) fn next_root(judge: Judge<'_>, trusted: &Root, bytes: &[u8]) -> Result<Root, Reason> {
    let (offered, signed) = judge.read::<Root>(bytes)?;
    let once = Once { verifier: judge.verifier, good: RefCell::default() };
    let judge = Judge { verifier: &once, ..judge };
    judge.check_signatures(&signed, &trusted.keys, own_keys(trusted)?)?;
    judge.check_signatures(&signed, &offered.keys, own_keys(&offered)?)?;
    let expected = trusted.header.version.saturating_add(1);
    // After the last number there is no next one: the same version again is not newer.
    if offered.header.version != expected || trusted.header.version == expected {
        return Err(Reason::RootVersion { expected, found: offered.header.version });
    }
    Ok(offered)
}

/// Asks once for each key and signature over one message. Most roots are signed by keys that are
/// among the old and the new ones, and of a long chain that is what takes the time.
struct Once<'a> {
    verifier: &'a dyn VerifySignature,
    /// What was found good.
    good: RefCell<Vec<(PublicKey, Vec<u8>)>>,
}

impl VerifySignature for Once<'_> {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let mut good = self.good.borrow_mut();
        if good.iter().any(|(known, bytes)| known == key && bytes == signature) {
            return true;
        }
        let is_good = self.verifier.verify(key, message, signature);
        if is_good {
            good.push((key.clone(), signature.to_vec()));
        }
        is_good
    }
}
