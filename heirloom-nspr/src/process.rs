//! Starting processes, waiting for them, and ending them.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::{CStr, c_char};
use std::io;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use heirloom::{Command, Stdio};

use crate::attributes::{Attributes, InheritedFile};
use crate::error::{Code, Failure, Result, answer, set_code};
use crate::file_map;
use crate::processes::{PRProcess, Place};
use crate::sys::{self, Child, Ending, Reaper};
use crate::types::{PRProcessAttr, PRStatus, os_string, string, strings};

/// Where NSPR's `PR_GetInheritedFD` looks, in the child.
const INHERITED_FILES: &str = "NSPR_INHERIT_FDS";

/// NSPR's exit code of a process that a signal ended.
const SIGNALLED: i32 = 256;

/// What C passes to start a process.
struct Program<'a> {
    path: &'a CStr,
    args: Vec<&'a CStr>,
    /// `None` is this process's own.
    environment: Option<Vec<&'a CStr>>,
    attributes: Attributes,
}

impl Program<'_> {
    /// # Safety
    /// `path` is null or a string; `args` and `environment` are null, or lists of strings with a null behind them.
    unsafe fn new(
        path: *const c_char,
        args: *const *mut c_char,
        environment: *const *mut c_char,
        attributes: *const PRProcessAttr,
    ) -> Result<Self> {
        // SAFETY: By the caller.
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
        let mut command = Command::new(not_searched(os_string(self.path.to_bytes())?.as_ref()));
        let args = self.args.iter().map(|arg| os_string(arg.to_bytes())).collect::<Result<Vec<_>>>()?;
        let mut args = args.into_iter();
        command.arg0(args.next().unwrap_or_default()).args(args);
        if let Some(environment) = &self.environment {
            command.env_clear();
            // Of two that set one variable, the first is what programs find.
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
            region.current().inherit(&mut command, name)?;
        }
        let mut streams = Redirected::default();
        let mut redirect = |number| streams.redirect(number, &attributes.files);
        let [stdin, stdout, stderr] = attributes.standard.map(|number| number.map(&mut redirect));
        stdin.transpose()?.map(|stdin| command.stdin(stdin));
        stdout.transpose()?.map(|stdout| command.stdout(stdout));
        stderr.transpose()?.map(|stderr| command.stderr(stderr));
        let child = sys::start(&mut command, file_map::imports)?;
        streams.started();
        Child::new(child).ok_or_else(|| Failure::new(Code::Unknown, "the process has no number"))
    }
}

/// A path that says where the program is: NSPR looks none up in the PATH.
fn not_searched(path: &Path) -> PathBuf {
    let bare = path.parent() == Some(Path::new(""));
    if bare { Path::new(".").join(path) } else { path.to_owned() }
}

/// The name and the value of a variable; the first byte is always the name's.
fn split(variable: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = variable.iter().skip(1).position(|byte| *byte == b'=')? + 1;
    Some((&variable[..equals], &variable[equals + 1..]))
}

/// What starts change about descriptors that are redirected, for a moment: one at a time.
static REDIRECTING: Mutex<()> = Mutex::new(());

/// What was changed about descriptors that are redirected, so that the child finds them as NSPR has it. They wait for
/// their other ends, since a child doesn't expect anything else; and the child has them as its standard streams alone, so
/// that they end when it closes these.
#[derive(Default)]
struct Redirected {
    /// Those that didn't wait. Without a child they are made as before.
    waiting: Vec<i32>,
    /// Those that children would inherit under their own numbers, too.
    inheritable: Vec<i32>,
    lock: Option<MutexGuard<'static, ()>>,
}

impl Redirected {
    /// `inherited` are those that the child is to find under their own numbers all the same.
    fn redirect(&mut self, number: i32, inherited: &[InheritedFile]) -> Result<Stdio> {
        let failed = |error| Failure::system("cannot redirect a standard stream", &error);
        self.lock.get_or_insert_with(|| REDIRECTING.lock().unwrap_or_else(PoisonError::into_inner));
        let file = sys::duplicate(number).map_err(failed)?;
        if !sys::set_blocking(number, true).map_err(failed)? {
            self.waiting.push(number);
        }
        let elsewhere = sys::is_standard(number) || inherited.iter().any(|file| file.number == number);
        if !elsewhere && !sys::set_close_on_exec(number, true).map_err(failed)? {
            self.inheritable.push(number);
        }
        Ok(file.into())
    }

