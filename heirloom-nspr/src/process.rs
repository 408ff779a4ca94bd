//! Starting processes, waiting for them, and ending them.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use heirloom::os::unix::CommandExt;
use heirloom::{Command, Stdio};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::attributes::{Attributes, InheritedFile};
use crate::error::{Code, Failure, Result, answer, set_code};
use crate::processes::{NotKilled, PRProcess, Place};
use crate::sys::{self, Ending};
use crate::types::{PRProcessAttr, PRStatus, string, strings};

/// Where NSPR's `PR_GetInheritedFD` looks, in the child.
const INHERITED_FILES: &str = "NSPR_INHERIT_FDS";

/// NSPR's exit code of a process that a signal ended.
const SIGNALLED: i32 = 256;

/// How much stack a reaper needs, and more.
const REAPER_STACK: usize = 64 << 10;

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

    fn start(&self) -> Result<Pid> {
        // NSPR looks no program up in the PATH.
        let path = self.path.to_bytes();
        let here = if path.contains(&b'/') || path.is_empty() { &b""[..] } else { b"./" };
        let mut command = Command::new(OsStr::from_bytes(&[here, path].concat()));
        command.keep_signals(true);
        let mut args = self.args.iter().map(|arg| OsStr::from_bytes(arg.to_bytes()));
        command.arg0(args.next().unwrap_or_default()).args(args);
        if let Some(environment) = &self.environment {
            command.env_clear();
            // Of two that set one variable, the first is what programs find.
            for (key, value) in environment.iter().rev().filter_map(|variable| split(variable.to_bytes())) {
                command.env(key, value);
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
        let child = command.spawn()?;
        streams.started();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| Failure::new(Code::Unknown, "the process has no number"))
    }
}

/// The name and the value of a variable; the first byte is always the name's.
fn split(variable: &[u8]) -> Option<(&OsStr, &OsStr)> {
    let equals = variable.iter().skip(1).position(|byte| *byte == b'=')? + 1;
    Some((OsStr::from_bytes(&variable[..equals]), OsStr::from_bytes(&variable[equals + 1..])))
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
        let failed = |errno| Failure::system("cannot redirect a standard stream", errno);
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
        let place = Place::new().map_err(|errno| Failure::system("cannot start a process", errno))?;
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
        let pid = program.start()?;
        // It waits for just this.
        let _ = reaper.send(pid);
        Ok(PRStatus::Success)
    })
}

/// A thread that waits for the process it is told, so that the kernel forgets it when it ends.
fn reaper() -> Result<Sender<Pid>> {
    let (sender, receiver) = mpsc::channel();
    let reap = move || {
        if let Ok(pid) = receiver.recv() {
            // Where somebody else waited for it, all is done too.
            let _ = sys::reap(pid);
        }
    };
    // No signal of the program's is ever handled on so small a stack.
    let thread = thread::Builder::new().name("heirloom-reaper".to_owned()).stack_size(REAPER_STACK);
    sys::with_signals_blocked(|| thread.spawn(reap)).map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::AGAIN);
        Failure::system("cannot start the thread that would wait for a detached process", errno)
    })?;
    Ok(sender)
}

/// The process that C means, which can still be waited for.
fn waitable(process: *const PRProcess) -> Result<(&'static PRProcess, Pid)> {
    let process = PRProcess::at(process);
    process.and_then(|process| Some((process, process.pid()?))).ok_or_else(gone)
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
        let (process, pid) = waitable(process)?;
        // In two steps: while its number is still its own, nobody new may be about to use it.
        let ended = sys::wait_until_ended(pid);
        if !process.take() {
            return Err(gone());
        }
        let ending = ended.and_then(|()| sys::reap(pid)).map_err(|errno| match errno {
            Errno::CHILD => {
                let why = "it ended, but nobody knows how: the program waited for it by itself, or ignores SIGCHLD";
                Failure::system(why, errno)
            }
            errno => Failure::system("cannot wait for a process", errno),
        })?;
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
        let (process, pid) = waitable(process)?;
        let reaper = reaper()?;
        if !process.take() {
            return Err(gone());
        }
        let _ = reaper.send(pid);
        Ok(PRStatus::Success)
    })
}

/// Ends a process at once. It must still be waited for.
///
/// A signal handler may call it, also while another thread waits for the process.
#[unsafe(no_mangle)]
pub extern "C" fn PR_KillProcess(process: *mut PRProcess) -> PRStatus {
    let killed = PRProcess::at(process).map_or(Err(NotKilled::Gone), PRProcess::kill);
    let (code, os) = match killed {
        Ok(()) => return PRStatus::Success,
        Err(NotKilled::System(Errno::PERM)) => (Code::NoAccessRights, Errno::PERM.raw_os_error()),
        Err(NotKilled::System(errno)) => (Code::InvalidArgument, errno.raw_os_error()),
        Err(NotKilled::Gone) => (Code::InvalidArgument, 0),
    };
    set_code(code, os);
    PRStatus::Failure
}
