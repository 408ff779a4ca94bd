//! G9, a failed call leaves nothing behind, and fresh memory is zero. strace makes each system call of each operation
//! fail in turn, with each error that its manual page names and that can occur there.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use heirloom::os::linux::FrozenOptionsExt;
use heirloom::{Command, ErrorKind, FrozenRegion, Region};
use heirloom_conformance::{descriptors, secret_memory, skip};

/// The path of the `faulty` program, whose calls strace makes fail.
const FAULTY: &str = env!("CARGO_BIN_EXE_faulty");

/// Calls that are not made to fail: they cannot fail, come from the C library or from hash maps' random numbers, or
/// release a resource, whose errors no caller could act on.
const NOT_INJECTED: &[&str] =
    &["rt_sigaction", "rt_sigprocmask", "getrandom", "munmap", "close", "exit_group", "lseek"];

/// Operations, and the prefixes that their error messages may have.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("create", &["cannot create a region of 8192 bytes: "]),
    ("create-populated", &["cannot create a region of 8192 bytes: "]),
    ("create-huge", &["cannot create a region of 2097152 bytes: "]),
    ("create-file", &["cannot create a region of 8192 bytes in /dev/shm: "]),
    ("create-secret", &["cannot create a secret region of 8192 bytes: "]),
    ("map", &["cannot map a region of 8192 bytes: "]),
    ("map-secret", &["cannot map a secret region of 8192 bytes: "]),
    ("map-populated", &["cannot map a region of 8192 bytes: "]),
    ("map-range", &["cannot map a region of 8192 bytes: "]),
    ("map-copy", &["cannot map a region of 8192 bytes: "]),
    ("map-read-only", &["cannot map a region of 8192 bytes: "]),
    ("map-frozen", &["cannot map a region of 8192 bytes: "]),
    ("no-dump", &["cannot exclude a mapping from core dumps: "]),
    ("exclude-from-fork", &["cannot map a region of 8192 bytes: ", "cannot exclude a mapping from forks: "]),
    (
        "use-huge-pages",
        &["cannot map a region of 4194304 bytes: ", "cannot use huge pages for a mapping of 4190208 bytes: "],
    ),
    (
        "channel",
        &[
            "cannot create a channel of 4096 bytes: ",
            "cannot create a region of 4352 bytes: ",
            "cannot duplicate region \"channel\" of 4352 bytes: ",
            "cannot map region \"channel\" of 4352 bytes: ",
        ],
    ),
    (
        "map-with-locks",
        &["cannot map a region of 8192 bytes: ", "cannot prepare the locks of a region of 8192 bytes: "],
    ),
    ("make-read-only", &["cannot make a region of 8192 bytes read-only: ", "cannot map a region of 8192 bytes: "]),
    ("freeze", &["cannot freeze a region of 8192 bytes: "]),
    ("freeze-read-only", &["cannot freeze a region of 8192 bytes: "]),
    ("fill-bytes", FILL),
    ("fill-huge", FILL),
    ("fill-reader", FILL),
    ("fill-file", FILL),
    ("fill-pipe", FILL),
    ("fill-pipe-beyond-maximum", FILL),
    ("copy-of", &["cannot create a frozen region: ", "cannot fill a frozen region after ", "cannot copy a region of "]),
    ("export", &["cannot export a region of 8192 bytes: "]),
    ("export-inheritable", &["cannot export a region of 8192 bytes: "]),
    ("import", &["cannot import the region "]),
    ("import-owned", &["cannot import the region "]),
    ("from-descriptor", &["cannot take a descriptor as a region: "]),
    ("into-descriptor", &["cannot duplicate a region of 8192 bytes: "]),
    ("copy-on-write", &["cannot duplicate a region of 8192 bytes: "]),
    ("inherit", &["cannot pass a region of 8192 bytes to a child: ", "cannot duplicate a region of 8192 bytes: "]),
    ("inherit-std", &["cannot pass a region of 8192 bytes to a child: ", "cannot duplicate a region of 8192 bytes: "]),
    ("claim", &["cannot inherit the region \"a\": "]),
    ("claim-claimed-elsewhere", &["cannot inherit the region \"a\": "]),
    ("inherited", &["cannot inherit the region \"a\": "]),
    ("inherited-claimed-elsewhere", &["cannot inherit the region \"a\": "]),
    ("spawn", START),
    ("spawn-piped", START),
    ("spawn-redirected", START),
    ("spawn-searched", &["cannot start \"true\": "]),
    ("spawn-confined", CONFINE),
    ("spawn-sealed", CONFINE),
    (
        "output",
        &["cannot start ", "cannot open a standard stream for ", "cannot read the output of ", "cannot wait for "],
    ),
    ("wait", &["cannot start ", "cannot wait for process "]),
    ("pidfd", &["cannot start ", "cannot open a pidfd of process ", "cannot wait for process "]),
    ("kill", &["cannot start ", "cannot kill process ", "cannot wait for process "]),
    ("exec", &["cannot execute \"/nonexistent/program\": ", "cannot open a standard stream for "]),
];

