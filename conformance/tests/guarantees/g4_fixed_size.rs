//! G4, fixed size: no attempt of a hostile child changes the size of a region, even of one that it may write.

use heirloom_conformance::hostile::Target;

use crate::hostile_child::{fresh, try_all, try_all_by_c};

#[test]
fn g4_hostile_child_cannot_resize_writable_region() {
    for (region, huge) in fresh() {
        let size = region.size();
        try_all(&region, || region.export_inheritable().unwrap(), Target::Writable, huge);
        assert_eq!(rustix::fs::fstat(&region).unwrap().st_size, i64::try_from(size).unwrap());
    }
    try_all_by_c("writable", Target::Writable);
}
