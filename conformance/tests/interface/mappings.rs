//! Mappings: whole regions and ranges, private copies, and lifetimes.

use heirloom::{ErrorKind, FrozenRegion, Region};

use crate::GRANULE;

#[test]
fn mapping_outlives_handle() {
    let region = Region::create(GRANULE as u64).unwrap();
    let (view, again) = (region.map().unwrap(), region.map().unwrap());
    drop(region);
    view.write_at(0, b"still").unwrap();
    let mut seen = [0; 5];
    again.read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"still");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn range_mapping_beyond_4_gib() {
    let region = Region::create(6 << 30).unwrap();
    region.map_range(5 << 30..(5 << 30) + 100).unwrap().write_at(0, b"byte 5 Gi").unwrap();
    let mut seen = [0; 9];
    region.map().unwrap().read_at(5 << 30, &mut seen).unwrap();
    assert_eq!(&seen, b"byte 5 Gi");
    region.map_range(1 << 30..(1 << 30) + 100).unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(seen, [0; 9]);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn full_mapping_beyond_4_gib() {
    let view = Region::create(6 << 30).unwrap().map().unwrap();
    view.write_at(5 << 30, b"byte 5 Gi").unwrap();
    let mut seen = [0; 9];
    view.read_at(5 << 30, &mut seen).unwrap();
    assert_eq!(&seen, b"byte 5 Gi");
    view.read_at(1 << 30, &mut seen).unwrap();
    assert_eq!(seen, [0; 9]);
}

#[test]
fn range_mapping_has_exact_length() {
    let region = Region::create(3 * GRANULE as u64).unwrap();
    let part = region.map_range(GRANULE as u64..GRANULE as u64 + 5).unwrap();
    assert_eq!(part.len(), 5);
    assert!(part.write_at(0, b"12345").is_ok());
    assert_eq!(part.write_at(0, b"123456").unwrap_err().kind(), ErrorKind::OutOfBounds);
}

#[test]
fn invalid_ranges_are_rejected_for_every_mapping() {
    let region = Region::create(3 * GRANULE as u64).unwrap();
    let frozen = FrozenRegion::from_bytes(vec![0; 3 * GRANULE]).unwrap();
    let read_only = Region::create(3 * GRANULE as u64).unwrap().into_read_only().unwrap().0;
    let page = GRANULE as u64;
    let size = 3 * page;
    for (range, kind) in [
        (0..0, ErrorKind::InvalidInput),
        (page..page, ErrorKind::InvalidInput),
        (2 * page..page, ErrorKind::InvalidInput),
        (1..page + 1, ErrorKind::Misaligned),
        (page / 2..page / 2 + 1, ErrorKind::Misaligned),
        (0..size + 1, ErrorKind::OutOfBounds),
        (size..size + 1, ErrorKind::OutOfBounds),
        (2 * page..size + 1, ErrorKind::OutOfBounds),
        (u64::MAX - page + 1..u64::MAX, ErrorKind::OutOfBounds),
        (0..u64::MAX, ErrorKind::OutOfBounds),
        (0..usize::MAX as u64, ErrorKind::OutOfBounds),
        (1 << 63..(1 << 63) + page, ErrorKind::OutOfBounds),
    ] {
        assert_eq!(region.map_range(range.clone()).unwrap_err().kind(), kind, "{range:?}");
        assert_eq!(region.map_copy_range(range.clone()).unwrap_err().kind(), kind, "{range:?}");
        assert_eq!(frozen.map_range(range.clone()).unwrap_err().kind(), kind, "{range:?}");
        assert_eq!(frozen.map_copy_range(range.clone()).unwrap_err().kind(), kind, "{range:?}");
        assert_eq!(read_only.map_range(range.clone()).unwrap_err().kind(), kind, "{range:?}");
        assert_eq!(read_only.map_copy_range(range.clone()).unwrap_err().kind(), kind, "{range:?}");
    }
    assert_eq!(region.map_range(0..=u64::MAX).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(region.map_range(size..).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(region.map_range(size + 1..).unwrap_err().kind(), ErrorKind::OutOfBounds);
    let last = size - 1;
    assert_eq!(region.map_range(page..=last).unwrap().len(), 2 * GRANULE);
    assert_eq!(region.map_range(page..).unwrap().len(), 2 * GRANULE);
    assert_eq!(region.map_range(..).unwrap().len(), 3 * GRANULE);
    assert!(region.map_range(page..size).is_ok());
}

#[test]
fn copy_sees_writes_until_its_page_is_written() {
    let region = Region::create(2 * GRANULE as u64).unwrap();
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
fn private_copy_does_not_block_freeze() {
    let region = Region::create(GRANULE as u64).unwrap();
    let copy = region.map_copy().unwrap();
    copy.write_at(0, b"mine").unwrap();
    assert!(region.freeze().is_ok());
}

#[test]
fn values_round_trip() {
    let region = Region::create(GRANULE as u64).unwrap();
    let view = region.map().unwrap();
    view.write_value(1, &0x0102_0304_0506_0708_u64).unwrap();
    assert_eq!(view.read_value::<u64>(1).unwrap(), 0x0102_0304_0506_0708);
    view.write_value(GRANULE - 3, &[1_u8, 2, 3]).unwrap();
    assert_eq!(view.read_value::<[u8; 3]>(GRANULE - 3).unwrap(), [1, 2, 3]);
    assert_eq!(view.read_value::<u32>(GRANULE - 3).unwrap_err().kind(), ErrorKind::OutOfBounds);
    assert_eq!(view.write_value(GRANULE - 3, &0_u32).unwrap_err().kind(), ErrorKind::OutOfBounds);
}
