//! The sub-commands about secret regions.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::{io, ptr};

use heirloom::os::linux::SecretRegion;
use heirloom::{AnyRegion, Error, Region};
use heirloom_conformance::old_kernels::{self, Refusal};
use heirloom_conformance::{MEMFD_SECRET, check, descriptors};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::describe;

pub(super) fn run(args: &[&str]) {
    match args {
        ["hold", text] => hold(text.as_bytes()),
        ["attack", pid, address, text] => attack(pid.parse().unwrap(), address.parse().unwrap(), text.as_bytes()),
        ["take", name] => println!("{}", describe(SecretRegion::inherited(name).map(|key| key.size().to_string()))),
        ["take-any", name] => {
            println!("{}", describe(AnyRegion::inherited(name).map(|key| key.size().to_string())));
            run(&["take", name]);
        }
        ["reply", name, expected, reply] => {
            let secrets = || descriptors().values().filter(|what| what.contains("/secretmem")).count();
            let before = secrets();
            let key = SecretRegion::inherited(name).unwrap().map().unwrap();
            println!("{} {before} {}", key.len(), secrets());
            assert_eq!(key.to_vec()[..expected.len()], *expected.as_bytes());
            key.write_at(0, reply.as_bytes()).unwrap();
        }
        ["without", errno] => {
            old_kernels::refuse(&[Refusal { call: MEMFD_SECRET, arguments: &[], errno: errno.parse().unwrap() }]);
            println!("{}", describe(SecretRegion::create(32).map(|_| String::new())));
            println!("{}", describe(Region::create(32).map(|_| String::new())));
        }
        ["limited"] => limited(),
        _ => panic!("unknown sub-command: {args:?}"),
    }
}

/// Maps a secret region and an ordinary one, and writes the text to both. Prints the addresses, and the bytes once standard
/// input ends.
fn hold(text: &[u8]) {
    let secret = SecretRegion::create(4096).unwrap().map().unwrap();
    let ordinary = Region::create(4096).unwrap().map().unwrap();
    secret.write_at(0, text).unwrap();
    ordinary.write_at(0, text).unwrap();
    // SAFETY: The arguments are integers. Where Yama restricts tracing to ancestors, this allows it to all.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    println!("{} {}", secret.as_ptr().addr(), ordinary.as_ptr().addr());
    io::read_to_string(io::stdin()).unwrap();
    let seen = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..text.len()]).into_owned();
    println!("{} {}", seen(&secret.to_vec()), seen(&ordinary.to_vec()));
}

/// Reads the memory of another process at an address by each call that can, and then writes the text there.
fn attack(pid: i32, address: usize, text: &[u8]) {
    let len = text.len();
    let report = |call: &str, result: io::Result<Vec<u8>>| {
        let result = result.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        println!("{call} {}", result.unwrap_or_else(|error| format!("error {}", error.raw_os_error().unwrap())));
    };
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap();
    let mut bytes = vec![0; len];
    report("read-mem", memory.read_exact_at(&mut bytes, address as u64).map(|()| bytes));

    let mut bytes = vec![0; len];
    let own = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len };
    let other = libc::iovec { iov_base: ptr::without_provenance_mut(address), iov_len: len };
    // SAFETY: `own` describes `bytes`, which lives during the call; the other process's memory isn't this one's.
    let read = unsafe { libc::process_vm_readv(pid, &raw const own, 1, &raw const other, 1, 0) };
    report("process_vm_readv", check(i64::try_from(read).unwrap()).map(|()| bytes));

    report("ptrace", peek(pid, address, len));

    let own = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: len };
    // SAFETY: As above; the call only reads `text`.
    let written = unsafe { libc::process_vm_writev(pid, &raw const own, 1, &raw const other, 1, 0) };
    report("process_vm_writev", check(i64::try_from(written).unwrap()).map(|()| text.to_vec()));
    report("write-mem", memory.write_all_at(text, address as u64).map(|()| text.to_vec()));
}

/// Reads memory of another process as a debugger does.
fn peek(pid: i32, address: usize, len: usize) -> io::Result<Vec<u8>> {
    let mut words = vec![0_usize; len.div_ceil(size_of::<usize>())];
    // SAFETY: The calls stop and release another process, and fill in one word each. The raw call stores it at its last argument.
    unsafe {
        check(libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, pid, 0, 0))?;
        check(libc::waitpid(pid, ptr::null_mut(), libc::__WALL))?;
        let read = words.iter_mut().enumerate().try_for_each(|(index, word)| {
            let at = address + index * size_of::<usize>();
            check(libc::syscall(libc::SYS_ptrace, libc::PTRACE_PEEKDATA, pid, at, ptr::from_mut(word)))
        });
        check(libc::syscall(libc::SYS_ptrace, libc::PTRACE_DETACH, pid, 0, 0))?;
        read?;
    }
    let mut bytes: Vec<_> = words.into_iter().flat_map(usize::to_ne_bytes).collect();
    bytes.truncate(len);
    Ok(bytes)
}

/// Maps one page more than this process may lock, and again after raising the limit.
fn limited() {
    let user = 65534;
    if rustix::process::geteuid().is_root() {
        // The limit does not apply to root.
        // SAFETY: All arguments are integers.
        check(unsafe { libc::setresuid(user, user, user) }).unwrap();
    }
    let page = rustix::param::page_size() as u64;
    let maximum = getrlimit(Resource::Memlock).maximum;
    let limit = |pages| setrlimit(Resource::Memlock, Rlimit { current: Some(pages * page), maximum }).unwrap();
    limit(2);
    println!("{}", describe(SecretRegion::create(2 * page).unwrap().map().map_err(Error::from).map(|_| String::new())));
    let (error, key) = SecretRegion::create(3 * page).unwrap().map().unwrap_err().into_parts();
    println!("{}", describe(Err(error)));
    assert!(fs::read_link(format!("/proc/self/fd/{}", heirloom_conformance::number(&key.as_fd()))).is_ok());
    limit(3);
    println!("{}", describe(key.map().map_err(Error::from).map(|key| key.len().to_string())));
}
