//! The last error of each thread.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};

use heirloom::{ConvertError, Error, ErrorKind};

use crate::error::caught;
use crate::fork;
use crate::strings::Invalid;

/// Why a call failed; at first, that none did.
pub(super) struct Failure {
    /// The value of `heirloom_error_kind`.
    kind: c_int,
    os: c_int,
    message: CString,
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

const INVALID_INPUT: c_int = 1;
const SYSTEM: c_int = 22;

/// Returns the value of `heirloom_error_kind`. Each keeps its number for ever.
fn number_of(kind: ErrorKind) -> c_int {
    match kind {
        ErrorKind::InvalidInput => INVALID_INPUT,
        ErrorKind::TooLarge => 2,
        ErrorKind::OutOfBounds => 3,
        ErrorKind::Misaligned => 4,
        ErrorKind::NameInUse => 5,
        ErrorKind::TooMany => 6,
        ErrorKind::NotInherited => 7,
        ErrorKind::AlreadyTaken => 8,
        ErrorKind::WrongKind => 9,
        ErrorKind::Malformed => 10,
        ErrorKind::Mismatch => 11,
        ErrorKind::StillWritable => 12,
        ErrorKind::Sealed => 13,
        ErrorKind::Unsupported => 14,
        ErrorKind::OutOfMemory => 15,
        ErrorKind::OutOfDescriptors => 16,
        ErrorKind::ProgramNotFound => 17,
        ErrorKind::ProgramNotRunnable => 18,
        ErrorKind::PeerGone => 19,
        ErrorKind::PeerBroken => 20,
        ErrorKind::Forked => 21,
        _ => SYSTEM,
    }
}

/// Returns the advice for an error, in terms of C.
fn advice(error: &Error) -> Option<&str> {
    match error.kind() {
        ErrorKind::StillWritable => Some("unmap it in every process first, or take heirloom_region_frozen_copy"),
        ErrorKind::Sealed => Some("call heirloom_region_make_read_only or heirloom_region_freeze on this region too"),
        ErrorKind::Forked => Some("call heirloom_map_with_locks in this process"),
        // It names another Rust type.
        ErrorKind::WrongKind => None,
        _ => error.advice(),
    }
}

impl Failure {
    fn new(kind: c_int, os: c_int, message: String) -> Self {
        // A message with a NUL ends there.
        let message = CString::new(message).unwrap_or_else(|error| {
            let end = error.nul_position();
            CString::new(&error.into_vec()[..end]).unwrap_or_default()
        });
        Self { kind, os, message }
    }

    /// An invalid argument of the C function.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(INVALID_INPUT, 0, message.into())
    }

    pub(super) fn out_of_bounds(message: String) -> Self {
        Self::new(number_of(ErrorKind::OutOfBounds), 0, message)
    }

    /// An object of another kind than the function needs.
    pub(super) fn wrong_kind(message: &str) -> Self {
        Self::new(number_of(ErrorKind::WrongKind), 0, message.to_owned())
    }
}

impl From<Invalid> for Failure {
    fn from(Invalid(message): Invalid) -> Self {
        Self::invalid(message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = match advice(&error) {
            Some(advice) => format!("{}; {advice}", error.message()),
            None => error.message().to_owned(),
        };
        Self::new(number_of(error.kind()), error.raw_os_error().unwrap_or(0), message)
    }
}

impl<T> From<ConvertError<T>> for Failure {
    fn from(failed: ConvertError<T>) -> Self {
        Error::from(failed).into()
    }
}

thread_local! {
    static LAST: RefCell<Failure> = RefCell::new(Failure { kind: 0, os: 0, message: CString::default() });
}

/// Runs the body of a function, and delays forks meanwhile. On failure it stores the error and returns `failed`.
pub(super) fn call<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    let _entered = fork::enter();
    wait(failed, body)
}

/// Runs the body of a function that may wait long, and takes no lock of the library.
pub(super) fn wait<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    caught(body, |message| Failure::new(SYSTEM, 0, message.to_owned())).unwrap_or_else(|failure| {
        // A thread that is ending has no last error any more.
        let _ = LAST.try_with(|last| last.replace(failure));
        failed
    })
}

/// Runs a part of a call that doesn't delay forks, since it may take long or fork itself. It may take locks of the Rust library.
pub(super) fn outside<T>(work: impl FnOnce() -> T) -> T {
    // Before, since no fork may meet a claim. A malformed variable is an error only for who asks for a name.
    let _ = heirloom::claim();
    fork::outside(work)
}

/// Returns the class of this thread's last error, or 0 if there was none.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_last_error() -> c_int {
    LAST.try_with(|last| last.borrow().kind).unwrap_or(SYSTEM)
}

/// Returns the system's code of this thread's last error, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_last_errno() -> c_int {
    LAST.try_with(|last| last.borrow().os).unwrap_or(0)
}

/// Returns the text of this thread's last error, valid until its next one.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_last_message() -> *const c_char {
    LAST.try_with(|last| last.borrow().message.as_ptr()).unwrap_or(CStr::as_ptr(c""))
}
