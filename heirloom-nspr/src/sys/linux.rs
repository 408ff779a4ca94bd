//! Linux.

#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, c_void};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

pub(crate) use super::unix::*;

/// Returns a path from C.
pub(crate) fn path(bytes: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(bytes.to_bytes()))
}

impl Child {
    /// Kills it. Returns `false` if its number no longer belongs to an unreaped child. Safe in a signal handler: it makes
    /// only system calls.
    pub(crate) fn kill(self) -> io::Result<bool> {
        match kill_child(self.0) {
            Err(Errno::SRCH) => Ok(false),
            answer => Ok(answer.map(|()| true)?),
        }
    }
}

/// Kills a child that was not waited for. Returns `Errno::SRCH` if the number does not belong to one.
fn kill_child(pid: Pid) -> Result<(), Errno> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let looked = |answer: Result<_, Errno>| answer.map(drop).map_err(|_| Errno::SRCH);
    // With a pidfd, the process that is checked is the one that is signalled, even if the number is reused meanwhile.
    if let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        match retry(|| rustix::process::waitid(WaitId::PidFd(process.as_fd()), look)) {
            // Linux before 5.4 has no waitid on a pidfd.
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

/// The result of `search_libraries`.
pub(crate) struct Search {
    /// The number of libraries loaded so far, including unloaded ones.
    pub(crate) loaded: u64,
    /// Whether a library of that name is loaded.
    pub(crate) found: bool,
}

/// Searches the loaded libraries by file name, without the lock that a `dlopen` in another thread may hold for long. Stops
/// early if the number of loaded libraries is `unless`.
pub(crate) fn search_libraries(name: &CStr, unless: u64) -> Search {
    struct Look<'a> {
        name: &'a [u8],
        unless: u64,
        search: Search,
    }
    unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _: libc::size_t, look: *mut c_void) -> libc::c_int {
        // SAFETY: `info` is valid during the call, and its name is null or a string. `look` is the pointer passed below,
        // to which no other reference exists.
        let (loaded, path, look) = unsafe {
            let info = &*info;
            let path = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
            (info.dlpi_adds, path, &mut *look.cast::<Look<'_>>())
        };
        look.search.loaded = loaded;
        look.search.found |= path.to_bytes().rsplit(|byte| *byte == b'/').next() == Some(look.name);
        libc::c_int::from(look.search.found || loaded == look.unless)
    }
    let mut state = Look { name: name.to_bytes(), unless, search: Search { loaded: 0, found: false } };
    // SAFETY: The callback has the required signature and keeps neither pointer.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut state).cast()) };
    state.search
}

/// Calls a function when this library is loaded.
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
