//! Doorbells: two named pipes, by which a process wakes its peer and learns of its death.

#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_NO_DATA, ERROR_OPERATION_ABORTED, ERROR_PIPE_NOT_CONNECTED,
    INVALID_HANDLE_VALUE, WAIT_OBJECT_0,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_READ_ATTRIBUTES, FILE_READ_DATA, FILE_TYPE_PIPE,
    FILE_WRITE_DATA, FileNameInfo, GetFileInformationByHandleEx, GetFileType, PIPE_ACCESS_INBOUND, ReadFile,
    SECURITY_ANONYMOUS, SYNCHRONIZE, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_WAIT,
};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, WaitForSingleObject};

use super::error::{code_of, last_failure, len_of};
use super::handle::{Borrowed, Owned, granted, restricted};
use super::memory::{random, status};
use super::wide::string;
use crate::sys::failure::Result;
use crate::sys::status::{Heard, Identity, PipeEnd};

/// How often a call is tried: the peer may write more than a pipe holds, and memory may be short.
const ATTEMPTS: usize = 256;
/// How many bytes a pipe holds.
const CAPACITY: u32 = 4096;
/// The beginning of a pipe's name. The identity follows, in 32 hexadecimal digits.
const NAME: &str = r"\heirloom-";
const DIGITS: usize = 32;
/// The rights of the two handles, which hardly any other has: they identify it without a call that could block.
const HEARS: u32 = FILE_READ_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
const RINGS: u32 = FILE_WRITE_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE;

/// The errors of a write that needn't be tried again: it was cancelled because the pipe is full, so the peer has enough to hear;
/// or the peer is gone.
const IN_VAIN: [u32; 4] = [ERROR_OPERATION_ABORTED, ERROR_NO_DATA, ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED];

/// One side of a pair.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// The server's end of a pipe. It ends when the peer has died: only the peer has the other end.
    hears: Owned,
    /// The client's end of the other pipe.
    rings: Owned,
    /// An event, which is set when a read or a write has ended.
    ended: Owned,
}

