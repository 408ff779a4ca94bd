//! The sub-commands for Linux.

use std::env;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use heirloom::os::linux::{ChildExt, SecretRegion};
use heirloom::os::unix::CommandExt;
use heirloom::{Command, Error, FrozenRegion, ReadOnlyRegion, Region, Stdio};
use heirloom_conformance::c_library::CLibrary;
use heirloom_conformance::intercept::before_fcntl;
use heirloom_conformance::old_kernels::{self, Argument, Refusal};
use heirloom_conformance::{descriptors, hostile, open_regions, output, text};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::channels_on_linux::print_processor_time;
use super::{confined, describe, locks, mappings, own_path, secret, spawning, write};

#[allow(clippy::too_many_lines)] // One arm per sub-command.
pub(super) fn run(args: &[&str]) {
    match args {
        // Runs another sub-command as on an older kernel.
        ["as-linux", version, rest @ ..] => {
            let (major, minor) = version.split_once('.').unwrap();
            old_kernels::simulate((major.parse().unwrap(), minor.parse().unwrap()));
            super::run(rest);
        }
        ["report-features", directory] => report_features(directory),
        ["start", program] => {
            // Starts a program with a region, and prints whether the region stayed close-on-exec here.
            let region = Region::create(4096).unwrap();
            let status = Command::new(program).inherit("a", &region).unwrap().status();
            let closed = rustix::io::fcntl_getfd(&region).unwrap().contains(rustix::io::FdFlags::CLOEXEC);
            println!("{} {closed}", describe(status.map(|status| status.to_string())));
        }
        ["descriptors"] => {
            for (number, what) in descriptors() {
                println!("{number} {what}");
            }
        }
        ["claim-then-descriptors"] => {
            // Some tests set a malformed variable, where the claim fails.
            let _ = heirloom::claim();
            for (number, what) in descriptors() {
                println!("{number} {what}");
            }
        }
        ["claim-after-foreign-claim"] => {
            let (number, _) = open_regions().pop_first().unwrap();
            // SAFETY: All arguments are integers.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
            let region = Region::inherited("a").unwrap();
            let (own, others) = (region.as_fd().as_raw_fd(), open_regions());
            println!("{} {}", own != number, others.contains_key(&own) && others.contains_key(&number));
        }
        ["import-owned-then-inherit", variable] => {
            let string = env::var(variable).unwrap();
            // SAFETY: The descriptor was inherited for this call, and nothing else in this program owns it.
            let owned = unsafe { Region::import_owned(&string) }.unwrap();
            let inherited = Region::inherited("a").unwrap();
            println!("{}", owned.as_fd().as_raw_fd() != inherited.as_fd().as_raw_fd());
            drop(owned);
            println!("{}", inherited.map().is_ok());
        }
        ["convert-then-inherit"] => {
            let (number, _) = open_regions().pop_first().unwrap();
            // SAFETY: The descriptor was inherited and not claimed yet, so nothing owns it.
            let owned = unsafe { OwnedFd::from_raw_fd(number) };
            let owned = Region::try_from(owned).unwrap();
            let inherited = Region::inherited("a").unwrap();
            println!("{}", owned.as_fd().as_raw_fd() != inherited.as_fd().as_raw_fd());
            drop(owned);
            println!("{}", inherited.map().is_ok());
        }
        ["hostile", name] => try_all(name),
        ["hostile-via-c-library", library, kind, protocol] => {
            let library = CLibrary::load(library);
            let file_map = library.file_map(u32::try_from(hostile::SIZE).unwrap(), kind);
            if *protocol == "by-name" {
                library.run(&own_path(), &["hostile", "target"], file_map, c"target");
            } else {
                let mut command = std::process::Command::new(own_path());
                command.args(["hostile", "TARGET"]).env("TARGET", library.export(file_map));
                print!("{}", text(command.output().unwrap()));
            }
        }
        ["claim-with-c-library", library, first] => claim_with_c_library(&CLibrary::load(library), first),
        ["limited", limit, rest @ ..] => limited(limit, rest),
        ["with-stdio-closed"] => with_stdio_closed(),
        ["create-all-kinds", directory] => {
            let region = Region::create(4096).unwrap();
            Region::options().name("named").populate(true).create(4096).unwrap().freeze().unwrap();
            FrozenRegion::from_reader(&b"a text"[..]).unwrap();
            let unsealed = Region::options().unsealed_file_in(directory).create(4096).unwrap();
            let mut command = Command::new("true");
            command.inherit("a", &region).unwrap().inherit("b", &unsealed).unwrap().status().unwrap();
            let _exported = region.export_inheritable().unwrap();
            drop(region.into_read_only().unwrap());
        }
        ["create-named-file", directory] => {
            let path = std::path::Path::new(directory).join("named");
            std::fs::write(&path, "").unwrap();
            std::fs::remove_file(path).unwrap();
        }
        ["shares"] => mappings::shares(),
        ["fork-beside-threads", rounds] => fork_beside_threads(rounds.parse().unwrap()),
        ["fork-without-mappings"] => mappings::fork_without(),
        ["seal-mapping"] => mappings::seal(),
        ["seal-mapping-without-mseal", errno] => {
            let errno = errno.parse().unwrap();
            old_kernels::refuse(&[Refusal { call: old_kernels::MSEAL, arguments: &[], errno }]);
            mappings::seal();
        }
        ["change-sealed-mappings"] => mappings::change_sealed(),
        #[cfg(target_pointer_width = "64")]
        ["map-like-old-kernels"] => map_like_old_kernels(),
        ["wait-under-signals"] => wait_under_signals(),
        ["take-wakes", name] => take_wakes(name),
        ["lock", rest @ ..] => locks::run(rest),
        ["secret", rest @ ..] => secret::run(rest),
        ["spawning", rest @ ..] => spawning::run(rest),
        ["confined", rest @ ..] => confined::run(rest),
        ["wait-idle"] => wait_idle(),
        ["wait-without-futex"] => wait_without_futex(),
        ["exhaust-mappings"] => exhaust_mappings(),
        ["stop-traced"] => stop_traced(),
        ["kill-ignoring-sigchld"] => kill_ignoring_sigchld(),
        ["kill-after-reuse"] => kill_after_reuse(),
        ["swallow-seals", seals] => swallow_seals(seals.parse().unwrap()),
        ["without-memfd", errno, directory] => {
            refuse_memfd(errno.parse().unwrap());
            println!("{}", describe(Region::create(4096).map(|_| String::new())));
            println!("{}", describe(Region::options().huge_pages(true).create(2 << 20).map(|_| String::new())));
            println!("{}", describe(FrozenRegion::from_bytes("x").map(|_| String::new())));
            let region = Region::options().unsealed_file_in(directory).create(4096).unwrap();
            println!(
                "{} {}",
                region.kind(),
                output(Command::new(own_path()).args(["take", "region:a"]).inherit("a", &region).unwrap()).trim()
            );
            println!("{}", describe(region.clone().into_read_only().map_err(Error::from).map(|_| String::new())));
            println!("{}", describe(region.freeze().map_err(Error::from).map(|_| String::new())));
        }
        ["hold-with-undumpable", set_undumpable] => {
            let region = Region::create(4096).unwrap();
            if *set_undumpable == "yes" {
                heirloom::os::linux::set_undumpable().unwrap();
            }
            println!("{}", region.as_fd().as_raw_fd());
            std::io::read_to_string(std::io::stdin()).unwrap();
        }
        ["replace-during", call, command, nth, flag] => {
            replace_during(call, command, nth.parse().unwrap(), *flag == "close-on-exec");
        }
        ["fork-and-import"] => fork_and_import(),
        ["exec", rest @ ..] => {
            let region = FrozenRegion::from_bytes("from before the exec").unwrap();
            let mut command = Command::new(own_path());
            command.args(rest).inherit("text", &region).unwrap();
            println!("{}", command.exec());
        }
        ["exec-grep-signals"] => {
            println!("{}", Command::new("grep").args(["-E", "SigIgn|SigBlk", "/proc/self/status"]).exec());
        }
        ["create-and-execute"] => {
            let region = Region::create(4096).unwrap();
            println!("{}", hostile::execute(region.as_fd().as_raw_fd()).unwrap_err().raw_os_error().unwrap());
        }
        ["exec-in-group", group] => {
            println!("{:?}", Command::new("true").process_group(group.parse().unwrap()).exec().kind());
        }
        ["exec-missing"] => {
            // SAFETY: `new` is null or a complete action, `old` is filled in, and SIGPIPE is never raised meanwhile.
            let action = |new: Option<&libc::sigaction>| unsafe {
                let mut old: libc::sigaction = std::mem::zeroed();
                libc::sigaction(libc::SIGPIPE, new.map_or(std::ptr::null(), std::ptr::from_ref), &raw mut old);
                (old.sa_sigaction, old.sa_flags)
            };
            let handler: extern "C" fn(i32, *const u8, *const u8) = unused_handler;
            // SAFETY: All zeros is a valid `sigaction`.
            let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
            (new.sa_sigaction, new.sa_flags) = (handler as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
            action(Some(&new));
            let before = action(None);
            let region = Region::create(4096).unwrap();
            let error = Command::new("/nonexistent/program").inherit("a", &region).unwrap().exec();
            println!("{:?}", error.kind());
            println!("{}", action(None) == before && before.0 == handler as usize);
            // A child started now inherits no region.
            print!("{}", text(std::process::Command::new(own_path()).arg("regions").output().unwrap()));
        }
        _ => panic!("unknown sub-command: {args:?}"),
    }
}

extern "C" fn unused_handler(_: i32, _: *const u8, _: *const u8) {}

/// Prints the result of each attempt and of its control, on a region that is inherited by name or imported from a
/// variable.
fn try_all(name: &str) {
    // If a variable has this name, its value is an export string.
    let string = env::var(name).ok();
    let string = string.as_deref();
    let by_kind: [&dyn Fn() -> Result<OwnedFd, Error>; 3] = [
        &|| string.map_or_else(|| FrozenRegion::inherited(name), FrozenRegion::import)?.try_into(),
        &|| string.map_or_else(|| ReadOnlyRegion::inherited(name), ReadOnlyRegion::import)?.try_into(),
        &|| string.map_or_else(|| Region::inherited(name), Region::import)?.try_into(),
    ];
    let fd = by_kind.iter().find_map(|open| open().ok()).unwrap();
    // All holders share the position, which earlier attempts moved.
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0)).unwrap();
    let huge = hostile::is_huge(fd.as_raw_fd()).unwrap() && hostile::huge_control().is_ok();
    let code = |answer: std::io::Result<()>| match answer {
        Ok(()) => hostile::DONE,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    };
    for attempt in hostile::ATTEMPTS {
        let control = match (attempt.name.starts_with("linkat"), huge) {
            (true, _) => hostile::linkable(),
            (_, true) => hostile::huge_control(),
            _ => hostile::control(),
        };
        let control = code((attempt.act)(control.unwrap().as_raw_fd()));
        println!("{}\t{}\t{control}", attempt.name, code((attempt.act)(fd.as_raw_fd())));
    }
}

