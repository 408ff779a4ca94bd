//! Channels.

use std::ffi::{c_char, c_int, c_void};
use std::mem;
use std::ptr;

use heirloom::{Receiver, Sender, channel};

use super::arguments::{DONE, FAILED, NO, YES, bytes, bytes_mut, free, give, object_mut, store, take, text, timeout};
use super::error::{Failure, call, wait};
use super::export::Exported;

/// Creates a channel.
///
/// # Safety
/// Both places can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_channel(
    capacity: u64,
    sender: *mut *mut Sender,
    receiver: *mut *mut Receiver,
) -> c_int {
    call(FAILED, || {
        if sender.is_null() || receiver.is_null() {
            return Err(Failure::invalid("a place for an end of a channel is NULL"));
        }
        let ends = channel(capacity)?;
        // SAFETY: The caller's contract.
        unsafe {
            sender.write(give(ends.0));
            receiver.write(give(ends.1));
        }
        Ok(DONE)
    })
}

/// Takes the sender that the parent passed under `name`.
///
/// # Safety
/// `name` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_sender_inherited(name: *const c_char) -> *mut Sender {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(Sender::inherited(unsafe { text(name, "the name of a sender") }?)?)))
}

/// Takes the receiver that the parent passed under `name`.
///
/// # Safety
/// `name` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_receiver_inherited(name: *const c_char) -> *mut Receiver {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(Receiver::inherited(unsafe { text(name, "the name of a receiver") }?)?)))
}

/// Gives a sender up to a child that imports a string.
///
/// # Safety
/// `sender` is a sender that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_sender_export(sender: *mut Sender) -> *mut Exported {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Exported::give(unsafe { take(sender, "the sender") }?.export_inheritable()?))
}

/// Gives a receiver up to a child that imports a string.
///
/// # Safety
/// `receiver` is a receiver that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_receiver_export(receiver: *mut Receiver) -> *mut Exported {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Exported::give(unsafe { take(receiver, "the receiver") }?.export_inheritable()?))
}

/// Imports a sender.
///
/// # Safety
/// `string` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_sender_import(string: *const c_char) -> *mut Sender {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(Sender::import(unsafe { text(string, "the export string") }?)?)))
}

/// Imports a receiver.
///
/// # Safety
/// `string` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_receiver_import(string: *const c_char) -> *mut Receiver {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(Receiver::import(unsafe { text(string, "the export string") }?)?)))
}

/// Sends a message.
///
/// # Safety
/// `sender` is a sender that no other thread uses, and the message is readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_send(
    sender: *mut Sender,
    message: *const c_void,
    len: usize,
    nanoseconds: i64,
) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let (sender, message) = unsafe { (object_mut(sender, "the sender")?, bytes(message, len)?) };
        Ok(match timeout(nanoseconds) {
            None => sender.send(message).map(|()| YES)?,
            Some(timeout) => c_int::from(sender.send_timeout(message, timeout)?),
        })
    })
}

/// Returns the length of the longest message in bytes.
///
/// # Safety
/// `sender` is NULL or a sender.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_longest_message(sender: *const Sender) -> usize {
    // SAFETY: The caller's contract.
    unsafe { sender.as_ref() }.map_or(0, Sender::longest_message)
}

/// Receives a message into a buffer.
///
/// # Safety
/// `receiver` is a receiver that no other thread uses, the buffer has room, and `len` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_receive(
    receiver: *mut Receiver,
    buffer: *mut c_void,
    size: usize,
    nanoseconds: i64,
    len: *mut usize,
) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let (receiver, buffer) = unsafe { (object_mut(receiver, "the receiver")?, bytes_mut(buffer, size)?) };
        let arrived = match timeout(nanoseconds) {
            None => Some(receiver.recv()?),
            Some(timeout) => receiver.recv_timeout(timeout)?,
        };
        let Some(message) = arrived else { return Ok(NO) };
        let length = message.len();
        // SAFETY: As above.
        unsafe { store(len, length) };
        let Some(buffer) = buffer.get_mut(..length) else {
            // The next call receives it again.
            mem::forget(message);
            let why = format!("cannot receive a message of {length} bytes: the buffer has {size}");
            return Err(Failure::out_of_bounds(why));
        };
        message.read_at(0, buffer)?;
        Ok(YES)
    })
}

/// Asks for the descriptor to become readable when `len` bytes fit.
///
/// # Safety
/// `sender` is a sender that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_sender_arm(sender: *mut Sender, len: usize) -> c_int {
    // SAFETY: The caller's contract.
    wait(FAILED, || Ok(c_int::from(unsafe { object_mut(sender, "the sender") }?.arm(len)?)))
}

/// Asks for the descriptor to become readable when there is a message.
///
/// # Safety
/// `receiver` is a receiver that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_receiver_arm(receiver: *mut Receiver) -> c_int {
    // SAFETY: The caller's contract.
    wait(FAILED, || Ok(c_int::from(unsafe { object_mut(receiver, "the receiver") }?.arm()?)))
}

/// Returns the descriptor for an event loop.
///
/// # Safety
/// `sender` is a sender.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_sender_fd(sender: *const Sender) -> c_int {
    // SAFETY: The caller's contract.
    call(FAILED, || Ok(std::os::fd::AsRawFd::as_raw_fd(unsafe { super::arguments::object(sender, "the sender") }?)))
}

/// Returns the descriptor for an event loop.
///
/// # Safety
/// `receiver` is a receiver.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_receiver_fd(receiver: *const Receiver) -> c_int {
    // SAFETY: The caller's contract.
    call(FAILED, || Ok(std::os::fd::AsRawFd::as_raw_fd(unsafe { super::arguments::object(receiver, "the receiver") }?)))
}

/// Closes a sender.
///
/// # Safety
/// `sender` is NULL, or a sender that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_sender_free(sender: *mut Sender) {
    // SAFETY: The caller's contract.
    unsafe { free(sender) };
}

/// Closes a receiver.
///
/// # Safety
/// `receiver` is NULL, or a receiver that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_receiver_free(receiver: *mut Receiver) {
    // SAFETY: The caller's contract.
    unsafe { free(receiver) };
}
