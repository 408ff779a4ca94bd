//! G15, a secret region shows its bytes to its holders only: no process, root's included, reads or writes them through a holder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use heirloom::os::linux::SecretRegion;
use heirloom::{AnyRegion, ErrorKind, FrozenRegion, ReadOnlyRegion, Region};
use heirloom_conformance::{descriptors, secret_memory, skip, text};
use rustix::fs::{MemfdFlags, Mode, OFlags};

use crate::{CHILD, child, output};

const KEY: &str = "open sesame";
const FORGED: &str = "open poppy!";

/// The user `nobody`.
const NOBODY: u32 = 65534;

/// A command for the `child` program that runs as `user`, or as this process does.
fn child_of(user: Option<u32>, args: &[&str]) -> Command {
    let mut command = Command::new(CHILD);
    command.args(args);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command
}

/// Returns the flags of the mapping at an address, as `/proc/PID/smaps` shows them.
fn flags(pid: u32, address: &str) -> Vec<String> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let start = format!("{:x}-", address.parse::<usize>().unwrap());
    let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
    let flags = lines.find_map(|line| line.strip_prefix("VmFlags: ")).unwrap();
    flags.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Lets a process of one user attack a holder that another one runs.
fn attack(holder: Option<u32>, attacker: Option<u32>) {
    let mut held = child_of(holder, &["secret", "hold", KEY]);
    let mut held = held.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut report = BufReader::new(held.stdout.take().unwrap()).lines().map(Result::unwrap);
    let addresses = report.next().unwrap();
    let (secret, ordinary) = addresses.split_once(' ').unwrap();
    let pid = held.id().to_string();
    let attack = |address| text(child_of(attacker, &["secret", "attack", &pid, address, FORGED]).output().unwrap());

    let [io, fault] = [libc::EIO, libc::EFAULT].map(|errno| format!("error {errno}"));
    assert_eq!(
        attack(secret),
        format!("read-mem {io}\nprocess_vm_readv {fault}\nptrace {io}\nprocess_vm_writev {fault}\nwrite-mem {io}\n")
    );
    // The control: the same calls reach an ordinary region of the same process.
    assert_eq!(
        attack(ordinary),
        format!(
            "read-mem {KEY}\nprocess_vm_readv {KEY}\nptrace {KEY}\nprocess_vm_writev {FORGED}\nwrite-mem {FORGED}\n"
        )
    );

    // Neither dumped nor swapped: `dd` is VM_DONTDUMP, `lo` is VM_LOCKED.
    let is_kept = |address| ["dd", "lo"].map(|flag| flags(held.id(), address).iter().any(|set| set == flag));
    assert_eq!((is_kept(secret), is_kept(ordinary)), ([true; 2], [false; 2]));

    drop(held.stdin.take());
    assert_eq!(report.next().unwrap(), format!("{KEY} {FORGED}"));
    assert!(held.wait().unwrap().success());
}

#[test]
fn g16_no_other_process_reaches_the_bytes() {
    if secret_memory().is_none() {
        return;
    }
    // The same user, which is root in CI.
    attack(None, None);
    if !rustix::process::geteuid().is_root() {
        return skip("only root can start processes of other users");
    }
    if let Err(error) = child_of(Some(NOBODY), &["print", "started"]).output() {
        return skip(format_args!("another user can't run the program of the tests: {error}"));
    }
    attack(Some(NOBODY), None);
    attack(Some(NOBODY), Some(NOBODY));
}

#[test]
fn g16_child_inherits_reads_and_writes() {
    if secret_memory().is_none() {
        return;
    }
    let key = SecretRegion::create(5000).unwrap();
    assert_eq!(format!("{key:?}"), "SecretRegion { name: None, size: 5000, kind: Secret }");
    let mut command = child(&["secret", "reply", "key", KEY, FORGED]);
    command.inherit("key", &key).unwrap();
    let view = key.map().unwrap();
    assert!(view.to_vec().iter().all(|byte| *byte == 0));
    view.write_at(0, KEY.as_bytes()).unwrap();
    // The child has one descriptor before it maps the region, and none afterwards.
    assert_eq!(output(&mut command), "5000 1 0\n");
    assert!(view.to_vec().starts_with(FORGED.as_bytes()));
}