/// Makes the kernel reject `memfd_create` for this process, as a sandbox may.
fn refuse_memfd(errno: i32) {
    old_kernels::refuse(&[Refusal { call: libc::SYS_memfd_create, arguments: &[], errno }]);
}

/// Forks while other threads take this library's locks, and lets each child use the library. Prints how many children got
/// a region, and how many blocked.
fn fork_beside_threads(rounds: u32) {
    let region = Region::create(4096).unwrap();
    let exported = region.export().unwrap();
    // Many exports make each later one hold its lock for longer.
    let _exports: Vec<_> = (0..900).map(|_| region.export().unwrap()).collect();
    let stop = AtomicBool::new(false);
    let (mut imported, mut blocked) = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(region.export().unwrap());
                }
            });
        }
        for _ in 0..rounds {
            // SAFETY: The child calls this library, which supports that, alarm(2) and _exit(2). It returns to no code that
            // needs the other threads.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: Plain numbers; the alarm ends a child that blocks.
                unsafe { libc::alarm(5) };
                let code = i32::from(Region::import(exported.as_str()).is_err());
                // SAFETY: It ends the process.
                unsafe { libc::_exit(code) };
            }
            let mut status = 0;
            // SAFETY: The status lives during the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            if libc::WIFSIGNALED(status) {
                blocked += 1;
                if blocked == 3 {
                    break;
                }
            } else {
                imported += i32::from(libc::WEXITSTATUS(status) == 0);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{imported} imported, {blocked} blocked");
}

