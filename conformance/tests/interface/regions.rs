//! Creating regions and converting between kinds.

use std::io::{self, Read, Write};

use heirloom::{ErrorKind, FrozenOptions, FrozenRegion, ReadOnlyRegion, Region};
use heirloom_conformance::{Owned, is_inheritable, number};

use crate::{child, output};

#[test]
fn fresh_region_is_zero_and_not_inheritable() {
    let region = Region::create(100_000).unwrap();
    let mut bytes = vec![1; 100_000];
    region.map().unwrap().read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
    assert!(!is_inheritable(number(&region)));
}

#[test]
fn invalid_sizes_are_rejected() {
    for (size, kind) in [(0, ErrorKind::InvalidInput), (u64::MAX, ErrorKind::TooLarge), (1 << 63, ErrorKind::TooLarge)]
    {
        assert_eq!(Region::create(size).unwrap_err().kind(), kind, "{size}");
    }
}

#[test]
fn invalid_names_are_rejected_unusual_ones_work() {
    for name in ["", "a\0b", &"x".repeat(241)] {
        let error = Region::options().name(name).create(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
        let error = FrozenRegion::options().name(name).from_bytes("x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
    for name in ["a=b:c%d,e", " \n", "🦀", &"x".repeat(240)] {
        let region = Region::options().name(name).create(1).unwrap();
        assert!(format!("{region:?}").contains(&format!("{name:?}")));
    }
}

#[test]
fn debug_shows_metadata_but_no_bytes() {
    let secret = FrozenRegion::options().name("key").from_bytes("hunter2").unwrap();
    assert_eq!(format!("{secret:?}"), r#"FrozenRegion { name: Some("key"), size: 7, kind: Frozen }"#);
    let view = secret.map().unwrap();
    assert!(!format!("{view:?}").contains("hunter2") && format!("{view:?}").contains("len: 7"));
    let region = Region::create(4096).unwrap();
    assert_eq!(format!("{region:?}"), "Region { name: None, size: 4096, kind: Writable }");
}

#[test]
fn populated_region_is_zero_and_writable() {
    let region = Region::options().populate(true).create(8 << 20).unwrap();
    let view = region.map().unwrap();
    let mut last = [1; 8];
    view.read_at((8 << 20) - 8, &mut last).unwrap();
    assert_eq!(last, [0; 8]);
    view.write_at((8 << 20) - 8, b"the end.").unwrap();
}

// Larger than any size that a 32-bit target allows.
#[test]
#[cfg(target_pointer_width = "64")]
fn populate_beyond_memory_fails_in_create() {
    let error = Region::options().populate(true).create(1 << 50).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
}

#[test]
fn read_only_region_has_one_writer() {
    let region = Region::create(4096).unwrap();
    let other = region.clone();
    let (read_only, writer) = region.into_read_only().unwrap();
    let reader = read_only.map().unwrap();
    writer.write_at(100, b"news").unwrap();
    let mut seen = [0; 4];
    reader.read_at(100, &mut seen).unwrap();
    assert_eq!(&seen, b"news");

    // An earlier handle can no longer map for writing, and converts to the read-only kind.
    assert_eq!(other.map().unwrap_err().kind(), ErrorKind::Sealed);
    assert_eq!(other.clone().into_read_only().unwrap_err().error().kind(), ErrorKind::Sealed);
    assert_eq!(ReadOnlyRegion::try_from(other).unwrap().size(), 4096);

    let refused = read_only.freeze().unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::StillWritable);
    drop(writer);
    let frozen = refused.into_inner().freeze().unwrap();
    assert_eq!(&frozen.map().unwrap()[100..104], b"news");
}

#[test]
fn writable_region_is_not_accepted_as_read_only() {
    let refused = ReadOnlyRegion::try_from(Region::create(4096).unwrap()).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::WrongKind);
    assert!(refused.into_inner().map().is_ok());
}

#[test]
fn frozen_region_holds_exactly_its_input() {
    let text: Vec<u8> = (0..300_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    for len in [0, 1, 4095, 4096, 4097, 131_071, 131_072, 131_073, 300_000] {
        let text = &text[..len];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        for (source, region) in [
            ("bytes", FrozenRegion::from_bytes(text).unwrap()),
            ("reader", FrozenRegion::from_reader(Trickle(text)).unwrap()),
            ("file", FrozenRegion::from_file(&file).unwrap()),
            ("writer", written(&FrozenRegion::options(), text).unwrap()),
        ] {
            assert_eq!(region.size(), len as u64, "{source}");
            assert_eq!(*region.map().unwrap(), *text, "{source}");
            assert_eq!(&*FrozenRegion::copy_of(&region).unwrap().map().unwrap(), text, "{source}");
        }
    }
}

#[test]
fn frozen_region_has_at_most_its_maximum() {
    const MAX: usize = 200_000;
    let text: Vec<u8> = (0..2 * MAX).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut options = FrozenRegion::options();
    options.max_size(MAX as u64);
    for len in [0, 1, MAX - 1, MAX, MAX + 1, 2 * MAX] {
        let text = &text[..len];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        // Unlike these, a reader doesn't tell how long it is.
        let known = format!("cannot fill a frozen region with {len} bytes: its maximum is {MAX}");
        let unknown = format!("cannot fill a frozen region: the input has more than its maximum of {MAX} bytes");
        for (source, filled, message) in [
            ("bytes", options.from_bytes(text), &known),
            ("reader", options.from_reader(Trickle(text)), &unknown),
            ("reader of all at once", options.from_reader(text), &unknown),
            ("writer", written(&options, text), &unknown),
            ("file", options.from_file(&file), &known),
            ("region", options.copy_of(&FrozenRegion::from_bytes(text).unwrap()), &known),
        ] {
            match filled {
                Ok(region) => {
                    assert!(len <= MAX, "{len} bytes from {source}");
                    assert_eq!(*region.map().unwrap(), *text, "{source}");
                }
                Err(error) => {
                    assert!(len > MAX, "{len} bytes from {source}: {error}");
                    assert_eq!((error.kind(), error.message()), (ErrorKind::TooLarge, &**message), "{source}");
                    assert!(error.advice().unwrap().contains("FrozenOptions::max_size"), "{error}");
                }
            }
        }
    }
    // Only nothing fits into nothing.
    assert_eq!(options.max_size(0).from_reader(&b""[..]).unwrap().size(), 0);
    assert_eq!(options.from_reader(&b"x"[..]).unwrap_err().kind(), ErrorKind::TooLarge);
}

/// Writes a text in pieces.
fn written(options: &FrozenOptions, text: &[u8]) -> heirloom::Result<FrozenRegion> {
    let mut writer = options.writer()?;
    for piece in text.chunks(70_001) {
        // The error is the library's own, inside the standard library's.
        writer.write_all(piece).map_err(|error| error.downcast::<heirloom::Error>().unwrap())?;
    }
    // It may go to another thread.
    std::thread::spawn(|| writer.freeze()).join().unwrap()
}

#[test]
fn at_most_one_byte_beyond_the_maximum_is_read() {
    for max in [0, 1, 131_071, 131_072, 131_073, 1 << 20] {
        let mut taken = 0;
        let endless = Counting(io::repeat(7), &mut taken);
        let error = FrozenRegion::options().max_size(max).from_reader(endless).unwrap_err();
        assert_eq!((error.kind(), taken), (ErrorKind::TooLarge, max + 1), "{error}");
    }
}

#[test]
fn maximum_counts_from_the_position_of_a_file() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"read already, to be read").unwrap();
    let mut filled = |max| {
        io::Seek::seek(&mut file, io::SeekFrom::Start(14)).unwrap();
        let filled = FrozenRegion::options().max_size(max).from_file(&file);
        (filled, io::Seek::stream_position(&mut file).unwrap())
    };
    let (region, position) = filled(10);
    assert_eq!((&*region.unwrap().map().unwrap(), position), (&b"to be read"[..], 24));
    // A file that is too large is not read.
    let (refused, position) = filled(9);
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind(), position), (ErrorKind::TooLarge, 14));
    assert!(refused.message().contains("with 10 bytes"), "{refused}");
}

