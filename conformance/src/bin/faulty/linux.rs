//! The program whose system calls strace makes fail. The first argument names the operation, which runs once between
//! two marks and then again. For each run, the output gives the result, whether it is correct, and the resources that
//! changed.

#![allow(unsafe_code)]
#![allow(clippy::useless_conversion)] // Some results have other types on 32-bit targets.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use heirloom::os::linux::{ChildExt, CommandExt as _, FrozenOptionsExt, MappingExt, SecretRegion};
use heirloom::os::unix::{CommandExt, InheritExt};
use heirloom::{
    Command, ConvertError, Error, FrozenRegion, InheritedState, Locked, ReadOnlyRegion, Region, RegionOptions, Stdio,
};
use heirloom_conformance::descriptors;
use rustix::fs::{Mode, OFlags};

const SIZE: u64 = 8192;
const HUGE: u64 = 2 << 20;
const TEXT: [u8; 8192] = [7; 8192];

/// Checks the result of an operation and drops it.
type Check = Box<dyn FnOnce() -> bool>;
type Operation = Box<dyn FnMut() -> Result<Check, Error>>;

pub(super) fn main() {
    // SAFETY: The argument is an integer. Without a handler, the signal ends a process that hangs.
    unsafe { libc::alarm(60) };
    let name = env::args().nth(1).unwrap();
    let mut operation = operation(&name);
    let before = resources();
    mark();
    let first = operation();
    mark();
    print_report(first, &before);
    // The second run is in a fork that strace does not follow, because it would inject a fault for a child's call in
    // every child.
    // SAFETY: A plain fork; this process has one thread, which holds no locks.
    let fork = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_UNTRACED | libc::SIGCHLD, 0, 0, 0, 0) };
    if fork == 0 {
        // SAFETY: The argument is an integer.
        unsafe { libc::alarm(60) };
        print_report(operation(), &before);
        return;
    }
    let mut status = 0;
    // SAFETY: `fork` is a child of this process, and `status` outlives the call.
    unsafe { libc::waitpid(i32::try_from(fork).unwrap(), &raw mut status, 0) };
    assert_eq!(status, 0);
}

/// Marks the start or end of the operation by a call that nothing else makes.
fn mark() {
    rustix::process::getpriority_process(None).unwrap();
}

fn print_report(result: Result<Check, Error>, before: &[String]) {
    let (report, correct) = match result {
        Ok(check) => ("ok\t0\t".to_owned(), check()),
        Err(error) => (format!("{:?}\t{}\t{error}", error.kind(), error.raw_os_error().unwrap_or(0)), true),
    };
    let after = resources();
    let gone = before.iter().filter(|one| !after.contains(one)).map(|one| format!("-{one}"));
    let added = after.iter().filter(|one| !before.contains(one)).map(|one| format!("+{one}"));
    println!("{report}\n{correct}\n{:?}", gone.chain(added).collect::<Vec<_>>());
}

/// Lists the resources that a call could leave behind: descriptors, shared mappings, threads and children.
fn resources() -> Vec<String> {
    let mut all: Vec<_> =
        descriptors().into_iter().map(|(number, what)| format!("descriptor {number} {what}")).collect();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let shown = maps.lines().filter(|line| line.contains("/memfd:") || line.contains("(deleted)"));
    all.extend(shown.map(|line| format!("mapping {line}")));
    all.extend((1..).zip(fs::read_dir("/proc/self/task").unwrap()).map(|(count, _)| format!("thread {count}")));
    // SAFETY: A null status is allowed.
    match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
        -1 => {}
        child => all.push(format!("child {child}")),
    }
    all
}

/// An operation whose result is checked by `check`.
fn plain<T: 'static>(
    mut act: impl FnMut() -> Result<T, Error> + 'static,
    check: impl FnOnce(T) -> bool + Copy + 'static,
) -> Operation {
    Box::new(move || {
        let made = act()?;
        Ok(Box::new(move || check(made)))
    })
}

/// An operation that consumes its input, or returns it on failure. `kept` holds the same resources, so that consuming
/// closes none.
fn consuming<T: 'static, K: 'static, M: 'static>(
    mut ready: Vec<T>,
    kept: K,
    act: impl Fn(T) -> Result<M, ConvertError<T>> + 'static,
    check: impl FnOnce(M) -> bool + Copy + 'static,
) -> Operation {
    Box::new(move || {
        let _ = &kept;
        let made = act(ready.pop().unwrap()).map_err(|failed| {
            let (error, input) = failed.into_parts();
            ready.push(input);
            error
        })?;
        Ok(Box::new(move || check(made)))
    })
}