/// Makes the kernel refuse shared mappings of a frozen region's own descriptor, and prints the permissions of a mapping.
#[cfg(target_pointer_width = "64")]
fn map_like_old_kernels() {
    let region = FrozenRegion::options().name("sealed").from_bytes("bytes").unwrap();
    let number = u32::try_from(region.as_fd().as_raw_fd()).unwrap();
    let shared = u32::try_from(libc::MAP_SHARED).unwrap();
    let arguments = Box::leak(Box::new([(3, Argument::Is(shared)), (4, Argument::Is(number))]));
    old_kernels::refuse(&[Refusal { call: libc::SYS_mmap, arguments, errno: libc::EPERM }]);
    let mapping = region.map().unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("/memfd:heirloom/sealed")).unwrap();
    println!("{} {}", mapping.len(), line.split(' ').nth(1).unwrap());
}

/// Makes mappings until the kernel refuses one, and prints the error, and whether a mapping succeeds after dropping them.
fn exhaust_mappings() {
    let region = Region::create(16 << 10).unwrap();
    // Alternating, so that the kernel can't merge neighbours.
    let map = |index: usize| if index % 2 == 0 { region.map_range(..4096) } else { region.map_range(8192..12288) };
    let mut mappings = Vec::new();
    let error = loop {
        match map(mappings.len()) {
            Ok(mapping) => mappings.push(mapping),
            Err(error) => break error,
        }
    };
    drop(mappings);
    println!("{}", describe(Err(error)));
    println!("{}", describe(region.map().map(|_| String::new())));
}

