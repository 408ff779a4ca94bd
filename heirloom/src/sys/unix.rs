//! What every Unix does alike: descriptors, starting programs, waiting for them.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::Access;
use rustix::io::{Errno, FdFlags};
use rustix::mm;
use rustix::process::{Pid, Signal, WaitOptions};

use super::{Failure, Identity, Inheritable, Launch, Result};
use crate::ErrorKind;

pub(crate) use std::os::fd::{BorrowedFd as Borrowed, OwnedFd as Owned};

/// This process's environment.
pub(crate) use std::env::vars_os as variables;

/// The name of a variable of the environment.
pub(crate) type EnvKey = OsString;

/// The lowest number that a descriptor of ours may have: below are standard input, output and error.
const LOWEST: RawFd = 3;

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        let (kind, hint) = match errno {
            Errno::MFILE | Errno::NFILE => {
                (ErrorKind::OutOfDescriptors, "no descriptors are left: close some, or raise the limit (ulimit -n)")
            }
            Errno::NOMEM => (ErrorKind::OutOfMemory, "no memory is left"),
            Errno::NOSPC | Errno::DQUOT => (ErrorKind::OutOfMemory, "no space is left"),
            Errno::FBIG => {
                (ErrorKind::TooLarge, "that is more than its file system, or this process's limit, lets a file hold")
            }
            _ => (ErrorKind::System, ""),
        };
        Self { kind, os: errno.into(), hint }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None if error.kind() == io::ErrorKind::OutOfMemory => Errno::NOMEM.into(),
            None => Self { kind: ErrorKind::System, os: error, hint: "" },
        }
    }
}

/// What the C library's last call that failed in this thread failed for.
fn last_errno() -> Errno {
    errno_of(&io::Error::last_os_error())
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Does again what a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// Pages that show memory; unmapped on drop.
pub(crate) struct View {
    address: NonNull<u8>,
    len: usize,
}

// SAFETY: It holds a mapping of the whole process by its address, and does nothing with the bytes.
unsafe impl Send for View {}
// SAFETY: As above.
unsafe impl Sync for View {}

impl View {
    /// # Safety
    /// They are address and length of a whole mapping that nobody else unmaps.
    pub(super) unsafe fn new(address: NonNull<u8>, len: usize) -> Self {
        Self { address, len }
    }

    /// Where the pages begin.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.address
    }

    #[allow(dead_code)] // Where pages can be kept out of core dumps.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: The mapping is this object's, and who shows its bytes holds this object. It can't fail for a whole
        // mapping, and a `drop` could say so to nobody.
        let _ = unsafe { mm::munmap(self.address.as_ptr().cast(), self.len) };
    }
}

/// Device and inode.
#[allow(dead_code)] // Where neither tells one object from another.
pub(super) fn identity_of(stat: &rustix::fs::Stat) -> Identity {
    // Every system has its own types for them; all that matters is that the same number comes out each time.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_lossless)]
    Identity { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
}

/// A descriptor of the same object that every child inherits.
pub(super) fn duplicate_inheritable(fd: impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: A plain number in, a new descriptor or -1 out.
    let number = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD, LOWEST) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The kernel made it a moment ago, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor of the same object, close-on-exec.
pub(crate) fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, LOWEST)?)
}

/// Looks at whatever is open under a number that somebody else wrote down.
pub(crate) fn look_at<T>(number: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> Result<T>) -> Result<T> {
    // SAFETY: A plain number in, an answer out.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: It is open, so it is not -1 either. Should its owner close it meanwhile, the kernel says so to `look`.
    look(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Takes over a descriptor by its number.
///
/// # Safety
/// It is open, and nothing else in this process owns it.
pub(crate) unsafe fn take_over(number: RawFd) -> OwnedFd {
    // SAFETY: By the caller.
    unsafe { OwnedFd::from_raw_fd(number) }
}

pub(crate) fn is_close_on_exec(fd: impl AsFd) -> Result<bool> {
    Ok(rustix::io::fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC))
}

pub(crate) fn set_close_on_exec(fd: impl AsFd, on: bool) -> io::Result<()> {
    let flags = if on { FdFlags::CLOEXEC } else { FdFlags::empty() };
    Ok(rustix::io::fcntl_setfd(fd, flags)?)
}

/// Moves a descriptor out of the way of standard input, output and error.
pub(crate) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= LOWEST {
        return Ok(fd);
    }
    duplicate(fd)
}

/// Whether a descriptor of that number may be one of standard input, output and error.
pub(crate) fn is_standard(number: RawFd) -> bool {
    number < LOWEST
}

