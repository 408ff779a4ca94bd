//! G9, fresh memory is zero, and a failed call leaves nothing behind: each system call of each operation is made to fail in
//! turn, with each error that its manual page names for it and that can come, by strace.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use heirloom::{Command, Region};
use heirloom_conformance::skip;

/// The program whose calls are made to fail.
const FAULTY: &str = env!("CARGO_BIN_EXE_faulty");

/// What can't fail, or is not this library's to answer for: the C library's own looks, random numbers for hash maps, and the
/// end of what was made, which nobody could be told of.
const LEFT_OUT: &[&str] = &["rt_sigaction", "rt_sigprocmask", "getrandom", "munmap", "close", "exit_group", "lseek"];

/// Operations, and what their errors say was tried.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("create", &["cannot create a region of 8192 bytes: "]),
    ("create-populated", &["cannot create a region of 8192 bytes: "]),
    ("create-huge", &["cannot create a region of 2097152 bytes: "]),
    ("create-file", &["cannot create a region of 8192 bytes in /dev/shm: "]),
    ("map", &["cannot map a region of 8192 bytes: "]),
    ("map-populated", &["cannot map a region of 8192 bytes: "]),
    ("map-part", &["cannot map a region of 8192 bytes: "]),
    ("map-copy", &["cannot map a region of 8192 bytes: "]),
    ("map-read-only", &["cannot map a region of 8192 bytes: "]),
    ("map-frozen", &["cannot map a region of 8192 bytes: "]),
    ("no-dump", &["cannot keep a mapping out of core dumps: "]),
    ("make-read-only", &["cannot make a region of 8192 bytes read-only: ", "cannot map a region of 8192 bytes: "]),
    ("freeze", &["cannot freeze a region of 8192 bytes: "]),
    ("freeze-read-only", &["cannot freeze a region of 8192 bytes: "]),
    ("fill-bytes", FILL),
    ("fill-reader", FILL),
    ("fill-file", FILL),
    ("fill-pipe", FILL),
    ("copy-of", &["cannot create a frozen region: ", "cannot fill a frozen region after ", "cannot copy a region of "]),
    ("export", &["cannot export a region of 8192 bytes: "]),
    ("export-inheritable", &["cannot export a region of 8192 bytes: "]),
    ("import", &["cannot import the region "]),
    ("import-owned", &["cannot import the region "]),
    ("receive", &["cannot take a descriptor for a region: "]),
    ("give-up", &["cannot duplicate a region of 8192 bytes: "]),
    ("for-copies", &["cannot duplicate a region of 8192 bytes: "]),
    ("inherit", &["cannot hand down a region of 8192 bytes: ", "cannot duplicate a region of 8192 bytes: "]),
    ("inherit-std", &["cannot hand down a region of 8192 bytes: ", "cannot duplicate a region of 8192 bytes: "]),
    ("claim", &["cannot inherit the region \"a\": "]),
    ("claim-claimed-elsewhere", &["cannot inherit the region \"a\": "]),
    ("inherited", &["cannot inherit the region \"a\": "]),
    ("inherited-claimed-elsewhere", &["cannot inherit the region \"a\": "]),
    ("spawn", START),
    ("spawn-piped", START),
    ("spawn-redirected", START),
    ("spawn-searched", &["cannot start \"true\": "]),
    (
        "output",
        &["cannot start ", "cannot open a standard stream for ", "cannot read the output of ", "cannot wait for "],
    ),
    ("wait", &["cannot start ", "cannot wait for process "]),
    ("pidfd", &["cannot start ", "cannot open a descriptor of process ", "cannot wait for process "]),
    ("kill", &["cannot start ", "cannot kill process ", "cannot wait for process "]),
    ("exec", &["cannot become \"/nonexistent/program\": ", "cannot open a standard stream for "]),
];

const FILL: &[&str] = &["cannot create a frozen region: ", "cannot fill a frozen region after "];
const START: &[&str] = &["cannot start \"/bin/true\": ", "cannot open a standard stream for \"/bin/true\": "];