/// Asks the parent to trace this process, and gets a signal, at which only a traced process stops.
fn stop_traced() {
    // SAFETY: The calls take plain numbers.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0), 0);
        libc::raise(libc::SIGWINCH);
    }
}

/// With SIGCHLD ignored, kills a child and prints the result.
fn kill_ignoring_sigchld() {
    // SAFETY: Sets an action that runs no code of this process.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let mut running = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let killed = running.kill();
    println!("{}", describe(killed.clone().map(|()| String::new())));
    // It ends of the kill: its input stays open.
    while killed.is_ok() && std::fs::exists(format!("/proc/{}", running.id())).unwrap() {
        std::thread::yield_now();
    }
}

/// With SIGCHLD ignored, lets a child end, gives its process id to another child, and then kills the first one. Needs a PID
/// namespace of its own. Prints the results, and whether the other child is still alive.
fn kill_after_reuse() {
    // SAFETY: Sets an action that runs no code of this process.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let exists = |id: u32| std::fs::exists(format!("/proc/{id}")).unwrap();
    let mut ended = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let id = ended.id();
    drop(ended.stdin.take());
    while exists(id) {
        std::thread::yield_now();
    }
    // The kernel frees the id a moment after the process's entry in /proc.
    let mut other = loop {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (id - 1).to_string()).unwrap();
        let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
        if other.id() == id {
            break other;
        }
        other.kill().unwrap();
    };
    println!("kill {}", describe(ended.kill().map(|()| String::new())));
    println!("pidfd {}", describe(ended.pidfd().map(|_| String::new())));
    println!("alive {}", exists(id));
    // The control: the other child can be killed.
    println!("control {}", describe(other.kill().map(|()| String::new())));
    while exists(id) {
        std::thread::yield_now();
    }
}