/// The reading and the writing end of a new pipe.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_os = "macos"))]
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // macOS makes it in two steps: a child that another thread starts in between inherits the pipe.
    #[cfg(target_os = "macos")]
    let (reader, writer) = {
        let (reader, writer) = rustix::pipe::pipe()?;
        set_close_on_exec(&reader, true)?;
        set_close_on_exec(&writer, true)?;
        (reader, writer)
    };
    Ok((above_standard(reader)?, above_standard(writer)?))
}

/// What is always empty, and takes everything.
pub(crate) fn null() -> Result<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    Ok(above_standard(null.into())?)
}

/// Lets the children of `command` inherit a descriptor, in the child alone. `std` forks for this.
pub(crate) fn pass_with_std(command: &mut std::process::Command, descriptor: impl AsFd + Send + Sync + 'static) {
    use std::os::unix::process::CommandExt;
    let number = descriptor.as_fd().as_raw_fd();
    let clear = move || {
        // It lives as long as the command.
        let _ = &descriptor;
        // SAFETY: A plain number in, an answer out.
        match unsafe { libc::fcntl(number, libc::F_SETFD, 0) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: Between fork and exec the closure makes one system call, takes no lock and allocates nothing.
    unsafe { command.pre_exec(clear) };
}

/// What Unix alone knows of starting programs.
#[derive(Clone, Copy, Default)]
pub(crate) struct SpawnOptions {
    pub(crate) process_group: Option<i32>,
    /// Leaves blocked and ignored signals as they are.
    pub(crate) keep_signals: bool,
}

/// A [`Launch`] in C's form.
pub(super) struct Prepared {
    candidates: Vec<CString>,
    pub(super) args: Strings,
    pub(super) environment: Strings,
    #[allow(dead_code)] // Where programs are started by posix_spawn.
    pub(super) directory: Option<CString>,
}

impl Prepared {
    pub(super) fn new(launch: &Launch<'_>) -> Result<Self> {
        let environment = launch.environment.iter().map(|(key, value)| {
            let mut pair = Vec::with_capacity(key.len() + value.len() + 2);
            pair.extend_from_slice(key.as_bytes());
            pair.push(b'=');
            pair.extend_from_slice(value.as_bytes());
            without_nul(pair)
        });
        Ok(Self {
            candidates: candidates(launch)?,
            args: Strings::new(launch.args.iter().map(|arg| without_nul(arg.as_bytes())).collect::<Result<_>>()?),
            environment: Strings::new(environment.collect::<Result<_>>()?),
            directory: launch.directory.map(|directory| without_nul(directory.as_os_str().as_bytes())).transpose()?,
        })
    }

    /// Makes this process that program. Returns only where that failed; allocates nothing.
    fn become_program(&self, program: &CStr) -> Errno {
        // SAFETY: Every string and list ends with its null and lives until the call returns.
        unsafe {
            libc::execve(program.as_ptr(), self.args.pointers().cast(), self.environment.pointers().cast());
        }
        last_errno()
    }

    /// Tries one place after the other, as execvp(3) does: what isn't there is passed over, and what is there and may
    /// not be run is remembered.
    pub(super) fn try_each<T>(
        &self,
        mut attempt: impl FnMut(&CStr) -> std::result::Result<T, Errno>,
    ) -> std::result::Result<T, Errno> {
        if let [only] = &self.candidates[..] {
            return attempt(only);
        }
        let mut worst = Errno::NOENT;
        for candidate in &self.candidates {
            match attempt(candidate) {
                Err(Errno::ACCESS) => worst = Errno::ACCESS,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT) => {}
                answer => return answer,
            }
        }
        Err(worst)
    }
}

fn without_nul(bytes: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(bytes).map_err(|error| Failure {
        kind: ErrorKind::InvalidInput,
        os: error.into(),
        hint: "no program, argument, directory or variable can hold a NUL byte",
    })
}

/// Where the program may be.
fn candidates(launch: &Launch<'_>) -> Result<Vec<CString>> {
    let program = launch.program.as_bytes();
    if program.contains(&b'/') || program.is_empty() {
        return Ok(vec![without_nul(program)?]);
    }
    let search = launch.environment.iter().find(|(key, _)| key == "PATH");
    let search = search.map_or(&b"/bin:/usr/bin"[..], |(_, value)| value.as_bytes());
    let mut found = Vec::new();
    for directory in search.split(|byte| *byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let path = [directory, b"/", program].concat();
        // An attempt costs a process, a look only a system call. What is relative depends on the child's directory.
        if directory[0] != b'/' || may_exist(&path) {
            found.push(without_nul(path)?);
        }
    }
    Ok(found)
}

fn may_exist(path: &[u8]) -> bool {
    !matches!(rustix::fs::stat(path), Err(Errno::NOENT | Errno::NOTDIR))
}

/// A list as C has it: pointers, and a null behind them.
pub(super) struct Strings {
    pointers: Vec<*mut c_char>,
    _strings: Vec<CString>,
}

// SAFETY: The strings are its own, never changed, and stay where they are.
unsafe impl Send for Strings {}
// SAFETY: As above.
unsafe impl Sync for Strings {}

impl Strings {
    fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr().cast_mut());
        Self { pointers: pointers.chain([ptr::null_mut()]).collect(), _strings: strings }
    }

    pub(super) fn pointers(&self) -> *const *mut c_char {
        self.pointers.as_ptr()
    }
}

