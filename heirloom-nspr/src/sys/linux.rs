//! Linux, and Android.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

pub(crate) use super::unix::*;

/// Ends a child that nobody waited for; where that number is no such child's any more, `Errno::SRCH`. For signal handlers,
/// too: nothing but system calls.
pub(super) fn kill_child(pid: Pid) -> Result<(), Errno> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let looked = |answer: Result<_, Errno>| answer.map(drop).map_err(|_| Errno::SRCH);
    // By a descriptor, so that what is looked at and what is signalled is one process, whatever becomes of the number.
    if let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        match retry(|| rustix::process::waitid(WaitId::PidFd(process.as_fd()), look)) {
            // Linux before 5.4 can't.
            Err(Errno::INVAL) => {}
            answer => {
                looked(answer)?;
                return rustix::process::pidfd_send_signal(process, Signal::KILL);
            }
        }
    }
    looked(retry(|| rustix::process::waitid(WaitId::Pid(pid), look)))?;
    rustix::process::kill_process(pid, Signal::KILL)
}

/// What `libraries` saw.
pub(crate) struct Libraries {
    /// How many were loaded so far, those included that are gone again.
    pub(crate) loaded: u64,
    /// Whether one of the name asked for is among those there are.
    pub(crate) found: bool,
}

/// Looks through this process's libraries, without the lock that a `dlopen` elsewhere may hold for long. `unless` is a
/// count for which there is nothing to look for.
pub(crate) fn libraries(name: &CStr, unless: u64) -> Libraries {
    struct Look<'a> {
        name: &'a [u8],
        unless: u64,
        seen: Libraries,
    }
    unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _: libc::size_t, look: *mut c_void) -> libc::c_int {
        // SAFETY: The first is valid for the length of the call, with a name that has its NUL or none; the last is what
        // was passed in below, and nobody else has it.
        let (loaded, path, look) = unsafe {
            let info = &*info;
            let path = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
            (info.dlpi_adds, path, &mut *look.cast::<Look<'_>>())
        };
        look.seen.loaded = loaded;
        look.seen.found |= path.to_bytes().rsplit(|byte| *byte == b'/').next() == Some(look.name);
        libc::c_int::from(look.seen.found || loaded == look.unless)
    }
    let mut state = Look { name: name.to_bytes(), unless, seen: Libraries { loaded: 0, found: false } };
    // SAFETY: The function keeps neither pointer.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut state).cast()) };
    state.seen
}

/// Calls a function of this library's when it is loaded.
macro_rules! on_load {
    ($function:path) => {
        #[used]
        #[unsafe(link_section = ".init_array")]
        static ON_LOAD: extern "C" fn() = {
            extern "C" fn on_load() {
                $function();
            }
            on_load
        };
    };
}

pub(crate) use on_load;
