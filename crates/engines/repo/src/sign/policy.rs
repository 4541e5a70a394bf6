//! What a remote demands, and holding commits and summaries against it.

use jiff::tz::TimeZone;
use updraft_openpgp::Keyring;
use updraft_ostree::{KeyFile, Metadata, RemoteName};

use super::gpg::{gpg_reports, remote_keyring, require};
use super::{Error, Places, PublicKeys, SignType, Success, verify_signatures};
use crate::Repo;

/// What a remote's section says about signatures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demands {
    /// Commits must have a good OpenPGP signature (`gpg-verify`, on by default there).
    pub gpg: bool,
    /// The summary must (`gpg-verify-summary`).
    pub gpg_summary: bool,
    /// Commits must have another good signature (`sign-verify`).
    pub sign: Types,
    /// The summary must (`sign-verify-summary`).
    pub sign_summary: Types,
}

/// Of which types one signature has to be good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Types {
    /// None has to.
    #[default]
    None,
    /// Of any type.
    Any,
    /// Of one of these.
    Listed(Vec<SignType>),
}

impl Demands {
    /// Reads a remote's group.
    pub fn read(config: &KeyFile, group: &str) -> Result<Self, Error> {
        let flag = |key: &str, default| {
            let value = config.get_bool(group, key).map_err(crate::Error::from)?;
            Ok::<_, Error>(value.unwrap_or(default))
        };
        Ok(Self {
            gpg: flag("gpg-verify", true)?,
            gpg_summary: flag("gpg-verify-summary", false)?,
            sign: types(config, group, "sign-verify")?,
            sign_summary: types(config, group, "sign-verify-summary")?,
        })
    }
}

/// Either a boolean or a list of types.
fn types(config: &KeyFile, group: &str, key: &str) -> Result<Types, Error> {
    let value = config.get(group, key).unwrap_or_default();
    match value.trim() {
        "" | "false" | "0" => Ok(Types::None),
        "true" | "1" => Ok(Types::Any),
        _ => {
            let names = config.get_list(group, key).unwrap_or_default();
            let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
            let listed: Vec<SignType> = names.map(str::parse).collect::<Result<_, _>>()?;
            // A list of nothing demands something that nobody can give.
            if listed.is_empty() { Err(Error::UnknownType) } else { Ok(Types::Listed(listed)) }
        }
    }
}

/// Demands with all keys loaded. The default demands nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    commit: Checks,
    summary: Checks,
    now: u64,
    zone: Option<TimeZone>,
}

#[derive(Debug, Clone, Default)]
struct Checks {
    gpg: Option<Keyring>,
    sign: Option<Vec<PublicKeys>>,
}

impl Policy {
    /// Loads the keys of a remote.
    pub fn load(
        repo: &Repo,
        places: &Places,
        remote: &RemoteName,
        demands: &Demands,
    ) -> Result<Self, Error> {
        let keyring = if demands.gpg || demands.gpg_summary {
            remote_keyring(repo, places, remote)?
        } else {
            Keyring::new()
        };
        let keys = |types: &Types| remote_keys(repo, places, remote, types);
        Ok(Self {
            commit: Checks {
                gpg: demands.gpg.then(|| keyring.clone()),
                sign: keys(&demands.sign)?,
            },
            summary: Checks {
                gpg: demands.gpg_summary.then_some(keyring),
                sign: keys(&demands.sign_summary)?,
            },
            now: places.now,
            zone: Some(places.zone.clone()),
        })
    }

    /// The same for a repository that others made of the remote's commits: those have to be signed
    /// as before, its summary, which only finds them, does not.
    #[must_use]
    pub fn of_commits(self) -> Self {
        Self { summary: Checks::default(), ..self }
    }

    /// Whether commits have to be verified.
    #[must_use]
    pub fn demands_commit(&self) -> bool {
        self.commit.gpg.is_some() || self.commit.sign.is_some()
    }

    /// Whether the summary has to be verified.
    #[must_use]
    pub fn demands_summary(&self) -> bool {
        self.demands_gpg_summary() || self.summary.sign.is_some()
    }

    /// Whether the summary has to have an OpenPGP signature.
    #[must_use]
    pub fn demands_gpg_summary(&self) -> bool {
        self.summary.gpg.is_some()
    }

    fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }

    /// Holds the bytes of a commit against what is demanded of OpenPGP.
    pub(crate) fn check_gpg(&self, data: &[u8], detached: Option<&Metadata>) -> Result<(), Error> {
        let Some(keyring) = &self.commit.gpg else { return Ok(()) };
        let none = Error::NoGpgSignature { what: "signatures", option: "gpg-verify" };
        let Some(detached) = detached else { return Err(none) };
        match gpg_reports(keyring, data, detached, self.now)? {
            Some(reports) => require(&reports, &self.zone()),
            None => Err(none),
        }
    }

    /// Holds the bytes of a commit against what is demanded of other signatures.
    pub(crate) fn check_sign(&self, data: &[u8], detached: Option<&Metadata>) -> Result<(), Error> {
        let Some(keys) = &self.commit.sign else { return Ok(()) };
        let detached = detached.ok_or(Error::NoDetachedMetadata)?;
        any_good(keys, data, detached).map(drop)
    }

    /// Holds a summary and its signatures against what is demanded.
    pub fn check_summary(
        &self,
        summary: Option<&[u8]>,
        signatures: Option<&[u8]>,
    ) -> Result<(), Error> {
        if !self.demands_summary() {
            return Ok(());
        }
        let missing = |what| Error::NoGpgSignature { what, option: "gpg-verify-summary" };
        let (Some(summary), Some(signatures)) = (summary, signatures) else {
            return Err(match (&self.summary.gpg, summary) {
                (Some(_), None) => missing("summary"),
                (Some(_), Some(_)) => missing("summary.sig"),
                (None, _) => Error::NoSummarySignature,
            });
        };
        // What cannot be understood holds no signatures.
        let signatures = Metadata::decode(signatures).unwrap_or_default();
        if let Some(keyring) = &self.summary.gpg {
            let reports = gpg_reports(keyring, summary, &signatures, self.now)?;
            let none = Error::NoGpgSignature { what: "signatures", option: "gpg-verify" };
            let reports = reports.ok_or(none)?;
            require(&reports, &self.zone())?;
        }
        if let Some(keys) = &self.summary.sign {
            any_good(keys, summary, &signatures)?;
        }
        Ok(())
    }
}

/// One good signature of any of these types.
fn any_good(keys: &[PublicKeys], data: &[u8], metadata: &Metadata) -> Result<Success, Error> {
    let (mut first, mut failed) = (None, 0_usize);
    for keys in keys {
        match verify_signatures(keys, data, metadata) {
            Ok(success) => return Ok(success),
            Err(Error::NoneOfType(_)) => {}
            Err(error) => {
                first.get_or_insert(error);
                failed += 1;
            }
        }
    }
    Err(match first {
        None => Error::NoSignature,
        Some(error) if failed == 1 => error,
        Some(error) => Error::Several { others: failed - 1, source: Box::new(error) },
    })
}

/// The keys of each type. `None` when nothing is demanded.
fn remote_keys(
    repo: &Repo,
    places: &Places,
    remote: &RemoteName,
    types: &Types,
) -> Result<Option<Vec<PublicKeys>>, Error> {
    match types {
        Types::None => Ok(None),
        Types::Any => {
            let kinds = SignType::ALL.into_iter();
            let kinds = kinds.filter(|kind| *kind != SignType::Dummy || places.dummy);
            kinds
                .map(|kind| {
                    let mut keys = configured(repo, remote, kind)?;
                    if keys.is_empty() && kind != SignType::Dummy {
                        match keys.add_system(places) {
                            // Without keys no signature of this type will be good.
                            Ok(()) | Err(Error::NotVerified { .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    Ok(keys)
                })
                .collect::<Result<_, _>>()
                .map(Some)
        }
        Types::Listed(kinds) => {
            let keys = kinds.iter().map(|kind| {
                if *kind == SignType::Dummy && !places.dummy {
                    return Err(Error::OnlyForTests);
                }
                let keys = configured(repo, remote, *kind)?;
                if keys.is_empty() { Err(Error::NoKeys(*kind)) } else { Ok(keys) }
            });
            keys.collect::<Result<_, _>>().map(Some)
        }
    }
}

/// The keys of a type that the remote's section names.
fn configured(repo: &Repo, remote: &RemoteName, kind: SignType) -> Result<PublicKeys, Error> {
    let config = repo.config();
    let group = crate::pull::group_name(remote);
    let text = |key: String| config.key_file().get(&group, &key).filter(|text| !text.is_empty());
    let mut keys = PublicKeys::new(kind);
    if let Some(path) = text(format!("verification-{kind}-file")) {
        keys.add_file(path.as_ref()).map_err(|_| Error::KeyFile { kind, path })?;
    }
    if let Some(key) = text(format!("verification-{kind}-key")) {
        keys.add(&key).map_err(|_| Error::InlineKey(kind))?;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use updraft_ostree::KeyFile;

    use super::{Demands, Types};
    use crate::sign::SignType;

    fn read(section: &str) -> Result<Demands, super::Error> {
        let config = KeyFile::parse(&format!("[g]\n{section}")).unwrap();
        Demands::read(&config, "g")
    }

    #[test]
    fn openpgp_is_demanded_by_default() {
        let demands = read("").unwrap();
        assert!(demands.gpg && !demands.gpg_summary);
        assert_eq!((demands.sign, demands.sign_summary), (Types::None, Types::None));
        assert!(!read("gpg-verify=false\n").unwrap().gpg);
    }

    #[test]
    fn types_are_a_switch_or_a_list() {
        let sign = |value: &str| read(&format!("sign-verify={value}\n")).map(|d| d.sign);
        assert_eq!(sign("true").unwrap(), Types::Any);
        assert_eq!(sign("false").unwrap(), Types::None);
        let both = Types::Listed(vec![SignType::Ed25519, SignType::Spki]);
        assert_eq!(sign("ed25519;spki").unwrap(), both);
        for unknown in ["yes", "rsa", "ed25519;foo", ";"] {
            assert!(sign(unknown).is_err(), "{unknown}");
        }
    }
}
