//! Starting processes, waiting for them, and killing them.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::{CStr, c_char};
use std::io;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::MutexGuard;

#[cfg(target_os = "linux")]
use heirloom::os::linux::CommandExt;
use heirloom::{Command, Stdio};

use crate::attributes::{Attributes, InheritedFile};
use crate::code::Code;
use crate::error::{Failure, Result, call, set_code};
use crate::file_map;
use crate::fork;
use crate::process_table::{PRProcess, Slot};
use crate::strings::{os_string, string, strings};
use crate::sys::{self, Child, Ending, Reaper};
use crate::types::{PRProcessAttr, PRStatus};

/// The variable that NSPR's `PR_GetInheritedFD` reads in the child.
const INHERITED_FILES: &str = "NSPR_INHERIT_FDS";

/// NSPR's exit code for a process that a signal ended.
const SIGNALLED: i32 = 256;

/// The arguments of a start.
struct Program<'a> {
    path: &'a CStr,
    args: Vec<&'a CStr>,
    /// `None` means this process's own.
    environment: Option<Vec<&'a CStr>>,
    attributes: Attributes,
}

impl Program<'_> {
    /// # Safety
    /// `path` is null or a string; `args` and `environment` are null, or lists of strings that end with a null.
    unsafe fn new(
        path: *const c_char,
        args: *const *mut c_char,
        environment: *const *mut c_char,
        attributes: *const PRProcessAttr,
    ) -> Result<Self> {
        // SAFETY: The caller passes strings and lists of strings, or null.
        unsafe {
            Ok(Self {
                path: string(path, "the path of the program")?,
                args: strings(args, "the list of arguments")?,
                environment: if environment.is_null() { None } else { Some(strings(environment, "the environment")?) },
                attributes: Attributes::of(attributes)?,
            })
        }
    }

    fn start(&self) -> Result<Child> {
        let mut command = Command::new(without_path_search(os_string(self.path.to_bytes())?.as_ref()));
        let args = self.args.iter().map(|arg| os_string(arg.to_bytes())).collect::<Result<Vec<_>>>()?;
        let mut args = args.into_iter();
        command.arg0(args.next().unwrap_or_default()).args(args);
        if let Some(environment) = &self.environment {
            command.env_clear();
            // The first of two entries for one variable counts, as for getenv; `Command` keeps the last.
            for (key, value) in environment.iter().rev().filter_map(|variable| split(variable.to_bytes())) {
                command.env(os_string(key)?, os_string(value)?);
            }
        }
        let attributes = &self.attributes;
        if !attributes.files.is_empty() {
            let listed: Vec<_> = attributes.files.iter().map(InheritedFile::to_string).collect();
            command.env(INHERITED_FILES, listed.join(":"));
        }
        if let Some(directory) = &attributes.directory {
            command.current_dir(directory);
        }
        for (name, region) in &attributes.regions {
            command.inherit(name, &region.current()?)?;
        }
        #[cfg(target_os = "linux")]
        confine(&mut command, attributes)?;
        // As the start would do by itself. A malformed variable is an error of the calls that ask for a name.
        let _ = heirloom::claim();
        // It may take long, or fork.
        let child = fork::outside(|| redirect_and_start(&mut command, attributes))?;
        Child::new(child).ok_or_else(|| Failure::new(Code::Unknown, "the started process has no PID"))
    }
}

#[cfg(target_os = "linux")]
fn confine(command: &mut Command, attributes: &Attributes) -> Result<()> {
    if attributes.confined {
        command.confine()?;
    }
    for readable in &attributes.confined_to {
        command.confine_to(readable)?;
    }
    Ok(())
}

fn redirect_and_start(command: &mut Command, attributes: &Attributes) -> Result<heirloom::Child> {
    let mut streams = Redirected::default();
    let mut redirect = |number| streams.redirect(number, &attributes.files);
    let [stdin, stdout, stderr] = attributes.standard.map(|number| number.map(&mut redirect));
    stdin.transpose()?.map(|stdin| command.stdin(stdin));
    stdout.transpose()?.map(|stdout| command.stdout(stdout));
    stderr.transpose()?.map(|stderr| command.stderr(stderr));
    let child = sys::start(command, file_map::block_imports)?;
    streams.started();
    Ok(child)
}

/// Prefixes a bare name with the current directory, because NSPR does not search the PATH.
fn without_path_search(path: &Path) -> PathBuf {
    let bare = path.parent() == Some(Path::new(""));
    if bare { Path::new(".").join(path) } else { path.to_owned() }
}

/// Splits a variable into name and value. The first byte always belongs to the name.
fn split(variable: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = variable.iter().skip(1).position(|byte| *byte == b'=')? + 1;
    Some((&variable[..equals], &variable[equals + 1..]))
}

/// The temporary changes to redirected descriptors, which give the child what NSPR gives it. The child's streams are
/// blocking. The child has them only under their standard numbers, so a pipe ends when the child closes these.
#[derive(Default)]
struct Redirected {
    /// The descriptors that were non-blocking. They become so again only if the start fails.
    nonblocking: Vec<i32>,
    /// The descriptors that were inheritable under their own numbers.
    inheritable: Vec<i32>,
    /// Held while they are changed.
    lock: Option<MutexGuard<'static, ()>>,
}

