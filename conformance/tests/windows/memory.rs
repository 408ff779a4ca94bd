//! Read-only and frozen regions without seals: converting fails once another holder may write.

use heirloom::{ErrorKind, FrozenRegion, ReadOnlyRegion, Region, RegionKind};
use heirloom_conformance::Owned;

use crate::{child, output};

/// Shares a writable handle, and returns the object that holds it.
type ShareHandle = fn(&Region) -> Box<dyn std::any::Any>;

const SHARES: [(&str, ShareHandle); 5] = [
    ("inherit", |region| {
        let mut command = child(&["take", "region:a"]);
        command.inherit("a", region).unwrap();
        Box::new(command)
    }),
    ("export", |region| Box::new(region.export().unwrap())),
    ("export_inheritable", |region| Box::new(region.export_inheritable().unwrap())),
    ("as_handle", |region| {
        use std::os::windows::io::AsHandle;
        Box::new(region.as_handle().try_clone_to_owned().unwrap())
    }),
    ("into a handle", |region| Box::new(Owned::try_from(region.clone()).unwrap())),
];

#[test]
fn shared_writable_handle_blocks_conversion() {
    for (call, share) in SHARES {
        let region = Region::create(4096).unwrap();
        region.map().unwrap().write_at(0, b"so far").unwrap();
        let shared = share(&region);
        let refused = region.into_read_only().unwrap_err();
        assert_eq!(refused.error().kind(), ErrorKind::StillWritable, "{call}");
        let refused = refused.into_inner().freeze().unwrap_err();
        assert_eq!(refused.error().kind(), ErrorKind::StillWritable, "{call}");
        assert!(refused.error().to_string().contains("copy_of"), "{}", refused.error());
        // Still so once the handle is closed: another process may have a duplicate.
        drop(shared);
        let refused = refused.into_inner().freeze().unwrap_err();
        // Copying always works.
        assert!(FrozenRegion::copy_of(&refused.into_inner()).unwrap().map().unwrap().starts_with(b"so far"), "{call}");
    }
    // The control: a handle that was never shared.
    let region = Region::create(4096).unwrap();
    let (read_only, writer) = region.into_read_only().unwrap();
    drop(writer);
    assert!(read_only.freeze().is_ok());
}

#[test]
fn region_inherited_read_only_can_be_frozen() {
    let (region, writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    assert_eq!(output(child(&["take", "read-only:a"]).inherit("a", &region).unwrap()), "ok 4096\n");
    writer.write_at(0, b"final").unwrap();
    let refused = region.freeze().unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::StillWritable);
    drop(writer);
    let frozen = refused.into_inner().freeze().unwrap();
    assert_eq!(output(child(&["print-frozen", "a"]).inherit("a", &frozen).unwrap())[..5], *"final");
}

#[test]
fn child_cannot_freeze_a_region_others_may_write() {
    let region = Region::create(4096).unwrap();
    let report = output(child(&["freeze", "a"]).inherit("a", &region).unwrap());
    assert!(report.starts_with("StillWritable: "), "{report}");
    // The control: the child may write.
    output(child(&["write", "a", "hello"]).inherit("a", &region).unwrap());
    let mut seen = [0; 5];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"hello");
}

#[test]
fn handle_kind_follows_rights_and_recorded_stage() {
    let handle_of = |region: FrozenRegion| Owned::try_from(region).unwrap();
    let frozen = handle_of(FrozenRegion::from_bytes("frozen").unwrap());
    // A frozen region also counts as read-only, and never as writable.
    let refused = Region::try_from(frozen).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Mismatch);
    let read_only = ReadOnlyRegion::try_from(refused.into_inner()).unwrap();
    let frozen = FrozenRegion::try_from(Owned::try_from(read_only).unwrap()).unwrap();
    assert_eq!(&*frozen.map().unwrap(), b"frozen");

    let (read_only, _writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    let refused = FrozenRegion::try_from(Owned::try_from(read_only).unwrap()).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Mismatch);

    let writable = Owned::try_from(Region::create(5).unwrap()).unwrap();
    let refused = ReadOnlyRegion::try_from(writable).unwrap_err();
    assert_eq!(refused.error().kind(), ErrorKind::Mismatch);
    assert_eq!(Region::try_from(refused.into_inner()).unwrap().kind(), RegionKind::Writable);
}

#[test]
fn huge_pages_without_privilege_are_an_error() {
    let error = Region::options().huge_pages(true).create(4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    match Region::options().huge_pages(true).create(2 << 20) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            assert!(error.to_string().contains("lock pages in memory"), "{error}");
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}"),
        Ok(region) => {
            let view = region.map().unwrap();
            view.write_at((2 << 20) - 1, b"x").unwrap();
            drop(view);
            assert_eq!(region.map_range(64 << 10..(64 << 10) + 4096).unwrap_err().kind(), ErrorKind::Misaligned);
            assert_eq!(output(child(&["take", "region:a"]).inherit("a", &region).unwrap()), "ok 2097152\n");
        }
    }
}

#[test]
fn unsealed_file_is_unsupported() {
    let error = Region::options().unsealed_file_in(".").create(4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn no_dump_is_unsupported() {
    let view = FrozenRegion::from_bytes("secret").unwrap().map().unwrap();
    assert_eq!(view.no_dump().unwrap_err().kind(), ErrorKind::Unsupported);
}
