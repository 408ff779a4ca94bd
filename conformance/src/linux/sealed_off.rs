//! What a child that is sealed off by [`confine_to`](heirloom::os::linux::CommandExt::confine_to) tries, and the kernel's result
//! of each.
//!
//! The control is the same call of a process that is not confined: it must succeed, unless the system's settings refuse it.

#![allow(clippy::useless_conversion)] // Some results have other types on 32-bit targets.

use std::ffi::{CStr, CString};
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use libc::{EACCES, ENOSYS, EPERM, c_int};
use rustix::fs::{AtFlags, Mode, OFlags};

use super::intruder::{self, DONE, Target, owned};
use super::{check, in_a_fork};

/// What a child that is sealed off tries to reach.
pub struct Place {
    outside: PathBuf,
    inside: PathBuf,
    /// A name that no path has.
    name: String,
    port: u16,
    /// The process that started it.
    parent: Target,
}

/// Keeps the sockets of a [`Place`] open.
pub type Listeners = (UnixListener, UnixDatagram, UnixListener, TcpListener);

impl Place {
    /// Makes this process, and files in that directory, the place. Returns what the child has to know of it.
    ///
    /// # Panics
    /// If the directory can't be written.
    #[must_use]
    pub fn create(directory: &Path) -> (Listeners, String) {
        for side in ["outside", "inside"] {
            let side = directory.join(side);
            fs::create_dir_all(side.join("directory")).unwrap();
            fs::write(side.join("file"), "text").unwrap();
            // By another process: a child of another thread could hold the file open for writing.
            assert!(Command::new("cp").arg("/bin/true").arg(side.join("program")).status().unwrap().success());
        }
        let (outside, parent) = (directory.join("outside"), Target::this_process());
        let name = format!("heirloom-{}", parent.id);
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at, port) = (abstract_address(&name).unwrap(), tcp.local_addr().unwrap().port());
        let stream = UnixListener::bind(outside.join("stream")).unwrap();
        let datagram = UnixDatagram::bind(outside.join("datagram")).unwrap();
        let listeners = (stream, datagram, UnixListener::bind_addr(&at).unwrap(), tcp);
        (listeners, format!("{}\n{port}\n{parent}", directory.display()))
    }

    /// Reads what [`create`](Self::create) returned.
    ///
    /// # Panics
    /// If it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let [directory, port, parent] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let (directory, parent): (_, Target) = (Path::new(directory), parent.parse().unwrap());
        let name = format!("heirloom-{}", parent.id);
        let (outside, inside) = (directory.join("outside"), directory.join("inside"));
        Self { outside, inside, name, port: port.parse().unwrap(), parent }
    }
}

/// Something that a child tries.
pub struct Attempt {
    /// The call, and how it is made.
    pub name: &'static str,
    /// Tries it.
    pub act: fn(&Place) -> io::Result<()>,
    /// The errno where the process is sealed off.
    pub answer: i32,
    /// The version of Landlock from which on it is so.
    pub since: u32,
    /// Whether the system may refuse it to every process without privileges.
    pub may_be_refused: bool,
}

const fn attempt(name: &'static str, act: fn(&Place) -> io::Result<()>, answer: i32) -> Attempt {
    Attempt { name, act, answer, since: 1, may_be_refused: false }
}

const fn rare(name: &'static str, act: fn(&Place) -> io::Result<()>, answer: i32) -> Attempt {
    Attempt { may_be_refused: true, ..attempt(name, act, answer) }
}

