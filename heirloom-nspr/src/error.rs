//! NSPR's errors: for each thread a code, the system's error number and a text.

#![allow(unsafe_code, non_snake_case)]

use std::borrow::Cow;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CString, c_char};
use std::io;
use std::panic::{self, AssertUnwindSafe};

use heirloom::{ConvertError, Error, ErrorKind};

use crate::code::Code;
use crate::fork;
use crate::nspr::{self, Nspr};
use crate::sys::code_of;

/// Why a function failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    code: Code,
    /// The system's error number, or 0 if no system call failed.
    os: i32,
    text: Cow<'static, str>,
}

pub(crate) type Result<T, F = Failure> = std::result::Result<T, F>;

impl Failure {
    pub(crate) fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, os: 0, text: text.into() }
    }

    /// Appends advice to the text.
    pub(crate) fn advised(mut self, advice: &str) -> Self {
        self.text = format!("{}; {advice}", self.text).into();
        self
    }

    /// The failure of a system call.
    pub(crate) fn system(tried: &str, error: &io::Error) -> Self {
        let os = error.raw_os_error();
        let code = match os {
            Some(os) => code_of(os),
            None if error.kind() == io::ErrorKind::OutOfMemory => Code::OutOfMemory,
            None => Code::Unknown,
        };
        Self { code, os: os.unwrap_or(0), text: format!("{tried}: {error}").into() }
    }

    /// A failure of the Rust library, without advice.
    pub(crate) fn unadvised(error: &Error) -> Self {
        Self { code: code_for(error), os: error.raw_os_error().unwrap_or(0), text: error.message().to_owned().into() }
    }
}

/// Returns NSPR's code for an error of the Rust library.
fn code_for(error: &Error) -> Code {
    let of_system = error.raw_os_error().map(code_of);
    match error.kind() {
        ErrorKind::InvalidInput
        | ErrorKind::OutOfBounds
        | ErrorKind::Misaligned
        | ErrorKind::WrongKind
        | ErrorKind::Malformed => Code::InvalidArgument,
        ErrorKind::TooLarge => Code::FileTooBig,
        ErrorKind::NameInUse => Code::FileExists,
        ErrorKind::TooMany => Code::InsufficientResources,
        ErrorKind::NotInherited | ErrorKind::ProgramNotFound => Code::FileNotFound,
        ErrorKind::AlreadyTaken => Code::InvalidState,
        ErrorKind::Mismatch => Code::BadDescriptor,
        ErrorKind::StillWritable => Code::FileIsBusy,
        ErrorKind::Sealed => Code::NoAccessRights,
        ErrorKind::Unsupported => Code::OperationNotSupported,
        ErrorKind::ProgramNotRunnable => match of_system {
            // An argument list that is too long, or a file that is not a program.
            None | Some(Code::Unknown) => Code::InvalidArgument,
            Some(code) => code,
        },
        ErrorKind::OutOfMemory => of_system.unwrap_or(Code::OutOfMemory),
        ErrorKind::OutOfDescriptors => of_system.unwrap_or(Code::ProcDescTableFull),
        _ => of_system.unwrap_or(Code::Unknown),
    }
}

/// Returns the advice for an error of the Rust library, in terms of C.
fn advice(error: &Error) -> Option<&str> {
    match error.kind() {
        ErrorKind::StillWritable => Some("unmap it in every process first, or copy it into another file map"),
        ErrorKind::Sealed => Some(
            "call heirloom_make_read_only or heirloom_freeze on this file map too; PR_MemMap then maps it for reading",
        ),
        ErrorKind::AlreadyTaken => Some("its last file map was closed: keep one open"),
        // It names another Rust type.
        ErrorKind::WrongKind => None,
        // It is about the system and names no Rust item.
        _ => error.advice(),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::unadvised(&error);
        match advice(&error) {
            Some(advice) => failure.advised(advice),
            None => failure,
        }
    }
}

impl<T> From<ConvertError<T>> for Failure {
    fn from(failed: ConvertError<T>) -> Self {
        Error::from(failed).into()
    }
}

/// Runs the body of an exported function. On failure it stores the error and returns `failed`.
pub(crate) fn call<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    let _entered = fork::enter();
    caught(body, |message| Failure::new(Code::Unknown, message)).unwrap_or_else(|failure| {
        set(&failure);
        failed
    })
}

/// Runs a body, and makes a failure of a panic.
pub(crate) fn caught<T, F>(
    body: impl FnOnce() -> Result<T, F>,
    failure: impl FnOnce(&'static str) -> F,
) -> Result<T, F> {
    let panicked = "internal error in heirloom; please report the message on standard error";
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(failure(panicked)))
}

/// The size of the text buffer in bytes, with the NUL.
const MAX_TEXT: usize = 1024;

