//! From C's pointers to references and text, and back.

use std::ffi::{CStr, c_char};

use crate::error::Failure;

/// What a pointer points to.
///
/// # Safety
/// The pointer is null, or came from [`give`] for the same type and was not freed.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: by the contract above it is null or points to a live `T`; nobody else changes one,
    // for the library hands out no mutable reference but through `reference_mut`.
    unsafe { pointer.as_ref() }.ok_or_else(|| format!("{what} is null"))
}

/// What a pointer points to, to be changed.
///
/// # Safety
/// As for [`reference`], and no other thread uses it.
pub(crate) unsafe fn reference_mut<'a, T>(
    pointer: *mut T,
    what: &str,
) -> Result<&'a mut T, Failure> {
    // SAFETY: by the contract above it is null or points to a live `T` that nobody else uses.
    unsafe { pointer.as_mut() }.ok_or_else(|| format!("{what} is null"))
}

/// The text that a pointer points to.
///
/// # Safety
/// The pointer is null, or points to a null-terminated text that stays as it is meanwhile.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(format!("{what} is null"));
    }
    // SAFETY: it is not null, and null-terminated by the contract above.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| format!("{what} is not UTF-8"))
}

/// Hands a value to C.
pub(crate) fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes a value back and drops it; null is fine.
///
/// # Safety
/// The pointer is null, or came from [`give`] for the same type and was not freed.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: it came from `Box::into_raw` in `give`, and is given back once, by the contract.
        drop(unsafe { Box::from_raw(pointer) });
    }
}