/// Makes the kernel return success for a request to add any of those seals, without adding them.
fn swallow_seals(seals: u32) {
    // The filter's arguments must live for ever.
    let arguments = Box::leak(Box::new([(1, Argument::Is(1033)), (2, Argument::Has(seals))]));
    old_kernels::refuse(&[Refusal { call: old_kernels::FCNTL, arguments, errno: 0 }]);
    let outcome = |answer: Result<(), Error>| describe(answer.map(|()| String::new()));
    println!("create {}", outcome(Region::create(4096).map(drop)));
    println!("fill {}", outcome(FrozenRegion::from_bytes("of before").map(drop)));
    if let Ok(region) = Region::create(4096) {
        println!("make-read-only {}", outcome(region.clone().into_read_only().map(drop).map_err(Error::from)));
        println!("freeze {}", outcome(region.freeze().map(drop).map_err(Error::from)));
    }
}

/// Claims or imports the region `a`, while another thread replaces its descriptor by a file before the `nth` `fcntl` with that
/// command. Prints the result, and the file and flags that the number has afterwards.
fn replace_during(call: &str, command: &str, nth: usize, close_on_exec: bool) {
    let variable = env::var("HEIRLOOM_REGIONS").unwrap();
    let string = variable.strip_prefix("a=").unwrap();
    let number: RawFd = string.split_once(':').unwrap().0.parse().unwrap();
    let replacement = std::fs::File::open("/dev/null").unwrap();
    let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
    let replace = move || {
        // SAFETY: The arguments are integers. Nothing owns the descriptor, which is to be replaced.
        assert_eq!(unsafe { libc::dup3(replacement.as_raw_fd(), number, flags) }, number);
    };
    let command = match command {
        "F_GET_SEALS" => 1034,
        "F_GETFD" => libc::F_GETFD.unsigned_abs(),
        "F_SETFD" => libc::F_SETFD.unsigned_abs(),
        _ => u32::MAX,
    };
    before_fcntl(number, command, nth, replace);
    let taken = match call {
        "claim" => Region::inherited("a"),
        // SAFETY: The descriptor was inherited for this call, and nothing else in this program owns it.
        _ => unsafe { Region::import_owned(string) },
    };
    let taken = taken.map(|region| region.size().to_string());
    println!("{}", describe(taken));
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).map(|link| link.display().to_string());
    // SAFETY: The arguments are integers.
    println!("{} {}", link.unwrap_or_default(), unsafe { libc::fcntl(number, libc::F_GETFD) });
}

/// Prints the result of each kernel-dependent feature, and of inheriting and importing a region.
fn report_features(directory: &str) {
    let outcome = |answer: Result<(), Error>| describe(answer.map(|()| String::new()));
    println!("create {}", outcome(Region::create(4096).map(drop)));
    println!("huge {}", outcome(Region::options().huge_pages(true).create(2 << 20).map(drop)));
    let region = Region::create(4096).or_else(|_| Region::options().unsealed_file_in(directory).create(4096)).unwrap();
    println!("execute {:?}", hostile::execute(region.as_fd().as_raw_fd()).unwrap_err().raw_os_error().unwrap());
    write(&region, "of before");
    println!("make-read-only {}", outcome(region.clone().into_read_only().map(drop).map_err(Error::from)));
    println!("freeze {}", outcome(region.clone().freeze().map(drop).map_err(Error::from)));
    println!("fill {}", outcome(FrozenRegion::from_bytes("of before").map(drop)));
    println!("secret {}", outcome(SecretRegion::create(32).map(drop)));
    for wanted in ["region:a", "frozen:a"] {
        let report = output(Command::new(own_path()).args(["take", wanted]).inherit("a", &region).unwrap());
        println!("{wanted} {}", report.trim_end());
    }
    println!("import {}", outcome(FrozenRegion::import(region.export().unwrap().as_str()).map(drop)));
    println!("spawn {:?}", Command::new("/nonexistent/program").spawn().unwrap_err().kind());
    let mut child = Command::new("true").spawn().unwrap();
    println!("pidfd {}", outcome(child.pidfd().map(drop)));
    println!("wait {}", child.wait().unwrap());
}

