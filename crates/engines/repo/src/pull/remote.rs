//! What a repository's configuration says about a remote.
//!
//! What it demands of signatures comes with it: give [`RemoteConfig::policy`] to the pull.
//! `gpg-verify` is on unless the configuration turns it off, as in libostree.

use std::path::Path;

use updraft_http::{Client, ClientOptions, Identity, TokenIdentity};
use updraft_ostree::{KeyFile, RemoteName};

use super::mirrors::METALINK;
use super::{Error, Source, token};
use crate::Repo;
use crate::sign::{Demands, Places, Policy};

/// `[remote "NAME"]` of a repository's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteConfig {
    /// The name.
    pub name: RemoteName,
    /// Where refs, the summary and the configuration are. `mirrorlist=` or `metalink=` before the
    /// address says that it only leads there.
    pub url: String,
    /// Where objects are, when that is elsewhere. May begin with `mirrorlist=`.
    pub content_url: Option<String>,
    /// What is pulled when no refs are named.
    pub branches: Vec<String>,
    /// The collection its refs belong to.
    pub collection_id: Option<String>,
    /// The proxy to use.
    pub proxy: Option<String>,
    /// The file of the authorities to trust.
    pub tls_ca_path: Option<String>,
    /// Whether any certificate of the server is good.
    pub tls_permissive: bool,
    /// The files of our certificate and its key, or `pkcs11:` URIs of those in a token.
    pub tls_client: Option<(String, String)>,
    /// Which signatures it demands.
    pub demands: Demands,
}

impl RemoteConfig {
    /// Reads the section of `name`. Refuses demands that cannot be met.
    pub fn read(config: &KeyFile, name: &RemoteName) -> Result<Self, Error> {
        let group = group_name(name);
        let text = |key: &str| config.get(&group, key).filter(|value| !value.is_empty());
        if !config.has_group(&group) {
            return Err(crate::Error::NoSuchRemote(name.to_string()).into());
        }
        if let Some(state) = text("unconfigured-state") {
            return Err(Error::Unconfigured { message: state });
        }
        let demands = Demands::read(config, &group)?;
        refuse_other_demands(config, &group, name)?;
        let bad = |what| Error::RemoteConfig { remote: name.to_string(), what };
        let metalink = text("metalink").map(|address| format!("{METALINK}{address}"));
        let url = metalink.or_else(|| text("url")).ok_or_else(|| bad("it has no url"))?;
        let tls_client = match (text("tls-client-cert-path"), text("tls-client-key-path")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(bad("tls-client-cert-path and tls-client-key-path go together")),
        };
        Ok(Self {
            name: name.clone(),
            url,
            content_url: text("contenturl"),
            branches: config.get_list(&group, "branches").unwrap_or_default(),
            collection_id: text("collection-id"),
            proxy: text("proxy"),
            tls_ca_path: text("tls-ca-path"),
            tls_permissive: config.get_bool(&group, "tls-permissive")?.unwrap_or(false),
            tls_client,
            demands,
        })
    }

    /// The options of a client for this remote: `base` with what the section says.
    pub fn client_options(&self, base: &ClientOptions) -> Result<ClientOptions, Error> {
        let mut options = base.clone();
        options.any_certificate = self.tls_permissive;
        if let Some(path) = &self.tls_ca_path {
            options.ca_pem = Some(read_pem(path)?);
        }
        if let Some((certificate, key)) = &self.tls_client {
            let certificate_pem = match token::certificate(certificate)? {
                Some(pem) => pem,
                None => read_pem(certificate)?,
            };
            if let Some(key) = token::key(key)? {
                options.token_identity = Some(TokenIdentity { certificate_pem, key });
            } else {
                let private_key_pem = read_pem(key)?;
                options.identity = Some(Identity { certificate_pem, private_key_pem });
            }
        }
        if self.proxy.is_some() {
            options.proxy.clone_from(&self.proxy);
        }
        Ok(options)
    }
}

