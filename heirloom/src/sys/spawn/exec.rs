//! Replaces this process by a program.

use std::convert::Infallible;

use super::diagnose::cannot_run;
use super::prepared::Prepared;
use super::setup::set_up;
use super::sigpipe::DefaultSigpipe;
use crate::sys::failure::{Failure, Result};
use crate::sys::launch::Launch;
use crate::sys::lent::Inheritable;

/// Executes a program in this process. Returns only on failure.
pub(crate) fn exec(launch: &Launch<'_>) -> Failure {
    match try_exec(launch) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn try_exec(launch: &Launch<'_>) -> Result<Infallible> {
    let prepared = Prepared::new(launch)?;
    set_up(launch, prepared.directory.as_deref()).map_err(|errno| cannot_run(launch, errno))?;
    let inheritable = Inheritable::new(launch.pass)?;
    let sigpipe = (!launch.options.keep_sigpipe).then(DefaultSigpipe::new);
    let confined = launch.options.confine();
    let executed = confined.and_then(|()| prepared.try_each(|program| Err(prepared.execute(program))));
    drop((inheritable, sigpipe));
    executed.map_err(|errno| cannot_run(launch, errno))
}
