//! The `credentials.zip` of the OTA world, or the `treehub.json` in it: where the servers are, and
//! how to show who we are.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use updraft_error::Kind;
use updraft_http::{Client, ClientOptions, Identity, Method, Request};
use updraft_terminal::{Failure, Result, ResultExt as _};

/// Largest archive that is read, in bytes.
const MAX_ARCHIVE: u64 = 16 << 20;
/// Largest member that is read, in bytes: signed metadata is the largest.
const MAX_MEMBER: u64 = 8 << 20;
/// The most members.
const MAX_MEMBERS: usize = 64;
/// Largest answer of a server that hands out tokens, in bytes.
const MAX_TOKEN: u64 = 64 * 1024;

/// `treehub.json`, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TreehubConfig {
    /// Where the OSTree repository is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ostree: Option<OstreeServer>,
    /// Nobody asks who we are.
    #[serde(default)]
    pub(super) no_auth: bool,
    /// A secret that is exchanged for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) oauth2: Option<OAuth2>,
    /// A password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) basic_auth: Option<BasicAuth>,
}

/// Where the OSTree repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OstreeServer {
    /// The base of its addresses.
    pub(super) server: String,
}

/// Where a secret is exchanged for a token (RFC 6749, 4.4).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OAuth2 {
    /// The address; without `/token` at its end that is added.
    pub(super) server: String,
    /// Who we say we are.
    #[serde(default)]
    pub(super) client_id: String,
    /// The secret.
    #[serde(default)]
    pub(super) client_secret: String,
    /// What the token is to allow.
    #[serde(default)]
    pub(super) scope: String,
}

impl std::fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth2").field("server", &self.server).finish_non_exhaustive()
    }
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BasicAuth {
    /// The name.
    pub(super) user: String,
    /// The password.
    pub(super) password: String,
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Credentials that were read.
#[derive(Debug)]
pub(super) struct Credentials {
    /// What `treehub.json` says.
    pub(super) treehub: TreehubConfig,
    /// The members of the archive, by name; none when a bare `treehub.json` was read.
    members: BTreeMap<String, Vec<u8>>,
}

impl Credentials {
    /// Reads an archive, or a bare `treehub.json`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let failed = || format!("failed to read the credentials `{}`", path.display());
        let bytes = read_file(path).with_context(failed)?;
        let members = match zip::ZipArchive::new(std::io::Cursor::new(&bytes)) {
            Ok(archive) => unpack(archive).with_context(failed)?,
            Err(_) => BTreeMap::new(),
        };
        let treehub = match (members.get("treehub.json"), members.is_empty()) {
            (Some(treehub), _) => treehub.as_slice(),
            (None, true) => bytes.as_slice(),
            (None, false) => {
                return Err(
                    Failure::new(Kind::NotFound, "it has no member treehub.json").context(failed())
                );
            }
        };
        let treehub = serde_json::from_slice(treehub)
            .map_err(|error| Failure::of(Kind::Invalid, error).context(failed()))?;
        Ok(Self { treehub, members })
    }

    /// A member of the archive.
    pub(super) fn member(&self, name: &str) -> Option<&[u8]> {
        self.members.get(name).map(Vec::as_slice)
    }

    /// The members, by name.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Puts another member in place of one, or adds it.
    pub(super) fn set_member(&mut self, name: &str, bytes: Vec<u8>) {
        self.members.insert(name.to_owned(), bytes);
    }

    /// A member that is one line of text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.member(name)?);
        Some(text.trim().to_owned())
    }

    /// The base of the OSTree repository's addresses.
    pub(super) fn ostree_server(&self) -> Result<String> {
        let server = self.treehub.ostree.as_ref().map(|ostree| ostree.server.as_str());
        let server = server.filter(|server| !server.is_empty());
        server.map(|server| server.trim_end_matches('/').to_owned()).ok_or_else(|| {
            Failure::new(Kind::Invalid, "the credentials do not say where the OSTree server is")
                .hint("treehub.json needs {\"ostree\": {\"server\": URL}}")
        })
    }

    /// The base of the reposerver's addresses.
    pub(super) fn repository_server(&self) -> Result<String> {
        let url = self.text("tufrepo.url").filter(|url| !url.is_empty());
        url.map(|url| url.trim_end_matches('/').to_owned()).ok_or_else(|| {
            Failure::new(Kind::NotFound, "the credentials have no member tufrepo.url")
        })
    }

    /// A client that shows who we are. `cacert` replaces the authorities that are trusted.
    pub(super) fn client(&self, cacert: Option<&Path>, user_agent: &str) -> Result<Client> {
        let ca_pem = match cacert {
            Some(path) => Some(
                read_file(path).with_context(|| format!("failed to read `{}`", path.display()))?,
            ),
            None => self.member("server_ca.pem").map(<[u8]>::to_vec),
        };
        let access = Access {
            p12: self.member("client_auth.p12"),
            oauth2: self.treehub.oauth2.as_ref(),
            basic_auth: self.treehub.basic_auth.as_ref(),
        };
        access.client(ca_pem, user_agent)
    }
}

