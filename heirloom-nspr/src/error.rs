//! Errors as NSPR has them: a code, the system's own number, and a text, for each thread.

#![allow(unsafe_code, non_snake_case)]

use std::borrow::Cow;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CString, c_char};
use std::io;
use std::panic::{self, AssertUnwindSafe};

use crate::nspr::{self, Nspr};
use crate::sys::code_of;
use heirloom::{Error, ErrorKind};

/// NSPR's codes, as many as are used here, see [prerr.h](https://firefox-source-docs.mozilla.org/nspr/reference/nspr_error_handling.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(dead_code)] // Not every system answers all of them.
pub(crate) enum Code {
    OutOfMemory = -6000,
    BadDescriptor = -5999,
    Unknown = -5994,
    InvalidArgument = -5987,
    InsufficientResources = -5974,
    ProcDescTableFull = -5971,
    SysDescTableFull = -5970,
    NoAccessRights = -5966,
    OperationNotSupported = -5965,
    BufferOverflow = -5962,
    FileTooBig = -5957,
    NoDeviceSpace = -5956,
    Loop = -5952,
    NameTooLong = -5951,
    FileNotFound = -5950,
    NotDirectory = -5949,
    FileExists = -5943,
    FileIsBusy = -5936,
    InvalidState = -5931,
}

/// Why a function failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    code: Code,
    /// The system's own number; 0 where no system call failed.
    os: i32,
    text: Cow<'static, str>,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, os: 0, text: text.into() }
    }

    /// The same, and what to do about it.
    pub(crate) fn advised(mut self, advice: &str) -> Self {
        self.text = format!("{}; {advice}", self.text).into();
        self
    }

    /// What a system call failed for.
    pub(crate) fn system(tried: &str, error: &io::Error) -> Self {
        let os = error.raw_os_error();
        let code = match os {
            Some(os) => code_of(os),
            None if error.kind() == io::ErrorKind::OutOfMemory => Code::OutOfMemory,
            None => Code::Unknown,
        };
        Self { code, os: os.unwrap_or(0), text: format!("{tried}: {error}").into() }
    }

    /// What the Rust library failed for, with advice for C in place of its own.
    pub(crate) fn of(error: &Error, advice: &str) -> Self {
        Self { text: error.message().to_owned().into(), ..Self::in_its_words(error) }.advised(advice)
    }

    fn in_its_words(error: &Error) -> Self {
        let of_system = error.raw_os_error().map(code_of);
        let code = match error.kind() {
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
                // Too long a list of arguments, or no program at all.
                None | Some(Code::Unknown) => Code::InvalidArgument,
                Some(code) => code,
            },
            ErrorKind::OutOfMemory => of_system.unwrap_or(Code::OutOfMemory),
            ErrorKind::OutOfDescriptors => of_system.unwrap_or(Code::ProcDescTableFull),
            _ => of_system.unwrap_or(Code::Unknown),
        };
        Self { code, os: error.raw_os_error().unwrap_or(0), text: error.to_string().into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match advice(error.kind()) {
            Some(advice) => Self::of(&error, advice),
            None => Self::in_its_words(&error),
        }
    }
}

/// What to do about an error, where the Rust library's own words for it are Rust.
fn advice(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::StillWritable => Some("unmap it in every process first, or copy it into another file map"),
        ErrorKind::Sealed => {
            Some("heirloom_make_read_only or heirloom_freeze, on this file map too, lets it be mapped for reading")
        }
        ErrorKind::AlreadyTaken => Some("its last file map was closed: keep one open"),
        _ => None,
    }
}

/// Runs the body of a function that C calls; `failed` is what the function returns where that fails.
pub(crate) fn answer<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    let failure = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(answer)) => return answer,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(Code::Unknown, "heirloom has a bug, which it wrote to standard error: please report it"),
    };
    set(&failure);
    failed
}

/// How many bytes of text are kept, with the NUL behind them.
const LONGEST: usize = 1024;

/// A thread's last error, where there is no NSPR to keep it, or a signal handler set it. Nothing in it is ever allocated.
struct Kept {
    /// It is newer than what NSPR has.
    newest: Cell<bool>,
    code: Cell<i32>,
    os: Cell<i32>,
    text: UnsafeCell<[u8; LONGEST]>,
    len: Cell<usize>,
}

