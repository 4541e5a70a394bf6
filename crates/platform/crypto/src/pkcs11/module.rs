//! Loading a module, and finding the token that a URI means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as TokenError, RvError};
use cryptoki::object::{Attribute as Wanted, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use updraft_error::Kind;

use super::uri::{Attribute, TokenUri};
use crate::Error;

/// Modules are initialised once in a process and stay: a second context would share the first
/// one's state, and take it away when it ends.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// Whether the PIN is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// It must be, where the token asks for one.
    Needed,
    /// Not when there is none: certificates are mostly public.
    Optional,
}

/// A session with the one token that the URI means.
pub(crate) fn open(uri: &TokenUri, login: Login) -> Result<Session, Error> {
    let module = load(&uri.module())?;
    let failed = failed_at(format!("find the token of {uri}"));
    if !library_fits(uri, &module).map_err(&failed)? {
        return Err(not_found(uri, "the module is another one"));
    }
    let mut found = None;
    for slot in module.get_slots_with_initialized_token().map_err(&failed)? {
        if !slot_fits(uri, &module, slot).map_err(&failed)? {
            continue;
        }
        if found.replace(slot).is_some() {
            return Err(ambiguous(uri, "several tokens"));
        }
    }
    let slot = found.ok_or_else(|| not_found(uri, "no such token is there"))?;
    let failed = failed_at(format!("open the token of {uri}"));
    let session = module.open_ro_session(slot).map_err(&failed)?;
    let token = module.get_token_info(slot).map_err(&failed)?;
    let pin = uri.pin()?;
    match pin {
        Some(pin) if token.login_required() => {
            match session.login(UserType::User, Some(&AuthPin::from(pin))) {
                // Another session of this process is: it holds for all.
                Ok(()) | Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        None if login == Login::Needed
            && token.login_required()
            && token.protected_authentication_path() =>
        {
            // The token has a keypad of its own.
            session.login(UserType::User, None).map_err(failed)?;
        }
        _ => {}
    }
    Ok(session)
}

fn load(path: &Path) -> Result<Pkcs11, Error> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let failed = failed_at(format!("load the PKCS#11 module {}", path.display()));
    let module = Pkcs11::new(path).map_err(&failed)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(TokenError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn is(uri: &TokenUri, attribute: Attribute, value: &str) -> bool {
    uri.get(attribute).is_none_or(|wanted| wanted == value.as_bytes())
}

fn library_fits(uri: &TokenUri, module: &Pkcs11) -> Result<bool, TokenError> {
    let info = module.get_library_info()?;
    let version = info.library_version();
    let version = format!("{}.{}", version.major(), version.minor());
    Ok(is(uri, Attribute::LibraryManufacturer, info.manufacturer_id())
        && is(uri, Attribute::LibraryDescription, info.library_description())
        && is(uri, Attribute::LibraryVersion, &version))
}

fn slot_fits(uri: &TokenUri, module: &Pkcs11, slot: Slot) -> Result<bool, TokenError> {
    let (token, info) = (module.get_token_info(slot)?, module.get_slot_info(slot)?);
    Ok(is(uri, Attribute::Token, token.label())
        && is(uri, Attribute::Manufacturer, token.manufacturer_id())
        && is(uri, Attribute::Serial, token.serial_number())
        && is(uri, Attribute::Model, token.model())
        && is(uri, Attribute::SlotManufacturer, info.manufacturer_id())
        && is(uri, Attribute::SlotDescription, info.slot_description())
        && is(uri, Attribute::SlotId, &slot.id().to_string()))
}

/// What the URI says of an object of this class, for a search. `None` when it means another class.
pub(crate) fn template(uri: &TokenUri, class: ObjectClass) -> Option<Vec<Wanted>> {
    let class_name: &[u8] = match class {
        ObjectClass::PRIVATE_KEY => b"private",
        ObjectClass::PUBLIC_KEY => b"public",
        _ => b"cert",
    };
    if uri.get(Attribute::Type).is_some_and(|wanted| wanted != class_name) {
        return None;
    }
    let mut wanted = vec![Wanted::Class(class)];
    wanted.extend(uri.get(Attribute::Object).map(|label| Wanted::Label(label.to_vec())));
    wanted.extend(uri.get(Attribute::Id).map(|id| Wanted::Id(id.to_vec())));
    Some(wanted)
}

/// What a token said, told as an error of `operation`.
pub(crate) fn failed_at(operation: String) -> impl Fn(TokenError) -> Error {
    move |error| {
        let kind = match &error {
            TokenError::Pkcs11(
                RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
                | RvError::UserNotLoggedIn,
                _,
            ) => Kind::Rejected,
            TokenError::LibraryLoading(_) => Kind::NotFound,
            _ => Kind::Unavailable,
        };
        Error::Token { operation: operation.clone(), problem: error.to_string(), kind }
    }
}

pub(crate) fn not_found(uri: &TokenUri, problem: &str) -> Error {
    let operation = format!("find {uri}");
    Error::Token { operation, problem: problem.to_owned(), kind: Kind::NotFound }
}

pub(crate) fn ambiguous(uri: &TokenUri, what: &str) -> Error {
    let problem = format!("it means {what}: say more of the one that is meant");
    Error::Token { operation: format!("find {uri}"), problem, kind: Kind::Invalid }
}
