//! A [`Launch`] as C strings.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::time::Duration;

use rustix::io::Errno;

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::launch::Launch;
use crate::sys::unix::errno::last_errno;

/// Pauses grow up to half of this, so all of them together are shorter.
const LONGEST_PAUSE: Duration = Duration::from_millis(1024);

/// A [`Launch`] as C strings.
pub(super) struct Prepared {
    /// The paths to try.
    candidates: Vec<CString>,
    pub(super) args: Strings,
    pub(super) environment: Strings,
    pub(super) directory: Option<CString>,
}

impl Prepared {
    pub(super) fn new(launch: &Launch<'_>) -> Result<Self> {
        let environment = launch.environment.iter().map(|(key, value)| {
            let mut pair = Vec::with_capacity(key.len() + value.len() + 2);
            pair.extend_from_slice(key.as_bytes());
            pair.push(b'=');
            pair.extend_from_slice(value.as_bytes());
            without_nul(pair)
        });
        Ok(Self {
            candidates: candidates(launch)?,
            args: Strings::new(launch.args.iter().map(|arg| without_nul(arg.as_bytes())).collect::<Result<_>>()?),
            environment: Strings::new(environment.collect::<Result<_>>()?),
            directory: launch.directory.map(|directory| without_nul(directory.as_os_str().as_bytes())).transpose()?,
        })
    }

    /// Executes a program in this process. Returns only on failure; allocates nothing.
    pub(super) fn execute(&self, program: &CStr) -> Errno {
        // SAFETY: Every string ends with NUL, both lists end with a null pointer, and all live during the call.
        unsafe {
            libc::execve(program.as_ptr(), self.args.pointers().cast(), self.environment.pointers().cast());
        }
        last_errno()
    }

    /// Tries one path after the other, as execvp(3) does: skips paths that don't exist, and remembers one without
    /// permission.
    pub(super) fn try_each<T>(
        &self,
        mut attempt: impl FnMut(&CStr) -> std::result::Result<T, Errno>,
    ) -> std::result::Result<T, Errno> {
        let mut attempt = |program: &CStr| unless_busy(|| attempt(program));
        if let [only] = &self.candidates[..] {
            return attempt(only);
        }
        let mut worst = Errno::NOENT;
        for candidate in &self.candidates {
            match attempt(candidate) {
                Err(Errno::ACCESS) => worst = Errno::ACCESS,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT) => {}
                answer => return answer,
            }
        }
        Err(worst)
    }
}

/// Tries again while the program is open for writing: a child that another thread starts holds the descriptor of a program
/// that was just written, until it executes its own.
fn unless_busy<T>(mut attempt: impl FnMut() -> std::result::Result<T, Errno>) -> std::result::Result<T, Errno> {
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt() {
            Err(Errno::TXTBSY) if pause < LONGEST_PAUSE => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            answer => return answer,
        }
    }
}

fn without_nul(bytes: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(bytes).map_err(|error| Failure::new(Reason::InteriorNul, error))
}

/// Returns the paths that the program may have.
pub(super) fn candidates(launch: &Launch<'_>) -> Result<Vec<CString>> {
    let program = launch.program.as_bytes();
    if program.contains(&b'/') || program.is_empty() {
        return Ok(vec![without_nul(program)?]);
    }
    let search = launch.environment.iter().find(|(key, _)| key == "PATH");
    let search = search.map_or(&b"/bin:/usr/bin"[..], |(_, value)| value.as_bytes());
    let mut found = Vec::new();
    for directory in search.split(|byte| *byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let path = [directory, b"/", program].concat();
        // An attempt costs a process, a check one system call. A relative path depends on the child's directory.
        if directory[0] != b'/' || may_exist(&path) {
            found.push(without_nul(path)?);
        }
    }
    Ok(found)
}

fn may_exist(path: &[u8]) -> bool {
    !matches!(rustix::fs::stat(path), Err(Errno::NOENT | Errno::NOTDIR))
}

/// A list of strings as C takes it: pointers, ending with a null pointer.
pub(super) struct Strings {
    pointers: Vec<*mut c_char>,
    _strings: Vec<CString>,
}

// SAFETY: The pointers refer to strings that this object owns and never changes or moves.
unsafe impl Send for Strings {}
// SAFETY: As above.
unsafe impl Sync for Strings {}

impl Strings {
    fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr().cast_mut());
        Self { pointers: pointers.chain([ptr::null_mut()]).collect(), _strings: strings }
    }

    pub(super) fn pointers(&self) -> *const *mut c_char {
        self.pointers.as_ptr()
    }
}
