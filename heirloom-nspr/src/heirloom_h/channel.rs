//! Channels.

use std::ffi::{c_char, c_int, c_void};
use std::mem;
use std::ptr;

use heirloom::{Message, Receiver, Sender, channel};

use super::arguments::{DONE, FAILED, NO, YES, bytes, bytes_mut, free, give, object_mut, store, take, timeout};
use super::error::{Failure, Result, call, wait};
use super::export::Exported;
use crate::strings::text;

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

/// Waits for space for a message of `len` bytes, and tells where it is.
///
/// # Safety
/// `sender` is a sender that no other thread uses, and `message` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_reserve(
    sender: *mut Sender,
    len: usize,
    nanoseconds: i64,
    message: *mut *mut c_void,
) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let sender = unsafe { object_mut(sender, "the sender") }?;
        let reserved = match timeout(nanoseconds) {
            None => Some(sender.reserve(len)?),
            Some(timeout) => sender.reserve_timeout(len, timeout)?,
        };
        let Some(slot) = reserved else { return Ok(NO) };
        // SAFETY: As above.
        unsafe { store(message, slot.as_mut_ptr().cast()) };
        Ok(YES)
    })
}

/// Sends the message that was written where `heirloom_reserve` told.
///
/// # Safety
/// `sender` is a sender that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_commit(sender: *mut Sender, message: *const c_void, len: usize) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let sender = unsafe { object_mut(sender, "the sender") }?;
        // The same place again, if it was reserved: the space can't have become less.
        match sender.try_reserve(len)? {
            Some(slot) if slot.as_ptr().cast() == message => slot.send().map(|()| DONE).map_err(Failure::from),
            _ => Err(Failure::invalid(format!("cannot send {len} bytes at {message:p}: they were not reserved there"))),
        }
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

/// Waits for the next message.
fn next(receiver: &mut Receiver, nanoseconds: i64) -> Result<Option<Message<'_>>> {
    Ok(match timeout(nanoseconds) {
        None => Some(receiver.recv()?),
        Some(timeout) => receiver.recv_timeout(timeout)?,
    })
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
        let Some(message) = next(receiver, nanoseconds)? else { return Ok(NO) };
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

/// Waits for the next message, and tells where it is in the ring.
///
/// # Safety
/// `receiver` is a receiver that no other thread uses, and both places can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_peek(
    receiver: *mut Receiver,
    nanoseconds: i64,
    message: *mut *const c_void,
    len: *mut usize,
) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let receiver = unsafe { object_mut(receiver, "the receiver") }?;
        let Some(arrived) = next(receiver, nanoseconds)? else { return Ok(NO) };
        // SAFETY: As above.
        unsafe {
            store(message, arrived.as_ptr().cast());
            store(len, arrived.len());
        }
        // It stays the next one.
        mem::forget(arrived);
        Ok(YES)
    })
}

/// Drops the next message, if there is one.
///
/// # Safety
/// `receiver` is a receiver that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_consume(receiver: *mut Receiver) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let receiver = unsafe { object_mut(receiver, "the receiver") }?;
        Ok(c_int::from(receiver.try_recv()?.is_some()))
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

/// Defines the functions that both ends have.
macro_rules! end {
    ($end:ident, $word:literal, $inherited:ident, $export:ident, $import:ident, $fd:ident, $free:ident) => {
        #[doc = concat!("Takes the ", $word, " that the parent passed under `name`.")]
        ///
        /// # Safety
        /// `name` is a string.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $inherited(name: *const c_char) -> *mut $end {
            call(ptr::null_mut(), || {
                // SAFETY: The caller's contract.
                let name = unsafe { text(name, concat!("the name of a ", $word)) }?;
                Ok(give($end::inherited(name)?))
            })
        }

        #[doc = concat!("Gives a ", $word, " up to a child that imports a string.")]
        ///
        /// # Safety
        #[doc = concat!("`end` is a ", $word, " that is not used again.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $export(end: *mut $end) -> *mut Exported {
            call(ptr::null_mut(), || {
                // SAFETY: The caller's contract.
                let end = unsafe { take(end, concat!("the ", $word)) }?;
                Exported::give(end.export_inheritable()?)
            })
        }

        #[doc = concat!("Imports a ", $word, ".")]
        ///
        /// # Safety
        /// `string` is a string.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $import(string: *const c_char) -> *mut $end {
            call(ptr::null_mut(), || {
                // SAFETY: The caller's contract.
                let string = unsafe { text(string, "the export string") }?;
                Ok(give($end::import(string)?))
            })
        }

        /// Returns the descriptor for an event loop.
        ///
        /// # Safety
        #[doc = concat!("`end` is a ", $word, ".")]
        #[cfg(any(target_os = "linux", target_os = "android"))]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $fd(end: *const $end) -> c_int {
            use std::os::fd::AsRawFd;

            // SAFETY: The caller's contract.
            call(FAILED, || Ok(unsafe { super::arguments::object(end, concat!("the ", $word)) }?.as_raw_fd()))
        }

        #[doc = concat!("Closes a ", $word, ".")]
        ///
        /// # Safety
        #[doc = concat!("`end` is NULL, or a ", $word, " that is not used again.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $free(end: *mut $end) {
            // SAFETY: The caller's contract.
            unsafe { free(end) };
        }
    };
}

end!(
    Sender,
    "sender",
    heirloom_sender_inherited,
    heirloom_sender_export,
    heirloom_sender_import,
    heirloom_sender_fd,
    heirloom_sender_free
);
end!(
    Receiver,
    "receiver",
    heirloom_receiver_inherited,
    heirloom_receiver_export,
    heirloom_receiver_import,
    heirloom_receiver_fd,
    heirloom_receiver_free
);
