//! Starting programs, waiting for them, and ending them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::thread;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_ACCESS_DENIED, ERROR_BAD_EXE_FORMAT, ERROR_DIRECTORY,
    ERROR_ELEVATION_REQUIRED, ERROR_FILE_NOT_FOUND, ERROR_FILENAME_EXCED_RANGE, ERROR_PATH_NOT_FOUND, HANDLE,
    INVALID_HANDLE_VALUE, WAIT_FAILED, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::SystemInformation::{GetSystemDirectoryW, GetWindowsDirectoryW};
use windows_sys::Win32::System::Threading::{
    CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT,
    GetCurrentProcess, GetExitCodeProcess, INFINITE, InitializeProcThreadAttributeList,
    PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOEXW, TerminateProcess,
    UpdateProcThreadAttribute, WaitForSingleObject,
};

use super::{arguments, code_of, environment, last_failure, len_of, os_error};
use crate::ErrorKind;
use crate::sys::{Failure, Inheritable, Launch, Result};

/// What Windows alone knows of starting programs: nothing, so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct SpawnOptions {}

/// A child, by its handle.
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedHandle,
    id: u32,
}

impl Process {
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

/// One start at a time: what is inheritable for the length of one call is taken back before the next.
static STARTING: Mutex<()> = Mutex::new(());

/// Starts a program, which inherits what is listed for it and nothing else.
pub(crate) fn spawn(launch: &Launch<'_>) -> Result<Process> {
    // As the system will read it: `x.bat\.` is `x.bat`. And a relative one counts from this process's directory, where the
    // interpreter of a batch file would count from the child's.
    let program = std::path::absolute(find(launch)?).map_err(|error| cannot_run(launch, error))?;
    let (application, mut line) = prepared(&program, launch.args)?;
    let environment = environment::block(launch.environment)?;
    let directory = launch.directory.map(|directory| string(directory.as_os_str())).transpose()?;

    let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let standard = standard(launch)?;
    let inheritable = Inheritable::new(launch.pass)?;
    let standard_handles = standard.iter().flatten().map(AsRawHandle::as_raw_handle);
    let listed: Vec<HANDLE> =
        standard_handles.chain(launch.pass.iter().map(|memory| memory.as_handle().as_raw_handle())).collect();
    let mut attributes = Attributes::new(&listed)?;

    let mut startup = STARTUPINFOEXW::default();
    startup.StartupInfo.cb = len_of(&startup);
    // A program without a console that has none gives none: the child then has those of a console of its own.
    if standard.iter().any(Option::is_some) {
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    }
    let [stdin, stdout, stderr] =
        standard.each_ref().map(|handle| handle.as_ref().map_or(ptr::null_mut(), AsRawHandle::as_raw_handle));
    (startup.StartupInfo.hStdInput, startup.StartupInfo.hStdOutput, startup.StartupInfo.hStdError) =
        (stdin, stdout, stderr);
    startup.lpAttributeList = attributes.as_mut_ptr();
    let mut made = PROCESS_INFORMATION::default();
    // SAFETY: Every string and list ends with its NUL and lives until the call returns, and so do the attributes, which were
    // initialized by their `new`, and what they refer to.
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
            &raw mut made,
        )
    };
    let failure = (answer == 0).then(io::Error::last_os_error);
    drop((standard, inheritable, starting));
    if let Some(error) = failure {
        return Err(cannot_run(launch, error));
    }
    // SAFETY: The system made both a moment ago, and nobody else knows them.
    let (handle, thread) =
        unsafe { (OwnedHandle::from_raw_handle(made.hProcess), OwnedHandle::from_raw_handle(made.hThread)) };
    drop(thread);
    Ok(Process { handle, id: made.dwProcessId })
}

/// What is started, and the line that it is given.
fn prepared(program: &Path, args: &[OsString]) -> Result<(Vec<u16>, Vec<u16>)> {
    // As the system reads a path, also one that is to be taken as it is: without dots and spaces at the end. It would run
    // such a file by its interpreter too, and quote nothing.
    let mut script = without_nul(program.as_os_str().encode_wide())?;
    while script.last().is_some_and(|last| [u16::from(b'.'), u16::from(b' ')].contains(last)) {
        script.pop();
    }
    let extension = OsString::from_wide(&script[script.len().saturating_sub(4)..]);
    if extension.eq_ignore_ascii_case(".bat") || extension.eq_ignore_ascii_case(".cmd") {
        let interpreter = directory(GetSystemDirectoryW).join("cmd.exe");
        return Ok((string(interpreter.as_os_str())?, arguments::batch_line(&script, args)?));
    }
    Ok((string(program.as_os_str())?, arguments::line(args)?))
}