impl Redirected {
    /// The child also gets the descriptors in `inherited` under their own numbers.
    fn redirect(&mut self, number: i32, inherited: &[InheritedFile]) -> Result<Stdio> {
        let failed = |error| Failure::system("cannot redirect a standard stream", &error);
        self.lock.get_or_insert_with(fork::lock_redirections);
        let file = sys::duplicate(number).map_err(failed)?;
        if !sys::set_blocking(number, true).map_err(failed)? {
            self.nonblocking.push(number);
        }
        let keep = sys::is_standard(number) || inherited.iter().any(|file| file.number == number);
        if !keep && !sys::set_close_on_exec(number, true).map_err(failed)? {
            self.inheritable.push(number);
        }
        Ok(file.into())
    }

    fn started(mut self) {
        self.nonblocking.clear();
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        // Changing them succeeded before, so this cannot fail.
        for number in &self.nonblocking {
            let _ = sys::set_blocking(*number, false);
        }
        for number in &self.inheritable {
            let _ = sys::set_close_on_exec(*number, false);
        }
    }
}

/// Starts a program.
///
/// # Safety
/// `path` is null or a string; `args` and `environment` are null, or lists of strings that end with a null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_CreateProcess(
    path: *const c_char,
    args: *const *mut c_char,
    environment: *const *mut c_char,
    attributes: *const PRProcessAttr,
) -> *mut PRProcess {
    call(ptr::null_mut(), || {
        // SAFETY: The caller keeps the contract of `Program::new`.
        let program = unsafe { Program::new(path, args, environment, attributes) }?;
        // Before the start, which cannot be undone.
        let slot = Slot::new().map_err(|error| Failure::system("cannot start a process", &error))?;
        sys::keep_exit_codes();
        let process = slot.fill(program.start()?);
        Ok(ptr::from_ref(process).cast_mut())
    })
}

/// Starts a detached process.
///
/// # Safety
/// As for `PR_CreateProcess`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_CreateProcessDetached(
    path: *const c_char,
    args: *const *mut c_char,
    environment: *const *mut c_char,
    attributes: *const PRProcessAttr,
) -> PRStatus {
    call(PRStatus::Failure, || {
        // SAFETY: The caller keeps the contract of `Program::new`.
        let program = unsafe { Program::new(path, args, environment, attributes) }?;
        let reaper = reaper()?;
        reaper.reap(program.start()?);
        Ok(PRStatus::Success)
    })
}

fn reaper() -> Result<Reaper> {
    Reaper::new().map_err(|error| Failure::system("cannot prepare to wait for a detached process", &error))
}

/// Returns the process at an address and the result of `work` on its child, if it can be waited for.
fn with_child<T>(process: *const PRProcess, work: impl FnOnce(Child) -> T) -> Result<(&'static PRProcess, T)> {
    let process = PRProcess::at(process);
    process.and_then(|process| Some((process, process.with_child(work)?))).ok_or_else(not_waitable)
}

fn not_waitable() -> Failure {
    let why = "PR_CreateProcess did not return that process, or it was already waited for or detached";
    Failure::new(Code::InvalidArgument, why)
}

/// Waits until a process ends.
///
/// # Safety
/// `exit_code` is null or has room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_WaitProcess(process: *mut PRProcess, exit_code: *mut i32) -> PRStatus {
    call(PRStatus::Failure, || {
        let failed = |error: io::Error| {
            let failure = Failure::system("cannot wait for a process", &error);
            match sys::wait_advice(&error) {
                Some(advice) => failure.advised(advice),
                None => failure,
            }
        };
        let (process, end) = with_child(process, Child::end)?;
        // Wait without reaping, then take, then reap: no other thread uses the number after it is freed.
        let end = end.map_err(failed)?;
        let ended = fork::outside(|| end.wait());
        let child = process.take().ok_or_else(not_waitable)?;
        // Reap even if waiting failed, because the child was taken.
        let reaped = child.reap();
        let ending = ended.and(reaped).map_err(failed)?;
        if !exit_code.is_null() {
            let code = match ending {
                Ending::Exited(code) => code,
                Ending::Signalled => SIGNALLED,
            };
            // SAFETY: It isn't null, so the caller's contract says that it has room.
            unsafe { exit_code.write(code) };
        }
        Ok(PRStatus::Success)
    })
}

/// Detaches a process.
#[unsafe(no_mangle)]
pub extern "C" fn PR_DetachProcess(process: *mut PRProcess) -> PRStatus {
    call(PRStatus::Failure, || {
        let (process, ()) = with_child(process, |_| ())?;
        let reaper = reaper()?;
        reaper.reap(process.take().ok_or_else(not_waitable)?);
        Ok(PRStatus::Success)
    })
}

/// Kills a process. It must still be waited for.
///
/// A signal handler may call this, also while another thread waits for the process.
#[unsafe(no_mangle)]
pub extern "C" fn PR_KillProcess(process: *mut PRProcess) -> PRStatus {
    let killed = PRProcess::at(process).and_then(|process| process.with_child(Child::kill));
    let os = match killed {
        Some(Ok(true)) => return PRStatus::Success,
        // It may be reaped by the program's own `wait`, or by the kernel if SIGCHLD is ignored.
        Some(Ok(false)) | None => 0,
        Some(Err(error)) => error.raw_os_error().unwrap_or(0),
    };
    let denied = sys::code_of(os) == Code::NoAccessRights;
    set_code(if denied { Code::NoAccessRights } else { Code::InvalidArgument }, os);
    PRStatus::Failure
}
