//! Starts programs by `fork(2)`, through the standard library. The cost grows with the memory that this process maps.

#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command as Std;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::Pid;

use super::diagnose::cannot_run;
use super::prepared::Prepared;
use super::setup::make_inheritable;
use super::sigpipe::Sigpipe;
use crate::sys::failure::Result;
use crate::sys::launch::Launch;
use crate::sys::platform::Process;
use crate::sys::unix::errno::errno_of;
use crate::sys::unix::fd::duplicate;

/// Starts a program.
pub(crate) fn spawn(launch: &Launch<'_>) -> Result<Process> {
    let prepared = Arc::new(Prepared::new(launch)?);
    let pid = prepared.try_each(|program| spawn_one(launch, &prepared, program));
    pid.map(Process::new).map_err(|errno| cannot_run(launch, errno))
}

/// Starts the program with this path.
///
/// The closure for the child executes the program itself and returns only on failure. The standard library reports that
/// failure to the parent through its pipe, since it calls the closure right before its own `exec`.
fn spawn_one(launch: &Launch<'_>, prepared: &Arc<Prepared>, program: &CStr) -> std::result::Result<Pid, Errno> {
    let mut command = Std::new(OsStr::from_bytes(program.to_bytes()));
    let redirects: [fn(&mut Std, OwnedFd) -> &mut Std; 3] = [Std::stdin, Std::stdout, Std::stderr];
    for (redirect, fd) in redirects.iter().zip(launch.standard) {
        if let Some(fd) = fd {
            redirect(&mut command, duplicate(fd).map_err(|error| errno_of(&error))?);
        }
    }
    if let Some(directory) = launch.directory {
        command.current_dir(directory);
    }
    if let Some(group) = launch.options.process_group {
        command.process_group(group);
    }
    let (prepared, program) = (Arc::clone(prepared), program.to_owned());
    let pass: Vec<_> = launch.pass.iter().map(AsRawFd::as_raw_fd).collect();
    let options = launch.options.clone();
    let sigpipe = options.keep_sigpipe.then(Sigpipe::now);
    let execute = move || {
        for number in &pass {
            make_inheritable(*number)?;
        }
        options.confine()?;
        if let Some(sigpipe) = &sigpipe {
            sigpipe.restore();
        }
        Err(prepared.execute(&program).into())
    };
    // SAFETY: Between fork and exec the closure makes only system calls; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(execute) };
    let child = command.spawn().map_err(|error| errno_of(&error))?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)
}
