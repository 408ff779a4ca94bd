//! G6, validated import: `import` rejects any string that does not describe exactly the region open under its number. A
//! rejected descriptor is neither closed, mapped nor changed.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

use heirloom::{ErrorKind, FrozenRegion, ReadOnlyRegion, Region};
use heirloom_conformance::descriptors;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// A memfd of 4096 bytes with the given seals.
fn memory(seals: rustix::fs::SealFlags) -> std::os::fd::OwnedFd {
    use rustix::fs::MemfdFlags;
    let memory = rustix::fs::memfd_create("odd", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&memory, 4096).unwrap();
    rustix::fs::fcntl_add_seals(&memory, seals).unwrap();
    memory
}

/// An export string with one field replaced.
fn with(string: &str, field: usize, value: &str) -> String {
    let mut fields: Vec<_> = string.split(':').collect();
    fields[field] = value;
    fields.join(":")
}

const NUMBER: usize = 0;
const PROTECTION: usize = 1;
const KIND: usize = 3;
const SIZE: usize = 4;
const INODE: usize = 6;

#[test]
fn g6_mismatched_import_leaves_descriptors_untouched() {
    let region = Region::create(4096).unwrap();
    let frozen = FrozenRegion::from_bytes([1; 4096]).unwrap();
    let (read_only, _writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    let other = Region::create(4096).unwrap();
    let passwords = File::open("/etc/passwd").unwrap();
    let document = tempfile::NamedTempFile::new().unwrap();
    document.as_file().set_len(4096).unwrap();
    let document = document.as_file();
    let directory = File::open("/").unwrap();
    let (pipe, _pipe) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    // Memory of the right size that lacks all seals, or those of its size.
    let half_sealed = memory(rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::SEAL);
    let unsealed = rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&unsealed, 4096).unwrap();
    let sealable = memory(rustix::fs::SealFlags::empty());
    let exported = region.export().unwrap();
    let good = exported.as_str();
    let number = |fd: &dyn AsFdDyn| fd.number();
    let opened_read_only = File::open(format!("/proc/self/fd/{}", number(&region))).unwrap();

    // A string that is true except for the kind, so that only the check of seals or kind can reject it.
    let honest = |fd: &dyn AsFdDyn, kind: &str| {
        let status = rustix::fs::fstat(fd.fd()).unwrap();
        let protection = u8::from(kind == "writable" || kind == "unsealed");
        let (size, device, inode) = (status.st_size, status.st_dev, status.st_ino);
        format!("{}:{protection}:1:{kind}:{size}:{device}:{inode}", fd.number())
    };
    let bad = [
        (with(good, NUMBER, "999999"), ErrorKind::Mismatch),
        (with(good, NUMBER, "-1"), ErrorKind::Malformed),
        (with(good, NUMBER, &number(&other)), ErrorKind::Mismatch),
        (with(good, NUMBER, &number(&passwords)), ErrorKind::Mismatch),
        (with(good, NUMBER, "0"), ErrorKind::Mismatch),
        (with(good, PROTECTION, "0"), ErrorKind::Malformed),
        (with(good, PROTECTION, "7"), ErrorKind::Malformed),
        (with(good, SIZE, "4095"), ErrorKind::Mismatch),
        (with(good, SIZE, "8192"), ErrorKind::Mismatch),
        (with(good, INODE, "1"), ErrorKind::Mismatch),
        (with(&with(good, KIND, "frozen"), PROTECTION, "0"), ErrorKind::WrongKind),
        (honest(&frozen, "frozen"), ErrorKind::WrongKind),
        (honest(&read_only, "read-only"), ErrorKind::WrongKind),
        (honest(&passwords, "writable"), ErrorKind::Mismatch),
        (honest(&passwords, "unsealed"), ErrorKind::Mismatch),
        (honest(document, "unsealed"), ErrorKind::Mismatch),
        (honest(document, "writable"), ErrorKind::Mismatch),
        (honest(&directory, "unsealed"), ErrorKind::Mismatch),
        (honest(&pipe, "unsealed"), ErrorKind::Mismatch),
        (honest(&unsealed, "writable"), ErrorKind::Mismatch),
        (honest(&sealable, "unsealed"), ErrorKind::Mismatch),
        (honest(&half_sealed, "writable"), ErrorKind::Mismatch),
        (honest(&region, "unsealed"), ErrorKind::Mismatch),
        (honest(&opened_read_only, "writable"), ErrorKind::Mismatch),
        (format!("{good} "), ErrorKind::Malformed),
        (format!("{good}:"), ErrorKind::Malformed),
        (format!("0{good}"), ErrorKind::Malformed),
        (format!("{}:1", number(&region)), ErrorKind::Malformed),
        (format!("{}:1", number(&passwords)), ErrorKind::Malformed),
        (String::new(), ErrorKind::Malformed),
    ];
    let before = descriptors();
    for (string, kind) in &bad {
        let error = Region::import(string).unwrap_err();
        assert_eq!(error.kind(), *kind, "{string}: {error}");
    }
    // Claiming another kind: the seals of that kind are missing.
    for fd in [&region as &dyn AsFdDyn, &read_only, &unsealed, &half_sealed, &passwords] {
        let error = FrozenRegion::import(&honest(fd, "frozen")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    }
    for fd in [&region as &dyn AsFdDyn, &unsealed, &passwords] {
        let error = ReadOnlyRegion::import(&honest(fd, "read-only")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    }
    assert_eq!(descriptors(), before);

    // The control: each region is imported by its own string.
    assert_eq!(Region::import(good).unwrap().size(), 4096);
    assert_eq!(FrozenRegion::import(&honest(&frozen, "frozen")).unwrap().size(), 4096);
    assert_eq!(ReadOnlyRegion::import(&honest(&read_only, "read-only")).unwrap().size(), 4096);
}

/// Generates import strings: a true string with each field kept, taken from another descriptor's string or made up;
/// sometimes an arbitrary string.
fn imports(truths: &[String]) -> impl Strategy<Value = String> + use<> {
    let fields: Vec<Vec<String>> = truths.iter().map(|truth| truth.split(':').map(str::to_owned).collect()).collect();
    let spliced = (0..fields.len()).prop_flat_map(move |truth| {
        let fields = fields.clone();
        let one = move |index: usize| {
            let others: Vec<_> = fields.iter().map(|fields| fields[index].clone()).collect();
            prop_oneof![
                12 => Just(fields[truth][index].clone()),
                2 => prop::sample::select(others),
                1 => "[+-]?[0-9]{0,20}",
            ]
        };
        std::array::from_fn::<_, 7, _>(one)
    });
    prop_oneof![9 => spliced.prop_map(|fields| fields.join(":")), 1 => any::<String>()]
}

#[test]
fn g6_generated_strings_import_only_true_regions() {
    let region = Region::create(4096).unwrap();
    let other = Region::create(8192).unwrap();
    let (read_only, _) = Region::create(4096).unwrap().into_read_only().unwrap();
    let frozen = FrozenRegion::from_bytes([1; 4096]).unwrap();
    let exports = [region.export(), other.export(), read_only.export(), frozen.export()].map(Result::unwrap);
    let passwords = File::open("/etc/passwd").unwrap();
    let (pipe, _pipe) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let mut strings: Vec<_> = exports.iter().map(ToString::to_string).collect();
    strings.extend([&passwords as &dyn AsFdDyn, &pipe].map(|fd| with(&strings[0], NUMBER, &fd.number())));

    // Size, device and inode, which end a true string.
    let identity = |number: &str| {
        let status = fs::metadata(format!("/proc/self/fd/{number}")).unwrap();
        format!("{}:{}:{}", status.size(), status.dev(), status.ino())
    };
    let import = |string: &str| {
        let region = Region::import(string).map(|region| identity(&region.number()));
        let read_only = |_| ReadOnlyRegion::import(string).map(|region| identity(&region.number()));
        let frozen = |_| FrozenRegion::import(string).map(|region| identity(&region.number()));
        region.or_else(read_only).or_else(frozen)
    };
    let before = descriptors();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1000));
    let trusted = runner.run(&imports(&strings), |string| {
        if let Ok(imported) = import(&string) {
            prop_assert!(string.ends_with(&format!(":{imported}")), "{} is {}", string, imported);
            prop_assert_eq!(identity(string.split(':').next().unwrap()), imported);
        }
        prop_assert_eq!(descriptors(), before.clone(), "{}", string);
        Ok(())
    });
    trusted.unwrap();

    // The control: the true strings are accepted.
    for export in &exports {
        assert_eq!(import(export.as_str()).unwrap(), identity(&export.number()));
    }
    assert!(strings[exports.len()..].iter().all(|string| import(string).is_err()));
}

