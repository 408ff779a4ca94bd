//! The program whose system calls are made to fail: its first argument names the operation, which it does once between
//! two marks, and then again. Its lines say of both times what came of it, whether the result was right, and what was left.

#![allow(unsafe_code)]
#![allow(clippy::useless_conversion)] // What the kernel answers has another type in 32 bits.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;

use heirloom::os::linux::ChildExt;
use heirloom::os::unix::{CommandExt, InheritExt};
use heirloom::{
    Command, ConvertError, Error, FrozenRegion, InheritedState, ReadOnlyRegion, Region, RegionOptions, Stdio,
};
use heirloom_conformance::descriptors;
use rustix::fs::{Mode, OFlags};

const SIZE: u64 = 8192;
const HUGE: u64 = 2 << 20;
const TEXT: [u8; 8192] = [7; 8192];

/// Whether what was made is as it should be, and its end.
type Check = Box<dyn FnOnce() -> bool>;
type Operation = Box<dyn FnMut() -> Result<Check, Error>>;

pub(super) fn main() {
    // SAFETY: A plain number; no handler is set, so what hangs is ended by the signal.
    unsafe { libc::alarm(60) };
    let name = env::args().nth(1).unwrap();
    let mut operation = operation(&name);
    let before = census();
    mark();
    let first = operation();
    mark();
    tell(first, &before);
    // In a fork that no tracer follows: a fault in a child would come with every child.
    // SAFETY: A fork that the tracer isn't told of; this process has one thread that holds no locks.
    let fork = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_UNTRACED | libc::SIGCHLD, 0, 0, 0, 0) };
    if fork == 0 {
        // SAFETY: A plain number.
        unsafe { libc::alarm(60) };
        tell(operation(), &before);
        return;
    }
    let mut status = 0;
    // SAFETY: A child of this process, and a status that lives during the call.
    unsafe { libc::waitpid(i32::try_from(fork).unwrap(), &raw mut status, 0) };
    assert_eq!(status, 0);
}

/// A call that nothing else makes.
fn mark() {
    rustix::process::getpriority_process(None).unwrap();
}

fn tell(answer: Result<Check, Error>, before: &[String]) {
    let (report, right) = match answer {
        Ok(check) => ("ok\t0\t".to_owned(), check()),
        Err(error) => (format!("{:?}\t{}\t{error}", error.kind(), error.raw_os_error().unwrap_or(0)), true),
    };
    let after = census();
    let gone = before.iter().filter(|one| !after.contains(one)).map(|one| format!("-{one}"));
    let left = after.iter().filter(|one| !before.contains(one)).map(|one| format!("+{one}"));
    println!("{report}\n{right}\n{:?}", gone.chain(left).collect::<Vec<_>>());
}

/// All that a call could leave behind.
fn census() -> Vec<String> {
    let mut all: Vec<_> =
        descriptors().into_iter().map(|(number, what)| format!("descriptor {number} {what}")).collect();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let shown = maps.lines().filter(|line| line.contains("/memfd:") || line.contains("(deleted)"));
    all.extend(shown.map(|line| format!("mapping {line}")));
    all.extend((1..).zip(fs::read_dir("/proc/self/task").unwrap()).map(|(count, _)| format!("thread {count}")));
    // SAFETY: Asks for any child, and for no status.
    match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
        -1 => {}
        child => all.push(format!("child {child}")),
    }
    all
}

/// An operation whose result is right, or is looked at, as `check` says.
fn plain<T: 'static>(
    mut act: impl FnMut() -> Result<T, Error> + 'static,
    check: impl FnOnce(T) -> bool + Copy + 'static,
) -> Operation {
    Box::new(move || {
        let made = act()?;
        Ok(Box::new(move || check(made)))
    })
}

/// An operation that uses its object up, or gives it back. `kept` holds the same, so that nothing goes when it is used up.
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

#[allow(clippy::needless_pass_by_value)] // A check ends what it looks at.
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

#[allow(clippy::too_many_lines)] // A list of small operations.
fn operation(name: &str) -> Operation {
    match name {
        "create" => create(&Region::options(), SIZE),
        "create-populated" => create(Region::options().populate(true), SIZE),
        "create-huge" => create(Region::options().huge_pages(true), HUGE),
        "create-file" => create(Region::options().unsealed_file_in("/dev/shm"), SIZE),
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
        "fill-reader" => plain(|| FrozenRegion::from_reader(&TEXT[..]), is_text),
        "fill-file" => fill_from(two(|| {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::open("/dev/shm", flags, Mode::RUSR).unwrap());
            file.write_all(&TEXT).unwrap();
            rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
            file
        })),
        "fill-pipe" => fill_from(two(|| {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            File::from(writer).write_all(&TEXT).unwrap();
            File::from(reader)
        })),
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
            // The export is gone, its number stays open.
            let exported = region().export_inheritable().unwrap();
            let (string, number) = (exported.to_string(), exported.as_fd().as_raw_fd());
            let kept = rustix::io::dup(&exported).unwrap();
            drop(exported);
            // SAFETY: It was closed just now.
            assert_eq!(unsafe { libc::dup2(kept.as_raw_fd(), number) }, number);
            // SAFETY: Nothing owns that number: `left_open` gives it up again.
            plain(move || unsafe { Region::import_owned(&string) }, left_open)
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
        "inherited" => plain(|| Region::inherited("a"), left_open),
        "inherited-claimed-elsewhere" => {
            claim_elsewhere();
            plain(|| Region::inherited("a"), is_zero)
        }
        "claim" => plain(claim(), left_open),
        "claim-claimed-elsewhere" => {
            claim_elsewhere();
            plain(claim(), is_zero)
        }
        "inherit" => {
            let region = region();
            // Under the second name it takes a second descriptor.
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
                    // The call that failed reaped nothing, so somebody else has to, as the error says.
                    // SAFETY: A child of this process, and no status.
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
                        // SAFETY: Plain numbers, of a child that nobody waited for yet.
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
        _ => panic!("what is {name}?"),
    }
}

fn fill_from(mut ready: Vec<File>) -> Operation {
    // Left open, so that what was open before still is.
    plain(move || FrozenRegion::from_file(&mem::ManuallyDrop::new(ready.pop().unwrap())), is_text)
}

/// As another copy of this library would.
fn claim_elsewhere() {
    let (number, _) = heirloom_conformance::open_regions().pop_first().unwrap();
    // SAFETY: Plain numbers.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Takes what was claimed; the first time only if the claim went well.
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

/// Whether it is zero; its descriptor stays as it was inherited.
fn left_open(region: Region) -> bool {
    let number = OwnedFd::try_from(region).unwrap().into_raw_fd();
    // SAFETY: It was given up just now.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).unwrap();
    let mut bytes = [1; 8192];
    let read = rustix::io::pread(&fd, &mut bytes, 0).unwrap();
    _ = fd.into_raw_fd();
    read == 8192 && bytes == [0; 8192]
}