const FILL: &[&str] = &["cannot create a frozen region: ", "cannot fill a frozen region after "];
const CONFINE: &[&str] =
    &["cannot confine a child: ", "cannot allow a confined child to read /: ", "cannot start \"/bin/true\": "];
const START: &[&str] = &["cannot start \"/bin/true\": ", "cannot open a standard stream for \"/bin/true\": "];

/// Calls: the operation's prefix (empty: every operation), the call, a part of its arguments, and each error with the
/// kind that it becomes, or `fine` where the library retries or falls back to another call. The first matching row
/// counts.
const CALLS: &[(&str, &str, &str, &str)] = &[
    // Creating memory. The first attempt has a flag that old kernels reject with EINVAL.
    (
        "",
        "memfd_create",
        "",
        "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EPERM=Unsupported ENOSYS=Unsupported \
         EACCES=Unsupported EINVAL=fine",
    ),
    (
        "",
        "memfd_secret",
        "",
        "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EPERM=Unsupported ENOSYS=Unsupported \
         EACCES=Unsupported EINVAL=System",
    ),
    ("", "openat", "O_TMPFILE", OPEN_UNNAMED),
    ("", "ftruncate", "", "EINTR=fine EFBIG=TooLarge EINVAL=System EIO=System EPERM=System ENOSPC=OutOfMemory"),
    ("create-huge", "fallocate", "", "EINTR=fine ENOSPC=OutOfMemory ENOMEM=OutOfMemory EFBIG=TooLarge EPERM=System"),
    (
        "create-file",
        "fallocate",
        "",
        "EINTR=fine ENOSPC=OutOfMemory EDQUOT=OutOfMemory EFBIG=TooLarge EIO=System EPERM=System EOPNOTSUPP=Unsupported",
    ),
    ("", "fallocate", "", "EINTR=fine ENOSPC=OutOfMemory ENOMEM=OutOfMemory EFBIG=TooLarge EIO=System EPERM=System"),
    // A sandbox may refuse to report the limit; the library then assumes none.
    ("", "prlimit64", "RLIMIT_FSIZE", "ENOSYS=fine EPERM=fine"),
    ("", "prlimit64", "RLIMIT_NOFILE", ""),
    // Seals.
    ("create", "fcntl", "F_ADD_SEALS", "EPERM=Sealed EINVAL=Unsupported"),
    ("", "fcntl", "F_ADD_SEALS", "EBUSY=StillWritable EPERM=Sealed EINVAL=Unsupported"),
    ("import", "fcntl", "F_GET_SEALS", "EINVAL=Mismatch EIO=System"),
    ("from-descriptor", "fcntl", "F_GET_SEALS", "EINVAL=Mismatch EIO=System"),
    // A region whose claim failed is tried again when it is requested, unless its descriptor is closed or has no seals.
    ("claim", "fcntl", "F_GET_SEALS", "EIO=System"),
    ("inherited", "fstat", "", "ENOMEM=fine EOVERFLOW=fine"),
    // The size of the input, which a pipe doesn't have.
    ("fill-pipe-beyond-maximum", "fstat", "", "ENOMEM=fine EOVERFLOW=fine"),
    ("inherited", "fcntl", "F_GETFD", ""),
    ("inherited", "fcntl", "F_GETFL", "EBADF=fine"),
    ("inherited", "fcntl", "F_GET_SEALS", "EIO=fine"),
    ("inherited", "fcntl", "F_SETFD", "EPERM=fine"),
    ("inherited", "fcntl", "F_DUPFD", "EMFILE=fine EINVAL=fine"),
    ("create-file", "fcntl", "F_GET_SEALS", "EINVAL=fine"),
    ("create-secret", "fcntl", "F_GET_SEALS", "EIO=System"),
    // Reading the seals back. A freeze that can't is successful if the status shows the seals.
    ("freeze", "fcntl", "F_GET_SEALS", "EINVAL=fine EIO=fine"),
    // A seal can't be removed, so a second run would find it. The kernel doesn't fail this call after adding a seal.
    ("make-read-only", "fcntl", "F_GET_SEALS", ""),
    ("", "fcntl", "F_GET_SEALS", "EINVAL=System EIO=System"),
    // Reading how much memory is left, see below.
    ("create-populated", "fstat", "", "ENOMEM=fine EOVERFLOW=fine"),
    // Another owner may have drawn the same number.
    ("map-with-locks", "fcntl", "F_OFD_SETLK", "EAGAIN=fine EACCES=fine EINTR=fine EINVAL=Unsupported ENOLCK=System"),
    // Descriptors.
    ("", "fcntl", "F_DUPFD", "EMFILE=OutOfDescriptors EINVAL=System"),
    ("import", "fcntl", "F_GETFD", "EBADF=Mismatch|System"),
    // The standard library checks the descriptor before it closes one, in a debug build.
    ("", "fcntl", "F_GETFD", ""),
    ("", "fcntl", "F_GETFL", "EBADF=System"),
    ("", "fstat", "", "ENOMEM=OutOfMemory EOVERFLOW=System"),
    // For memory without seals, which may be secret; and where every region gets huge pages (shmem_enabled).
    ("", "fstatfs", "", ""),
    // After a failed exec there is no fallback where this fails.
    ("exec", "fcntl", "F_SETFD, FD_CLOEXEC", ""),
    ("", "fcntl", "F_SETFD", "EPERM=System"),
    // Mapping. The allocator and a spawned child's stack use anonymous mappings.
    ("map-with-locks", "mmap", "NULL, 4,", "ENOMEM=OutOfMemory EAGAIN=System"),
    ("", "mmap", "MAP_STACK", "ENOMEM=OutOfMemory EAGAIN=System"),
    ("use-huge-pages", "mmap", "PROT_NONE", "ENOMEM=OutOfMemory"),
    // A region that can't be filled by huge pages gets ordinary ones.
    ("fill-huge", "mmap", "", "ENOMEM=fine EACCES=fine EAGAIN=fine ENODEV=fine ENFILE=fine EPERM=fine"),
    ("fill-huge", "madvise", "", "EINVAL=fine ENOMEM=fine EAGAIN=fine EBUSY=fine EPERM=fine"),
    ("fill-huge", "pwrite64", r#""\0", 1"#, "EINTR=fine EIO=fine EFBIG=fine ENOSPC=fine ENOMEM=fine EPERM=fine"),
    ("", "mmap", "MAP_ANONYMOUS", "ENOMEM=fine"),
    ("", "brk", "", "ENOMEM=fine"),
    ("use-huge-pages", "mremap", "", "ENOMEM=OutOfMemory EFAULT=Unsupported EPERM=Unsupported ENOSYS=Unsupported"),
    ("", "mremap", "", "ENOMEM=fine"),
    ("map-read-only", "mmap", "", READING),
    ("map-frozen", "mmap", "", READING),
    (
        "",
        "mmap",
        "",
        "EPERM=Sealed ENOMEM=OutOfMemory EACCES=System EAGAIN=OutOfMemory ENODEV=System ENFILE=OutOfDescriptors",
    ),
    // Where a block isn't free in one piece, the mapping keeps its ordinary pages.
    ("use-huge-pages", "madvise", "", "EINVAL=Unsupported ENOMEM=fine EAGAIN=fine EBUSY=fine"),
    ("map-with-locks", "madvise", "", "EAGAIN=fine EINVAL=fine ENOMEM=fine"),
    ("", "madvise", "", "EAGAIN=System EINVAL=System ENOMEM=OutOfMemory"),
    // The size of the input, which a pipe doesn't have.
    ("fill-pipe-beyond-maximum", "statx", "AT_EMPTY_PATH", "ENOMEM=fine ENOSYS=fine"),
    // How much memory is left: where that is unknown, the memory is requested anyway.
    ("create-populated", "openat", "", "ENOENT=fine EACCES=fine EMFILE=fine ENFILE=fine ENOMEM=fine EINTR=fine"),
    ("create-populated", "statx", "", "ENOMEM=fine EACCES=fine"),
    ("create-populated", "read", "", "EIO=fine EINTR=fine ENOMEM=fine"),
    // Filling. Where sendfile fails, the library reads and writes.
    ("", "sendfile", "", "EINTR=fine EINVAL=fine EIO=fine ENOMEM=fine EAGAIN=fine EOVERFLOW=fine"),
    ("fill-pipe", "read", "", "EINTR=fine EIO=System EAGAIN=System ENOMEM=OutOfMemory"),
    ("", "pwrite64", "", "EINTR=fine EIO=System EFBIG=TooLarge ENOSPC=OutOfMemory ENOMEM=OutOfMemory EPERM=System"),
    ("copy-of", "pread64", "", "EINTR=fine EIO=System EISDIR=System ENOMEM=OutOfMemory"),
    ("output", "read", "", "EINTR=fine EIO=System ENOMEM=OutOfMemory"),
    // Starting programs, in the parent.
    ("", "pipe2", "", "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors"),
    (
        "map-with-locks",
        "openat",
        "/proc/thread-self/fd",
        "EINTR=fine EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EACCES=Unsupported ENOENT=Unsupported",
    ),
    (
        "channel",
        "openat",
        "/proc/thread-self/fd",
        "EINTR=fine EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EACCES=Unsupported ENOENT=Unsupported",
    ),
    (
        "",
        "openat",
        "/dev/null",
        "EINTR=fine EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EACCES=System ENOENT=System",
    ),
    // Confining. In the parent, this call has no ruleset and fails in any case; a fault hits the child's too.
    ("", "landlock_restrict_self", "", "EPERM=System ENOSYS=System ENOMEM=OutOfMemory"),
    (
        "",
        "landlock_create_ruleset",
        "LANDLOCK_CREATE_RULESET_VERSION",
        "ENOSYS=Unsupported EOPNOTSUPP=Unsupported EPERM=Unsupported",
    ),
    (
        "",
        "landlock_create_ruleset",
        "",
        "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EINVAL=System E2BIG=System",
    ),
    ("", "landlock_add_rule", "", "EINVAL=System ENOMEM=OutOfMemory EPERM=System EBADF=System"),
    ("spawn-confined", "openat", "O_PATH", OPEN_ROOT),
    ("spawn-sealed", "openat", "O_PATH", OPEN_ROOT),
    ("", "prctl", "PR_SET_SECCOMP", "EINVAL=Unsupported EPERM=Unsupported ENOSYS=Unsupported"),
    ("", "prctl", "PR_SET_NO_NEW_PRIVS", "EINVAL=System EPERM=System"),
    // A path that cannot be checked may exist.
    ("spawn-searched", "newfstatat", "", "EACCES=fine ENOMEM=fine ELOOP=fine"),
    ("", "clone3", "", "ENOSYS=fine EAGAIN=System ENOMEM=OutOfMemory EPERM=System"),
    ("", "clone", "", "EAGAIN=System ENOMEM=OutOfMemory EPERM=System"),
    ("", "vfork", "", "EAGAIN=System ENOMEM=OutOfMemory"),
    ("", "ppoll", "", "EINTR=fine EINVAL=System ENOMEM=OutOfMemory"),
    // A failed wait4 leaves a zombie, so only the operation `wait` has this error: it reaps the child itself.
    ("wait", "wait4", "", "EINTR=fine ECHILD=System"),
    ("", "wait4", "", "EINTR=fine"),
    ("kill", "pidfd_open", "", "EMFILE=fine ENFILE=fine ENOMEM=OutOfMemory ENODEV=System ENOSYS=fine"),
    // Linux 5.3 has pidfds that waitid rejects.
    ("", "waitid", "P_PIDFD", "EINTR=fine ECHILD=System EINVAL=fine"),
    ("", "waitid", "P_PID", "EINTR=fine ECHILD=System"),
    ("", "pidfd_send_signal", "", "EPERM=System EINVAL=System ESRCH=System"),
    (
        "",
        "pidfd_open",
        "",
        "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory ENODEV=System ENOSYS=System",
    ),
    ("", "kill", "", "EPERM=System ESRCH=System"),
    // Used for the error's advice only.
    ("exec", "stat", "", "EACCES=fine ENOMEM=fine"),
    ("exec", "statx", "", "EACCES=fine ENOMEM=fine"),
    // Replaces stat and fstat where their times have 32 bits.
    ("spawn-searched", "statx", "/bin", "EACCES=fine ENOMEM=fine ELOOP=fine ENOSYS=fine"),
    ("inherited", "statx", "AT_EMPTY_PATH", "ENOMEM=fine ENOSYS=fine"),
    ("", "statx", "AT_EMPTY_PATH", "ENOMEM=OutOfMemory ENOSYS=fine"),
    // In the child.
    ("", "setpgid", "", "EPERM=System ESRCH=System"),
    ("", "dup2", "", "EBADF=System EBUSY=System EINTR=System EMFILE=OutOfDescriptors"),
    ("", "chdir", "", "EIO=System ENOMEM=OutOfMemory ELOOP=ProgramNotRunnable"),
    // Not ETXTBSY, for which every attempt is repeated: `busy_program_is_tried_again` has it.
    (
        "",
        "execve",
        "",
        "ENOENT=ProgramNotFound EACCES=ProgramNotRunnable E2BIG=ProgramNotRunnable ENOEXEC=ProgramNotRunnable \
         ENOTDIR=ProgramNotRunnable|ProgramNotFound ELOOP=ProgramNotRunnable \
         ENAMETOOLONG=ProgramNotRunnable EISDIR=ProgramNotRunnable EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors \
         ENOMEM=OutOfMemory EAGAIN=System EIO=System EPERM=System EINVAL=System",
    ),
];

const OPEN_UNNAMED: &str = "EINTR=fine EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory \
                            ENOSPC=OutOfMemory EDQUOT=OutOfMemory EOPNOTSUPP=Unsupported EISDIR=Unsupported \
                            EACCES=System ENOENT=System EROFS=System";

const OPEN_ROOT: &str =
    "EINTR=fine EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EACCES=System ENOENT=System";

/// Some kernels reject any shared mapping of a sealed memfd with EPERM.
const READING: &str =
    "EPERM=fine ENOMEM=OutOfMemory EACCES=System EAGAIN=OutOfMemory ENODEV=System ENFILE=OutOfDescriptors";

/// The name of a call in the table. 32-bit systems have separate names for the calls with 64-bit offsets and times, and
/// musl uses some old names.
fn usual_name(call: &str) -> &str {
    match call {
        "fcntl64" => "fcntl",
        "fstat64" => "fstat",
        "fstatfs64" => "fstatfs",
        "fstatat64" => "newfstatat",
        "ftruncate64" => "ftruncate",
        "mmap2" => "mmap",
        "ppoll_time64" => "ppoll",
        "sendfile64" => "sendfile",
        "ugetrlimit" => "prlimit64",
        "_llseek" => "lseek",
        "open" => "openat",
        call => call,
    }
}

/// Whether musl handles the error itself. Where its allocator gets no pages, Rust aborts; its `dup2` retries; its
/// `posix_spawn` assumes that the program started where it cannot read the child's error.
fn musl_handles(call: &str, rest: &str, trace: &str) -> bool {
    let spawns = trace.contains("CLONE_VFORK");
    match call {
        "mmap" => rest.contains("MAP_ANONYMOUS"),
        "dup2" => true,
        // The started program's loader makes this call at the same occurrence.
        "read" | "newfstatat" => spawns,
        // musl repeats O_CLOEXEC by fcntl for old kernels.
        "fcntl" => rest.contains("F_SETFD, FD_CLOEXEC") && trace.contains(" open("),
        _ => false,
    }
}

/// One call of an operation, and the error that it is to fail with.
struct Case {
    operation: &'static str,
    prefixes: &'static [&'static str],
    call: String,
    /// The number of the call among those of its name in its process, from 1.
    occurrence: usize,
    errno: &'static str,
    /// The kinds that the error may have, or `fine`.
    expected: &'static str,
}