/// What the child gets as its standard input, output and error: handles of its own, that can be inherited.
fn standard(launch: &Launch<'_>) -> Result<[Option<OwnedHandle>; 3]> {
    let mut standard = [None, None, None];
    let own = [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE];
    for ((made, chosen), own) in standard.iter_mut().zip(launch.standard).zip(own) {
        // SAFETY: A plain number in, a plain number out.
        let from = chosen.map_or_else(|| unsafe { GetStdHandle(own) }, AsRawHandle::as_raw_handle);
        // A program without a console may have none.
        if from.is_null() || from == INVALID_HANDLE_VALUE {
            continue;
        }
        let mut to = ptr::null_mut();
        // SAFETY: Plain numbers, and what is filled in lives during the call. Should somebody close this process's own
        // meanwhile, the system says so.
        let answer = unsafe {
            let process = GetCurrentProcess();
            DuplicateHandle(process, from, process, &raw mut to, 0, 1, DUPLICATE_SAME_ACCESS)
        };
        if answer == 0 {
            return Err(last_failure());
        }
        // SAFETY: The system made it a moment ago, and nobody else knows it.
        *made = Some(unsafe { OwnedHandle::from_raw_handle(to) });
    }
    Ok(standard)
}

/// Which handles a child inherits, as the system takes it.
struct Attributes(Vec<MaybeUninit<usize>>);

impl Attributes {
    /// `listed` must live and stay where it is for as long as this does.
    fn new(listed: &[HANDLE]) -> Result<Self> {
        let mut len = 0;
        // SAFETY: Without a list, it only says how long one is.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), 1, 0, &raw mut len) };
        let mut this = Self(vec![MaybeUninit::uninit(); len.div_ceil(size_of::<usize>())]);
        let list = this.0.as_mut_ptr().cast();
        // SAFETY: The list is as long as the system said.
        if unsafe { InitializeProcThreadAttributeList(list, 1, 0, &raw mut len) } == 0 {
            // It must not be deleted.
            this.0.clear();
            return Err(last_failure());
        }
        if listed.is_empty() {
            return Ok(this);
        }
        let (which, bytes) = (PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize, size_of_val(listed));
        // SAFETY: The list was initialized, and the handles live as long as it, by the caller.
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

/// Where the program is. As the standard library looks: without a path, in the child's PATH where that is another than this
/// process's, beside this program, in the system's directories, in this process's PATH; never in the working directory.
fn find(launch: &Launch<'_>) -> Result<PathBuf> {
    without_nul(launch.program.encode_wide())?;
    let program = Path::new(launch.program);
    let Some(name) = program.file_name() else {
        return Err(not_found("that is no program's name"));
    };
    if name != program.as_os_str() {
        // From the child's directory, which is this process's where there is none.
        let program = launch.directory.unwrap_or(Path::new("")).join(program);
        let found = with_exe(&program).into_iter().chain([program]).find(|path| path.is_file());
        return found.ok_or_else(|| cannot_run(launch, os_error(ERROR_FILE_NOT_FOUND)));
    }
    let listed = |path: &Option<OsString>| path.as_ref().map(|path| env::split_paths(path).collect::<Vec<_>>());
    let child = launch.environment.iter().find(|(name, _)| *name == *"PATH").map(|(_, value)| value.clone());
    let own = env::var_os("PATH");
    let changed = (child != own).then(|| listed(&child)).flatten();
    let beside = env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    let system = [directory(GetSystemDirectoryW), directory(GetWindowsDirectoryW)];
    let places = changed.into_iter().flatten().chain(beside).chain(system).chain(listed(&own).into_iter().flatten());
    // An empty place would be the working directory.
    let mut places = places.filter(|place| !place.as_os_str().is_empty());
    places
        .find_map(|place| {
            let path = place.join(program);
            let path = if path.extension().is_some() { path } else { with_exe(&path)? };
            path.is_file().then_some(path)
        })
        .ok_or_else(|| cannot_run(launch, os_error(ERROR_FILE_NOT_FOUND)))
}

fn with_exe(path: &Path) -> Option<PathBuf> {
    let ends = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("exe"));
    let mut path = path.as_os_str().to_owned();
    path.push(".exe");
    (!ends).then(|| path.into())
}

/// One of the system's directories.
fn directory(ask: unsafe extern "system" fn(*mut u16, u32) -> u32) -> PathBuf {
    const LONGEST: u32 = 512;
    let mut buffer = [0; LONGEST as usize];
    // SAFETY: The buffer is as long as is said.
    let len = unsafe { ask(buffer.as_mut_ptr(), LONGEST) };
    OsString::from_wide(buffer.get(..len as usize).unwrap_or_default()).into()
}

fn not_found(hint: &'static str) -> Failure {
    Failure { kind: ErrorKind::ProgramNotFound, os: os_error(ERROR_FILE_NOT_FOUND), hint }
}

/// Says of a failed start what failed.
fn cannot_run(launch: &Launch<'_>, error: io::Error) -> Failure {
    let no_directory = launch.directory.is_some_and(|directory| !directory.is_dir());
    let has_path = Path::new(launch.program).components().count() > 1;
    let (kind, hint) = match code_of(&error) {
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND | ERROR_DIRECTORY | ERROR_ACCESS_DENIED) if no_directory => {
            (ErrorKind::System, "its working directory is none that can be entered")
        }
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) if has_path => {
            (ErrorKind::ProgramNotFound, "is the path right?")
        }
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) => {
            (ErrorKind::ProgramNotFound, "is it installed, and in the PATH?")
        }
        Some(ERROR_ACCESS_DENIED) => (ErrorKind::ProgramNotRunnable, "is it a file that this user may execute?"),
        Some(ERROR_BAD_EXE_FORMAT) => (ErrorKind::ProgramNotRunnable, "it is no program of this machine"),
        Some(ERROR_ELEVATION_REQUIRED) => (ErrorKind::ProgramNotRunnable, "it wants an administrator's rights"),
        Some(ERROR_FILENAME_EXCED_RANGE) => {
            (ErrorKind::ProgramNotRunnable, "its path or arguments are longer than the system takes")
        }
        _ => return error.into(),
    };
    Failure { kind, os: error, hint }
}