/// Inherits the same region through the C library and the Rust library, and prints whether each has its own descriptor.
fn claim_with_c_library(library: &CLibrary, first: &str) {
    // SAFETY: Called as the header requires.
    let c = || unsafe { (library.PR_GetInheritedFileMap)(c"a".as_ptr()) };
    let rust = || Region::inherited("a").unwrap();
    let (file_map, region) = if first == "c" {
        let file_map = c();
        (file_map, rust())
    } else {
        let region = rust();
        (c(), region)
    };
    // SAFETY: Called as the header requires, and the write stays inside the mapping.
    unsafe {
        let view = (library.PR_MemMap)(file_map, 0, 4096);
        assert!(!view.is_null());
        view.cast::<u8>().write_volatile(42);
        let mut seen = [0];
        region.map().unwrap().read_at(0, &mut seen).unwrap();
        println!("{} {}", seen[0], open_regions().len());
        // Closing one descriptor leaves the other open.
        assert_eq!((library.PR_CloseFileMap)(file_map), 0);
        println!("{}", open_regions().contains_key(&region.as_fd().as_raw_fd()));
        drop(region);
        print!("{}", text(std::process::Command::new(own_path()).arg("regions").output().unwrap()));
        println!("{}", open_regions().len());
    }
}

fn limited(limit: &str, rest: &[&str]) {
    let (resource, value) = limit.split_once('=').unwrap();
    let resource = match resource {
        "descriptors" => Resource::Nofile,
        "file-size" => Resource::Fsize,
        "address-space" => Resource::As,
        _ => panic!("{limit}"),
    };
    let value = Some(value.parse().unwrap());
    setrlimit(resource, Rlimit { current: value, maximum: value }).unwrap();
    match rest {
        ["create", size] => {
            println!("{}", describe(Region::create(size.parse().unwrap()).map(|region| region.size().to_string())));
        }
        ["freeze-bytes", size] => {
            let bytes = vec![1; size.parse().unwrap()];
            println!("{}", describe(FrozenRegion::from_bytes(&bytes).map(|frozen| frozen.size().to_string())));
            println!("{}", describe(FrozenRegion::from_reader(&bytes[..]).map(|frozen| frozen.size().to_string())));
            let pipe = rustix::pipe::pipe().unwrap();
            let writer = std::thread::spawn(move || rustix::io::write(&pipe.1, &bytes).map(drop));
            let file = std::fs::File::from(pipe.0);
            println!("{}", describe(FrozenRegion::from_file(&file).map(|frozen| frozen.size().to_string())));
            drop(file);
            let _ = writer.join();
        }
        ["map", size] => {
            let region = Region::create(size.parse().unwrap()).unwrap();
            println!("{}", describe(region.map().map(|view| view.len().to_string())));
            println!("{}", describe(region.map_range(0..4096).map(|view| view.len().to_string())));
        }
        ["exhaust-descriptors"] => exhaust_descriptors(),
        _ => panic!("{rest:?}"),
    }
}

/// Prints the error of each call when no descriptor is left, whether the descriptors are unchanged, and that creating
/// works again.
fn exhaust_descriptors() {
    let region = Region::create(4096).unwrap();
    let mut all = Vec::new();
    while let Ok(fd) = region.as_fd().try_clone_to_owned() {
        all.push(fd);
    }
    let before = descriptors_by_flag();
    println!("{}", describe(Region::create(4096).map(|_| String::new())));
    println!("{}", describe(FrozenRegion::from_bytes("x").map(|_| String::new())));
    println!("{}", describe(region.export().map(|_| String::new())));
    println!("{}", describe(region.export_inheritable().map(|_| String::new())));
    let string = format!("{}:1:1:writable:4096:", region.as_fd().as_raw_fd());
    let status = rustix::fs::fstat(&region).unwrap();
    println!(
        "{}",
        describe(Region::import(&format!("{string}{}:{}", status.st_dev, status.st_ino)).map(|_| String::new()))
    );
    println!("{}", describe(Command::new("true").output().map(|_| String::new())));
    // This needs no descriptor.
    println!(
        "{}",
        describe(Command::new("true").inherit("a", &region).unwrap().status().map(|status| status.to_string()))
    );
    println!("{}", before == descriptors_by_flag());
    drop(all);
    println!("{}", describe(Region::create(4096).map(|_| String::new())));
}