/// The output of `faulty` for one run of the operation.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    kind: String,
    errno: i32,
    message: String,
    correct: bool,
    /// The resources that appeared or disappeared.
    changes: String,
}

/// Runs an operation twice under strace and returns both reports and strace's lines.
fn run(operation: &str, options: &[&str], trace: &Path) -> Result<([Report; 2], String), String> {
    let inherited = Region::create(8192).unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(trace).args(options).args([FAULTY, operation]);
    // With cargo's value, the loader makes so many calls that a fault would also hit the program that `faulty` starts.
    command.env_remove("LD_LIBRARY_PATH");
    if inherits(operation) {
        command.inherit("a", &inherited).unwrap();
    }
    let output = command.output().unwrap();
    let calls = fs::read_to_string(trace).unwrap_or_default();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = text.lines().collect();
    let report_of = |lines: &[&str]| {
        let mut fields = lines[0].splitn(3, '\t').map(str::to_owned);
        let (kind, errno, message) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
        Some(Report { kind, errno, message, correct: lines[1] == "true", changes: lines[2].to_owned() })
    };
    match &lines[..] {
        [_, _, _, _, _, _] if output.status.success() => {
            report_of(&lines[..3]).zip(report_of(&lines[3..])).map(|(first, again)| ([first, again], calls))
        }
        _ => None,
    }
    .ok_or_else(|| format!("faulty failed: {output:?}"))
}