/// All attempts.
pub const ATTEMPTS: &[Attempt] = &[
    attempt("read a file outside", |place| fs::read(place.outside.join("file")).map(drop), EACCES),
    attempt("list a directory outside", |place| list(&place.outside), EACCES),
    attempt("write a file outside", |place| open_to_write(&place.outside), EACCES),
    attempt("append to a file outside", |place| append(&place.outside), EACCES),
    attempt("create a file outside", |place| create(&place.outside), EACCES),
    attempt("create an unnamed file outside", |place| create_unnamed(&place.outside), EACCES),
    attempt("create a directory outside", |place| create_directory(&place.outside), EACCES),
    attempt("create a symbolic link outside", |place| create_symlink(&place.outside), EACCES),
    attempt("create a FIFO outside", |place| create_node(&place.outside, libc::S_IFIFO), EACCES),
    attempt("create a socket outside", |place| create_node(&place.outside, libc::S_IFSOCK), EACCES),
    attempt("rename a file outside", |place| rename(&place.outside), EACCES),
    attempt("link a file outside", |place| link(&place.outside), EACCES),
    attempt("delete a file outside", |place| delete(&place.outside), EACCES),
    attempt("delete a directory outside", |place| fs::remove_dir(place.outside.join("directory")), EACCES),
    attempt("execute a program outside", |place| execute(&place.outside), EACCES),
    attempt("truncate a file outside", |place| truncate(&place.outside), EPERM),
    attempt("open a file outside to truncate it", |place| open_truncated(&place.outside), EPERM),
    attempt("chmod outside", |place| chmod(&place.outside), EPERM),
    attempt("fchmodat outside", |place| fchmodat(&place.outside), EPERM),
    rare("fchmodat2 outside", |place| fchmodat2(&place.outside), EPERM),
    attempt("chown outside", |place| chown(&place.outside), EPERM),
    attempt("lchown outside", |place| lchown(&place.outside), EPERM),
    attempt("fchownat outside", |place| fchownat(&place.outside), EPERM),
    attempt("utimensat outside", |place| set_times(&place.outside), EPERM),
    rare("setxattr outside", |place| set_attribute(&place.outside), EPERM),
    rare("removexattr outside", |place| remove_attribute(&place.outside), EPERM),
    attempt("stat outside", |place| fs::metadata(place.outside.join("file")).map(drop), DONE),
    attempt("read a file inside", |place| fs::read(place.inside.join("file")).map(drop), DONE),
    attempt("list a directory inside", |place| list(&place.inside), DONE),
    attempt("execute a program inside", |place| execute(&place.inside), DONE),
    attempt("write a file inside", |place| open_to_write(&place.inside), EACCES),
    attempt("append to a file inside", |place| append(&place.inside), EACCES),
    attempt("create a file inside", |place| create(&place.inside), EACCES),
    attempt("create an unnamed file inside", |place| create_unnamed(&place.inside), EACCES),
    attempt("create a directory inside", |place| create_directory(&place.inside), EACCES),
    attempt("rename a file inside", |place| rename(&place.inside), EACCES),
    attempt("link a file inside", |place| link(&place.inside), EACCES),
    attempt("delete a file inside", |place| delete(&place.inside), EACCES),
    attempt("truncate a file inside", |place| truncate(&place.inside), EPERM),
    attempt("open a file inside to truncate it", |place| open_truncated(&place.inside), EPERM),
    attempt("open a file inside for reading to truncate it", |place| read_truncated(&place.inside), EPERM),
    attempt("openat2 of a file inside", |place| open_by_openat2(&place.inside), ENOSYS),
    attempt("F_SETLEASE of a file that was opened inside", |place| lease(&place.inside), EPERM),
    attempt("F_NOTIFY of a directory inside", |place| notify(&place.inside), EPERM),
    attempt("chmod inside", |place| chmod(&place.inside), EPERM),
    attempt("fchmod of a file that was opened inside", |place| fchmod(&place.inside), EPERM),
    attempt("fchown of a file that was opened inside", |place| fchown(&place.inside), EPERM),
    attempt("futimens of a file that was opened inside", |place| set_times_opened(&place.inside), EPERM),
    rare("fsetxattr of a file that was opened inside", |place| set_attribute_opened(&place.inside), EPERM),
    rare("FS_IOC_SETFLAGS of a file that was opened inside", |place| set_flags(&place.inside), EPERM),
    rare("FS_IOC_FSSETXATTR of a file that was opened inside", |place| set_more_flags(&place.inside), EPERM),
    rare("type into an inherited terminal", |_| in_a_fork(type_into_terminal), EPERM),
    attempt("a stream to a socket with a path", |place| stream(&place.outside), EPERM),
    attempt("a datagram to a socket with a path", |place| datagram(&place.outside), EPERM),
    attempt("a stream to a socket with a name", stream_by_name, EPERM),
    attempt("a stream by TCP", |place| TcpStream::connect(("127.0.0.1", place.port)).map(drop), EPERM),
    attempt("a socket for netlink", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW), EPERM),
    attempt("a pair of streams", |_| UnixStream::pair().map(drop), DONE),
    attempt("a name for one of a pair", |_| name_a_pair(), EPERM),
    attempt("PTRACE_TRACEME", |_| in_a_fork(be_traced), EPERM),
    attempt("clone3", |_| fork_by_clone3(), ENOSYS),
    attempt("a datagram from one of a pair to a socket with a path", pair_to_path, EPERM),
    attempt("a packet from one of a raw pair to a socket with a path", raw_pair_to_path, EPERM),
    rare("io_uring_setup", |_| io_uring::IoUring::new(4).map(drop), EPERM),
    rare("add_key", |_| add_key(), EPERM),
    rare("keyctl", |_| keyctl(), EPERM),
    attempt("shmget", |_| shared_memory(), EPERM),
    attempt("semget", |_| semaphore(), EPERM),
    attempt("msgget", |_| messages(), EPERM),
    rare("mq_open", |_| message_queue(), EPERM),
    attempt("inotify_add_watch outside", |place| watch(&place.outside), EPERM),
    attempt("inotify_add_watch inside", |place| watch(&place.inside), EPERM),
    rare("fanotify_mark", |place| watch_by_fanotify(&place.inside), EPERM),
    attempt("prlimit of the parent", |place| intruder::limits(place.parent.id), EPERM),
    attempt("prlimit of itself", |_| intruder::limits(0), DONE),
    attempt("setpriority of the parent", |place| intruder::set_priority(&place.parent), EPERM),
    attempt("ioprio_set of the parent", |place| intruder::set_io_priority(&place.parent), EPERM),
    attempt("sched_setaffinity of the parent", |place| intruder::set_affinity(&place.parent), EPERM),
    attempt("sched_setscheduler of the parent", |place| intruder::set_scheduler(&place.parent), EPERM),
    attempt(
        "write /proc/PID/oom_score_adj of the parent",
        |place| intruder::rewrite(&place.parent, "oom_score_adj"),
        EACCES,
    ),
    attempt(
        "read /proc/PID/cmdline of the parent",
        |place| fs::read(format!("/proc/{}/cmdline", place.parent.id)).map(drop),
        EACCES,
    ),
    Attempt { since: 6, ..attempt("kill the parent with signal 0", |place| intruder::kill(&place.parent, 0), EPERM) },
    rare("mount in a user namespace of its own", |_| in_a_fork(mount), EPERM),
    #[cfg(target_arch = "x86_64")]
    rare("getpid of a 32-bit program, by int 0x80", |_| getpid_of_32_bits(), libc::ENOSYS),
    #[cfg(target_arch = "x86_64")]
    rare("getpid of x32", |_| check(call(0x4000_0000 | libc::SYS_getpid)), libc::ENOSYS),
];

fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.to_str().unwrap_or_default())?)
}

fn list(side: &Path) -> io::Result<()> {
    fs::read_dir(side)?.try_for_each(|entry| entry.map(drop))
}

fn open_to_write(side: &Path) -> io::Result<()> {
    File::options().write(true).open(side.join("file")).map(drop)
}

fn append(side: &Path) -> io::Result<()> {
    File::options().append(true).open(side.join("file")).map(drop)
}

fn create(side: &Path) -> io::Result<()> {
    File::create_new(side.join("created")).map(drop)
}

fn create_unnamed(side: &Path) -> io::Result<()> {
    rustix::fs::open(side, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR)?;
    Ok(())
}

fn create_directory(side: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(side.join("created directory"))
}

fn create_symlink(side: &Path) -> io::Result<()> {
    symlink("file", side.join("created link"))
}

fn create_node(side: &Path, kind: libc::mode_t) -> io::Result<()> {
    let path = c_path(&side.join(format!("created {kind}")))?;
    // SAFETY: A NUL-terminated string.
    check(unsafe { libc::mknod(path.as_ptr(), kind | 0o600, 0) })
}

fn rename(side: &Path) -> io::Result<()> {
    fs::rename(side.join("file"), side.join("renamed"))?;
    fs::rename(side.join("renamed"), side.join("file"))
}

