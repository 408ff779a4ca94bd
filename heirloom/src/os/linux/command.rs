use std::path::Path;
use std::process;
use std::sync::Arc;

use crate::os::unix::sealed::Sealed;
use crate::sys::{self, Confinement, Failure};
use crate::{Command, Error, Result};

/// Extends [`Command`] and the standard library's command to keep a child from the memory and the descriptors of other
/// processes.
///
/// ```
/// use heirloom::os::linux::CommandExt;
/// use heirloom::{Command, ErrorKind, FrozenRegion};
///
/// let input = FrozenRegion::from_bytes(b"untrusted")?;
/// let mut command = Command::new("cat");
/// # command.arg("/dev/null");
/// command.inherit("input", &input)?;
/// match command.confine() {
///     Ok(_) => {}
///     Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()), // or start it as another user
///     Err(error) => return Err(error),
/// }
/// assert!(command.status()?.success());
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait CommandExt: Sealed {
    /// Keeps the child apart from all other processes but its own children: it is born in a
    /// [Landlock](https://man7.org/linux/man-pages/man7/landlock.7.html) domain of its own.
    ///
    /// It then can't trace another process, this one included, nor read or write its memory, nor take its descriptors: not by
    /// `/proc/PID/mem`, `/proc/PID/fd` and the like, `ptrace`, `process_vm_readv`, `pidfd_getfd` or `kcmp`. (A child of root may
    /// still read `environ`, `maps` and `pagemap`, and measure by `perf_event_open`, by its capability `CAP_PERFMON`.) From Linux
    /// 6.12 on it can't send a signal to one either. Two children of one command are kept apart from each other. The program
    /// needs no change, and this process stays as it is.
    ///
    /// It takes from the child: the rights of setuid programs (`PR_SET_NO_NEW_PRIVS`), mounting, and before Linux 5.19 moving a
    /// file to another directory. It leaves open: files, terminals and sockets of the user, through which other programs can
    /// be asked to act (a terminal that it inherits takes typed commands where `dev.tty.legacy_tiocsti` is 1); its keys, its System
    /// V and POSIX objects; and what a process may do to another one of its user without looking into it, which is to read its
    /// status, its arguments and the numbers of its descriptors, and to set its limits (`prlimit`; one of processor time ends it),
    /// priority, processors, `oom_score_adj` and `coredump_filter`. [`confine_to`](Self::confine_to) closes these too. A child of
    /// root keeps root's capabilities, so drop them first.
    ///
    /// With [`exec`](crate::os::unix::CommandExt::exec), the calling thread itself is confined, also if the program can't be
    /// executed.
    ///
    /// # Errors
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a kernel before 5.13, or one without Landlock, or a sandbox
    ///   forbids it.
    /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
    ///
    /// A later spawn fails with [`ErrorKind::System`](crate::ErrorKind::System) if this process is in 16 domains already.
    ///
    /// ```
    /// use heirloom::os::linux::CommandExt;
    ///
    /// let mut command = heirloom::Command::new("sh");
    /// command.args(["-c", "readlink /proc/$PPID/fd/0"]);
    /// # command.stderr(heirloom::Stdio::null()).stdout(heirloom::Stdio::null());
    /// # if command.confine().is_err() { return Ok(()) }
    /// command.confine()?;
    /// assert!(!command.status()?.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn confine(&mut self) -> Result<&mut Self>;

    /// Seals the child off: it is kept apart as by [`confine`](Self::confine), and has no file, socket or process of the user, but
    /// what it inherits, what it makes itself, and for reading what is beneath `readable`.
    ///
    /// `readable` are directories and files that the child may read and execute: the program, its libraries and its data. They
    /// must exist. A program that is linked dynamically usually needs `/usr`, `/lib`, `/lib64` and `/etc/ld.so.cache`. Called
    /// again, it allows only what both calls allow.
    ///
    /// Beyond the domain, a filter of system calls ([seccomp(2)](https://man7.org/linux/man-pages/man2/seccomp.2.html)) denies, by
    /// EPERM: sockets, but for pairs that are connected, and `io_uring`; changing a file's mode, owner, times or attributes, and
    /// all requests to file systems themselves ([ioctl(2)](https://man7.org/linux/man-pages/man2/ioctl.2.html)); typing into a
    /// terminal (`TIOCSTI`); watching directories; setting priorities, processors and the limits of a process that is named; keys,
    /// and the System V and POSIX objects that have names; `ptrace`. `clone3`, `openat2` and the calls of other processors, as of
    /// 32-bit programs, answer ENOSYS.
    ///
    /// It leaves open: whether a path exists, its size, times and attributes, and where a symbolic link leads; locks on files that
    /// it may read (`flock`); an inherited descriptor, with all that it allows, so don't pass standard streams that the child need
    /// not have; before Linux 6.12, signals to the user's processes; what root's capabilities allow, so drop them first; and the
    /// use of memory and processors.
    ///
    /// # Errors
    /// As for [`confine`](Self::confine), and:
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): a kernel without seccomp, or another processor than x86-64,
    ///   aarch64 and riscv64.
    /// - [`ErrorKind::System`](crate::ErrorKind::System): a path doesn't exist, or can't be reached.
    ///
    /// ```
    /// use heirloom::os::linux::CommandExt;
    ///
    /// let present = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"].into_iter().filter(|path| {
    ///     std::path::Path::new(path).exists()
    /// });
    /// let mut command = heirloom::Command::new("cat");
    /// command.arg("/etc/passwd");
    /// # command.stderr(heirloom::Stdio::null());
    /// # if command.confine().is_err() || cfg!(not(target_pointer_width = "64")) { return Ok(()) }
    /// command.confine_to(present)?;
    /// assert!(!command.status()?.success());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn confine_to<P: AsRef<Path>>(&mut self, readable: impl IntoIterator<Item = P>) -> Result<&mut Self>;
}

impl CommandExt for Command {
    fn confine(&mut self) -> Result<&mut Self> {
        self.options.confinements.push(Arc::new(apart()?));
        Ok(self)
    }

    fn confine_to<P: AsRef<Path>>(&mut self, readable: impl IntoIterator<Item = P>) -> Result<&mut Self> {
        self.options.confinements.push(Arc::new(sealed_off(readable)?));
        Ok(self)
    }
}

/// The standard library then forks, as with [`InheritExt`](crate::os::unix::InheritExt). An error in the child is the system's own:
/// `EOVERFLOW` for too many domains.
impl CommandExt for process::Command {
    fn confine(&mut self) -> Result<&mut Self> {
        sys::confine_with_std(self, apart()?);
        Ok(self)
    }

    fn confine_to<P: AsRef<Path>>(&mut self, readable: impl IntoIterator<Item = P>) -> Result<&mut Self> {
        sys::confine_with_std(self, sealed_off(readable)?);
        Ok(self)
    }
}

fn apart() -> Result<Confinement> {
    Confinement::apart().map_err(not_confined)
}

fn sealed_off<P: AsRef<Path>>(readable: impl IntoIterator<Item = P>) -> Result<Confinement> {
    let confinement = Confinement::sealed_off().map_err(not_confined)?;
    for path in readable {
        let path = path.as_ref();
        confinement.allow_reading(path).map_err(|failure| {
            Error::system(format_args!("cannot allow a confined child to read {}", path.display()), failure)
        })?;
    }
    Ok(confinement)
}

fn not_confined(failure: Failure) -> Error {
    Error::system("cannot confine a child", failure)
}