impl Doorbell {
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (first, second) = (one_way()?, one_way()?);
        Ok((Self::received([first.0, second.1])?, Self::received([second.0, first.1])?))
    }

    /// Makes a doorbell of handles that [`pipe_status`] accepted.
    pub(crate) fn received([hears, rings]: [Owned; 2]) -> Result<Self> {
        Ok(Self { hears, rings, ended: event()? })
    }

    /// Returns what hears, and what rings.
    pub(crate) fn descriptors(&self) -> [Borrowed<'_>; 2] {
        [self.hears.as_handle(), self.rings.as_handle()]
    }

    /// Rings at the peer. A peer that doesn't hear is no error.
    pub(crate) fn ring(&mut self) {
        for _ in 0..ATTEMPTS {
            let Err(error) = self.write() else { return };
            // Otherwise memory may be short just now.
            if code_of(&error).is_some_and(|code| IN_VAIN.contains(&code)) {
                return;
            }
        }
    }

    /// Waits until the peer rings or has died, at most for `timeout`. It may return early.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<Heard> {
        self.read(timeout)
    }

    /// Returns what has been heard so far, and leaves nothing to hear.
    pub(crate) fn heard(&mut self) -> Result<Heard> {
        let mut heard = Heard::Nothing;
        for _ in 0..ATTEMPTS {
            match self.read(Some(Duration::ZERO))? {
                Heard::Nothing => break,
                Heard::Rung => heard = Heard::Rung,
                Heard::PeerGone => return Ok(Heard::PeerGone),
            }
        }
        Ok(heard)
    }

    fn read(&mut self, timeout: Option<Duration>) -> Result<Heard> {
        let mut bytes = [0_u8; 256];
        let mut operation = self.operation();
        let (operation, len) = (&raw mut operation, len_of(&bytes));
        // SAFETY: `end` waits until the system uses neither the bytes nor `operation` any more.
        let ended = unsafe {
            let started = ReadFile(self.hears.as_raw_handle(), bytes.as_mut_ptr(), len, ptr::null_mut(), operation);
            self.end(&self.hears, started, operation, timeout)
        };
        // A peer may write no bytes at all, which isn't the end of the pipe.
        let Err(error) = ended else { return Ok(Heard::Rung) };
        match code_of(&error) {
            Some(ERROR_OPERATION_ABORTED) => Ok(Heard::Nothing),
            Some(ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED) => Ok(Heard::PeerGone),
            _ => Err(error.into()),
        }
    }

    /// Writes a byte, unless the pipe is full.
    fn write(&mut self) -> io::Result<()> {
        let byte = 0_u8;
        let mut operation = self.operation();
        let operation = &raw mut operation;
        // SAFETY: `end` waits until the system uses neither the byte nor `operation` any more.
        unsafe {
            let started = WriteFile(self.rings.as_raw_handle(), &raw const byte, 1, ptr::null_mut(), operation);
            self.end(&self.rings, started, operation, Some(Duration::ZERO))
        }
    }

    fn operation(&self) -> OVERLAPPED {
        OVERLAPPED { hEvent: self.ended.as_raw_handle(), ..OVERLAPPED::default() }
    }

    /// Waits until an operation has ended, and cancels it after `timeout`. A cancelled one may still have succeeded.
    ///
    /// # Safety
    /// `started` is the result of the call that began `operation`, which is from `self.operation()`, on `pipe`.
    unsafe fn end(
        &self,
        pipe: &Owned,
        started: i32,
        operation: *mut OVERLAPPED,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if started == 0 {
            let error = io::Error::last_os_error();
            if code_of(&error) != Some(ERROR_IO_PENDING) {
                return Err(error);
            }
            // SAFETY: The event is open, and the operation is of this pipe.
            unsafe {
                if WaitForSingleObject(self.ended.as_raw_handle(), milliseconds(timeout)) != WAIT_OBJECT_0 {
                    // It fails if the operation has ended meanwhile.
                    CancelIoEx(pipe.as_raw_handle(), operation);
                }
            }
        }
        let mut len = 0;
        // SAFETY: As above. Only this operation sets the event, so the call returns once it has ended.
        match unsafe { GetOverlappedResult(pipe.as_raw_handle(), operation, &raw mut len, 1) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

/// Returns a timeout as the system takes it, rounded up so that nobody waits in many short steps.
fn milliseconds(timeout: Option<Duration>) -> u32 {
    let Some(timeout) = timeout else { return INFINITE };
    u32::try_from(timeout.as_nanos().div_ceil(1_000_000))
        .map_or(INFINITE - 1, |milliseconds| milliseconds.min(INFINITE - 1))
}

/// Creates a pipe, and returns the end that hears and the one that rings.
///
/// Reads that end after a time need a pipe with a name. Nobody else can connect by it: the pipe has one instance, which is
/// connected here.
fn one_way() -> Result<(Owned, Owned)> {
    let name = format!(r"\\.\pipe{NAME}{:016x}{:016x}", random(), random());
    let access = PIPE_ACCESS_INBOUND | FILE_FLAG_FIRST_PIPE_INSTANCE | FILE_FLAG_OVERLAPPED;
    let mode = PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS;
    let wide = string(OsStr::new(&name))?;
    // SAFETY: The name ends with NUL and lives during the call; without attributes no child inherits the handle.
    let server = unsafe { CreateNamedPipeW(wide.as_ptr(), access, mode, 1, 0, CAPACITY, 0, ptr::null()) };
    if server == INVALID_HANDLE_VALUE {
        return Err(last_failure());
    }
    // SAFETY: The system has just created this handle, so nothing else owns it.
    let server = unsafe { Owned::from_raw_handle(server) };
    // A process with the server's end could act as the user who opened the client's, unless that is anonymous.
    let client = File::options()
        .access_mode(RINGS)
        .share_mode(0)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .security_qos_flags(SECURITY_ANONYMOUS)
        .open(name)?;
    Ok((restricted(server, HEARS)?, client.into()))
}

/// Creates an event that stays set until an operation resets it.
fn event() -> Result<Owned> {
    // SAFETY: The arguments are plain numbers; without attributes no child inherits the handle.
    let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
    if event.is_null() {
        return Err(last_failure());
    }
    // SAFETY: The system has just created this handle, so nothing else owns it.
    Ok(unsafe { Owned::from_raw_handle(event) })
}

/// Returns the identity of a pipe and which end of it the handle is; `None` if it is something else.
#[allow(clippy::unnecessary_wraps)] // It can fail elsewhere.
pub(crate) fn pipe_status(handle: Borrowed<'_>) -> Result<Option<(Identity, PipeEnd)>> {
    let end = match granted(handle) {
        Some(HEARS) => PipeEnd::Hears,
        Some(RINGS) => PipeEnd::Rings,
        _ => return Ok(None),
    };
    Ok(pipe_name(handle).and_then(|name| identity_in(&name)).map(|identity| (identity, end)))
}

/// Returns the name of a pipe; `None` if the handle is something else, or the name is longer than a doorbell's.
fn pipe_name(handle: Borrowed<'_>) -> Option<String> {
    let handle = handle.as_raw_handle();
    // `FILE_NAME_INFO`: the length in bytes and the name.
    let mut information = [0_u32; 64];
    let len = len_of(&information);
    // SAFETY: The handle is open, and the call fills in at most the given length.
    let answer = unsafe {
        GetFileType(handle) == FILE_TYPE_PIPE
            && GetFileInformationByHandleEx(handle, FileNameInfo, (&raw mut information).cast(), len) != 0
    };
    let [len, name @ ..] = information;
    // The first unit is in the lower half.
    #[allow(clippy::cast_possible_truncation)]
    let units = name.into_iter().flat_map(|two| [two as u16, (two >> 16) as u16]).take(len as usize / 2);
    let name = char::decode_utf16(units).collect::<std::result::Result<String, _>>();
    name.ok().filter(|_| answer)
}

/// Returns the identity in the name of a doorbell's pipe.
fn identity_in(name: &str) -> Option<Identity> {
    let digits = name.strip_prefix(NAME).filter(|digits| digits.len() == DIGITS)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let (device, inode) = digits.split_at(DIGITS / 2);
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some(Identity { device: number(device)?, inode: number(inode)? })
}

/// Returns the identity of the memory or the pipe behind a handle.
pub(crate) fn identity(handle: Borrowed<'_>) -> Result<Identity> {
    match pipe_status(handle)? {
        Some((identity, _)) => Ok(identity),
        None => Ok(status(handle)?.identity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringing_never_blocks_and_is_heard() {
        let (mut one, mut two) = Doorbell::pair().unwrap();
        assert_eq!(two.heard().unwrap(), Heard::Nothing);
        assert_eq!(two.wait(Some(Duration::from_nanos(1))).unwrap(), Heard::Nothing);
        // More than the pipe holds.
        (0..CAPACITY + 100).for_each(|_| one.ring());
        assert_eq!(two.heard().unwrap(), Heard::Rung);
        assert_eq!(two.heard().unwrap(), Heard::Nothing);
        one.ring();
        assert_eq!(two.wait(None).unwrap(), Heard::Rung);
        // What was rung before the end is heard.
        one.ring();
        drop(one);
        assert_eq!(two.wait(None).unwrap(), Heard::Rung);
        assert_eq!(two.wait(None).unwrap(), Heard::PeerGone);
        assert_eq!(two.heard().unwrap(), Heard::PeerGone);
        two.ring();
    }

    #[test]
    fn no_ring_is_lost_in_waits_that_end_by_timeout() {
        let (mut one, mut two) = Doorbell::pair().unwrap();
        let rung = std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..100 {
                    one.ring();
                    // Waits for the answer.
                    assert_eq!(one.wait(None).unwrap(), Heard::Rung);
                }
            });
            let mut rung = 0;
            loop {
                match two.wait(Some(Duration::from_nanos(1))).unwrap() {
                    Heard::Nothing => {}
                    Heard::Rung => {
                        rung += 1;
                        two.ring();
                    }
                    Heard::PeerGone => break rung,
                }
            }
        });
        assert_eq!(rung, 100);
    }

    #[test]
    fn pipes_are_told_from_other_handles() {
        let (one, two) = Doorbell::pair().unwrap();
        let status = |handle: Borrowed<'_>| pipe_status(handle).unwrap();
        let [one, two] = [one.descriptors().map(status), two.descriptors().map(status)];
        let ends = |side: [Option<(Identity, PipeEnd)>; 2]| side.map(|status| status.unwrap().1);
        assert_eq!([ends(one), ends(two)], [[PipeEnd::Hears, PipeEnd::Rings]; 2]);
        let identities = |side: [Option<(Identity, PipeEnd)>; 2]| side.map(|status| status.unwrap().0);
        let ([hears, rings], [others_hears, others_rings]) = (identities(one), identities(two));
        assert_eq!((hears, rings), (others_rings, others_hears));
        assert_ne!(hears, rings);
        let (reader, writer) = super::super::handle::pipe().unwrap();
        assert_eq!([status(reader.as_handle()), status(writer.as_handle())], [None; 2]);
        // Without a name of ours, also with the rights.
        assert_eq!(status(restricted(reader, HEARS).unwrap().as_handle()), None);
    }

    #[test]
    fn identity_is_read_from_whole_names_only() {
        let digits = "0123456789abcdef00000000000000ff";
        let identity = Identity { device: 0x0123_4567_89ab_cdef, inode: 0xff };
        assert_eq!(identity_in(&format!("{NAME}{digits}")), Some(identity));
        for bad in
            ["", digits, &format!("{NAME}{digits}0"), &format!("{NAME}+{}", &digits[1..]), &format!("x{NAME}{digits}")]
        {
            assert_eq!(identity_in(bad), None, "{bad}");
        }
    }
}