fn link(side: &Path) -> io::Result<()> {
    fs::hard_link(side.join("file"), side.join("linked"))?;
    fs::remove_file(side.join("linked"))
}

fn delete(side: &Path) -> io::Result<()> {
    fs::remove_file(side.join("file"))?;
    fs::write(side.join("file"), "text")
}

fn execute(side: &Path) -> io::Result<()> {
    Command::new(side.join("program")).status().map(drop)
}

fn truncate(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: A NUL-terminated string.
    check(unsafe { libc::truncate(path.as_ptr(), 0) })
}

fn open_truncated(side: &Path) -> io::Result<()> {
    File::create(side.join("file")).map(drop)
}

fn read_truncated(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: A NUL-terminated string.
    owned(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_TRUNC | libc::O_CLOEXEC) }.into()).map(drop)
}

fn open_by_openat2(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    let how = [libc::O_CLOEXEC.unsigned_abs().into(), 0_u64, 0];
    // SAFETY: A NUL-terminated string, and a structure with its size; both live during the call.
    let opened =
        unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), size_of_val(&how)) };
    owned(opened).map(drop)
}

fn lease(side: &Path) -> io::Result<()> {
    let file = File::open(side.join("file"))?;
    // SAFETY: All arguments are integers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) })
}

fn notify(side: &Path) -> io::Result<()> {
    // From the kernel's fcntl.h.
    const DN_CREATE: c_int = 4;
    let directory = File::open(side)?;
    // SAFETY: All arguments are integers.
    check(unsafe { libc::fcntl(directory.as_raw_fd(), libc::F_NOTIFY, DN_CREATE) })
}

fn name_a_pair() -> io::Result<()> {
    let (one, _other) = UnixStream::pair()?;
    // It alone asks for any name.
    let family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or_default();
    let size = libc::socklen_t::try_from(size_of_val(&family)).unwrap_or_default();
    // SAFETY: The address lives during the call, and has that size.
    check(unsafe { libc::bind(one.as_raw_fd(), (&raw const family).cast(), size) })
}

fn be_traced() -> io::Result<()> {
    // SAFETY: All arguments are integers.
    check(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }.try_into().unwrap_or(-1))
}

fn fork_by_clone3() -> io::Result<()> {
    let mut arguments = [0_u64; 8];
    arguments[4] = libc::SIGCHLD.unsigned_abs().into();
    // SAFETY: The structure lives during the call, and has that size. The child ends at once.
    unsafe {
        match libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) {
            -1 => Err(io::Error::last_os_error()),
            0 => libc::_exit(0),
            child => check(libc::waitpid(child.try_into().unwrap_or(-1), ptr::null_mut(), 0)),
        }
    }
}

fn chmod(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: A NUL-terminated string.
    check(unsafe { libc::chmod(path.as_ptr(), 0o644) })
}

fn fchmodat(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: A NUL-terminated string.
    check(unsafe { libc::syscall(libc::SYS_fchmodat, libc::AT_FDCWD, path.as_ptr(), 0o644) })
}

fn fchmodat2(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: A NUL-terminated string.
    check(unsafe { libc::syscall(452, libc::AT_FDCWD, path.as_ptr(), 0o644, 0) })
}

fn chown(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: A NUL-terminated string, and numbers that change nothing.
    check(unsafe { libc::chown(path.as_ptr(), u32::MAX, u32::MAX) })
}

fn lchown(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: As above.
    check(unsafe { libc::lchown(path.as_ptr(), u32::MAX, u32::MAX) })
}

fn fchownat(side: &Path) -> io::Result<()> {
    Ok(rustix::fs::chownat(rustix::fs::CWD, side.join("file"), None, None, AtFlags::empty())?)
}

fn set_times(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: A NUL-terminated string; a null pointer means now.
    check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), ptr::null(), 0) })
}

const ATTRIBUTE: &CStr = c"user.heirloom";

fn set_attribute(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: NUL-terminated strings, and a value of that length.
    check(unsafe { libc::setxattr(path.as_ptr(), ATTRIBUTE.as_ptr(), c"x".as_ptr().cast(), 1, 0) })
}

