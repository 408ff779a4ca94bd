//! Replaces this process by a program.

#![allow(unsafe_code)]

use std::convert::Infallible;
use std::io;
use std::os::fd::AsRawFd;

use super::diagnose::cannot_run;
use super::prepared::Prepared;
use super::sigpipe::DefaultSigpipe;
use crate::sys::failure::{Failure, Result};
use crate::sys::launch::Launch;
use crate::sys::lent::Inheritable;
use crate::sys::unix::errno::last_errno;

/// Executes a program in this process. Returns only on failure.
pub(crate) fn exec(launch: &Launch<'_>) -> Failure {
    match try_exec(launch) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn try_exec(launch: &Launch<'_>) -> Result<Infallible> {
    let prepared = Prepared::new(launch)?;
    if let Some(group) = launch.options.process_group {
        // SAFETY: `setpgid` takes plain numbers.
        if unsafe { libc::setpgid(0, group) } < 0 {
            return Err(cannot_run(launch, last_errno()));
        }
    }
    for (number, fd) in (0..).zip(launch.standard) {
        if let Some(fd) = fd {
            // SAFETY: Both are plain numbers. It replaces standard input, output and error, as the caller asked.
            if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
                return Err(io::Error::last_os_error().into());
            }
        }
    }
    if let Some(directory) = launch.directory {
        std::env::set_current_dir(directory)?;
    }
    let inheritable = Inheritable::new(launch.pass)?;
    let sigpipe = (!launch.options.keep_sigpipe).then(DefaultSigpipe::new);
    let errno = prepared.try_each(|program| Err::<Infallible, _>(prepared.execute(program)));
    drop((inheritable, sigpipe));
    errno.map_err(|errno| cannot_run(launch, errno))
}
