//! Importing, in a process full of descriptors: what is accepted is exactly what `docs/format.md` says, and nothing else
//! of the process changes.
//!
//! An input is an export string with marks. `=b` stands for what the true string of the descriptor `b` has in that field,
//! `<b` and `>b` for one less and one more. So `=d:=d:1:writable:=d:=d:=e` names region `d` by the inode of `e`. The
//! letters stand in `Process::new`.

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

/// No descriptor of this process has this number or a higher one, so that looking at those below is looking at all.
const END: RawFd = 64;

fuzz_target!(|input: &[u8]| {
    static PROCESS: OnceLock<Process> = OnceLock::new();
    let process = PROCESS.get_or_init(Process::new);
    let string = process.splice(&String::from_utf8_lossy(input));
    let accepted = [
        process.import("Region", Region::size, Region::import, &string),
        process.import("ReadOnlyRegion", ReadOnlyRegion::size, ReadOnlyRegion::import, &string),
        process.import("FrozenRegion", FrozenRegion::size, FrozenRegion::import, &string),
    ];
    process.is_as_before(accepted.into_iter().flatten(), &string);
});

struct Process {
    /// The fields of the true string of each descriptor; `a` is the first.
    strings: Vec<Vec<String>>,
    /// What an import leaves open to children.
    exports: [ExportedRegion; 2],
    /// What is open, by number.
    census: Vec<Option<Descriptor>>,
    /// Another way to a file that this process holds a lock on.
    locked: File,
}

impl Process {
    fn new() -> Self {
        heirloom::claim().expect("HEIRLOOM_REGIONS is not for the fuzzer");
        let limit = libc::rlimit { rlim_cur: END as u64, rlim_max: END as u64 };
        // SAFETY: Reads the structure.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) });

        let region = Region::create(4096).unwrap();
        let (read_only, _) = Region::create(4096).unwrap().into_read_only().unwrap();
        let frozen = FrozenRegion::from_bytes([1; 4096]).unwrap();
        let file = Region::options().unsealed_file_in(env::temp_dir()).create(4096).unwrap();
        let exports = [region.export().unwrap(), region.export_inheritable().unwrap()];
        let exported = exports.each_ref().map(|export| export.as_fd().as_raw_fd());
        // A launcher may well make a region standard input.
        // SAFETY: Nothing here reads from it.
        check(unsafe { libc::dup2(region.as_fd().as_raw_fd(), 0) });
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let named = File::options().read(true).write(true).open(manifest).unwrap();
        let locked = File::open(manifest).unwrap();
        lock(&named);
        let (reader, writer) = io::pipe().unwrap();
        let sized = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

        let held = [
            ('a', keep(region.as_fd().try_clone_to_owned().unwrap()), "writable", 1),
            ('b', exported[0], "writable", 1),
            ('c', exported[1], "writable", 1),
            ('d', inheritable(&region), "writable", 1),
            ('e', keep(read_only.as_fd().try_clone_to_owned().unwrap()), "read-only", 0),
            ('f', inheritable(&read_only), "read-only", 0),
            ('g', inheritable(&frozen), "frozen", 0),
            ('h', inheritable(&frozen), "frozen", 2),
            ('i', inheritable(&file), "unsealed", 1),
            ('j', inheritable(&FrozenRegion::from_bytes([]).unwrap()), "frozen", 0),
            ('k', 0, "writable", 1),
            ('l', again(&region, libc::O_RDONLY), "writable", 1),
            ('m', again(&region, libc::O_PATH), "writable", 1),
            ('n', again(&frozen, libc::O_RDONLY), "frozen", 0),
            ('o', keep(memory(libc::MFD_ALLOW_SEALING, libc::F_SEAL_WRITE | libc::F_SEAL_SEAL)), "frozen", 0),
            ('p', keep(memory(libc::MFD_ALLOW_SEALING, 0)), "unsealed", 1),
            ('q', keep(memory(0, 0)), "unsealed", 1),
            ('r', again(&memory(libc::MFD_ALLOW_SEALING, sized), libc::O_WRONLY), "writable", 1),
            ('s', keep(named), "unsealed", 1),
            ('t', keep(File::open("/etc/passwd").unwrap()), "writable", 1),
            ('u', keep(File::open("/").unwrap()), "unsealed", 1),
            ('v', keep(reader), "writable", 1),
            ('w', keep(writer), "unsealed", 1),
            ('x', keep(UnixStream::pair().unwrap().0), "unsealed", 1),
            ('y', keep(File::open("/dev/null").unwrap()), "read-only", 0),
        ];
        // Their duplicates stay.
        drop((region, read_only, frozen, file));
        let strings = ('a'..).zip(held).map(|(expected, (letter, number, kind, protection))| {
            assert_eq!(letter, expected);
            let Descriptor { size, device, inode, .. } = look_at(number).unwrap();
            format!("{number}:{protection}:1:{kind}:{size}:{device}:{inode}").split(':').map(str::to_owned).collect()
        });
        let process = Self { strings: strings.collect(), exports, census: census(), locked };
        process.recognize();
        process
    }