#[test]
fn g16_mapping_leaves_no_descriptor() {
    if secret_memory().is_none() {
        return;
    }
    let before = descriptors();
    let key = SecretRegion::create(32).unwrap();
    // The control: there is one until then.
    assert_eq!(descriptors().len(), before.len() + 1);
    let view = key.map().unwrap();
    assert_eq!(descriptors(), before);
    view.write_at(0, KEY.as_bytes()).unwrap();

    // A command has it as well, until it is dropped.
    let key = SecretRegion::create(32).unwrap();
    let mut command = child(&["secret", "take", "key"]);
    command.inherit("key", &key).unwrap();
    let _view = key.map().unwrap();
    assert_eq!(descriptors().len(), before.len() + 1);
    assert_eq!(output(&mut command), "ok 32\n");
    drop(command);
    assert_eq!(descriptors(), before);
}

#[test]
fn g16_a_holder_has_no_other_way_to_the_bytes_or_the_size() {
    let Some(fresh) = secret_memory() else { return };
    let key = SecretRegion::create(8192).unwrap();
    for size in [0, 4096, 8192, 8193, 1 << 20] {
        assert_eq!(rustix::fs::ftruncate(&key, size), Err(rustix::io::Errno::INVAL), "{size}");
    }
    // The control: of memory without a size.
    rustix::fs::ftruncate(&fresh, 8192).unwrap();
    assert_eq!(rustix::fs::fstat(&fresh).unwrap().st_size, 8192);

    let mut bytes = [0; 8];
    assert_eq!(rustix::io::pread(&key, &mut bytes, 0), Err(rustix::io::Errno::SPIPE));
    assert_eq!(rustix::io::pwrite(&key, &bytes, 0), Err(rustix::io::Errno::SPIPE));
    let path = format!("/proc/self/fd/{}", key.as_raw_fd());
    assert_eq!(File::open(&path).unwrap_err().raw_os_error(), Some(libc::ENXIO));
    let error = FrozenRegion::copy_of(&key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKind, "{error}");
    assert!(error.message().contains("cannot freeze a copy of a secret region of 8192 bytes"), "{error}");
    // The control: of an ordinary region.
    let region = Region::create(8192).unwrap();
    assert_eq!(rustix::io::pread(&region, &mut bytes, 0), Ok(8));
    assert!(File::open(format!("/proc/self/fd/{}", region.as_raw_fd())).is_ok());
    assert_eq!(FrozenRegion::copy_of(&region).unwrap().size(), 8192);
}

/// An export string of this kind that is true for the descriptor.
fn honest(fd: &impl AsFd, kind: &str, protection: u8) -> String {
    let status = rustix::fs::fstat(fd).unwrap();
    let (size, device, inode) = (status.st_size, status.st_dev, status.st_ino);
    format!("{}:{protection}:1:{kind}:{size}:{device}:{inode}", fd.as_fd().as_raw_fd())
}

/// Runs a child that inherits the descriptor, named `key` as a region of that kind, and returns its report.
fn inherit(fd: &impl AsFd, kind: &str, protection: u8, args: &[&str]) -> String {
    let inheritable = rustix::io::dup(fd).unwrap();
    let variable = format!("key={}", honest(&inheritable, kind, protection));
    text(Command::new(CHILD).args(args).env(heirloom::VARIABLE, variable).output().unwrap())
}

#[test]
fn g16_other_memory_is_refused_as_secret() {
    let Some(fresh) = secret_memory() else { return };
    let region = Region::create(4096).unwrap();
    let frozen = FrozenRegion::from_bytes([1; 4096]).unwrap();
    let unsealed = rustix::fs::memfd_create("unsealed", MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&unsealed, 4096).unwrap();
    let named = tempfile::NamedTempFile::new().unwrap();
    named.as_file().set_len(4096).unwrap();
    let key = SecretRegion::create(4096).unwrap();
    let path = format!("/proc/self/fd/{}", key.as_raw_fd());
    let reference = rustix::fs::open(path, OFlags::PATH, Mode::empty()).unwrap();

    let wrong: [(OwnedFd, &str); 6] = [
        (region.as_fd().try_clone_to_owned().unwrap(), "it is not secret memory"),
        (frozen.as_fd().try_clone_to_owned().unwrap(), "it is not secret memory"),
        (unsealed, "it is not secret memory"),
        (named.reopen().unwrap().into(), "it is not secret memory"),
        (reference, "it was not opened for reading and writing"),
        (fresh, "its size is not set"),
    ];
    for (fd, why) in wrong {
        let report = inherit(&fd, "secret", 1, &["secret", "take", "key"]);
        assert!(report.starts_with("Mismatch: cannot inherit the region \"key\": "), "{report}");
        assert!(report.ends_with(&format!("is not what was exported: {why}\n")), "{report}");
        let number = fd.as_raw_fd();
        let refused = SecretRegion::try_from(fd).unwrap_err();
        assert_eq!((refused.error().kind(), refused.error().message().ends_with(why)), (ErrorKind::Mismatch, true));
        assert_eq!(refused.into_inner().as_raw_fd(), number);
    }
    // By its own kind, an ordinary region is refused as well.
    let report = inherit(&region, "writable", 1, &["secret", "take", "key"]);
    assert_eq!(
        report,
        "WrongKind: cannot inherit the region \"key\" as a SecretRegion: it is writable; use Region::inherited\n"
    );
    // The control.
    assert_eq!(inherit(&key, "secret", 1, &["secret", "take", "key"]), "ok 4096\n");
    assert_eq!(SecretRegion::try_from(OwnedFd::try_from(key).unwrap()).unwrap().size(), 4096);
}

