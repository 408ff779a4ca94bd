//! Starting children.

use std::ffi::{c_char, c_int};
use std::process::ExitStatus;
use std::ptr;

#[cfg(target_os = "linux")]
use heirloom::os::linux::CommandExt;
use heirloom::{AnyRegion, ChannelEnd, Child, Command, Receiver, Sender};

use super::arguments::{DONE, FAILED, NO, YES, free, give, object, object_mut, store, take};
use super::error::{Failure, Result, call, outside, wait};
#[cfg(target_os = "linux")]
use crate::strings::strings;
use crate::strings::{string, text};
use crate::sys;
#[cfg(target_os = "linux")]
use crate::sys::path;

/// Returns a string for the system.
///
/// # Safety
/// As for [`string`].
unsafe fn os_string<'a>(pointer: *const c_char, what: &str) -> Result<std::borrow::Cow<'a, std::ffi::OsStr>> {
    // SAFETY: The caller's contract.
    let string = unsafe { string(pointer, what) }?;
    sys::os_string(string.to_bytes()).map_err(|error| Failure::invalid(format!("cannot decode {string:?}: {error}")))
}

/// Creates a command.
///
/// # Safety
/// `program` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_new(program: *const c_char) -> *mut Command {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(Command::new(unsafe { os_string(program, "the program") }?))))
}

/// Adds an argument.
///
/// # Safety
/// `command` is a command that no other thread uses, and `argument` a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_arg(command: *mut Command, argument: *const c_char) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { object_mut(command, "the command")?.arg(os_string(argument, "the argument")?) };
        Ok(DONE)
    })
}

/// Sets a variable of the child's environment, or removes it.
///
/// # Safety
/// `command` is a command that no other thread uses, `name` a string, and `value` NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_env(
    command: *mut Command,
    name: *const c_char,
    value: *const c_char,
) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        let (command, name) = unsafe { (object_mut(command, "the command")?, os_string(name, "the variable's name")?) };
        if value.is_null() {
            command.env_remove(name);
        } else {
            // SAFETY: As above.
            command.env(name, unsafe { os_string(value, "the variable's value") }?);
        }
        Ok(DONE)
    })
}

/// Passes a region to the child.
///
/// # Safety
/// `command` is a command that no other thread uses, `name` a string, and `region` a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_inherit(
    command: *mut Command,
    name: *const c_char,
    region: *const AnyRegion,
) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe {
            let (command, name) = (object_mut(command, "the command")?, text(name, "the name of a region")?);
            command.inherit(name, object(region, "the region")?)?;
        }
        Ok(DONE)
    })
}

/// Moves an end of a channel, a `word`, to the child.
///
/// # Safety
/// `command` is a command that no other thread uses, `name` a string, and `end` an end that is not used again.
unsafe fn inherit_end(command: *mut Command, name: *const c_char, end: *mut impl ChannelEnd, word: &str) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe {
            // First, since the end is the command's after a failure too.
            let end = take(end, &format!("the {word}"))?;
            object_mut(command, "the command")?.inherit_end(text(name, &format!("the name of a {word}"))?, end)?;
        }
        Ok(DONE)
    })
}

/// Moves a sender to the child.
///
/// # Safety
/// As for `inherit_end`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_inherit_sender(
    command: *mut Command,
    name: *const c_char,
    sender: *mut Sender,
) -> c_int {
    // SAFETY: The caller's contract.
    unsafe { inherit_end(command, name, sender, "sender") }
}

/// Moves a receiver to the child.
///
/// # Safety
/// As for `inherit_end`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_inherit_receiver(
    command: *mut Command,
    name: *const c_char,
    receiver: *mut Receiver,
) -> c_int {
    // SAFETY: The caller's contract.
    unsafe { inherit_end(command, name, receiver, "receiver") }
}

/// Keeps the child apart from other processes.
///
/// # Safety
/// `command` is a command that no other thread uses.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_confine(command: *mut Command) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { object_mut(command, "the command") }?.confine()?;
        Ok(DONE)
    })
}

/// Seals the child off, but for reading.
///
/// # Safety
/// `command` is a command that no other thread uses, and `readable` a list of strings that ends with NULL.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_confine_to(command: *mut Command, readable: *const *const c_char) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        let (command, readable) =
            unsafe { (object_mut(command, "the command")?, strings(readable.cast(), "the list of paths")?) };
        command.confine_to(readable.into_iter().map(path))?;
        Ok(DONE)
    })
}

/// Starts the program.
///
/// # Safety
/// `command` is a command that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_spawn(command: *mut Command) -> *mut Child {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let command = unsafe { object_mut(command, "the command") }?;
        Ok(give(outside(|| command.spawn())?))
    })
}

/// Drops a command.
///
/// # Safety
/// `command` is NULL, or a command that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_command_free(command: *mut Command) {
    // SAFETY: The caller's contract.
    unsafe { free(command) };
}

/// Returns the id of a child's process.
///
/// # Safety
/// `child` is NULL or a child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_child_id(child: *const Child) -> u32 {
    // SAFETY: The caller's contract.
    unsafe { child.as_ref() }.map_or(0, Child::id)
}

/// Returns how a child ended: its exit code, or 256 and the signal that ended it.
#[cfg(unix)]
fn code_of(status: ExitStatus) -> c_int {
    use std::os::unix::process::ExitStatusExt;

    status.code().unwrap_or_else(|| 256 + status.signal().unwrap_or(0))
}

#[cfg(not(unix))]
fn code_of(status: ExitStatus) -> c_int {
    status.code().unwrap_or(256)
}

/// Waits until a child ends.
///
/// # Safety
/// `child` is a child that no other thread uses, and `code` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_child_wait(child: *mut Child, code: *mut c_int) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { store(code, code_of(object_mut(child, "the child")?.wait()?)) };
        Ok(DONE)
    })
}

/// Tells whether a child has ended, and how.
///
/// # Safety
/// As for `heirloom_child_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_child_try_wait(child: *mut Child, code: *mut c_int) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let Some(status) = unsafe { object_mut(child, "the child") }?.try_wait()? else { return Ok(NO) };
        // SAFETY: As above.
        unsafe { store(code, code_of(status)) };
        Ok(YES)
    })
}

/// Kills a child.
///
/// # Safety
/// `child` is a child that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_child_kill(child: *mut Child) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { object_mut(child, "the child") }?.kill()?;
        Ok(DONE)
    })
}

/// Opens a pidfd of a child.
///
/// # Safety
/// `child` is a child.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_child_pidfd(child: *const Child) -> c_int {
    use std::os::fd::IntoRawFd;

    // SAFETY: The caller's contract.
    call(FAILED, || Ok(heirloom::os::linux::ChildExt::pidfd(unsafe { object(child, "the child") }?)?.into_raw_fd()))
}

/// Drops a child, which goes on.
///
/// # Safety
/// `child` is NULL, or a child that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_child_free(child: *mut Child) {
    // SAFETY: The caller's contract.
    unsafe { free(child) };
}