    fn started(mut self) {
        self.waiting.clear();
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        // They could be changed just now, so this can't fail.
        for number in &self.waiting {
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
/// `path` is null or a string; `args` and `environment` are null, or lists of strings with a null behind them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_CreateProcess(
    path: *const c_char,
    args: *const *mut c_char,
    environment: *const *mut c_char,
    attributes: *const PRProcessAttr,
) -> *mut PRProcess {
    answer(ptr::null_mut(), || {
        // SAFETY: By the caller.
        let program = unsafe { Program::new(path, args, environment, attributes) }?;
        // First, since there is no way back once the program runs.
        let place = Place::new().map_err(|error| Failure::system("cannot start a process", &error))?;
        sys::keep_exit_codes();
        let process = place.fill(program.start()?);
        Ok(ptr::from_ref(process).cast_mut())
    })
}

/// Starts a program that nobody waits for.
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
    answer(PRStatus::Failure, || {
        // SAFETY: By the caller.
        let program = unsafe { Program::new(path, args, environment, attributes) }?;
        let reaper = reaper()?;
        reaper.reap(program.start()?);
        Ok(PRStatus::Success)
    })
}

fn reaper() -> Result<Reaper> {
    Reaper::new().map_err(|error| Failure::system("cannot prepare to wait for a detached process", &error))
}

/// The process that C means, while it can be waited for, and what `work` says of it.
fn with_child<T>(process: *const PRProcess, work: impl FnOnce(Child) -> T) -> Result<(&'static PRProcess, T)> {
    let process = PRProcess::at(process);
    process.and_then(|process| Some((process, process.with_child(work)?))).ok_or_else(gone)
}

fn gone() -> Failure {
    let why = "that is no process that PR_CreateProcess started, or it was waited for or detached already";
    Failure::new(Code::InvalidArgument, why)
}

/// Waits until a process ended.
///
/// # Safety
/// `exit_code` is null or has room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_WaitProcess(process: *mut PRProcess, exit_code: *mut i32) -> PRStatus {
    answer(PRStatus::Failure, || {
        let failed = |error: io::Error| {
            let why = sys::why_not_waited_for(&error).unwrap_or("cannot wait for a process");
            Failure::system(why, &error)
        };
        let (process, end) = with_child(process, Child::end)?;
        // In two steps: while its number is still its own, nobody new may be about to use it.
        let ended = end.map_err(failed)?.wait();
        let child = process.take().ok_or_else(gone)?;
        // What was taken is reaped in any case.
        let reaped = child.reap();
        let ending = ended.and(reaped).map_err(failed)?;
        if !exit_code.is_null() {
            let code = match ending {
                Ending::Exited(code) => code,
                Ending::Signalled => SIGNALLED,
            };
            // SAFETY: By the caller, and it isn't null.
            unsafe { exit_code.write(code) };
        }
        Ok(PRStatus::Success)
    })
}

/// Lets a process go, which nobody waits for from now on.
#[unsafe(no_mangle)]
pub extern "C" fn PR_DetachProcess(process: *mut PRProcess) -> PRStatus {
    answer(PRStatus::Failure, || {
        let (process, ()) = with_child(process, |_| ())?;
        let reaper = reaper()?;
        reaper.reap(process.take().ok_or_else(gone)?);
        Ok(PRStatus::Success)
    })
}

/// Ends a process at once. It must still be waited for.
///
/// A signal handler may call it, also while another thread waits for the process.
#[unsafe(no_mangle)]
pub extern "C" fn PR_KillProcess(process: *mut PRProcess) -> PRStatus {
    let killed = PRProcess::at(process).and_then(|process| process.with_child(Child::kill));
    let os = match killed {
        Some(Ok(true)) => return PRStatus::Success,
        // Others may have waited for it: a `wait` of the program's own, or the kernel, where SIGCHLD is ignored.
        Some(Ok(false)) | None => 0,
        Some(Err(error)) => error.raw_os_error().unwrap_or(0),
    };
    let refused = sys::code_of(os) == Code::NoAccessRights;
    set_code(if refused { Code::NoAccessRights } else { Code::InvalidArgument }, os);
    PRStatus::Failure
}