fn remove_attribute(side: &Path) -> io::Result<()> {
    let path = c_path(&side.join("file"))?;
    // SAFETY: NUL-terminated strings.
    check(unsafe { libc::removexattr(path.as_ptr(), ATTRIBUTE.as_ptr()) })
}

fn opened(side: &Path) -> io::Result<File> {
    File::open(side.join("file"))
}

fn fchmod(side: &Path) -> io::Result<()> {
    opened(side)?.set_permissions(Permissions::from_mode(0o644))
}

fn fchown(side: &Path) -> io::Result<()> {
    Ok(rustix::fs::fchown(opened(side)?, None, None)?)
}

fn set_times_opened(side: &Path) -> io::Result<()> {
    // SAFETY: A descriptor; a null pointer means now.
    check(unsafe { libc::futimens(opened(side)?.as_raw_fd(), ptr::null()) })
}

fn set_attribute_opened(side: &Path) -> io::Result<()> {
    // SAFETY: A NUL-terminated string, and a value of that length.
    check(unsafe { libc::fsetxattr(opened(side)?.as_raw_fd(), ATTRIBUTE.as_ptr(), c"x".as_ptr().cast(), 1, 0) })
}

fn set_flags(side: &Path) -> io::Result<()> {
    let file = opened(side)?;
    let flags = rustix::fs::ioctl_getflags(&file)?;
    Ok(rustix::fs::ioctl_setflags(&file, flags)?)
}

fn set_more_flags(side: &Path) -> io::Result<()> {
    const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
    const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;
    let (file, mut attributes) = (opened(side)?, [0_u32; 7]);
    let attributes = attributes.as_mut_ptr();
    #[allow(clippy::cast_lossless, clippy::cast_possible_wrap)] // The type differs between C libraries.
    // SAFETY: `fsxattr` is seven numbers, which outlive the calls.
    let call = |request: u32| check(unsafe { libc::ioctl(file.as_raw_fd(), request as libc::Ioctl, attributes) });
    call(FS_IOC_FSGETXATTR)?;
    call(FS_IOC_FSSETXATTR)
}

fn stream(outside: &Path) -> io::Result<()> {
    UnixStream::connect(outside.join("stream")).map(drop)
}

fn datagram(outside: &Path) -> io::Result<()> {
    UnixDatagram::unbound()?.send_to(b"x", outside.join("datagram")).map(drop)
}

fn stream_by_name(place: &Place) -> io::Result<()> {
    UnixStream::connect_addr(&abstract_address(&place.name)?).map(drop)
}

fn socket(family: c_int, kind: c_int) -> io::Result<()> {
    // SAFETY: All arguments are integers.
    owned(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) }.into()).map(drop)
}

fn pair_to_path(place: &Place) -> io::Result<()> {
    UnixDatagram::pair()?.0.send_to(b"x", place.outside.join("datagram")).map(drop)
}

fn raw_pair_to_path(place: &Place) -> io::Result<()> {
    let mut pair = [0; 2];
    // SAFETY: The kernel fills in both numbers, and has just opened the descriptors, so nothing else owns them.
    let pair: [OwnedFd; 2] = unsafe {
        check(libc::socketpair(libc::AF_UNIX, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr()))?;
        [owned(pair[0].into())?, owned(pair[1].into())?]
    };
    let [first, _second] = pair;
    UnixDatagram::from(first).send_to(b"x", place.outside.join("datagram")).map(drop)
}

fn add_key() -> io::Result<()> {
    const KEY_SPEC_PROCESS_KEYRING: c_int = -2;
    let (kind, name, value) = (c"user".as_ptr(), c"heirloom".as_ptr(), c"x".as_ptr());
    // SAFETY: NUL-terminated strings, and a value of that length.
    check(unsafe { libc::syscall(libc::SYS_add_key, kind, name, value, 1_usize, KEY_SPEC_PROCESS_KEYRING) })
}

fn keyctl() -> io::Result<()> {
    const KEY_SPEC_USER_KEYRING: c_int = -4;
    // KEYCTL_GET_KEYRING_ID.
    // SAFETY: All arguments are integers.
    check(unsafe { libc::syscall(libc::SYS_keyctl, 0, KEY_SPEC_USER_KEYRING, 1) })
}