/// Lists the open descriptors without opening one.
fn descriptors_by_flag() -> Vec<RawFd> {
    // SAFETY: The arguments are integers, and no memory is accessed.
    (0..256).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0).collect()
}

fn with_stdio_closed() {
    // SAFETY: Until standard output is restored below, this process does not use its standard streams.
    let saved = unsafe {
        let saved = libc::dup(1);
        (0..3).for_each(|number| _ = libc::close(number));
        saved
    };
    let region = Region::create(4096).unwrap();
    let frozen = FrozenRegion::from_bytes("x").unwrap();
    let exported = region.export().unwrap();
    let numbers = [region.as_fd(), frozen.as_fd(), exported.as_fd()].map(|fd| fd.as_raw_fd());
    let seen = Command::new(own_path()).arg("take").arg("region:a").inherit("a", &region).unwrap().output().unwrap();
    // A region whose descriptor has the number of a standard stream can be inherited too.
    let low = Region::try_from(rustix::io::dup(&region).unwrap()).unwrap();
    let low_number = low.as_fd().as_raw_fd();
    let low_seen = Command::new(own_path()).arg("take").arg("region:a").inherit("a", &low).unwrap().output().unwrap();
    drop(low);
    // SAFETY: Both are integers; descriptor 1 is unused now.
    unsafe { libc::dup2(saved, 1) };
    println!("{}", numbers.iter().all(|number| *number > 2));
    print!("{}", String::from_utf8(seen.stdout).unwrap());
    println!("{low_number}");
    print!("{}", String::from_utf8(low_seen.stdout).unwrap());
}

fn fork_and_import() {
    let region = Region::create(4096).unwrap();
    let exported = region.export().unwrap();
    let string = exported.to_string();
    // SAFETY: This process has one thread, so the child may run any code.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let imported = Region::import(&string).unwrap();
        imported.map().unwrap().write_at(0, b"from the fork").unwrap();
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: `pid` is a child of this process, and `status` outlives the call.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    let mut seen = [0; 13];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    println!("{status} {}", String::from_utf8_lossy(&seen));
}

/// Waits while a signal arrives every 2 ms.
fn wait_under_signals() {
    static SIGNALS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }

    let interval = libc::timeval { tv_sec: 0, tv_usec: 2000 };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: The handler only counts. The structures outlive the calls, and zeroed flags and masks are valid.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()), 0);
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()), 0);
    }
    let view = Region::create(4096).unwrap().map().unwrap();
    while SIGNALS.load(Ordering::Relaxed) < 50 {
        assert_eq!(view.wait_timeout(0, 0, Duration::from_millis(200)).unwrap(), None);
    }
    println!("None after 50 signals or more");
}

/// Waits two and a half seconds, and so looks at the number several times.
fn wait_idle() {
    let view = Region::create(4096).unwrap().map().unwrap();
    print_processor_time(|| view.wait_timeout(0, 0, Duration::from_millis(2500)).unwrap());
}

fn wait_without_futex() {
    let view = Region::create(4096).unwrap().map().unwrap();
    old_kernels::refuse(&[Refusal { call: libc::SYS_futex, arguments: &[], errno: libc::EPERM }]);
    for error in [view.wait(4, 0).unwrap_err(), view.wake_one(4).unwrap_err()] {
        println!("{:?} {error}", error.kind());
    }
}

/// Moves whoever waits for the number at the start of a region, which this process can only read, to another number, until
/// standard input ends.
fn take_wakes(name: &str) {
    let view = ReadOnlyRegion::inherited(name).unwrap().map().unwrap();
    let ended = std::thread::spawn(|| std::io::read_to_string(std::io::stdin()).unwrap());
    while !ended.is_finished() {
        // FUTEX_REQUEUE, which wakes none and moves all.
        let (from, to) = (view.as_ptr(), view.as_ptr().wrapping_add(64));
        // SAFETY: The kernel only takes note of the addresses.
        match unsafe { libc::syscall(libc::SYS_futex, from, libc::FUTEX_REQUEUE, 0, i32::MAX, to) } {
            0 => std::thread::yield_now(),
            moved => println!("{moved} taken"),
        }
    }
}
