//! What the standard library's command does in its child, which it forks.

#![allow(unsafe_code)]

use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command as Std;

use super::setup::make_inheritable;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::sys::platform::Confinement;

/// Lets the children of `command` inherit the descriptors with these numbers, by clearing close-on-exec in the child alone. The
/// standard library forks for this.
pub(crate) fn pass_with_std<const N: usize>(command: &mut Std, numbers: [RawFd; N], owner: impl Send + Sync + 'static) {
    let clear = move || {
        // Moves the owner into the closure, so that the descriptors live as long as the command.
        let _ = &owner;
        for number in numbers {
            make_inheritable(number)?;
        }
        Ok(())
    };
    // SAFETY: Between fork and exec the closure makes only system calls; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(clear) };
}

/// Confines the children of `command`, each in a domain of its own. The standard library forks for this.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn confine_with_std(command: &mut Std, confinement: Confinement) {
    // SAFETY: Between fork and exec the closure makes only system calls; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(move || Ok(confinement.enter()?)) };
}