thread_local! {
    static KEPT: Kept = const {
        Kept {
            newest: Cell::new(false),
            code: Cell::new(0),
            os: Cell::new(0),
            text: UnsafeCell::new([0; LONGEST]),
            len: Cell::new(0),
        }
    };
}

fn set(failure: &Failure) {
    // At the end of a character, with room for the NUL.
    let mut end = failure.text.len().min(LONGEST - 1);
    while !failure.text.is_char_boundary(end) {
        end -= 1;
    }
    set_everywhere(failure.code as i32, failure.os, &failure.text[..end]);
}

/// In NSPR, so that whoever asks its own functions sees it too; here where there is none.
fn set_everywhere(code: i32, os: i32, text: &str) {
    match nspr::find() {
        Some(nspr) => {
            nspr.set_error(code, os);
            if let (Ok(len @ 1..), Ok(text)) = (i32::try_from(text.len()), CString::new(text)) {
                nspr.set_error_text(len, &text);
            }
            KEPT.with(|kept| kept.newest.set(false));
        }
        None => KEPT.with(|kept| kept.set(code, os, text)),
    }
}

/// Sets an error as a signal handler may: no lock, no memory, no text, and nothing of NSPR's.
pub(crate) fn set_code(code: Code, os: i32) {
    KEPT.with(|kept| kept.set(code as i32, os, ""));
}

impl Kept {
    fn set(&self, code: i32, os: i32, text: &str) {
        // A handler that sets one of its own in between is overwritten by what ends later: the code comes last, too.
        // SAFETY: It is this thread's alone, the text is shorter, and no reference to it is ever made.
        unsafe { self.text.get().cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len()) };
        self.len.set(text.len());
        self.os.set(os);
        self.code.set(code);
        self.newest.set(true);
    }
}

/// What NSPR says, or what is kept here where that is newer.
fn newest<T>(theirs: impl FnOnce(&Nspr) -> T, ours: impl FnOnce(&Kept) -> T) -> T {
    KEPT.with(|kept| match nspr::find() {
        Some(nspr) if !kept.newest.get() => theirs(nspr),
        _ => ours(kept),
    })
}

/// The code of this thread's last error.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetError() -> i32 {
    newest(Nspr::error, |kept| kept.code.get())
}

/// The system's own number of this thread's last error.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetOSError() -> i32 {
    newest(Nspr::os_error, |kept| kept.os.get())
}

/// Sets this thread's last error, without a text.
#[unsafe(no_mangle)]
pub extern "C" fn PR_SetError(code: i32, os: i32) {
    set_everywhere(code, os, "");
}

/// How many bytes the text of this thread's last error has, without the NUL.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetErrorTextLength() -> i32 {
    newest(Nspr::error_text_length, |kept| i32::try_from(kept.len.get()).unwrap_or(0))
}

/// Copies the text of this thread's last error and a NUL; nothing where there is none.
///
/// # Safety
/// `text` is null or has room for one byte more than `PR_GetErrorTextLength` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_GetErrorText(text: *mut c_char) -> i32 {
    if text.is_null() {
        return 0;
    }
    // SAFETY: By the caller.
    let theirs = |nspr: &Nspr| unsafe { nspr.error_text(text) };
    newest(theirs, |kept| {
        let len = kept.len.get();
        if len == 0 {
            return 0;
        }
        // SAFETY: The source is this thread's own, `len` bytes of it; the room is the caller's word.
        unsafe {
            text.copy_from_nonoverlapping(kept.text.get().cast(), len);
            text.add(len).write(0);
        }
        i32::try_from(len).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_longer_than_what_is_kept_is_cut_between_characters() {
        set(&Failure::new(Code::Unknown, "é".repeat(LONGEST)));
        let mut text = [1; LONGEST];
        // SAFETY: There is room.
        let len = unsafe { PR_GetErrorText(text.as_mut_ptr()) };
        assert_eq!((len, PR_GetErrorTextLength()), (1022, 1022));
        assert_eq!(text[1022], 0);
    }

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(answer(7, || panic!("on purpose")), 7);
        assert_eq!(PR_GetError(), Code::Unknown as i32);
        // The control: what doesn't panic is passed on.
        assert_eq!(answer(7, || Ok(8)), 8);
    }
}