#[test]
fn g6_try_from_validates_and_returns_the_descriptor() {
    let passwords = File::open("/etc/passwd").unwrap();
    let number = passwords.as_raw_fd();
    let refused = Region::try_from(std::os::fd::OwnedFd::from(passwords)).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Mismatch);
    assert_eq!(refused.into_inner().as_raw_fd(), number);

    let frozen = FrozenRegion::from_bytes("x").unwrap();
    let refused = Region::try_from(std::os::fd::OwnedFd::try_from(frozen).unwrap()).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::WrongKind);
    assert_eq!(FrozenRegion::try_from(refused.into_inner()).unwrap().size(), 1);

    let writable = std::os::fd::OwnedFd::try_from(Region::create(5).unwrap()).unwrap();
    let refused = FrozenRegion::try_from(writable).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Mismatch);
    let refused = ReadOnlyRegion::try_from(refused.into_inner()).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Mismatch);
    assert_eq!(Region::try_from(refused.into_inner()).unwrap().size(), 5);
}

#[test]
fn g6_import_duplicates_and_sets_close_on_exec() {
    let region = Region::create(4096).unwrap();
    // As if inherited: open, not close-on-exec, and no export of this process.
    let inherited = rustix::io::dup(&region).unwrap();
    assert!(!close_on_exec(&inherited));
    let exported = region.export().unwrap();
    let string = with(exported.as_str(), NUMBER, &inherited.as_raw_fd().to_string());
    let imported = Region::import(&string).unwrap();
    assert!(close_on_exec(&inherited));
    assert_ne!(imported.as_fd().as_raw_fd(), inherited.as_raw_fd());
    assert!(close_on_exec(&imported));

    imported.map().unwrap().write_at(0, b"same").unwrap();
    let mut seen = [0; 4];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"same");
}

fn close_on_exec(fd: &impl AsFd) -> bool {
    rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC)
}

/// Lets one list hold descriptors of different owner types.
trait AsFdDyn {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_>;

    fn number(&self) -> String {
        self.fd().as_raw_fd().to_string()
    }
}

impl<T: AsFd> AsFdDyn for T {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.as_fd()
    }
}