    /// The control: what should be accepted is there to be accepted.
    fn recognize(&self) {
        let accepted = ('a'..).zip(&self.strings).filter(|(_, fields)| {
            let string = fields.join(":");
            ["Region", "ReadOnlyRegion", "FrozenRegion"].iter().any(|wanted| self.verdict(wanted, &string).is_ok())
        });
        assert_eq!(accepted.map(|(letter, _)| letter).collect::<String>(), "abcdefghijknq");
    }

    /// The input with its marks replaced.
    fn splice(&self, input: &str) -> String {
        let spliced = input.split(':').enumerate().map(|(index, field)| {
            let mut spliced = String::new();
            let mut rest = field.chars();
            while let Some(mark) = rest.next() {
                let letter = rest.as_str().chars().next().filter(|_| "=<>".contains(mark));
                let held = letter.and_then(|letter| u32::from(letter).checked_sub(u32::from('a')));
                let Some(truth) = held.and_then(|held| self.strings.get(held as usize)?.get(index)) else {
                    spliced.push(mark);
                    continue;
                };
                rest.next();
                match (mark, truth.parse::<u64>()) {
                    ('<', Ok(number)) => spliced += &number.wrapping_sub(1).to_string(),
                    ('>', Ok(number)) => spliced += &number.wrapping_add(1).to_string(),
                    _ => spliced += truth,
                }
            }
            spliced
        });
        spliced.collect::<Vec<_>>().join(":")
    }

    /// Imports the string, and says which number an accepted one names.
    fn import<T: AsFd>(
        &self,
        wanted: &str,
        size: impl Fn(&T) -> u64,
        import: impl Fn(&str) -> heirloom::Result<T>,
        string: &str,
    ) -> Option<RawFd> {
        let expected = self.verdict(wanted, string);
        let answer = import(string);
        let kind = answer.as_ref().map(drop).map_err(heirloom::Error::kind);
        assert_eq!(kind, expected.map(drop), "{string:?} as a {wanted}");
        let (Ok(region), Ok(number)) = (answer, expected) else { return None };
        let original = self.census[index(number)].unwrap();
        let own = region.as_fd().as_raw_fd();
        assert!(own > 2 && self.census[index(own)].is_none(), "{own} was there before");
        assert_eq!(look_at(own), Some(Descriptor { fd_flags: libc::FD_CLOEXEC, ..original }));
        assert_eq!(size(&region), original.size);
        Some(number)
    }

    /// Looks at every descriptor, and makes what was accepted as open to children as it was.
    fn is_as_before(&self, accepted: impl Iterator<Item = RawFd>, string: &str) {
        let mut expected = self.census.clone();
        let mut changed = Vec::new();
        for number in accepted {
            if number > 2 && self.exports.iter().all(|export| export.as_fd().as_raw_fd() != number) {
                expected[index(number)].as_mut().unwrap().fd_flags = libc::FD_CLOEXEC;
                changed.push(number);
            }
        }
        for (number, (now, expected)) in census().into_iter().zip(expected).enumerate() {
            assert_eq!(now, expected, "descriptor {number} after {string:?}");
        }
        assert!(is_locked(&self.locked), "{string:?} took a lock");
        for number in changed {
            let before = self.census[index(number)].unwrap();
            // SAFETY: Plain numbers.
            check(unsafe { libc::fcntl(number, libc::F_SETFD, before.fd_flags) });
        }
    }

