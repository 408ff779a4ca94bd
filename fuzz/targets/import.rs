//! Imports export strings in a process with many kinds of descriptors. `import` must accept exactly the strings that
//! `docs/format.md` accepts, and must not change anything else in the process.
//!
//! An input is an export string with placeholders. `=b` is the value of that field in the export string of descriptor
//! `b`; `<b` and `>b` are that value minus one and plus one. For example, `=d:=d:1:writable:=d:=d:=e` is the string of
//! descriptor `d` with the inode of `e`. `Process::new` lists the letters.

#![no_main]

use std::ffi::CString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::{env, io};

use heirloom::{ErrorKind, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region};
use heirloom_fuzz::Fields;
use libc::c_int;
use libfuzzer_sys::fuzz_target;

/// The limit on descriptor numbers. A snapshot of the numbers below it shows every descriptor of this process.
const DESCRIPTOR_LIMIT: RawFd = 64;

fuzz_target!(|input: &[u8]| {
    static PROCESS: OnceLock<Process> = OnceLock::new();
    let process = PROCESS.get_or_init(Process::new);
    let string = process.replace_placeholders(&String::from_utf8_lossy(input));
    let accepted = [
        process.check_import("Region", Region::size, Region::import, &string),
        process.check_import("ReadOnlyRegion", ReadOnlyRegion::size, ReadOnlyRegion::import, &string),
        process.check_import("FrozenRegion", FrozenRegion::size, FrozenRegion::import, &string),
    ];
    process.check_unchanged(accepted.into_iter().flatten(), &string);
});

struct Process {
    /// The fields of each descriptor's correct export string; `a` is the first.
    strings: Vec<Vec<String>>,
    /// Exports that this process owns. An import doesn't mark their descriptors close-on-exec.
    exports: [ExportedRegion; 2],
    /// The state of every descriptor, by number.
    descriptors: Vec<Option<Descriptor>>,
    /// A second descriptor of a file that this process has locked.
    locked: File,
}

impl Process {
    fn new() -> Self {
        heirloom::claim().expect("HEIRLOOM_REGIONS is unset or valid");
        let limit = libc::rlimit { rlim_cur: DESCRIPTOR_LIMIT as u64, rlim_max: DESCRIPTOR_LIMIT as u64 };
        // SAFETY: `setrlimit` reads the structure, which is initialized.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) });

        let region = Region::create(4096).unwrap();
        let (read_only, _) = Region::create(4096).unwrap().into_read_only().unwrap();
        let frozen = FrozenRegion::from_bytes([1; 4096]).unwrap();
        let file = Region::options().unsealed_file_in(env::temp_dir()).create(4096).unwrap();
        let exports = [region.export().unwrap(), region.export_inheritable().unwrap()];
        let exported = exports.each_ref().map(|export| export.as_fd().as_raw_fd());
        // A launcher can pass a region as standard input.
        // SAFETY: Nothing in this process reads standard input.
        check(unsafe { libc::dup2(region.as_fd().as_raw_fd(), 0) });
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let named = File::options().read(true).write(true).open(manifest).unwrap();
        let locked = File::open(manifest).unwrap();
        lock(&named);
        let (reader, writer) = io::pipe().unwrap();
        let sized = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

        let cases = [
            ('a', leak(region.as_fd().try_clone_to_owned().unwrap()), "writable", 1),
            ('b', exported[0], "writable", 1),
            ('c', exported[1], "writable", 1),
            ('d', inheritable(&region), "writable", 1),
            ('e', leak(read_only.as_fd().try_clone_to_owned().unwrap()), "read-only", 0),
            ('f', inheritable(&read_only), "read-only", 0),
            ('g', inheritable(&frozen), "frozen", 0),
            ('h', inheritable(&frozen), "frozen", 2),
            ('i', inheritable(&file), "unsealed", 1),
            ('j', inheritable(&FrozenRegion::from_bytes([]).unwrap()), "frozen", 0),
            ('k', 0, "writable", 1),
            ('l', reopen(&region, libc::O_RDONLY), "writable", 1),
            ('m', reopen(&region, libc::O_PATH), "writable", 1),
            ('n', reopen(&frozen, libc::O_RDONLY), "frozen", 0),
            ('o', leak(foreign_memfd(libc::MFD_ALLOW_SEALING, libc::F_SEAL_WRITE | libc::F_SEAL_SEAL)), "frozen", 0),
            ('p', leak(foreign_memfd(libc::MFD_ALLOW_SEALING, 0)), "unsealed", 1),
            ('q', leak(foreign_memfd(0, 0)), "unsealed", 1),
            ('r', reopen(&foreign_memfd(libc::MFD_ALLOW_SEALING, sized), libc::O_WRONLY), "writable", 1),
            ('s', leak(named), "unsealed", 1),
            ('t', leak(File::open("/etc/passwd").unwrap()), "writable", 1),
            ('u', leak(File::open("/").unwrap()), "unsealed", 1),
            ('v', leak(reader), "writable", 1),
            ('w', leak(writer), "unsealed", 1),
            ('x', leak(UnixStream::pair().unwrap().0), "unsealed", 1),
            ('y', leak(File::open("/dev/null").unwrap()), "read-only", 0),
        ];
        // The duplicates above stay open.
        drop((region, read_only, frozen, file));
        let strings = ('a'..).zip(cases).map(|(expected, (letter, number, kind, protection))| {
            assert_eq!(letter, expected);
            let Descriptor { size, device, inode, .. } = inspect(number).unwrap();
            format!("{number}:{protection}:1:{kind}:{size}:{device}:{inode}").split(':').map(str::to_owned).collect()
        });
        let process = Self { strings: strings.collect(), exports, descriptors: inspect_all(), locked };
        process.check_accepted_cases();
        process
    }