/// Whether the operation needs an inherited region.
fn inherits(operation: &str) -> bool {
    operation.starts_with("inherited") || operation.starts_with("claim")
}

/// Checks that strace can make calls fail here.
fn check_injection(directory: &Path) -> Result<(), String> {
    let mut control = Command::new("strace");
    control.args(["-f", "-qq", "-o"]).arg(directory.join("control"));
    control.args(["-e", "trace=chdir", "-e", "inject=chdir:error=EIO", "sh", "-c", "cd / || exit 7"]);
    match control.output() {
        Err(error) => Err(error.to_string()),
        Ok(output) if output.status.code() == Some(7) => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The cases for the calls between the marks. Returns an error for a call that the table does not have.
fn cases(operation: &'static str, prefixes: &'static [&'static str], trace: &str) -> Result<Vec<Case>, String> {
    let (mut marks, mut cases, mut counted, mut programs) = (0, Vec::new(), HashMap::new(), Vec::new());
    for line in trace.lines() {
        let (pid, line) = line.split_once(' ').unwrap_or_default();
        let Some((call, rest)) = line.trim_start().split_once('(') else {
            if line.contains("execve resumed") && line.ends_with("= 0") && marks > 0 {
                programs.push(pid);
            }
            continue;
        };
        if line.contains(" resumed>") || line.contains("+++") || programs.contains(&pid) {
            continue;
        }
        if call == "getpriority" {
            marks += 1;
        }
        let occurrence = counted.entry((pid.to_owned(), call.to_owned())).or_insert(0);
        *occurrence += 1;
        if call == "execve" && rest.ends_with("= 0") && marks > 0 {
            programs.push(pid);
        }
        if marks != 1 || call == "getpriority" || NOT_INJECTED.contains(&usual_name(call)) {
            continue;
        }
        if cfg!(target_env = "musl") && musl_handles(call, rest, trace) {
            continue;
        }
        // strace counts each process's calls from 1, so a fault for a child's call would hit the parent's call of the
        // same number. Only calls that no other process makes can be injected in a child.
        let is_child = !trace.starts_with(&format!("{pid} "));
        if is_child && counted.keys().any(|(other, name)| other != pid && name == call && call != "execve") {
            continue;
        }
        let fits = |of: &str, name: &str, with: &str| {
            operation.starts_with(of) && name == usual_name(call) && rest.contains(with)
        };
        let row = CALLS.iter().find(|(of, name, with, _)| fits(of, name, with));
        let Some((_, _, _, errors)) = row else {
            return Err(format!("{operation}: the table has no errors for: {line}"));
        };
        let mut occurrence = counted[&(pid.to_owned(), call.to_owned())];
        if call == "execve" && !is_child {
            // strace does not count the execve by which it starts the program.
            occurrence -= 1;
        }
        if usual_name(call) == "ppoll" && occurrence > 1 {
            // The number of further polls depends on the child's timing.
            continue;
        }
        cases.extend(errors.split_ascii_whitespace().map(|error| {
            let (errno, expected) = error.split_once('=').unwrap();
            Case { operation, prefixes, call: call.to_owned(), occurrence, errno, expected }
        }));
    }
    if marks == 2 { Ok(cases) } else { Err(format!("{operation}: {marks} marks")) }
}

/// Runs a case and describes the failure, if any.
fn run_case(case: &Case, normal: &[Report; 2], trace: &Path) -> Option<String> {
    let Case { call, occurrence, errno, .. } = case;
    let traced = format!("trace={call},getpriority");
    let inject = format!("inject={call}:error={errno}:when={occurrence}");
    let ([first, again], calls) = match run(case.operation, &["-e", &traced, "-e", &inject], trace) {
        Ok(answer) => answer,
        Err(error) => return Some(error),
    };
    let marks_before = calls.split("(INJECTED)").next().unwrap().matches("getpriority(").count();
    // See the table.
    let times = if call == "landlock_restrict_self" { 2 } else { 1 };
    if calls.matches("(INJECTED)").count() != times || marks_before != 1 {
        return Some(format!("the fault was not injected exactly {times} times: {calls}"));
    }
    let is_expected = |report: &Report| {
        let system =
            report.kind == "Mismatch" || calls.contains(&format!("-1 {errno} ")) && name(report.errno) == *errno;
        let named = case.prefixes.iter().any(|prefix| report.message.starts_with(prefix));
        case.expected.split('|').any(|kind| kind == report.kind) && system && named && report.changes == "[]"
    };
    if case.expected == "fine" {
        return (first != normal[0] || again != normal[1]).then(|| format!("{first:?}, {again:?}"));
    }
    if !is_expected(&first) {
        return Some(format!("{first:?}"));
    }
    (again != normal[0]).then(|| format!("on the second run: {again:?}"))
}

/// The name of an errno that the table has.
fn name(errno: i32) -> &'static str {
    let names = [
        (libc::E2BIG, "E2BIG"),
        (libc::EACCES, "EACCES"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::EBADF, "EBADF"),
        (libc::EBUSY, "EBUSY"),
        (libc::ECHILD, "ECHILD"),
        (libc::EDQUOT, "EDQUOT"),
        (libc::EFBIG, "EFBIG"),
        (libc::EFAULT, "EFAULT"),
        (libc::EINTR, "EINTR"),
        (libc::EINVAL, "EINVAL"),
        (libc::EIO, "EIO"),
        (libc::EISDIR, "EISDIR"),
        (libc::ELOOP, "ELOOP"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENAMETOOLONG, "ENAMETOOLONG"),
        (libc::ENFILE, "ENFILE"),
        (libc::ENODEV, "ENODEV"),
        (libc::ENOLCK, "ENOLCK"),
        (libc::ENOENT, "ENOENT"),
        (libc::ENOEXEC, "ENOEXEC"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EOPNOTSUPP, "EOPNOTSUPP"),
        (libc::EOVERFLOW, "EOVERFLOW"),
        (libc::EPERM, "EPERM"),
        (libc::EROFS, "EROFS"),
        (libc::ESRCH, "ESRCH"),
        (libc::ETXTBSY, "ETXTBSY"),
    ];
    names.iter().find(|(number, _)| *number == errno).map_or("?", |(_, name)| name)
}

/// Calls `act` for each item, on one thread per processor. Each thread has its own path.
fn in_parallel<T: Send, R: Send>(directory: &Path, all: Vec<T>, act: impl Fn(T, &Path) -> R + Sync) -> Vec<R> {
    let (all, done) = (Mutex::new(all.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for number in 0..thread::available_parallelism().map_or(2, usize::from) {
            let (all, done, act, path) = (&all, &done, &act, directory.join(number.to_string()));
            scope.spawn(move || {
                while let Some(one) = { all.lock().unwrap().next() } {
                    let answer = act(one, &path);
                    done.lock().unwrap().push(answer);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// A directory for strace's output. Returns `None`, and reports the skip, where strace cannot make calls fail.
fn strace_directory() -> Option<tempfile::TempDir> {
    let directory = tempfile::tempdir().unwrap();
    match check_injection(directory.path()) {
        Ok(()) => Some(directory),
        Err(why) => {
            skip(format_args!("no call can be made to fail here, strace is missing or not permitted: {why}"));
            None
        }
    }
}

#[test]
fn g9_failed_system_call_leaves_nothing_behind() {
    let Some(directory) = strace_directory() else { return };
    let directory = directory.path();
    let secret = secret_memory().is_some();
    let operations =
        OPERATIONS.iter().copied().filter(|(operation, _)| secret || !operation.ends_with("secret")).collect();
    let normal = in_parallel(directory, operations, |(operation, prefixes), path| {
        let ([first, again], trace) = run(operation, &[], path).unwrap_or_else(|error| panic!("{operation}: {error}"));
        let expected = match operation {
            "exec" => "ProgramNotFound",
            // There may be no free huge pages here.
            "create-huge" if first.kind != "ok" => "OutOfMemory",
            "fill-pipe-beyond-maximum" => "TooLarge",
            // A kernel before 6.1.
            "use-huge-pages" if first.kind != "ok" => "Unsupported",
            // A kernel without Landlock.
            "spawn-confined" | "spawn-sealed" if first.kind == "Unsupported" => "Unsupported",
            _ => "ok",
        };
        assert_eq!((&*first.kind, first.correct, &*first.changes), (expected, true, "[]"), "{operation}: {first:?}");
        // An inherited region can be taken once.
        let expected = if inherits(operation) { "AlreadyTaken" } else { expected };
        assert_eq!((&*again.kind, again.correct, &*again.changes), (expected, true, "[]"), "{operation}: {again:?}");
        let cases = cases(operation, prefixes, &trace).unwrap_or_else(|error| panic!("{error}"));
        assert!(!cases.is_empty() || expected == "Unsupported", "{operation} makes no call");
        ((operation, [first, again]), cases)
    });
    let (normal, cases): (BTreeMap<_, _>, Vec<_>) = normal.into_iter().unzip();
    let cases: Vec<_> = cases.into_iter().flatten().collect();
    let count = cases.len();
    let failures = in_parallel(directory, cases, |case, path| {
        let failure = run_case(&case, &normal[case.operation], path)?;
        let Case { operation, call, occurrence, errno, expected, .. } = case;
        Some(format!("{operation}: {call} {occurrence} fails with {errno}, expected {expected}: {failure}"))
    });
    let failures: Vec<_> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{} of {count} cases failed:\n{}", failures.len(), failures.join("\n"));
    println!("{count} cases");
}

#[test]
fn g9_input_beyond_the_maximum_leaves_nothing_behind() {
    const MAX: u64 = 5 << 20;
    let name = format!("beyond-{}", std::process::id());
    let regions = || heirloom::os::linux::regions().unwrap().regions;
    let held = || regions().into_iter().filter(|region| region.name.as_deref() == Some(&name)).count();
    let maps = || fs::read_to_string("/proc/self/maps").unwrap().matches("/memfd:").count();
    let sparse = tempfile::tempfile().unwrap();
    sparse.set_len(1 << 40).unwrap();
    let zeros = File::open("/dev/zero").unwrap();
    let large = Region::create(MAX + 1).unwrap();
    let fits = Region::create(MAX).unwrap();
    for huge in [false, true] {
        let mut options = FrozenRegion::options();
        options.name(&name).max_size(MAX).use_huge_pages(huge);
        let before = (descriptors(), maps());
        let endless_pipe = || {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            let writer = thread::spawn(move || std::io::copy(&mut std::io::repeat(7), &mut File::from(writer)));
            let filled = options.from_file(&File::from(reader));
            // It ends when nobody reads any more.
            assert_eq!(writer.join().unwrap().unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
            filled
        };
        for (input, filled) in [
            ("a pipe", endless_pipe()),
            ("a device", options.from_file(&zeros)),
            ("a sparse file", options.from_file(&sparse)),
            ("a sparse file as a reader", options.from_reader(&sparse)),
            ("a region", options.copy_of(&large)),
        ] {
            let error = filled.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{input}: {error}");
            assert!(error.message().contains(&MAX.to_string()), "{input}: {error}");
            (&sparse).rewind().unwrap();
        }
        assert_eq!(((descriptors(), maps()), held()), (before, 0), "huge pages: {huge}");
        // The control: with as much as its maximum, there is a region.
        let filled = options.copy_of(&fits).unwrap();
        assert_eq!((filled.size(), held()), (MAX, 1));
    }
    // What is refused for its size is not read.
    assert!((&sparse).read(&mut [0; 1]).is_ok_and(|read| read == 1));
    let error = FrozenRegion::options().max_size(MAX).from_file(&sparse).unwrap_err();
    assert!(error.message().contains(&((1_u64 << 40) - 1).to_string()), "{error}");
    assert_eq!((&sparse).stream_position().unwrap(), 1);
}

#[test]
fn g9_resource_census_detects_leaks() {
    let Some(directory) = strace_directory() else { return };
    let path = directory.path().join("trace");
    let ([first, _], _) = run("leaky", &[], &path).unwrap();
    assert_eq!((&*first.kind, &*first.changes), ("ok", "[]"));
    let options = ["-e", "trace=memfd_create", "-e", "inject=memfd_create:error=EMFILE:when=2"];
    let ([first, _], calls) = run("leaky", &options, &path).unwrap();
    assert!(calls.contains("(INJECTED)"), "{calls}");
    assert_eq!(first.kind, "OutOfDescriptors");
    for leaked in ["+descriptor ", "+mapping ", "+child ", "+thread "] {
        assert!(first.changes.contains(leaked), "{leaked}: {}", first.changes);
    }
}

#[test]
fn g9_fresh_memory_is_zero_for_every_backing() {
    let backings = [
        Region::options(),
        Region::options().populate(true).clone(),
        Region::options().unsealed_file_in("/dev/shm").clone(),
        Region::options().unsealed_file_in(std::env::temp_dir()).clone(),
    ];
    let size = 1 << 20;
    for options in backings {
        let read = |region: &Region| {
            let mut bytes = vec![1; size];
            region.map().unwrap().read_at(0, &mut bytes).unwrap();
            bytes
        };
        for _ in 0..4 {
            let region = options.create(size as u64).unwrap();
            assert!(read(&region).iter().all(|byte| *byte == 0), "{options:?}");
            // The next region may get these pages.
            region.map().unwrap().write_at(0, &vec![0xaa; size]).unwrap();
            assert!(read(&region).iter().all(|byte| *byte == 0xaa), "{options:?}");
        }
    }
}
