//! How virtual Uptane devices become known: with the credentials that a fleet shares, once; what
//! comes of it is kept in a file, one device a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use updraft_crypto::tls::certificate_request;
use updraft_crypto::{Identity, KeyAlgorithm, SigningKey, pkcs12};
use updraft_error::Kind as ErrorKind;
use updraft_terminal::{Failure, Result, ResultExt as _};
use updraft_tuf::Dialect;
use zip::ZipArchive;

use super::{Registered, Shared, public};
use crate::link::{Ask, Trouble};
use crate::tally::Kind;
use crate::tls;

/// The largest member of a credentials file, in bytes.
const MAX_MEMBER: u64 = 1 << 20;

/// What a credentials file gives.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// What may register devices, and nothing else.
    pub(crate) bootstrap: Identity,
    /// Whom devices trust.
    pub(crate) ca_pem: String,
    /// The gateway's address.
    pub(crate) url: Option<String>,
}

/// A device that the server knows, as it stands in the state file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    serial: String,
    hardware: String,
    certificate: String,
    private_key: String,
    ecu_key: String,
}

/// A device that the server knows.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(super) serial: String,
    pub(super) identity: Identity,
    pub(super) ecu_key_pem: String,
    pub(super) ca_pem: String,
}

/// The devices that the server knows, and the file that keeps them.
#[derive(Debug)]
pub(crate) struct State {
    known: BTreeMap<String, Line>,
    file: Option<Mutex<File>>,
}

impl Credentials {
    /// Reads what `updraft-server credentials` wrote.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let failed = || format!("failed to read the credentials file `{}`", path.display());
        let file = File::open(path).with_context(failed)?;
        let mut archive = ZipArchive::new(file)
            .map_err(|error| Failure::of(ErrorKind::Invalid, error).context(failed()))?;
        let mut member = |name: &str| -> Result<Option<Vec<u8>>> {
            let found = match archive.by_name(name) {
                Ok(found) => found,
                Err(zip::result::ZipError::FileNotFound) => return Ok(None),
                Err(error) => return Err(Failure::of(ErrorKind::Invalid, error)),
            };
            let mut bytes = Vec::new();
            found.take(MAX_MEMBER).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        };
        let p12 = member("autoprov_credentials.p12")?.ok_or_else(|| {
            Failure::new(ErrorKind::Invalid, "it has no autoprov_credentials.p12")
                .hint("write one with `updraft-server credentials --out FILE --url URL`")
        })?;
        let contents = pkcs12::decode(&p12, "").with_context(failed)?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let ca_pem = member("server_ca.pem")?.and_then(text).or(contents.ca_pem);
        let ca_pem =
            ca_pem.ok_or_else(|| Failure::new(ErrorKind::Invalid, "it names no authority"))?;
        let url = member("autoprov.url")?.and_then(text).map(|url| url.trim().to_owned());
        Ok(Self { bootstrap: contents.identity, ca_pem, url })
    }
}

impl State {
    /// The devices in a file, which is made when there is none; without one, none.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self { known: BTreeMap::new(), file: None }) };
        let failed = || format!("failed to use the state file `{}`", path.display());
        // It has private keys.
        let file = File::options().read(true).append(true).create(true).mode(0o600).open(path);
        let file = file.with_context(failed)?;
        let mut known = BTreeMap::new();
        for line in BufReader::new(file.try_clone().with_context(failed)?).lines() {
            let line = line.with_context(failed)?;
            // The last one may be half a line, of a run that was killed: that device is told of
            // again, under its name.
            let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
            known.insert(line.id.clone(), line);
        }
        Ok(Self { known, file: Some(Mutex::new(file)) })
    }

    /// How many devices are known.
    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }

    fn keep(&self, line: &Line) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text =
            serde_json::to_string(line).map_err(|error| Failure::of(ErrorKind::Bug, error))?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{text}\n").as_bytes())?;
        Ok(())
    }
}

impl Shared {
    /// Makes a device known to the server, if it is not.
    pub(super) async fn introduce(&self, id: &str) -> Result<Registered> {
        if let Some(line) = self.state.known.get(id) {
            return self.registered(self.known(line.clone()));
        }
        let (request, private_key) = certificate_request(id)?;
        let certificate = self.provision(id, &request).await?;
        let ecu_key = SigningKey::generate(KeyAlgorithm::Ed25519)?;
        let line = Line {
            id: id.to_owned(),
            serial: ecu_key.key_id(Dialect::Uptane).to_string(),
            hardware: self.hardware.clone(),
            certificate,
            private_key,
            ecu_key: ecu_key.to_pkcs8_pem()?,
        };
        let mut registered = self.registered(self.known(line.clone()))?;
        let body = json!({
            "primary_ecu_serial": line.serial,
            "ecus": [{
                "ecu_serial": line.serial,
                "hardware_identifier": line.hardware,
                "clientKey": public(&ecu_key),
            }],
        });
        let ask = Ask::send(Method::POST, "/director/ecus", body.to_string().into_bytes());
        let answer = registered.link.ask(Kind::Register, ask).await?;
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
        self.keep(&line)?;
        Ok(registered)
    }

    async fn provision(&self, id: &str, request: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Provisioned {
            certificate: String,
        }
        let roots = tls::roots(&self.credentials.ca_pem)?;
        let bootstrap = Some(&self.credentials.bootstrap);
        let mut link = self.link(tls::connector(&roots, bootstrap, self.handshakes)?);
        let body = json!({ "deviceId": id, "ttl": "7300", "csr": request });
        let ask = Ask::send(Method::POST, "/devices", body.to_string().into_bytes());
        let answer = link.ask(Kind::Provision, ask).await?;
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
        let provisioned: Provisioned = serde_json::from_slice(&answer.body)
            .map_err(|error| Trouble::Answer(error.to_string()))?;
        Ok(provisioned.certificate)
    }

    fn keep(&self, line: &Line) -> Result<()> {
        self.state.keep(line)
    }

    fn known(&self, line: Line) -> Known {
        let identity =
            Identity { certificate_pem: line.certificate, private_key_pem: line.private_key };
        Known {
            serial: line.serial,
            identity,
            ecu_key_pem: line.ecu_key,
            ca_pem: self.credentials.ca_pem.clone(),
        }
    }
}

/// A refusal by its code: a text with the device's name would be another one for each device.
fn refused(answer: &crate::link::Answer) -> Failure {
    #[derive(Deserialize)]
    struct Refusal {
        code: String,
    }
    let code = serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.code);
    let status = answer.status.as_u16();
    let message = format!("HTTP {status} {}", code.unwrap_or_default());
    Failure::new(ErrorKind::Rejected, message)
        .hint("devices of an earlier run are known with its --state, or take another --prefix")
}