#[test]
fn g16_secret_memory_is_refused_as_other() {
    if secret_memory().is_none() {
        return;
    }
    let key = SecretRegion::create(4096).unwrap();
    let string = honest(&key, "secret", 1);
    let by_string = [
        Region::import(&string).unwrap_err(),
        ReadOnlyRegion::import(&string).unwrap_err(),
        FrozenRegion::import(&string).unwrap_err(),
        AnyRegion::import(&string).unwrap_err(),
    ];
    for error in by_string {
        assert_eq!(
            (error.kind(), error.advice()),
            (ErrorKind::WrongKind, Some("use SecretRegion::inherited")),
            "{error}"
        );
    }
    for (kind, protection) in [("writable", 1), ("unsealed", 1), ("read-only", 0), ("frozen", 0)] {
        let error = AnyRegion::import(&honest(&key, kind, protection)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
        assert!(error.message().ends_with("it is secret memory"), "{error}");
    }
    let duplicate = || key.as_fd().try_clone_to_owned().unwrap();
    let by_descriptor = [
        Region::try_from(duplicate()).unwrap_err(),
        ReadOnlyRegion::try_from(duplicate()).unwrap_err(),
        FrozenRegion::try_from(duplicate()).unwrap_err(),
        AnyRegion::try_from(duplicate()).unwrap_err(),
    ];
    for refused in by_descriptor {
        let error = refused.error();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
        assert!(error.message().ends_with("it is secret memory"), "{error}");
    }
    // A child that asks for another type can still take it by its own.
    let wrong = ["take", "region:key", "read-only:key", "frozen:key"];
    let report = output(child(&wrong).inherit("key", &key).unwrap());
    assert_eq!(report.lines().count(), 3);
    for line in report.lines() {
        assert!(line.starts_with("WrongKind: cannot inherit the region \"key\" as a "), "{line}");
        assert!(line.ends_with(": it is secret; use SecretRegion::inherited"), "{line}");
    }
    let report = output(child(&["secret", "take-any", "key"]).inherit("key", &key).unwrap());
    assert_eq!(
        report,
        "WrongKind: cannot inherit the region \"key\" as a plain region: it is secret; use SecretRegion::inherited\nok 4096\n"
    );
    assert_eq!(output(child(&["list"]).inherit("key", &key).unwrap()), "\"key\" secret 4096 there\n");
}

#[test]
fn g16_limit_on_locked_memory_is_named_in_the_error() {
    if secret_memory().is_none() {
        return;
    }
    let page = rustix::param::page_size();
    let report = output(&mut child(&["secret", "limited"]));
    let [fits, refused, raised] = &report.lines().collect::<Vec<_>>()[..] else { panic!("{report}") };
    assert_eq!((*fits, *raised), ("ok ", &*format!("ok {}", 3 * page)));
    let tried = format!("OutOfMemory: cannot map a secret region of {} bytes: ", 3 * page);
    assert!(refused.starts_with(&tried) && refused.contains(&format!("(os error {})", libc::EAGAIN)), "{refused}");
    let limit =
        format!(": this process may lock {} bytes in memory (RLIMIT_MEMLOCK); raise the limit (ulimit -l,", 2 * page);
    assert!(refused.contains(&limit), "{refused}");
}
