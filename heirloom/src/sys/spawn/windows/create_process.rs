//! Starts programs.

#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::Threading::{
    CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT,
    GetCurrentProcess, InitializeProcThreadAttributeList, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROCESS_INFORMATION,
    STARTF_USESTDHANDLES, STARTUPINFOEXW, UpdateProcThreadAttribute,
};

use super::arguments;
use super::diagnose::cannot_run;
use super::search::{find, system_directory};
use crate::sys::failure::Result;
use crate::sys::launch::Launch;
use crate::sys::lent::Inheritable;
use crate::sys::windows::environment::block as environment_block;
use crate::sys::windows::error::{last_failure, len_of};
use crate::sys::windows::process::Process;
use crate::sys::windows::wide::{string, without_nul};

/// Serializes spawns: the handles of one are inheritable only during its call.
static STARTING: Mutex<()> = Mutex::new(());

/// Starts a program, which inherits only the listed handles.
pub(crate) fn spawn(launch: &Launch<'_>) -> Result<Process> {
    // Make the path absolute, as the system reads it: `x.bat\.` is `x.bat`. A relative path starts at this process's
    // directory, but the interpreter of a batch file would start at the child's.
    let program = std::path::absolute(find(launch)?).map_err(|error| cannot_run(launch, error))?;
    let (application, mut line) = prepared(&program, launch.args)?;
    let environment = environment_block(launch.environment)?;
    let directory = launch.directory.map(|directory| string(directory.as_os_str())).transpose()?;

    let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let standard = standard(launch)?;
    let inheritable = Inheritable::new(launch.pass)?;
    let standard_handles = standard.iter().flatten().map(AsRawHandle::as_raw_handle);
    let listed: Vec<HANDLE> = standard_handles.chain(launch.pass.iter().map(AsRawHandle::as_raw_handle)).collect();
    let mut attributes = Attributes::new(&listed)?;

    let mut startup = STARTUPINFOEXW::default();
    startup.StartupInfo.cb = len_of(&startup);
    // If this process has no console and no standard handles, the child gets those of its own console.
    if standard.iter().any(Option::is_some) {
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    }
    let [stdin, stdout, stderr] =
        standard.each_ref().map(|handle| handle.as_ref().map_or(ptr::null_mut(), AsRawHandle::as_raw_handle));
    (startup.StartupInfo.hStdInput, startup.StartupInfo.hStdOutput, startup.StartupInfo.hStdError) =
        (stdin, stdout, stderr);
    startup.lpAttributeList = attributes.as_mut_ptr();
    let mut created = PROCESS_INFORMATION::default();
    // SAFETY: Every string ends with NUL, the environment with two, and all live during the call. So do the attributes,
    // which `new` initialized, and the handles that they refer to.
    let answer = unsafe {
        CreateProcessW(
            application.as_ptr(),
            line.as_mut_ptr(),
            ptr::null(),
            ptr::null(),
            i32::from(!listed.is_empty()),
            CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT,
            environment.as_ptr().cast(),
            directory.as_ref().map_or(ptr::null(), Vec::as_ptr),
            (&raw const startup).cast(),
            &raw mut created,
        )
    };
    let failure = (answer == 0).then(io::Error::last_os_error);
    drop((standard, inheritable, starting));
    if let Some(error) = failure {
        return Err(cannot_run(launch, error));
    }
    // SAFETY: The system has just created both handles, so nothing else owns them.
    let (handle, thread) =
        unsafe { (OwnedHandle::from_raw_handle(created.hProcess), OwnedHandle::from_raw_handle(created.hThread)) };
    drop(thread);
    Ok(Process::new(handle, created.dwProcessId))
}

/// Returns the file to execute and its command line.
fn prepared(program: &Path, args: &[OsString]) -> Result<(Vec<u16>, Vec<u16>)> {
    // The system ignores dots and spaces at the end of every path, even of one that starts with `\\?\`. So it would run
    // `x.bat.` as a batch file too, without quoting for its interpreter.
    let mut script = without_nul(program.as_os_str().encode_wide())?;
    while script.last().is_some_and(|last| [u16::from(b'.'), u16::from(b' ')].contains(last)) {
        script.pop();
    }
    let extension = OsString::from_wide(&script[script.len().saturating_sub(4)..]);
    if extension.eq_ignore_ascii_case(".bat") || extension.eq_ignore_ascii_case(".cmd") {
        let interpreter = system_directory().join("cmd.exe");
        return Ok((string(interpreter.as_os_str())?, arguments::batch_line(&script, args)?));
    }
    Ok((string(program.as_os_str())?, arguments::line(args)?))
}

/// Returns inheritable duplicates for the child's standard input, output and error.
fn standard(launch: &Launch<'_>) -> Result<[Option<OwnedHandle>; 3]> {
    let mut standard = [None, None, None];
    let own = [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE];
    for ((duplicate, chosen), own) in standard.iter_mut().zip(launch.standard).zip(own) {
        // SAFETY: The call takes a plain number and returns a handle.
        let from = chosen.map_or_else(|| unsafe { GetStdHandle(own) }, AsRawHandle::as_raw_handle);
        // A program without a console may have none.
        if from.is_null() || from == INVALID_HANDLE_VALUE {
            continue;
        }
        let mut to = ptr::null_mut();
        // SAFETY: `to` lives during the call. If other code closes a standard handle of this process meanwhile, the call
        // fails.
        let answer = unsafe {
            let process = GetCurrentProcess();
            DuplicateHandle(process, from, process, &raw mut to, 0, 1, DUPLICATE_SAME_ACCESS)
        };
        if answer == 0 {
            return Err(last_failure());
        }
        // SAFETY: The system has just created this handle, so nothing else owns it.
        *duplicate = Some(unsafe { OwnedHandle::from_raw_handle(to) });
    }
    Ok(standard)
}

/// The list of handles that a child inherits.
struct Attributes(Vec<MaybeUninit<usize>>);

impl Attributes {
    /// `listed` must live, and must not move, as long as the result.
    fn new(listed: &[HANDLE]) -> Result<Self> {
        let mut len = 0;
        // SAFETY: With a null pointer, the call only stores the size of a list in `len`.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), 1, 0, &raw mut len) };
        let mut this = Self(vec![MaybeUninit::uninit(); len.div_ceil(size_of::<usize>())]);
        let list = this.0.as_mut_ptr().cast();
        // SAFETY: The list has the size that the system asked for.
        if unsafe { InitializeProcThreadAttributeList(list, 1, 0, &raw mut len) } == 0 {
            // `drop` must not delete a list that isn't initialized.
            this.0.clear();
            return Err(last_failure());
        }
        if listed.is_empty() {
            return Ok(this);
        }
        let (which, bytes) = (PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize, size_of_val(listed));
        // SAFETY: The list is initialized, and the caller keeps `listed` as long as the list.
        let answer = unsafe {
            UpdateProcThreadAttribute(list, 0, which, listed.as_ptr().cast(), bytes, ptr::null_mut(), ptr::null())
        };
        if answer == 0 { Err(last_failure()) } else { Ok(this) }
    }

    fn as_mut_ptr(&mut self) -> *mut std::ffi::c_void {
        self.0.as_mut_ptr().cast()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            // SAFETY: `new` initialized it, and nothing uses it after this.
            unsafe { DeleteProcThreadAttributeList(self.as_mut_ptr()) };
        }
    }
}