fn region() -> Region {
    Region::create(SIZE).unwrap()
}

fn read_only() -> ReadOnlyRegion {
    region().into_read_only().unwrap().0
}

#[allow(clippy::needless_pass_by_value)] // A check drops its argument.
fn is_zero(region: Region) -> bool {
    let mut bytes = vec![1; usize::try_from(region.size()).unwrap()];
    region.map().unwrap().read_at(0, &mut bytes).unwrap();
    bytes.iter().all(|byte| *byte == 0)
}

#[allow(clippy::needless_pass_by_value)] // As above.
fn is_text(region: FrozenRegion) -> bool {
    *region.map().unwrap() == TEXT
}

fn create(options: &RegionOptions, size: u64) -> Operation {
    let options = options.clone();
    plain(move || options.create(size), is_zero)
}

fn two<T>(make: impl Fn() -> T) -> Vec<T> {
    vec![make(), make()]
}

#[allow(clippy::too_many_lines)] // One arm per operation.
fn operation(name: &str) -> Operation {
    match name {
        "create" => create(&Region::options(), SIZE),
        "create-populated" => create(Region::options().populate(true), SIZE),
        "create-huge" => create(Region::options().huge_pages(true), HUGE),
        "create-file" => create(Region::options().unsealed_file_in("/dev/shm"), SIZE),
        "create-secret" => plain(|| SecretRegion::create(SIZE), |key| key.map().unwrap().load_u64(0).unwrap() == 0),
        "map-secret" => {
            let ready = two(|| SecretRegion::create(SIZE).unwrap());
            let mut kept = Command::new("/bin/true");
            kept.inherit("a", &ready[0]).unwrap().inherit("b", &ready[1]).unwrap();
            consuming(ready, kept, SecretRegion::map, |key| key.load_u64(0).unwrap() == 0)
        }
        "map" => {
            let region = region();
            plain(move || region.map(), |view| view.load_u64(0).unwrap() == 0 && view.load_u64(8184).unwrap() == 0)
        }
        "map-populated" => {
            let region = Region::options().populate(true).create(SIZE).unwrap();
            plain(move || region.map(), |view| view.load_u64(0).unwrap() == 0)
        }
        "map-range" => {
            let region = region();
            plain(move || region.map_range(4096..4196), |view| view.load_u64(0).unwrap() == 0 && view.len() == 100)
        }
        "map-copy" => {
            let region = region();
            plain(move || region.map_copy(), |view| view.load_u64(0).unwrap() == 0)
        }
        "map-read-only" => {
            let region = read_only();
            plain(move || region.map(), |view| view.load_u64(0).unwrap() == 0)
        }
        "map-frozen" => {
            let region = FrozenRegion::from_bytes(TEXT).unwrap();
            plain(move || region.map(), |view| *view == TEXT)
        }
        "no-dump" => {
            let view = Rc::new(region().map().unwrap());
            plain(move || view.no_dump(), |()| true)
        }
        "exclude-from-fork" => {
            let region = region();
            let exclude = move || {
                let view = region.map()?;
                // SAFETY: The mapping is dropped before the fork.
                unsafe { view.exclude_from_fork() }?;
                Ok(view)
            };
            plain(exclude, |view| view.load_u64(0).unwrap() == 0)
        }
        "use-huge-pages" => {
            let region = Region::create(2 * HUGE).unwrap();
            // A mapping at an address that suits huge pages isn't moved. The next one of that length gets the same address, so
            // this starts where it doesn't suit, by as many calls in every process.
            let len = 2 * HUGE - 4096;
            let suits = region.map_range(..len).unwrap().as_ptr().addr() % (2 << 20) == 0;
            let start = if suits { 4096 } else { 0 };
            let huge = move || {
                let mut view = region.map_range(start..start + len)?;
                view.use_huge_pages(Duration::from_secs(60)).map(|_| view)
            };
            plain(huge, |view| view.load_u64(0).unwrap() == 0 && view.load_u64(8184).unwrap() == 0)
        }
        "channel" => plain(
            || heirloom::channel(4096),
            |(mut sender, mut receiver)| {
                sender.send(b"message").unwrap();
                receiver.recv().is_ok_and(|message| message.to_vec() == b"message")
            },
        ),
        "map-with-locks" => {
            let region = region();
            plain(move || region.map_with_locks(), |view| matches!(view.lock(0), Ok(Locked::Clean(_))))
        }
        "make-read-only" => {
            let ready = two(region);
            consuming(ready.clone(), ready, Region::into_read_only, |(_, writer)| writer.load_u64(0).unwrap() == 0)
        }
        "freeze" => {
            let ready = two(region);
            consuming(ready.clone(), ready, Region::freeze, |frozen| *frozen.map().unwrap() == [0; 8192])
        }
        "freeze-read-only" => {
            let ready = two(read_only);
            consuming(ready.clone(), ready, ReadOnlyRegion::freeze, |frozen| *frozen.map().unwrap() == [0; 8192])
        }
        "fill-bytes" => plain(|| FrozenRegion::from_bytes(TEXT), is_text),
        "fill-huge" => {
            let bytes = vec![7; usize::try_from(HUGE).unwrap()];
            let compared = bytes.clone();
            let mut options = FrozenRegion::options();
            options.use_huge_pages(true);
            Box::new(move || {
                let (filled, compared) = (options.from_bytes(&bytes)?, compared.clone());
                Ok(Box::new(move || *filled.map().unwrap() == compared))
            })
        }
        "fill-reader" => plain(|| FrozenRegion::from_reader(&TEXT[..]), is_text),
        "fill-file" => fill_from(two(|| {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::open("/dev/shm", flags, Mode::RUSR).unwrap());
            file.write_all(&TEXT).unwrap();
            rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
            file
        })),
        "fill-pipe" => fill_from(two(|| piped(&TEXT))),
        "fill-pipe-beyond-maximum" => {
            let mut ready = two(|| piped(&TEXT));
            let mut options = FrozenRegion::options();
            options.max_size(SIZE - 1);
            let filled = move || options.from_file(&mem::ManuallyDrop::new(ready.pop().unwrap()));
            plain(filled, |_| false)
        }
        "copy-of" => {
            let region = region();
            region.map().unwrap().write_at(0, &TEXT).unwrap();
            plain(move || FrozenRegion::copy_of(&region), is_text)
        }
        "export" => {
            let region = region();
            plain(move || region.export(), |exported| is_zero(Region::import(exported.as_str()).unwrap()))
        }
        "export-inheritable" => {
            let region = region();
            plain(move || region.export_inheritable(), |exported| is_zero(Region::import(exported.as_str()).unwrap()))
        }
        "import" => {
            let exported = region().export().unwrap();
            plain(move || Region::import(exported.as_str()), is_zero)
        }
        "import-owned" => {
            // Drops the export and keeps its number open.
            let exported = region().export_inheritable().unwrap();
            let (string, number) = (exported.to_string(), exported.as_fd().as_raw_fd());
            let kept = rustix::io::dup(&exported).unwrap();
            drop(exported);
            // SAFETY: The number was just closed, so nothing owns it.
            assert_eq!(unsafe { libc::dup2(kept.as_raw_fd(), number) }, number);
            // SAFETY: Nothing owns the number, and `leave_open` releases it again.
            plain(move || unsafe { Region::import_owned(&string) }, leave_open)
        }
        "from-descriptor" => {
            let kept = region();
            let ready = two(|| rustix::io::fcntl_dupfd_cloexec(&kept, 3).unwrap());
            consuming(ready, kept, Region::try_from, |region| {
                _ = OwnedFd::try_from(region).unwrap().into_raw_fd();
                true
            })
        }
        "into-descriptor" => {
            let region = region();
            plain(move || OwnedFd::try_from(region.clone()), |fd| fd.as_raw_fd() > 2)
        }
        "copy-on-write" => {
            let frozen = FrozenRegion::from_bytes(TEXT).unwrap();
            plain(move || frozen.copy_on_write(), is_text)
        }
        "inherited" => plain(|| Region::inherited("a"), leave_open),
        "inherited-claimed-elsewhere" => {
            claim_elsewhere();
            plain(|| Region::inherited("a"), is_zero)
        }
        "claim" => plain(claim(), leave_open),
        "claim-claimed-elsewhere" => {
            claim_elsewhere();
            plain(claim(), is_zero)
        }
        "inherit" => {
            let region = region();
            // The second name takes a second descriptor.
            plain(
                move || {
                    let mut command = Command::new("/bin/true");
                    command.inherit("a", &region)?.inherit("b", &region)?;
                    Ok(command)
                },
                |mut command| command.status().unwrap().success(),
            )
        }
        "inherit-std" => {
            let region = region();
            plain(
                move || {
                    let mut command = std::process::Command::new("/bin/true");
                    command.inherit("a", &region)?.inherit("b", &region)?;
                    Ok(command)
                },
                |mut command| command.status().unwrap().success(),
            )
        }
        _ => process(name),
    }
}