/// How to show who we are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access<'a> {
    /// A certificate with its key, in PKCS#12 without a password. It goes before all others.
    pub(super) p12: Option<&'a [u8]>,
    /// A secret that is exchanged for a token.
    pub(super) oauth2: Option<&'a OAuth2>,
    /// A password.
    pub(super) basic_auth: Option<&'a BasicAuth>,
}

impl Access<'_> {
    /// A client that trusts `ca_pem`, or the system's authorities.
    pub(super) fn client(self, ca_pem: Option<Vec<u8>>, user_agent: &str) -> Result<Client> {
        let mut options = ClientOptions {
            ca_pem,
            user_agent: format!("{user_agent}/{}", env!("CARGO_PKG_VERSION")),
            retries: 3,
            ..ClientOptions::default()
        };
        if let Some(bundle) = self.p12 {
            let contents = updraft_crypto::pkcs12::decode(bundle, "")
                .context("failed to read client_auth.p12")?;
            options.ca_pem = options.ca_pem.or(contents.ca_pem.map(String::into_bytes));
            options.identity = Some(Identity {
                certificate_pem: contents.identity.certificate_pem.into_bytes(),
                private_key_pem: contents.identity.private_key_pem.into_bytes(),
            });
        } else if let Some(oauth2) = self.oauth2 {
            let token = token(&options, oauth2).context("failed to authenticate")?;
            options.bearer_token = Some(token);
        } else if let Some(BasicAuth { user, password }) = self.basic_auth {
            options.headers.push(("Authorization".to_owned(), basic(user, password)));
        }
        Ok(Client::new(&options)?)
    }
}

fn basic(user: &str, password: &str) -> String {
    let pair = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn token(options: &ClientOptions, oauth2: &OAuth2) -> Result<String> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
    }
    // Older files name the server, newer ones the whole address; only these know scopes.
    let is_whole = oauth2.server.ends_with("/token");
    let url = if is_whole { oauth2.server.clone() } else { format!("{}/token", oauth2.server) };
    let mut form = "grant_type=client_credentials".to_owned();
    if is_whole {
        form.push_str("&scope=");
        form.push_str(&updraft_api::paths::encode(&oauth2.scope));
    }
    let request = Request::new(Method::Post, url)
        .header("Authorization", basic(&oauth2.client_id, &oauth2.client_secret))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form.into_bytes());
    let answer = Client::new(options)?.send(request)?.error_for_status()?;
    Ok(answer.json::<Answer>(MAX_TOKEN)?.access_token)
}

/// Reads a file of a size that credentials may have.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_ARCHIVE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_ARCHIVE {
        return Err(Failure::new(Kind::Exhausted, "it is larger than 16 MiB"));
    }
    Ok(bytes)
}

fn unpack(
    mut archive: zip::ZipArchive<std::io::Cursor<&Vec<u8>>>,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let broken = |error: zip::result::ZipError| Failure::of(Kind::Invalid, error);
    if archive.len() > MAX_MEMBERS {
        return Err(Failure::new(Kind::Exhausted, "it has more than 64 members"));
    }
    let mut members = BTreeMap::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(broken)?;
        let name = member.name().map_err(broken)?.into_owned();
        let mut bytes = Vec::new();
        member.take(MAX_MEMBER + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_MEMBER {
            let message = format!("its member {name} is larger than 8 MiB");
            return Err(Failure::new(Kind::Exhausted, message));
        }
        members.insert(name, bytes);
    }
    Ok(members)
}