/// Starts a program by `fork(2)`, at a cost that grows with what this process has mapped.
#[allow(dead_code)] // Where posix_spawn always tells of a program that it couldn't be started.
pub(crate) fn fork(launch: &Launch<'_>) -> Result<Process> {
    let prepared = Arc::new(Prepared::new(launch)?);
    let pid = prepared.try_each(|program| fork_for(launch, &prepared, program));
    pid.map(Process).map_err(|errno| cannot_run(launch, errno))
}

/// The child tells by a pipe that it couldn't become the program: the standard library's, since the last thing that it does
/// there before its own `exec` is to call this one.
fn fork_for(launch: &Launch<'_>, prepared: &Arc<Prepared>, program: &CStr) -> std::result::Result<Pid, Errno> {
    use std::os::unix::process::CommandExt;
    use std::process::Command as Std;
    let mut command = Std::new(OsStr::from_bytes(program.to_bytes()));
    let redirects: [fn(&mut Std, OwnedFd) -> &mut Std; 3] = [Std::stdin, Std::stdout, Std::stderr];
    for (redirect, fd) in redirects.iter().zip(launch.standard) {
        if let Some(fd) = fd {
            redirect(&mut command, duplicate(fd).map_err(|error| errno_of(&error))?);
        }
    }
    if let Some(directory) = launch.directory {
        command.current_dir(directory);
    }
    if let Some(group) = launch.options.process_group {
        command.process_group(group);
    }
    let (prepared, program) = (Arc::clone(prepared), program.to_owned());
    let pass: Vec<_> = launch.pass.iter().map(|memory| memory.number()).collect();
    let signals = launch.options.keep_signals.then(Signals::now);
    let become_it = move || {
        for number in &pass {
            // SAFETY: It is open in this process, which is a copy of one where a region holds it.
            set_close_on_exec(unsafe { BorrowedFd::borrow_raw(*number) }, false)?;
        }
        if let Some(signals) = &signals {
            signals.put_back();
        }
        Err(prepared.become_program(&program).into())
    };
    // SAFETY: Between fork and exec the closure makes system calls and allocates nothing.
    unsafe { command.pre_exec(become_it) };
    let child = command.spawn().map_err(|error| errno_of(&error))?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)
}

/// Becomes another program. Returns only where that failed.
pub(crate) fn exec(launch: &Launch<'_>) -> Failure {
    match try_exec(launch) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn try_exec(launch: &Launch<'_>) -> Result<std::convert::Infallible> {
    let prepared = Prepared::new(launch)?;
    if let Some(group) = launch.options.process_group {
        // SAFETY: Plain numbers.
        if unsafe { libc::setpgid(0, group) } < 0 {
            return Err(cannot_run(launch, last_errno()));
        }
    }
    for (number, fd) in (0..).zip(launch.standard) {
        if let Some(fd) = fd {
            // SAFETY: Both are plain numbers; replacing standard input, output and error is what the caller asked.
            if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
                return Err(io::Error::last_os_error().into());
            }
        }
    }
    if let Some(directory) = launch.directory {
        std::env::set_current_dir(directory)?;
    }
    let inheritable = Inheritable::new(launch.pass)?;
    let signals = (!launch.options.keep_signals).then(DefaultSignals::new);
    let errno = prepared.try_each(|program| Err::<std::convert::Infallible, _>(prepared.become_program(program)));
    drop((inheritable, signals));
    errno.map_err(|errno| cannot_run(launch, errno))
}

/// What becomes of signals in this process, of those that a new program expects otherwise: Rust ignores SIGPIPE, and a
/// program inherits that.
struct Signals {
    pipe: libc::sigaction,
    mask: libc::sigset_t,
}

impl Signals {
    /// As they are.
    fn now() -> Self {
        let (mut pipe, mut mask) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: Neither call changes anything, or can fail with such arguments, so both fill in what there is.
        unsafe {
            libc::sigaction(libc::SIGPIPE, ptr::null(), pipe.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), mask.as_mut_ptr());
            Self { pipe: pipe.assume_init(), mask: mask.assume_init() }
        }
    }

    fn put_back(&self) {
        // SAFETY: Both are what there was.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, ptr::null_mut());
            libc::sigaction(libc::SIGPIPE, &raw const self.pipe, ptr::null_mut());
        }
    }
}

/// Signals as a new program expects them, for as long as this lives.
struct DefaultSignals(Signals);