/// A thread's last error, if NSPR is not loaded or a signal handler set it. It never allocates.
struct LastError {
    /// Whether it is newer than NSPR's.
    newest: Cell<bool>,
    code: Cell<i32>,
    os: Cell<i32>,
    text: UnsafeCell<[u8; MAX_TEXT]>,
    len: Cell<usize>,
}

thread_local! {
    static LAST: LastError = const {
        LastError {
            newest: Cell::new(false),
            code: Cell::new(0),
            os: Cell::new(0),
            text: UnsafeCell::new([0; MAX_TEXT]),
            len: Cell::new(0),
        }
    };
}

fn set(failure: &Failure) {
    // Truncate at a character boundary, with room for the NUL.
    let mut end = failure.text.len().min(MAX_TEXT - 1);
    while !failure.text.is_char_boundary(end) {
        end -= 1;
    }
    store(failure.code as i32, failure.os, &failure.text[..end]);
}

/// Stores an error in NSPR, whose own functions then return it too; if NSPR is not loaded, here.
fn store(code: i32, os: i32, text: &str) {
    match nspr::find() {
        Some(nspr) => {
            nspr.set_error(code, os);
            if let (Ok(len @ 1..), Ok(text)) = (i32::try_from(text.len()), CString::new(text)) {
                nspr.set_error_text(len, &text);
            }
            LAST.with(|last| last.newest.set(false));
        }
        None => LAST.with(|last| last.set(code, os, text)),
    }
}

/// Sets an error from a signal handler: without a lock, an allocation, a text or a call of NSPR.
pub(crate) fn set_code(code: Code, os: i32) {
    LAST.with(|last| last.set(code as i32, os, ""));
}

impl LastError {
    fn set(&self, code: i32, os: i32, text: &str) {
        // A signal handler that interrupts this is overwritten by it. The code is stored last.
        // SAFETY: Only this thread accesses the buffer, the text is shorter, and no reference to the buffer exists.
        unsafe { self.text.get().cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len()) };
        self.len.set(text.len());
        self.os.set(os);
        self.code.set(code);
        self.newest.set(true);
    }
}

/// Reads NSPR's last error, or this library's if that is newer.
fn newest<T>(theirs: impl FnOnce(&Nspr) -> T, ours: impl FnOnce(&LastError) -> T) -> T {
    LAST.with(|last| match nspr::find() {
        Some(nspr) if !last.newest.get() => theirs(nspr),
        _ => ours(last),
    })
}

/// Returns the code of this thread's last error.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetError() -> i32 {
    newest(Nspr::error, |last| last.code.get())
}

/// Returns the system's number of this thread's last error.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetOSError() -> i32 {
    newest(Nspr::os_error, |last| last.os.get())
}

/// Sets this thread's last error, without a text.
#[unsafe(no_mangle)]
pub extern "C" fn PR_SetError(code: i32, os: i32) {
    store(code, os, "");
}

/// Returns the length of this thread's last error text in bytes, without the NUL.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetErrorTextLength() -> i32 {
    newest(Nspr::error_text_length, |last| i32::try_from(last.len.get()).unwrap_or(0))
}

/// Copies the text of this thread's last error and a NUL. Copies nothing if there is no text.
///
/// # Safety
/// `text` is null, or has room for one byte more than `PR_GetErrorTextLength` returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_GetErrorText(text: *mut c_char) -> i32 {
    if text.is_null() {
        return 0;
    }
    // SAFETY: It isn't null, and the caller provides the room that NSPR needs.
    let theirs = |nspr: &Nspr| unsafe { nspr.error_text(text) };
    newest(theirs, |last| {
        let len = last.len.get();
        if len == 0 {
            return 0;
        }
        // SAFETY: `len` bytes of this thread's buffer are initialized; the caller provides the room.
        unsafe {
            text.copy_from_nonoverlapping(last.text.get().cast(), len);
            text.add(len).write(0);
        }
        i32::try_from(len).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_truncated_at_a_character() {
        set(&Failure::new(Code::Unknown, "é".repeat(MAX_TEXT)));
        let mut text = [1; MAX_TEXT];
        // SAFETY: The buffer has room for the longest text.
        let len = unsafe { PR_GetErrorText(text.as_mut_ptr()) };
        assert_eq!((len, PR_GetErrorTextLength()), (1022, 1022));
        assert_eq!(text[1022], 0);
    }

    #[test]
    fn panic_becomes_an_error() {
        assert_eq!(call(7, || panic!("on purpose")), 7);
        assert_eq!(PR_GetError(), Code::Unknown as i32);
        // Control: without a panic the value is returned.
        assert_eq!(call(7, || Ok(8)), 8);
    }
}