/// Calls: the operation (every one where it is empty), the call, what stands in its arguments, and each error with the kind
/// that it becomes, or `fine` where something else is done instead. The first line that fits is the call's.
const CALLS: &[(&str, &str, &str, &str)] = &[
    // Making memory. The first try has a flag that old kernels refuse.
    (
        "",
        "memfd_create",
        "",
        "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EPERM=Unsupported ENOSYS=Unsupported \
         EACCES=Unsupported EINVAL=fine",
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
    // In a sandbox that doesn't tell, there is no limit.
    ("", "prlimit64", "RLIMIT_FSIZE", "ENOSYS=fine EPERM=fine"),
    ("", "prlimit64", "RLIMIT_NOFILE", ""),
    // Seals.
    ("create", "fcntl", "F_ADD_SEALS", "EPERM=Sealed EINVAL=Unsupported"),
    ("", "fcntl", "F_ADD_SEALS", "EBUSY=StillWritable EPERM=Sealed EINVAL=Unsupported"),
    ("import", "fcntl", "F_GET_SEALS", "EINVAL=Mismatch EIO=System"),
    ("receive", "fcntl", "F_GET_SEALS", "EINVAL=Mismatch EIO=System"),
    // What couldn't be claimed is tried again when it is asked for. What isn't open, or has no seals, is not.
    ("claim", "fcntl", "F_GET_SEALS", "EIO=System"),
    ("inherited", "fstat", "", "ENOMEM=fine EOVERFLOW=fine"),
    ("inherited", "fcntl", "F_GETFD", ""),
    ("inherited", "fcntl", "F_GETFL", "EBADF=fine"),
    ("inherited", "fcntl", "F_GET_SEALS", "EIO=fine"),
    ("inherited", "fcntl", "F_SETFD", "EPERM=fine"),
    ("inherited", "fcntl", "F_DUPFD", "EMFILE=fine EINVAL=fine"),
    ("create-file", "fcntl", "F_GET_SEALS", "EINVAL=fine"),
    // What tells how much memory is left, see below.
    ("create-populated", "fstat", "", "ENOMEM=fine EOVERFLOW=fine"),
    // Descriptors.
    ("", "fcntl", "F_DUPFD", "EMFILE=OutOfDescriptors EINVAL=System"),
    ("import", "fcntl", "F_GETFD", "EBADF=Mismatch|System"),
    // The standard library looks so, in a debug build, before it closes.
    ("", "fcntl", "F_GETFD", ""),
    ("", "fcntl", "F_GETFL", "EBADF=System"),
    ("", "fstat", "", "ENOMEM=OutOfMemory EOVERFLOW=System"),
    // After a failed exec, nothing is left to try where this fails.
    ("exec", "fcntl", "F_SETFD, FD_CLOEXEC", ""),
    ("", "fcntl", "F_SETFD", "EPERM=System"),
    // Mapping. The allocator and a spawned child's stack have anonymous ones.
    ("", "mmap", "MAP_STACK", "ENOMEM=OutOfMemory EAGAIN=System"),
    ("", "mmap", "MAP_ANONYMOUS", "ENOMEM=fine"),
    ("", "brk", "", "ENOMEM=fine"),
    ("", "mremap", "", "ENOMEM=fine"),
    ("map-read-only", "mmap", "", READING),
    ("map-frozen", "mmap", "", READING),
    (
        "",
        "mmap",
        "",
        "EPERM=Sealed ENOMEM=OutOfMemory EACCES=System EAGAIN=System ENODEV=System ENFILE=OutOfDescriptors",
    ),
    ("", "madvise", "", "EAGAIN=System EINVAL=System ENOMEM=OutOfMemory"),
    // How much memory is left: where it can't be known, the kernel is asked for it all the same.
    ("create-populated", "openat", "", "ENOENT=fine EACCES=fine EMFILE=fine ENFILE=fine ENOMEM=fine EINTR=fine"),
    ("create-populated", "statx", "", "ENOMEM=fine EACCES=fine"),
    ("create-populated", "read", "", "EIO=fine EINTR=fine ENOMEM=fine"),
    // Filling. What can't be moved inside the kernel is read and written.
    ("", "sendfile", "", "EINTR=fine EINVAL=fine EIO=fine ENOMEM=fine EAGAIN=fine EOVERFLOW=fine"),
    ("fill-pipe", "read", "", "EINTR=fine EIO=System EAGAIN=System ENOMEM=OutOfMemory"),
    ("", "write", "", "EINTR=fine EIO=System EFBIG=TooLarge ENOSPC=OutOfMemory ENOMEM=OutOfMemory EPERM=System"),
    ("copy-of", "pread64", "", "EINTR=fine EIO=System EISDIR=System ENOMEM=OutOfMemory"),
    ("output", "read", "", "EINTR=fine EIO=System ENOMEM=OutOfMemory"),
    // Starting programs, in the parent.
    ("", "pipe2", "", "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors"),
    (
        "",
        "openat",
        "/dev/null",
        "EINTR=fine EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory EACCES=System ENOENT=System",
    ),
    // What can't be looked at may be there.
    ("spawn-searched", "newfstatat", "", "EACCES=fine ENOMEM=fine ELOOP=fine"),
    ("", "clone3", "", "ENOSYS=fine EAGAIN=System ENOMEM=OutOfMemory EPERM=System"),
    ("", "clone", "", "EAGAIN=System ENOMEM=OutOfMemory EPERM=System"),
    ("", "vfork", "", "EAGAIN=System ENOMEM=OutOfMemory"),
    ("", "ppoll", "", "EINTR=fine EINVAL=System ENOMEM=OutOfMemory"),
    // Where the child is lost it stays one, so only `wait` says so and reaps it by other means.
    ("wait", "wait4", "", "EINTR=fine ECHILD=System"),
    ("", "wait4", "", "EINTR=fine"),
    (
        "",
        "pidfd_open",
        "",
        "EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory ENODEV=System ENOSYS=System",
    ),
    ("", "kill", "", "EPERM=System ESRCH=System"),
    ("exec", "dup2", "", "EBADF=System EBUSY=System EINTR=System EMFILE=OutOfDescriptors"),
    // Only for what to advise.
    ("exec", "stat", "", "EACCES=fine ENOMEM=fine"),
    ("exec", "statx", "", "EACCES=fine ENOMEM=fine"),
    // In place of stat and fstat, where those have times of 32 bits.
    ("spawn-searched", "statx", "/bin", "EACCES=fine ENOMEM=fine ELOOP=fine ENOSYS=fine"),
    ("inherited", "statx", "AT_EMPTY_PATH", "ENOMEM=fine ENOSYS=fine"),
    ("", "statx", "AT_EMPTY_PATH", "ENOMEM=OutOfMemory ENOSYS=fine"),
    // In the child.
    ("", "setpgid", "", "EPERM=System ESRCH=System"),
    ("", "dup2", "", "EBADF=OutOfDescriptors EMFILE=OutOfDescriptors EBUSY=System"),
    ("", "chdir", "", "EIO=System ENOMEM=OutOfMemory ELOOP=ProgramNotRunnable"),
    (
        "",
        "execve",
        "",
        "ENOENT=ProgramNotFound EACCES=ProgramNotRunnable E2BIG=ProgramNotRunnable ENOEXEC=ProgramNotRunnable \
         ETXTBSY=ProgramNotRunnable ENOTDIR=ProgramNotRunnable|ProgramNotFound ELOOP=ProgramNotRunnable \
         ENAMETOOLONG=ProgramNotRunnable EISDIR=ProgramNotRunnable EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors \
         ENOMEM=OutOfMemory EAGAIN=System EIO=System EPERM=System EINVAL=System",
    ),
];

const OPEN_UNNAMED: &str = "EINTR=fine EMFILE=OutOfDescriptors ENFILE=OutOfDescriptors ENOMEM=OutOfMemory \
                            ENOSPC=OutOfMemory EDQUOT=OutOfMemory EOPNOTSUPP=Unsupported EISDIR=Unsupported \
                            EACCES=System ENOENT=System EROFS=System";

/// Some kernels refuse any shared mapping of what is sealed.
const READING: &str = "EPERM=fine ENOMEM=OutOfMemory EACCES=System EAGAIN=System ENODEV=System ENFILE=OutOfDescriptors";

/// What a call is named here. Where offsets and times came in 32 bits once, those for 64 have names of their own, and musl
/// makes some by their old names.
fn usual_name(call: &str) -> &str {
    match call {
        "fcntl64" => "fcntl",
        "fstat64" => "fstat",
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

/// What musl answers for by itself: where its allocator gets no pages, Rust ends the program; its `dup2` waits; and its
/// `posix_spawn` believes that a program was started where it can't read otherwise.
fn is_musls_own(call: &str, rest: &str, trace: &str) -> bool {
    let spawns = trace.contains("CLONE_VFORK");
    match call {
        "mmap" => rest.contains("MAP_ANONYMOUS"),
        "dup2" => true,
        // The loader of the program that is started makes this one as often.
        "read" | "newfstatat" => spawns,
        // A second time, for kernels that take no O_CLOEXEC.
        "fcntl" => rest.contains("F_SETFD, FD_CLOEXEC") && trace.contains(" open("),
        _ => false,
    }
}

/// One call of an operation that is to fail.
struct Case {
    operation: &'static str,
    tried: &'static [&'static str],
    call: String,
    /// Which of that name in its process, from 1.
    occurrence: usize,
    errno: &'static str,
    /// The kinds that the error may have, or `fine`.
    expected: &'static str,
}

/// What `faulty` said of one try.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    kind: String,
    errno: i32,
    message: String,
    right: bool,
    /// What appeared or vanished.
    left: String,
}

/// Both tries of an operation, and strace's lines.
fn run(operation: &str, options: &[&str], trace: &Path) -> Result<([Told; 2], String), String> {
    let inherited = Region::create(8192).unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(trace).args(options).args([FAULTY, operation]);
    // Cargo's, by which a loader makes so many calls that a fault meant for this program hits the one that it starts too.
    command.env_remove("LD_LIBRARY_PATH");
    if inherits(operation) {
        command.inherit("a", &inherited).unwrap();
    }
    let output = command.output().unwrap();
    let calls = fs::read_to_string(trace).unwrap_or_default();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<_> = text.lines().collect();
    let told = |lines: &[&str]| {
        let mut fields = lines[0].splitn(3, '\t').map(str::to_owned);
        let (kind, errno, message) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
        Some(Told { kind, errno, message, right: lines[1] == "true", left: lines[2].to_owned() })
    };
    match &lines[..] {
        [_, _, _, _, _, _] if output.status.success() => {
            told(&lines[..3]).zip(told(&lines[3..])).map(|(first, again)| ([first, again], calls))
        }
        _ => None,
    }
    .ok_or_else(|| format!("it did not end well: {output:?}"))
}

/// Whether it is about what its process inherited.
fn inherits(operation: &str) -> bool {
    operation.starts_with("inherited") || operation.starts_with("claim")
}

/// Whether calls can be made to fail here.
fn injects(directory: &Path) -> Result<(), String> {
    let mut control = Command::new("strace");
    control.args(["-f", "-qq", "-o"]).arg(directory.join("control"));
    control.args(["-e", "trace=chdir", "-e", "inject=chdir:error=EIO", "sh", "-c", "cd / || exit 7"]);
    match control.output() {
        Err(error) => Err(error.to_string()),
        Ok(output) if output.status.code() == Some(7) => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// The calls between the marks, with what the errors of each are; an error for one that the table doesn't have.
fn cases(operation: &'static str, tried: &'static [&'static str], trace: &str) -> Result<Vec<Case>, String> {
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
        if marks != 1 || call == "getpriority" || LEFT_OUT.contains(&usual_name(call)) {
            continue;
        }
        if cfg!(target_env = "musl") && is_musls_own(call, rest, trace) {
            continue;
        }
        // A child's calls are counted from its start, where the parent's have the same numbers: only those that the parent
        // never makes can be told apart.
        let is_child = !trace.starts_with(&format!("{pid} "));
        if is_child && counted.keys().any(|(other, name)| other != pid && name == call && call != "execve") {
            continue;
        }
        let fits = |of: &str, name: &str, with: &str| {
            operation.starts_with(of) && name == usual_name(call) && rest.contains(with)
        };
        let row = CALLS.iter().find(|(of, name, with, _)| fits(of, name, with));
        let Some((_, _, _, errors)) = row else { return Err(format!("{operation}: no errors are known of: {line}")) };
        let mut occurrence = counted[&(pid.to_owned(), call.to_owned())];
        if call == "execve" && !is_child {
            // Strace doesn't count the one by which it starts the program.
            occurrence -= 1;
        }
        if usual_name(call) == "ppoll" && occurrence > 1 {
            // How many follow is up to the child.
            continue;
        }
        cases.extend(errors.split_ascii_whitespace().map(|error| {
            let (errno, expected) = error.split_once('=').unwrap();
            Case { operation, tried, call: call.to_owned(), occurrence, errno, expected }
        }));
    }
    if marks == 2 { Ok(cases) } else { Err(format!("{operation}: {marks} marks")) }
}

/// What is wrong with an operation one of whose calls fails.
fn flaw(case: &Case, usual: &[Told; 2], trace: &Path) -> Option<String> {
    let Case { call, occurrence, errno, .. } = case;
    let traced = format!("trace={call},getpriority");
    let inject = format!("inject={call}:error={errno}:when={occurrence}");
    let ([first, again], calls) = match run(case.operation, &["-e", &traced, "-e", &inject], trace) {
        Ok(answer) => answer,
        Err(error) => return Some(error),
    };
    let marks_before = calls.split("(INJECTED)").next().unwrap().matches("getpriority(").count();
    if calls.matches("(INJECTED)").count() != 1 || marks_before != 1 {
        return Some(format!("the fault did not hit once: {calls}"));
    }
    let clear = |told: &Told| {
        let system = told.kind == "Mismatch" || calls.contains(&format!("-1 {errno} ")) && name(told.errno) == *errno;
        let tried = case.tried.iter().any(|tried| told.message.starts_with(tried));
        case.expected.split('|').any(|kind| kind == told.kind) && system && tried && told.left == "[]"
    };
    if case.expected == "fine" {
        return (first != usual[0] || again != usual[1]).then(|| format!("{first:?}, {again:?}"));
    }
    if !clear(&first) {
        return Some(format!("{first:?}"));
    }
    (again != usual[0]).then(|| format!("the second time: {again:?}"))
}

/// The name of an error's number, of those in the table.
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
        (libc::EINTR, "EINTR"),
        (libc::EINVAL, "EINVAL"),
        (libc::EIO, "EIO"),
        (libc::EISDIR, "EISDIR"),
        (libc::ELOOP, "ELOOP"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENAMETOOLONG, "ENAMETOOLONG"),
        (libc::ENFILE, "ENFILE"),
        (libc::ENODEV, "ENODEV"),
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

/// Does `act` to each on as many threads as there are processors, with a path of each thread's own.
fn each<T: Send, R: Send>(directory: &Path, all: Vec<T>, act: impl Fn(T, &Path) -> R + Sync) -> Vec<R> {
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

/// A directory for strace, or none where no call can be made to fail, which is said past the test's captured output.
fn place() -> Option<tempfile::TempDir> {
    let directory = tempfile::tempdir().unwrap();
    match injects(directory.path()) {
        Ok(()) => Some(directory),
        Err(why) => {
            skip(format_args!("no call can be made to fail here, for lack of strace: {why}"));
            None
        }
    }
}

#[test]
fn g9_a_call_that_fails_anywhere_says_so_and_leaves_nothing() {
    let Some(directory) = place() else { return };
    let directory = directory.path();
    let usual = each(directory, OPERATIONS.to_vec(), |(operation, tried), path| {
        let ([first, again], trace) = run(operation, &[], path).unwrap_or_else(|error| panic!("{operation}: {error}"));
        let expected = match operation {
            "exec" => "ProgramNotFound",
            // There may be no such pages here.
            "create-huge" if first.kind != "ok" => "OutOfMemory",
            _ => "ok",
        };
        assert_eq!((&*first.kind, first.right, &*first.left), (expected, true, "[]"), "{operation}: {first:?}");
        // What was inherited can be taken once.
        let expected = if inherits(operation) { "AlreadyTaken" } else { expected };
        assert_eq!((&*again.kind, again.right, &*again.left), (expected, true, "[]"), "{operation}: {again:?}");
        let cases = cases(operation, tried, &trace).unwrap_or_else(|error| panic!("{error}"));
        assert!(!cases.is_empty(), "{operation} makes no call");
        ((operation, [first, again]), cases)
    });
    let (usual, cases): (BTreeMap<_, _>, Vec<_>) = usual.into_iter().unzip();
    let cases: Vec<_> = cases.into_iter().flatten().collect();
    let count = cases.len();
    let flaws = each(directory, cases, |case, path| {
        let flaw = flaw(&case, &usual[case.operation], path)?;
        let Case { operation, call, occurrence, errno, expected, .. } = case;
        Some(format!("{operation}: {call} {occurrence} fails with {errno}, expected {expected}: {flaw}"))
    });
    let flaws: Vec<_> = flaws.into_iter().flatten().collect();
    assert!(flaws.is_empty(), "{} of {count}:\n{}", flaws.len(), flaws.join("\n"));
    println!("{count} calls failed");
}

#[test]
fn g9_the_census_notices_what_is_left() {
    let Some(directory) = place() else { return };
    let path = directory.path().join("trace");
    let ([first, _], _) = run("leaky", &[], &path).unwrap();
    assert_eq!((&*first.kind, &*first.left), ("ok", "[]"));
    let options = ["-e", "trace=memfd_create", "-e", "inject=memfd_create:error=EMFILE:when=2"];
    let ([first, _], calls) = run("leaky", &options, &path).unwrap();
    assert!(calls.contains("(INJECTED)"), "{calls}");
    assert_eq!(first.kind, "OutOfDescriptors");
    for left in ["+descriptor ", "+mapping ", "+child ", "+thread "] {
        assert!(first.left.contains(left), "{left}: {}", first.left);
    }
}

#[test]
fn g9_fresh_memory_is_zero_whatever_backs_it() {
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
            // What the next one may get the pages of.
            region.map().unwrap().write_at(0, &vec![0xaa; size]).unwrap();
            assert!(read(&region).iter().all(|byte| *byte == 0xaa), "{options:?}");
        }
    }
}