/// Operations that start a program.
fn process(name: &str) -> Operation {
    let region = region();
    let mut command = Command::new("/bin/true");
    command.inherit("a", &region).unwrap();
    match name {
        "spawn" => {
            command.process_group(0).current_dir("/").stdin(Stdio::null());
            plain(move || command.spawn(), |mut child| child.wait().unwrap().success())
        }
        // The command is confined anew each time, and dropped, since it holds a descriptor then.
        "spawn-confined" | "spawn-sealed" => {
            let sealed = name == "spawn-sealed";
            let start = move || {
                let mut command = Command::new("/bin/true");
                if sealed { command.confine_to(["/"])? } else { command.confine()? }.spawn()
            };
            plain(start, |mut child| child.wait().unwrap().success())
        }
        "spawn-piped" => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            plain(move || command.spawn(), |mut child| child.wait().unwrap().success())
        }
        "spawn-redirected" => {
            command.stdout(File::options().write(true).open("/dev/null").unwrap()).stderr(Stdio::null());
            plain(move || command.spawn(), |mut child| child.wait().unwrap().success())
        }
        "spawn-searched" => {
            let mut command = Command::new("true");
            command.env("PATH", "/bin");
            plain(move || command.spawn(), |mut child| child.wait().unwrap().success())
        }
        "output" => plain(move || command.output(), |output| output.status.success() && output.stdout.is_empty()),
        "wait" => plain(
            move || {
                let mut child = command.spawn()?;
                let waited = child.wait();
                if waited.is_err() {
                    // The failed call did not reap the child, so this process does.
                    // SAFETY: A null status is allowed.
                    unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
                }
                waited
            },
            |status| status.success(),
        ),
        "pidfd" => plain(
            move || {
                let mut child = command.spawn()?;
                let opened = child.pidfd();
                child.wait()?;
                opened
            },
            |_| true,
        ),
        "kill" => {
            let mut command = Command::new("/bin/sleep");
            command.arg("1000");
            plain(
                move || {
                    let mut child = command.spawn()?;
                    let killed = child.kill();
                    if killed.is_err() {
                        // SAFETY: All arguments are integers. The child is not reaped yet, so the number is its own.
                        unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGKILL) };
                    }
                    child.wait()?;
                    killed
                },
                |()| true,
            )
        }
        "exec" => {
            let mut command = Command::new("/nonexistent/program");
            command.inherit("a", &region).unwrap().stdin(Stdio::null());
            Box::new(move || Err(command.exec()))
        }
        "leaky" => Box::new(move || {
            let view = region.map()?;
            let child = command.spawn()?;
            let made = Region::create(SIZE);
            if made.is_err() {
                mem::forget((region.export(), view));
                _ = child;
                std::thread::spawn(std::thread::park);
            } else {
                { child }.wait()?;
            }
            made.map(|made| -> Check { Box::new(|| is_zero(made)) })
        }),
        _ => panic!("unknown operation: {name}"),
    }
}