/// The flags of a new object of System V.
const NEW: c_int = libc::IPC_CREAT | 0o600;

fn shared_memory() -> io::Result<()> {
    // SAFETY: All arguments are integers or null.
    unsafe {
        let id = libc::shmget(libc::IPC_PRIVATE, 4096, NEW);
        check(id)?;
        check(libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()))
    }
}

fn semaphore() -> io::Result<()> {
    // SAFETY: All arguments are integers.
    unsafe {
        let id = libc::semget(libc::IPC_PRIVATE, 1, NEW);
        check(id)?;
        check(libc::semctl(id, 0, libc::IPC_RMID))
    }
}

fn messages() -> io::Result<()> {
    // SAFETY: All arguments are integers or null.
    unsafe {
        let id = libc::msgget(libc::IPC_PRIVATE, NEW);
        check(id)?;
        check(libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()))
    }
}

fn message_queue() -> io::Result<()> {
    let name = CString::new(format!("heirloom-{}", std::process::id()))?;
    let (flags, defaults) = (libc::O_CREAT | libc::O_RDONLY, ptr::null::<u8>());
    // SAFETY: A NUL-terminated string, and no attributes.
    unsafe {
        owned(libc::syscall(libc::SYS_mq_open, name.as_ptr(), flags, 0o600, defaults))?;
        check(libc::syscall(libc::SYS_mq_unlink, name.as_ptr()))
    }
}

fn watch(side: &Path) -> io::Result<()> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    add_watch(init(CreateFlags::CLOEXEC)?, side, WatchFlags::CREATE)?;
    Ok(())
}

fn watch_by_fanotify(side: &Path) -> io::Result<()> {
    const FAN_REPORT_FID: u32 = 0x200;
    let path = c_path(side)?;
    // SAFETY: All arguments are integers, or a NUL-terminated string.
    unsafe {
        let group = owned(libc::fanotify_init(FAN_REPORT_FID | libc::FAN_CLOEXEC, 0).into())?;
        check(libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD,
            libc::FAN_ATTRIB,
            libc::AT_FDCWD,
            path.as_ptr(),
        ))
    }
}

fn mount() -> io::Result<()> {
    // SAFETY: All arguments are integers, NUL-terminated strings or null. The process, a fork, has one thread.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
        check(libc::mount(c"tmpfs".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, ptr::null()))
    }
}

/// Opens a terminal that nobody sits at, to be the standard input of the child. Returns both its ends, or `None` where the system
/// has none.
#[must_use]
pub fn terminal() -> Option<[OwnedFd; 2]> {
    const TIOCGPTPEER: u32 = 0x5441;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let unlocked = 0;
    let screen = File::options().read(true).write(true).open("/dev/ptmx").ok()?;
    #[allow(clippy::cast_lossless, clippy::cast_possible_wrap)] // The type differs between C libraries.
    // SAFETY: The number lives during the call, and the kernel has just opened the descriptor that it returns.
    let keyboard = unsafe {
        libc::ioctl(screen.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked);
        owned(libc::ioctl(screen.as_raw_fd(), TIOCGPTPEER as libc::Ioctl, flags).into()).ok()?
    };
    Some([screen.into(), keyboard])
}

/// Types into the terminal of standard input, which is made that of a new session.
fn type_into_terminal() -> io::Result<()> {
    // SAFETY: All arguments are integers, or a byte that lives during the call.
    unsafe {
        check(libc::setsid())?;
        check(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
        check(libc::ioctl(0, libc::TIOCSTI, c"x".as_ptr()))
    }
}

#[cfg(target_arch = "x86_64")]
fn call(number: libc::c_long) -> libc::c_long {
    // SAFETY: The number is that of a call without arguments.
    unsafe { libc::syscall(number) }
}

#[cfg(target_arch = "x86_64")]
fn getpid_of_32_bits() -> io::Result<()> {
    let mut number = 20_i32;
    // SAFETY: `getpid` of 32-bit programs has no arguments. The kernel keeps all registers but the result's, and clears r8 to r11.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") number, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if number < 0 { Err(io::Error::from_raw_os_error(-number)) } else { Ok(()) }
}