    /// The number of the descriptor that the string names, or why it can't be imported as that.
    fn verdict(&self, wanted: &str, string: &str) -> Result<RawFd, ErrorKind> {
        let named = Fields::read(string).ok_or(ErrorKind::Malformed)?;
        if named.type_name() != wanted {
            return Err(ErrorKind::WrongKind);
        }
        let open = self.census.get(index(named.number)).copied().flatten().ok_or(ErrorKind::Mismatch)?;
        let has = |seals| open.seals != -1 && open.seals & seals == seals;
        let sized = has(libc::F_SEAL_SHRINK | libc::F_SEAL_GROW);
        let writing = match open.status_flags & (libc::O_ACCMODE | libc::O_PATH) {
            libc::O_RDWR => true,
            libc::O_RDONLY => false,
            _ => return Err(ErrorKind::Mismatch),
        };
        let right = match named.kind {
            "writable" => writing && sized,
            "unsealed" => writing && !sized && (open.seals == -1 || has(libc::F_SEAL_SEAL)),
            "read-only" => sized && (has(libc::F_SEAL_FUTURE_WRITE) || has(libc::F_SEAL_WRITE)),
            _ => sized && has(libc::F_SEAL_WRITE),
        };
        let same = (open.device, open.inode, open.size) == (named.device, named.inode, named.size);
        let unnamed = open.mode & libc::S_IFMT == libc::S_IFREG && open.links == 0;
        if right && same && unnamed { Ok(named.number) } else { Err(ErrorKind::Mismatch) }
    }
}

/// All of a descriptor that an import could change.
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

fn look_at(number: RawFd) -> Option<Descriptor> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: Plain numbers in, answers out.
    let flags = [libc::F_GETFD, libc::F_GETFL, libc::F_GET_SEALS].map(|what| unsafe { libc::fcntl(number, what) });
    if flags[0] < 0 {
        return None;
    }
    // SAFETY: Writes the structure.
    check(unsafe { libc::fstat(number, status.as_mut_ptr()) });
    // SAFETY: Written just now.
    let status = unsafe { status.assume_init() };
    Some(Descriptor {
        device: status.st_dev,
        inode: status.st_ino,
        // Standard output and error grow by what the fuzzer says.
        size: if matches!(number, 1 | 2) { 0 } else { u64::try_from(status.st_size).unwrap() },
        mode: status.st_mode,
        links: status.st_nlink,
        fd_flags: flags[0],
        status_flags: flags[1],
        seals: flags[2],
    })
}

fn census() -> Vec<Option<Descriptor>> {
    (0..END).map(look_at).collect()
}

fn index(number: RawFd) -> usize {
    usize::try_from(number).unwrap()
}

/// The descriptor for as long as the process runs.
fn keep(fd: impl IntoRawFd) -> RawFd {
    fd.into_raw_fd()
}

/// Another descriptor of the same, open to children, as one that was inherited.
fn inheritable(fd: &impl AsFd) -> RawFd {
    // SAFETY: Plain numbers.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD, 3) })
}

/// The same, opened another time.
fn again(fd: &impl AsFd, flags: c_int) -> RawFd {
    let path = CString::new(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).unwrap();
    // SAFETY: A string that ends with NUL.
    check(unsafe { libc::open(path.as_ptr(), flags) })
}

/// Memory of 4096 bytes that this library didn't make.
fn memory(flags: libc::c_uint, seals: c_int) -> OwnedFd {
    // SAFETY: A string that ends with NUL.
    let number = check(unsafe { libc::memfd_create(c"odd".as_ptr(), flags) });
    // SAFETY: Made just now.
    let memory = unsafe { File::from_raw_fd(number) };
    memory.set_len(4096).unwrap();
    if seals != 0 {
        // SAFETY: Plain numbers.
        check(unsafe { libc::fcntl(number, libc::F_ADD_SEALS, seals) });
    }
    memory.into()
}

/// Of the whole file.
fn lock_of(kind: c_int) -> libc::flock {
    libc::flock { l_type: kind.try_into().unwrap(), l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Takes the kind of lock that is gone once this process closes any descriptor of the file.
fn lock(file: &File) {
    // For reading, so that several fuzzers may have it.
    let lock = lock_of(libc::F_RDLCK);
    // SAFETY: Reads the structure.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) });
}

fn is_locked(file: &File) -> bool {
    let mut lock = lock_of(libc::F_WRLCK);
    // SAFETY: Reads and writes the structure. Other than `F_GETLK`, this shows locks of this very process too.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) });
    c_int::from(lock.l_type) != libc::F_UNLCK
}

fn check(answer: c_int) -> c_int {
    assert!(answer >= 0, "{}", io::Error::last_os_error());
    answer
}