    /// The control: checks that the cases include strings that must be accepted.
    fn check_accepted_cases(&self) {
        let accepted = ('a'..).zip(&self.strings).filter(|(_, fields)| {
            let string = fields.join(":");
            ["Region", "ReadOnlyRegion", "FrozenRegion"].iter().any(|wanted| self.expected(wanted, &string).is_ok())
        });
        assert_eq!(accepted.map(|(letter, _)| letter).collect::<String>(), "abcdefghijknq");
    }

    /// Replaces the placeholders in an input.
    fn replace_placeholders(&self, input: &str) -> String {
        let fields = input.split(':').enumerate().map(|(index, field)| {
            let mut replaced = String::new();
            let mut rest = field.chars();
            while let Some(operator) = rest.next() {
                let letter = rest.as_str().chars().next().filter(|_| "=<>".contains(operator));
                let case = letter.and_then(|letter| u32::from(letter).checked_sub(u32::from('a')));
                let Some(correct) = case.and_then(|case| self.strings.get(case as usize)?.get(index)) else {
                    replaced.push(operator);
                    continue;
                };
                rest.next();
                match (operator, correct.parse::<u64>()) {
                    ('<', Ok(number)) => replaced += &number.wrapping_sub(1).to_string(),
                    ('>', Ok(number)) => replaced += &number.wrapping_add(1).to_string(),
                    _ => replaced += correct,
                }
            }
            replaced
        });
        fields.collect::<Vec<_>>().join(":")
    }

    /// Imports the string and compares the result with the expected one. Returns the descriptor if it was accepted.
    fn check_import<T: AsFd>(
        &self,
        wanted: &str,
        size: impl Fn(&T) -> u64,
        import: impl Fn(&str) -> heirloom::Result<T>,
        string: &str,
    ) -> Option<RawFd> {
        let expected = self.expected(wanted, string);
        let result = import(string);
        let kind = result.as_ref().map(drop).map_err(heirloom::Error::kind);
        assert_eq!(kind, expected.map(drop), "{string:?} as a {wanted}");
        let (Ok(region), Ok(number)) = (result, expected) else { return None };
        let original = self.descriptors[index(number)].unwrap();
        let own = region.as_fd().as_raw_fd();
        assert!(own > 2 && self.descriptors[index(own)].is_none(), "descriptor {own} already existed");
        assert_eq!(inspect(own), Some(Descriptor { fd_flags: libc::FD_CLOEXEC, ..original }));
        assert_eq!(size(&region), original.size);
        Some(number)
    }

    /// Checks every descriptor, and then restores the inheritability of the accepted ones.
    fn check_unchanged(&self, accepted: impl Iterator<Item = RawFd>, string: &str) {
        let mut expected = self.descriptors.clone();
        let mut changed = Vec::new();
        for number in accepted {
            if number > 2 && self.exports.iter().all(|export| export.as_fd().as_raw_fd() != number) {
                expected[index(number)].as_mut().unwrap().fd_flags = libc::FD_CLOEXEC;
                changed.push(number);
            }
        }
        for (number, (now, expected)) in inspect_all().into_iter().zip(expected).enumerate() {
            assert_eq!(now, expected, "descriptor {number} after {string:?}");
        }
        assert!(is_locked(&self.locked), "{string:?} released the lock");
        for number in changed {
            let before = self.descriptors[index(number)].unwrap();
            // SAFETY: `F_SETFD` takes an integer and accesses no memory.
            check(unsafe { libc::fcntl(number, libc::F_SETFD, before.fd_flags) });
        }
    }