impl DefaultSignals {
    fn new() -> Self {
        let (mut pipe, mut mask) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: Sets a default action (all zeros), which runs no code of this process, and an initialized mask of this
        // thread. Neither call can fail with such arguments, so both fill in what was there before.
        unsafe {
            libc::sigaction(libc::SIGPIPE, MaybeUninit::zeroed().as_ptr(), pipe.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, &no_signals(), mask.as_mut_ptr());
            Self(Signals { pipe: pipe.assume_init(), mask: mask.assume_init() })
        }
    }
}

impl Drop for DefaultSignals {
    fn drop(&mut self) {
        self.0.put_back();
    }
}

pub(super) fn no_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initializes the whole set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Says of a failed start what failed.
pub(super) fn cannot_run(launch: &Launch<'_>, errno: Errno) -> Failure {
    let enters = |directory: &Path| rustix::fs::access(directory, Access::EXEC_OK).is_ok() && directory.is_dir();
    let no_directory = launch.directory.is_some_and(|directory| !enters(directory));
    let (kind, hint) = match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::ACCESS if no_directory => {
            (ErrorKind::System, "its working directory is none that can be entered")
        }
        Errno::NOENT if launch.program.as_bytes().contains(&b'/') && Path::new(launch.program).exists() => {
            (ErrorKind::ProgramNotFound, "the file exists, but not the interpreter that it names")
        }
        Errno::NOENT if launch.program.as_bytes().contains(&b'/') => (ErrorKind::ProgramNotFound, "is the path right?"),
        Errno::NOENT => (ErrorKind::ProgramNotFound, "is it installed, and in the PATH?"),
        Errno::PERM if launch.options.process_group.is_some() => {
            (ErrorKind::System, "is its process_group one of this session?")
        }
        Errno::ACCESS | Errno::NOTDIR | Errno::ISDIR => {
            (ErrorKind::ProgramNotRunnable, "is it a file that this user may execute?")
        }
        Errno::NOEXEC => (
            ErrorKind::ProgramNotRunnable,
            "it is neither a program of this machine nor a script whose first line names its interpreter",
        ),
        Errno::TXTBSY | Errno::LOOP | Errno::NAMETOOLONG => (ErrorKind::ProgramNotRunnable, ""),
        Errno::TOOBIG => {
            (ErrorKind::ProgramNotRunnable, "its arguments and environment are larger than the kernel takes")
        }
        Errno::BADF => (
            ErrorKind::OutOfDescriptors,
            "the number of a descriptor that it should inherit is beyond this process's limit (ulimit -n)",
        ),
        errno => return errno.into(),
    };
    Failure { kind, os: errno.into(), hint }
}

/// A child, by its number.
#[derive(Debug)]
pub(crate) struct Process(pub(super) Pid);

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.0.as_raw_nonzero().get().unsigned_abs()
    }
}

/// Waits for a child that nobody waited for yet; without `block`, `None` says that it still runs.
pub(crate) fn wait(process: &Process, block: bool) -> Result<Option<ExitStatus>> {
    let options = if block { WaitOptions::empty() } else { WaitOptions::NOHANG };
    let waited = retry(|| rustix::process::waitpid(Some(process.0), options)).map_err(|errno| match errno {
        Errno::CHILD => Failure {
            kind: ErrorKind::System,
            os: errno.into(),
            hint: "somebody else in this process waited for it, or SIGCHLD is ignored and the system keeps no exit \
                   codes",
        },
        errno => errno.into(),
    })?;
    Ok(waited.map(|(_, status)| ExitStatus::from_raw(status.as_raw())))
}

/// Reads two streams to their ends, both at once: a child may wait for ever with one of them full.
pub(crate) fn gather(streams: [Option<OwnedFd>; 2]) -> io::Result<[Vec<u8>; 2]> {
    let mut files = streams.map(|stream| stream.map(File::from));
    let mut gathered = [Vec::new(), Vec::new()];
    let mut buffer = vec![0; 64 << 10];
    loop {
        let open: Vec<_> = (0..2).filter(|index| files[*index].is_some()).collect();
        if open.is_empty() {
            return Ok(gathered);
        }
        let mut polled: Vec<_> = files.iter().flatten().map(|file| PollFd::new(file, PollFlags::IN)).collect();
        retry(|| rustix::event::poll(&mut polled, None))?;
        let ready: Vec<_> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        for (index, _) in open.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            let Some(file) = &mut files[index] else { continue };
            match file.read(&mut buffer) {
                Ok(0) => files[index] = None,
                Ok(read) => gathered[index].extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Kills a child that nobody waited for yet.
pub(crate) fn kill(process: &Process) -> Result<()> {
    Ok(rustix::process::kill_process(process.0, Signal::KILL)?)
}
