//! Being a helper: the only place where a token's module is loaded.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use updraft_error::{Classify as _, Kind};

use super::protocol::{Answer, Request, Secret, key_type_name};
use crate::Error;
use crate::pkcs11::{TokenKey, TokenUri, certificates_pem};

/// Keys that are kept open at a time; a device has two.
const MAX_KEYS: usize = 16;

/// Answers requests until the other side hangs up.
///
/// # Errors
/// When the stream breaks, or holds something that is no request.
pub fn serve(channel: &mut (impl Read + Write)) -> io::Result<()> {
    let mut keys = Keys::default();
    let served = keys.serve(channel);
    keys.close();
    served
}

fn told(error: &Error) -> Answer {
    let kind = error.kind().label().to_owned();
    match error {
        Error::Token { operation, problem, .. } => {
            Answer::Failed { operation: operation.clone(), problem: problem.clone(), kind }
        }
        other => {
            let operation = "use a token".to_owned();
            Answer::Failed { operation, problem: other.to_string(), kind }
        }
    }
}

/// Open keys by their URIs.
#[derive(Default)]
struct Keys(BTreeMap<String, TokenKey>);

impl Keys {
    fn serve(&mut self, channel: &mut (impl Read + Write)) -> io::Result<()> {
        while let Some(request) = Request::read(channel)? {
            let answer = self.answer(&request).unwrap_or_else(|error| told(&error));
            answer.write(channel)?;
        }
        Ok(())
    }

    /// Leaves the tokens as if nobody had used them.
    fn close(&mut self) {
        for key in std::mem::take(&mut self.0).into_values() {
            key.log_out();
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Answer, Error> {
        match request {
            Request::Describe { uri } => {
                let key = self.open(uri)?;
                Ok(Answer::Key {
                    key_type: key_type_name(key.public().key_type()).to_owned(),
                    public: hex::encode(key.public().as_bytes()),
                    spki: hex::encode(key.spki_der()),
                })
            }
            Request::Certificates { uri } => {
                Ok(Answer::Certificates { pem: certificates_pem(&uri.parse::<TokenUri>()?)? })
            }
            Request::Sign { uri, scheme, message } => {
                let message =
                    hex::decode(message).map_err(|error| Error::malformed("message", error))?;
                let signed = self.with(uri, |key| key.sign_with(*scheme, &message))?;
                Ok(Answer::Signature { bytes: hex::encode(signed) })
            }
            Request::Open { uri, wrapped } => {
                let wrapped =
                    hex::decode(wrapped).map_err(|error| Error::malformed("message", error))?;
                let opened = self.with(uri, |key| key.open_wrapped(&wrapped))?;
                Ok(Answer::Opened { key: opened.map(|key| Secret::of(&key)) })
            }
        }
    }

    fn with<T>(
        &mut self,
        uri: &str,
        work: impl Fn(&TokenKey) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = work(&self.open(uri)?);
        if !done.as_ref().is_err_and(|error| error.kind() == Kind::Unavailable) {
            return done;
        }
        // The token was taken out and put back; or it is a small one, such as a TPM without a
        // resource manager, and has no room for two keys at a time.
        self.close();
        work(&self.open(uri)?)
    }

    fn open(&mut self, uri: &str) -> Result<TokenKey, Error> {
        if let Some(key) = self.0.get(uri) {
            return Ok(key.clone());
        }
        let key = TokenKey::open(&uri.parse::<TokenUri>()?)?;
        if self.0.len() >= MAX_KEYS {
            self.0.pop_first();
        }
        self.0.insert(uri.to_owned(), key.clone());
        Ok(key)
    }
}
