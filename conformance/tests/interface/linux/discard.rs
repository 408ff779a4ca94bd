//! Giving memory back to the system.

use heirloom::os::linux::DiscardExt;
use heirloom::{ErrorKind, Mapping, Region};
use heirloom_conformance::{emulated, large_pages_are_used, skip};
use rustix::fs::fstat;

const PAGES: usize = 16;
const SIZE: usize = PAGES * 4096;

/// A region full of sevens, and two mappings of it. Returns `None`, and reports the skip, under an emulator.
fn full() -> Option<(Region, Mapping, Mapping)> {
    if emulated() {
        skip("the emulator answers this advice without passing it on");
        return None;
    }
    let region = Region::create(SIZE as u64).unwrap();
    let (view, other) = (region.map().unwrap(), region.map().unwrap());
    view.write_at(0, &vec![7; SIZE]).unwrap();
    Some((region, view, other))
}

#[test]
fn discarded_bytes_are_zero_for_all_and_their_pages_are_free() {
    for (offset, len, whole) in [
        (0, SIZE, PAGES),
        (4096, 8192, 2),
        (1, SIZE - 2, PAGES - 2),
        (4095, 4098, 1),
        (5000, 20000, 4),
        (100, 200, 0),
        (4000, 200, 0),
        (4096, 0, 0),
        (SIZE, 0, 0),
        (SIZE - 1, 1, 0),
    ] {
        let Some((region, view, other)) = full() else { return };
        view.discard(offset, len).unwrap();
        let mut expected = vec![7; SIZE];
        expected[offset..offset + len].fill(0);
        // Before the bytes are read, which takes a page again.
        let pages = || usize::try_from(fstat(&region).unwrap().st_blocks).unwrap() * 512 / 4096;
        assert!(large_pages_are_used() || pages() == PAGES - whole, "{len} bytes at {offset}: {}", pages());
        let mut seen = vec![1; SIZE];
        other.read_at(0, &mut seen).unwrap();
        assert!(seen == expected, "{len} bytes at {offset}");
        // The region can be used as before.
        other.write_at(offset.min(SIZE - 1), b"9").unwrap();
        view.read_at(offset.min(SIZE - 1), &mut seen[..1]).unwrap();
        assert_eq!(seen[0], b'9');
    }
}

#[test]
fn ranges_of_a_part_are_relative_to_it() {
    let Some((region, _view, other)) = full() else { return };
    region.map_range(8192..12288).unwrap().discard(0, 4096).unwrap();
    let mut seen = vec![1; SIZE];
    other.read_at(0, &mut seen).unwrap();
    assert!(seen[8192..12288].iter().all(|byte| *byte == 0));
    assert!(seen[..8192].iter().chain(&seen[12288..]).all(|byte| *byte == 7));
}

#[test]
fn ranges_outside_are_errors_and_change_nothing() {
    let Some((_region, view, other)) = full() else { return };
    for (offset, len) in [(0, SIZE + 1), (SIZE, 1), (1, SIZE), (usize::MAX, 2), (4096, usize::MAX)] {
        assert_eq!(view.discard(offset, len).unwrap_err().kind(), ErrorKind::OutOfBounds, "{len} bytes at {offset}");
    }
    let mut seen = vec![1; SIZE];
    other.read_at(0, &mut seen).unwrap();
    assert!(seen.iter().all(|byte| *byte == 7));
}

#[test]
fn writer_of_a_read_only_region_is_refused() {
    let Some((region, view, other)) = full() else { return };
    drop((view, other));
    let (_reader, writer) = region.into_read_only().unwrap();
    let error = writer.discard(0, SIZE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let mut first = [0];
    writer.read_at(0, &mut first).unwrap();
    assert_eq!(first, [7]);
    // A part of a page is only written.
    writer.discard(1, 100).unwrap();
    writer.read_at(1, &mut first).unwrap();
    assert_eq!(first, [0]);
}

#[test]
fn parts_of_pages_of_the_pool_are_zero_too() {
    const HUGE: usize = 2 << 20;
    if emulated() {
        return skip("the emulator answers this advice without passing it on");
    }
    let Ok(region) = Region::options().huge_pages(true).create(2 * HUGE as u64) else {
        return skip("no huge pages are reserved");
    };
    let view = region.map().unwrap();
    view.write_at(0, &vec![7; 2 * HUGE]).unwrap();
    view.discard(4096, HUGE).unwrap();
    let mut seen = vec![1; 2 * HUGE];
    view.read_at(0, &mut seen).unwrap();
    let mut expected = vec![7; 2 * HUGE];
    expected[4096..4096 + HUGE].fill(0);
    assert!(seen == expected);
}