impl RemoteConfig {
    /// What a pull from here has to verify, with the remote's keys.
    pub fn policy(&self, repo: &Repo, places: &Places) -> Result<Policy, Error> {
        Ok(Policy::load(repo, places, &self.name, &self.demands)?)
    }

    /// Where to pull from: a web server, or a folder when the address begins with `file:`.
    pub fn source(&self, base: &ClientOptions) -> Result<Source, Error> {
        if let Some(path) = self.url.strip_prefix("file://") {
            return Ok(Source::Local(Repo::open(path)?));
        }
        let client = Client::new(&self.client_options(base)?)?;
        Ok(Source::Http { client, url: self.url.clone() })
    }
}

/// The section of a remote.
pub fn group_name(name: &RemoteName) -> String {
    format!("remote \"{name}\"")
}

fn refuse_other_demands(config: &KeyFile, group: &str, name: &RemoteName) -> Result<(), Error> {
    if let Some(backend) = config.get(group, "custom-backend") {
        return Err(Error::CustomBackend { remote: name.to_string(), backend });
    }
    let pkcs11 = ["tls-client-cert-path", "tls-client-key-path"]
        .iter()
        .any(|key| config.get(group, key).is_some_and(|path| token::is_uri(&path)));
    if pkcs11 && !token::SUPPORTED {
        let hint = "use files for certificate and key, or a build with the feature pkcs11";
        return Err(unsupported(name, "pkcs11: keys", hint));
    }
    Ok(())
}

fn unsupported(name: &RemoteName, demand: &str, hint: &'static str) -> Error {
    Error::Unsupported { remote: name.to_string(), demand: demand.to_owned(), hint }
}

fn read_pem(path: &str) -> Result<Vec<u8>, Error> {
    let path = Path::new(path);
    std::fs::read(path).map_err(|source| updraft_fs::Error::new("read", path, source).into())
}

#[cfg(test)]
mod tests {
    use updraft_error::{Classify, Kind};
    use updraft_ostree::{KeyFile, RemoteName};

    use super::RemoteConfig;

    fn read(section: &str) -> Result<RemoteConfig, super::Error> {
        let text = format!("[core]\nmode=bare\n\n[remote \"origin\"]\n{section}");
        let config = KeyFile::parse(&text).unwrap();
        RemoteConfig::read(&config, &RemoteName::new("origin").unwrap())
    }

    #[test]
    fn demands_of_signatures_are_kept_and_others_refused() {
        assert!(read("url=http://x\n").unwrap().demands.gpg);
        let unchecked = read("url=http://x\ngpg-verify=false\nsign-verify=false\n").unwrap();
        assert_eq!(unchecked.demands, super::Demands::default());
        let section = "url=http://x\ngpg-verify=false\nsign-verify=rot13;\n";
        assert_eq!(read(section).unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn what_is_needed_is_read() {
        let remote = read(
            "url=https://x/repo\ncontenturl=https://y\ngpg-verify=false\nsign-verify=false\n\
             branches=a;b/c;\ntls-ca-path=/ca\n",
        )
        .unwrap();
        assert_eq!(remote.url, "https://x/repo");
        assert_eq!(remote.content_url.as_deref(), Some("https://y"));
        assert_eq!(remote.branches, ["a", "b/c"]);
        assert_eq!(remote.tls_ca_path.as_deref(), Some("/ca"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = read("gpg-verify=false\n").unwrap_err();
        assert!(error.to_string().contains("no url"), "{error}");
        let error = read("gpg-verify=false\nurl=x\ntls-client-cert-path=/a\n").unwrap_err();
        assert!(error.to_string().contains("go together"), "{error}");
        let error = read("gpg-verify=false\nurl=x\nunconfigured-state=buy it\n").unwrap_err();
        assert!(error.to_string().contains("buy it"), "{error}");
        let missing = RemoteConfig::read(&KeyFile::new(), &RemoteName::new("o").unwrap());
        assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
    }
}