/// A string as the system takes it.
fn string(text: &OsStr) -> Result<Vec<u16>> {
    let mut wide = without_nul(text.encode_wide())?;
    wide.push(0);
    Ok(wide)
}

pub(super) fn without_nul(wide: impl Iterator<Item = u16>) -> Result<Vec<u16>> {
    let wide: Vec<u16> = wide.collect();
    if wide.contains(&0) {
        return Err(Failure {
            kind: ErrorKind::InvalidInput,
            os: io::ErrorKind::InvalidInput.into(),
            hint: "no program, argument, directory or variable can hold a NUL byte",
        });
    }
    Ok(wide)
}

/// Waits for a child; without `block`, `None` says that it still runs.
pub(crate) fn wait(process: &Process, block: bool) -> Result<Option<ExitStatus>> {
    let handle = process.handle.as_raw_handle();
    // SAFETY: The handle is open.
    match unsafe { WaitForSingleObject(handle, if block { INFINITE } else { 0 }) } {
        WAIT_OBJECT_0 => {}
        WAIT_FAILED => return Err(last_failure()),
        _ => return Ok(None),
    }
    let mut code = 0;
    // SAFETY: The handle is open, and the code lives during the call.
    match unsafe { GetExitCodeProcess(handle, &raw mut code) } {
        0 => Err(last_failure()),
        _ => Ok(Some(ExitStatus::from_raw(code))),
    }
}

/// Kills a child. By a handle that allows it, who made the process is refused only where it has ended or is about to, see
/// [TerminateProcess](https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-terminateprocess).
pub(crate) fn kill(process: &Process) -> Result<()> {
    // SAFETY: The handle is open.
    if unsafe { TerminateProcess(process.handle.as_raw_handle(), 1) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if code_of(&error) == Some(ERROR_ACCESS_DENIED) { Ok(()) } else { Err(error.into()) }
}

/// Reads two streams to their ends, both at once: a child may wait for ever with one of them full.
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
