//! Views: whole ones and parts, and what outlives what.

use heirloom::{ErrorKind, FrozenRegion, Region};
use heirloom_tests::{emulated, skip};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

const PAGE: usize = 4096;

#[test]
fn parts_are_at_their_place_also_beyond_4_gib() {
    // What a program of 64 bits may hand down to one of 32, which can't make it itself.
    let memory = memfd_create("large", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memory, 6 << 30).unwrap();
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    let region = Region::try_from(memory).unwrap();
    assert_eq!(region.size(), 6 << 30);
    region.map_part(5 << 30, 100).unwrap().write_at(0, b"byte 5 Gi").unwrap();
    let mut seen = [0; 9];
    region.map_part(5 << 30, 100).unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"byte 5 Gi");
    region.map_part(1 << 30, 100).unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(seen, [0; 9]);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_whole_of_more_than_4_gib_is_mapped() {
    let view = Region::create(6 << 30).unwrap().map().unwrap();
    view.write_at(5 << 30, b"byte 5 Gi").unwrap();
    let mut seen = [0; 9];
    view.read_at(5 << 30, &mut seen).unwrap();
    assert_eq!(&seen, b"byte 5 Gi");
    view.read_at(1 << 30, &mut seen).unwrap();
    assert_eq!(seen, [0; 9]);
}

#[test]
#[cfg(target_pointer_width = "32")]
fn more_than_an_address_space_of_32_bits_is_refused_and_not_cut() {
    // The last one would be a page, were it cut to 32 bits.
    for size in [1 << 31, 1 << 32, (1 << 32) + 4096] {
        let error = Region::create(size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.to_string().contains(&format!("{size} bytes: no address space holds that")), "{error}");
    }
    assert!(Region::create((1 << 31) - 4096).is_ok());
    let memory = memfd_create("large", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memory, (1 << 32) + 4096).unwrap();
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    let error = Region::try_from(memory).unwrap().map().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert!(error.to_string().contains("larger than the address space; map parts of it"), "{error}");
}

#[test]
fn a_part_ends_where_it_was_told_to() {
    let region = Region::create(3 * PAGE as u64).unwrap();
    let part = region.map_part(PAGE as u64, 5).unwrap();
    assert_eq!(part.len(), 5);
    assert!(part.write_at(0, b"12345").is_ok());
    assert_eq!(part.write_at(0, b"123456").unwrap_err().kind(), ErrorKind::OutOfBounds);
}

#[test]
fn parts_that_are_not_there_are_refused_for_every_kind_of_view() {
    let region = Region::create(3 * PAGE as u64).unwrap();
    let frozen = FrozenRegion::from_bytes([0; 3 * PAGE]).unwrap();
    let published = Region::create(3 * PAGE as u64).unwrap().publish().unwrap().0;
    let page = PAGE as u64;
    for (offset, len, kind) in [
        (0, 0, ErrorKind::InvalidInput),
        (1, PAGE, ErrorKind::Misaligned),
        (page / 2, 1, ErrorKind::Misaligned),
        (0, 3 * PAGE + 1, ErrorKind::OutOfBounds),
        (3 * page, 1, ErrorKind::OutOfBounds),
        (2 * page, PAGE + 1, ErrorKind::OutOfBounds),
        (u64::MAX - page + 1, PAGE, ErrorKind::OutOfBounds),
        (u64::MAX - page + 1, usize::MAX, ErrorKind::OutOfBounds),
        (0, usize::MAX, ErrorKind::OutOfBounds),
        (1 << 63, PAGE, ErrorKind::OutOfBounds),
    ] {
        assert_eq!(region.map_part(offset, len).unwrap_err().kind(), kind, "{offset} {len}");
        assert_eq!(region.map_copy_part(offset, len).unwrap_err().kind(), kind, "{offset} {len}");
        assert_eq!(frozen.map_part(offset, len).unwrap_err().kind(), kind, "{offset} {len}");
        assert_eq!(frozen.map_copy_part(offset, len).unwrap_err().kind(), kind, "{offset} {len}");
        assert_eq!(published.map_part(offset, len).unwrap_err().kind(), kind, "{offset} {len}");
        assert_eq!(published.map_copy_part(offset, len).unwrap_err().kind(), kind, "{offset} {len}");
    }
    assert!(region.map_part(page, 2 * PAGE).is_ok());
}

#[test]
fn a_view_outlives_its_handle_and_its_pages_go_with_it() {
    let region = Region::options().name("outlived").create(PAGE as u64).unwrap();
    let mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains("memfd:heirloom:outlived");
    let view = region.map().unwrap();
    drop(region);
    view.write_at(0, b"still").unwrap();
    assert!(mapped());
    drop(view);
    assert!(!mapped());
}

#[test]
fn a_copy_shows_others_writes_until_its_page_is_written() {
    let region = Region::create(2 * PAGE as u64).unwrap();
    let view = region.map().unwrap();
    let copy = region.map_copy().unwrap();
    view.write_at(0, b"theirs").unwrap();
    let mut seen = [0; 6];
    copy.read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"theirs");

    copy.write_at(0, b"mine").unwrap();
    view.write_at(0, b"theirs, later").unwrap();
    copy.read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"miners");
}

#[test]
fn a_copy_keeps_nobody_from_freezing() {
    let region = Region::create(PAGE as u64).unwrap();
    let copy = region.map_copy().unwrap();
    copy.write_at(0, b"mine").unwrap();
    assert!(region.freeze().is_ok());
}

#[test]
fn values_of_plain_types_come_out_as_they_went_in() {
    let region = Region::create(PAGE as u64).unwrap();
    let view = region.map().unwrap();
    view.write_value(1, &0x0102_0304_0506_0708_u64).unwrap();
    assert_eq!(view.read_value::<u64>(1).unwrap(), 0x0102_0304_0506_0708);
    view.write_value(PAGE - 3, &[1_u8, 2, 3]).unwrap();
    assert_eq!(view.read_value::<[u8; 3]>(PAGE - 3).unwrap(), [1, 2, 3]);
    assert_eq!(view.read_value::<u32>(PAGE - 3).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.write_value(PAGE - 3, &0_u32).unwrap_err().kind(), ErrorKind::OutOfBounds);
}

#[test]
fn no_dump_marks_the_pages_of_a_view() {
    let secret = FrozenRegion::options().name("undumped").from_bytes([1; PAGE]).unwrap();
    let view = secret.map().unwrap();
    let flags = || {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (_, behind) = maps.split_once("memfd:heirloom:undumped").unwrap();
        behind.lines().find(|line| line.starts_with("VmFlags:")).unwrap().to_owned()
    };
    assert!(!flags().split(' ').any(|flag| flag == "dd"));
    view.no_dump().unwrap();
    if emulated() {
        return skip("the emulator has no MADV_DONTDUMP that reaches the kernel");
    }
    assert!(flags().split(' ').any(|flag| flag == "dd"), "{}", flags());
}
