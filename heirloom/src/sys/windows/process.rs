//! Child processes.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::os::windows::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, WAIT_FAILED, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{GetExitCodeProcess, INFINITE, TerminateProcess, WaitForSingleObject};

use super::error::{code_of, last_failure};
use crate::sys::failure::Result;

/// Options for spawning that only Windows has: none.
#[derive(Default)]
pub(crate) struct SpawnOptions {}

/// A child, identified by its handle.
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedHandle,
    id: u32,
}

impl Process {
    pub(crate) fn new(handle: OwnedHandle, id: u32) -> Self {
        Self { handle, id }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }
}

impl AsHandle for Process {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

impl From<Process> for OwnedHandle {
    fn from(process: Process) -> Self {
        process.handle
    }
}

/// Waits for a child; without `block`, returns `None` while it runs.
pub(crate) fn wait(process: &Process, block: bool) -> Result<Option<ExitStatus>> {
    let handle = process.handle.as_raw_handle();
    // SAFETY: The handle is open.
    match unsafe { WaitForSingleObject(handle, if block { INFINITE } else { 0 }) } {
        WAIT_OBJECT_0 => {}
        WAIT_FAILED => return Err(last_failure()),
        _ => return Ok(None),
    }
    let mut code = 0;
    // SAFETY: The handle is open, and `code` lives during the call.
    match unsafe { GetExitCodeProcess(handle, &raw mut code) } {
        0 => Err(last_failure()),
        _ => Ok(Some(ExitStatus::from_raw(code))),
    }
}

/// Kills a child. The handle allows it, so the system denies it only if the process has ended or is about to, see
/// [TerminateProcess](https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-terminateprocess).
pub(crate) fn kill(process: &Process) -> Result<()> {
    // SAFETY: The handle is open.
    if unsafe { TerminateProcess(process.handle.as_raw_handle(), 1) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if code_of(&error) == Some(ERROR_ACCESS_DENIED) { Ok(()) } else { Err(error.into()) }
}

/// Reads two streams to their ends, both at once: a child may block for ever while one of them is full.
pub(crate) fn gather([one, two]: [Option<OwnedHandle>; 2]) -> io::Result<[Vec<u8>; 2]> {
    let read = |stream: Option<OwnedHandle>| {
        let mut bytes = Vec::new();
        stream.map_or(Ok(0), |stream| File::from(stream).read_to_end(&mut bytes))?;
        io::Result::Ok(bytes)
    };
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, || read(two))?;
        let one = read(one);
        let two = other.join().unwrap_or_else(|_| Err(io::Error::other("the thread that read it panicked")));
        Ok([one?, two?])
    })
}

/// Does nothing: Windows has no fork.
pub(crate) const fn on_fork(_before: extern "C" fn(), _after: extern "C" fn()) {}