    /// Returns the expected result of importing the string as `wanted`: the descriptor or the error.
    fn expected(&self, wanted: &str, string: &str) -> Result<RawFd, ErrorKind> {
        let named = Fields::parse(string).ok_or(ErrorKind::Malformed)?;
        if named.type_name() != wanted {
            return Err(ErrorKind::WrongKind);
        }
        let open = self.descriptors.get(index(named.number)).copied().flatten().ok_or(ErrorKind::Mismatch)?;
        let has = |seals| open.seals != -1 && open.seals & seals == seals;
        let sized = has(libc::F_SEAL_SHRINK | libc::F_SEAL_GROW);
        let writable = match open.status_flags & (libc::O_ACCMODE | libc::O_PATH) {
            libc::O_RDWR => true,
            libc::O_RDONLY => false,
            _ => return Err(ErrorKind::Mismatch),
        };
        let matches_kind = match named.kind {
            "writable" => writable && sized,
            "unsealed" => writable && !sized && (open.seals == -1 || has(libc::F_SEAL_SEAL)),
            "read-only" => sized && (has(libc::F_SEAL_FUTURE_WRITE) || has(libc::F_SEAL_WRITE)),
            _ => sized && has(libc::F_SEAL_WRITE),
        };
        let same = (open.device, open.inode, open.size) == (named.device, named.inode, named.size);
        let unnamed = open.mode & libc::S_IFMT == libc::S_IFREG && open.links == 0;
        if matches_kind && same && unnamed { Ok(named.number) } else { Err(ErrorKind::Mismatch) }
    }
}

/// The state of a descriptor that an import could change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Descriptor {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    links: u64,
    fd_flags: c_int,
    status_flags: c_int,
    seals: c_int,
}

fn inspect(number: RawFd) -> Option<Descriptor> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: These commands take no argument and access no memory.
    let flags =
        [libc::F_GETFD, libc::F_GETFL, libc::F_GET_SEALS].map(|command| unsafe { libc::fcntl(number, command) });
    if flags[0] < 0 {
        return None;
    }
    // SAFETY: `fstat` writes the structure, which the pointer is valid for.
    check(unsafe { libc::fstat(number, status.as_mut_ptr()) });
    // SAFETY: `fstat` succeeded and initialized the structure.
    let status = unsafe { status.assume_init() };
    Some(Descriptor {
        device: status.st_dev,
        inode: status.st_ino,
        // The fuzzer writes to standard output and standard error, so their sizes change.
        size: if matches!(number, 1 | 2) { 0 } else { u64::try_from(status.st_size).unwrap() },
        mode: status.st_mode,
        links: status.st_nlink,
        fd_flags: flags[0],
        status_flags: flags[1],
        seals: flags[2],
    })
}

fn inspect_all() -> Vec<Option<Descriptor>> {
    (0..DESCRIPTOR_LIMIT).map(inspect).collect()
}

fn index(number: RawFd) -> usize {
    usize::try_from(number).unwrap()
}

/// Keeps a descriptor open until the process exits.
fn leak(fd: impl IntoRawFd) -> RawFd {
    fd.into_raw_fd()
}

/// Duplicates a descriptor without close-on-exec, like an inherited one.
fn inheritable(fd: &impl AsFd) -> RawFd {
    // SAFETY: `F_DUPFD` takes an integer and accesses no memory.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD, 3) })
}

/// Opens the file of a descriptor again, with other flags.
fn reopen(fd: &impl AsFd, flags: c_int) -> RawFd {
    let path = CString::new(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).unwrap();
    // SAFETY: The path ends with NUL.
    check(unsafe { libc::open(path.as_ptr(), flags) })
}

/// Creates 4096 bytes of memory without the library.
fn foreign_memfd(flags: libc::c_uint, seals: c_int) -> OwnedFd {
    // SAFETY: The name ends with NUL.
    let number = check(unsafe { libc::memfd_create(c"foreign".as_ptr(), flags) });
    // SAFETY: The descriptor is new, and nothing else owns it.
    let memory = unsafe { File::from_raw_fd(number) };
    memory.set_len(4096).unwrap();
    if seals != 0 {
        // SAFETY: `F_ADD_SEALS` takes an integer and accesses no memory.
        check(unsafe { libc::fcntl(number, libc::F_ADD_SEALS, seals) });
    }
    memory.into()
}

/// Returns a lock of the whole file.
fn lock_of(kind: c_int) -> libc::flock {
    libc::flock { l_type: kind.try_into().unwrap(), l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Takes a POSIX lock, which is released when this process closes any descriptor of the file.
fn lock(file: &File) {
    // A read lock, so that several fuzzers can hold it.
    let lock = lock_of(libc::F_RDLCK);
    // SAFETY: `F_SETLK` reads the structure, which is initialized.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) });
}

fn is_locked(file: &File) -> bool {
    let mut lock = lock_of(libc::F_WRLCK);
    // Unlike `F_GETLK`, `F_OFD_GETLK` also reports locks of this process.
    // SAFETY: `F_OFD_GETLK` reads and writes the structure, which is initialized.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) });
    c_int::from(lock.l_type) != libc::F_UNLCK
}

/// Returns the result of a system call, or panics with its error.
fn check(result: c_int) -> c_int {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}
