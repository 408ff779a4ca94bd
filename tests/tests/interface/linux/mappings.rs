//! What the kernel tells of a process's mappings.

use heirloom::{FrozenRegion, Region};

const PAGE: usize = 4096;

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
    assert!(flags().split(' ').any(|flag| flag == "dd"), "{}", flags());
}