#[test]
fn from_file_starts_at_the_current_position() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"read already, to be read").unwrap();
    io::Seek::seek(&mut file, io::SeekFrom::Start(14)).unwrap();
    let region = FrozenRegion::from_file(&file).unwrap();
    assert_eq!(&*region.map().unwrap(), b"to be read");
    assert_eq!(io::Seek::stream_position(&mut file).unwrap(), 24);
}

#[test]
fn read_error_is_reported() {
    let error = FrozenRegion::from_reader(Broken).unwrap_err();
    assert!(error.to_string().contains("broken reader"), "{error}");
}

#[test]
fn empty_frozen_region_works() {
    let empty = FrozenRegion::from_bytes("").unwrap();
    assert_eq!(*empty.map().unwrap(), []);
    assert_eq!(*empty.map_copy().unwrap(), []);
    empty.map().unwrap().no_dump().unwrap();
    assert_eq!(output(child(&["print-frozen", "a"]).inherit("a", &empty).unwrap()), "");
    assert_eq!(empty.map_range(0..1).unwrap_err().kind(), ErrorKind::OutOfBounds);
}

#[test]
fn clone_keeps_its_own_descriptor() {
    let region = Region::create(4096).unwrap();
    let before = number(&region);
    let owned = Owned::try_from(region).unwrap();
    assert_eq!(number(&owned), before);
    let region = Region::try_from(owned).unwrap();
    let clone = region.clone();
    let owned = Owned::try_from(region).unwrap();
    assert_ne!(number(&owned), number(&clone));
    assert!(clone.map().is_ok());
}

/// Returns a few bytes per read.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(1_000).min(self.0.len());
        let (now, later) = self.0.split_at(len);
        into[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

/// Counts the bytes that are taken from a reader.
struct Counting<'a, R>(R, &'a mut u64);

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        *self.1 += read as u64;
        Ok(read)
    }
}

/// Fails on the first read.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken reader"))
    }
}