/// Returns a pipe with those bytes.
fn piped(bytes: &[u8]) -> File {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    File::from(writer).write_all(bytes).unwrap();
    File::from(reader)
}

fn fill_from(mut ready: Vec<File>) -> Operation {
    // The file stays open, so that the set of open descriptors does not change.
    plain(move || FrozenRegion::from_file(&mem::ManuallyDrop::new(ready.pop().unwrap())), is_text)
}

/// Sets close-on-exec on the inherited descriptor, as another copy of this library would.
fn claim_elsewhere() {
    let (number, _) = heirloom_conformance::open_regions().pop_first().unwrap();
    // SAFETY: All arguments are integers.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Claims, then takes the region. On the first run, fails with the error of the region's claim.
fn claim() -> impl FnMut() -> Result<Region, Error> {
    let mut again = false;
    move || {
        heirloom::claim()?;
        let missing = heirloom::inherited()?.pop().map(|one| one.state);
        match missing {
            Some(InheritedState::Missing(error)) if !mem::replace(&mut again, true) => Err(error),
            _ => Region::inherited("a"),
        }
    }
}

/// Checks that the region is zero, and leaves its descriptor open and inheritable, as it was.
fn leave_open(region: Region) -> bool {
    let number = OwnedFd::try_from(region).unwrap().into_raw_fd();
    // SAFETY: `into_raw_fd` just released it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).unwrap();
    let mut bytes = [1; 8192];
    let read = rustix::io::pread(&fd, &mut bytes, 0).unwrap();
    _ = fd.into_raw_fd();
    read == 8192 && bytes == [0; 8192]
}
