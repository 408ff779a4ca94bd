//! Mappings, checked with the kernel's data.

#[cfg(target_pointer_width = "32")]
use heirloom::ErrorKind;
use heirloom::{FrozenRegion, Region};
use heirloom_conformance::{emulated, skip};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::{child, output};

const PAGE: usize = 4096;

#[test]
fn range_of_a_received_6_gib_region_maps() {
    // A 64-bit program may pass such a region to a 32-bit one, which cannot create it.
    let memory = memfd_create("large", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memory, 6 << 30).unwrap();
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    let region = Region::try_from(memory).unwrap();
    assert_eq!(region.size(), 6 << 30);
    region.map_range(5 << 30..(5 << 30) + 100).unwrap().write_at(0, b"byte 5 Gi").unwrap();
    let mut seen = [0; 9];
    region.map_range(5 << 30..(5 << 30) + 100).unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"byte 5 Gi");
    region.map_range(1 << 30..(1 << 30) + 100).unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(seen, [0; 9]);
}

#[test]
#[cfg(target_pointer_width = "32")]
fn size_beyond_32_bits_is_rejected_not_truncated() {
    // Truncated to 32 bits, the last size would be one page.
    for size in [1 << 31, 1 << 32, (1 << 32) + 4096] {
        let error = Region::create(size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.to_string().contains(&format!("{size} bytes: it exceeds the address space")), "{error}");
    }
    assert!(Region::create((1 << 31) - 4096).is_ok());
    let memory = memfd_create("large", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memory, (1 << 32) + 4096).unwrap();
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    let error = Region::try_from(memory).unwrap().map().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert!(error.to_string().contains("it exceeds the address space; map a range of it"), "{error}");
}

#[test]
fn dropped_mapping_is_unmapped() {
    let region = Region::options().name("outlived").create(PAGE as u64).unwrap();
    let mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains("memfd:heirloom/outlived");
    let view = region.map().unwrap();
    drop(region);
    view.write_at(0, b"still").unwrap();
    assert!(mapped());
    drop(view);
    assert!(!mapped());
}

#[test]
fn no_dump_sets_the_kernel_flag() {
    let secret = FrozenRegion::options().name("undumped").from_bytes([1; PAGE]).unwrap();
    let view = secret.map().unwrap();
    let flags = || {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (_, behind) = maps.split_once("memfd:heirloom/undumped").unwrap();
        behind.lines().find(|line| line.starts_with("VmFlags:")).unwrap().to_owned()
    };
    assert!(!flags().split(' ').any(|flag| flag == "dd"));
    view.no_dump().unwrap();
    if emulated() {
        return skip("the emulator has no MADV_DONTDUMP that reaches the kernel");
    }
    assert!(flags().split(' ').any(|flag| flag == "dd"), "{}", flags());
}

#[test]
fn forked_process_lacks_excluded_mappings() {
    if emulated() {
        return skip("the emulator has no MADV_DONTFORK that reaches the kernel");
    }
    let report = output(&mut child(&["fork-without-mappings"]));
    let lines: Vec<_> = report.lines().collect();
    // One of the two mappings of `two` was excluded, and `kept` was not. The kernel may show two neighbours as one.
    assert!(["parent: [1, 1, 1, 2, 1]", "parent: [1, 1, 1, 1, 1]"].contains(&lines[0]), "{report}");
    assert_eq!(lines[1], "fork: [0, 0, 0, 1, 1]");
    let segv = libc::SIGSEGV.to_string();
    assert_eq!(lines[2..8], [&segv, &segv, &segv, &segv, "0", "0"], "{report}");
    assert_eq!(lines[8], "ok ");
    // The control: a process that was forked with the mapping is a writer.
    assert!(lines[9].starts_with("StillWritable: cannot freeze a region of 4096 bytes: "), "{report}");
}

#[test]
fn sealed_mapping_cannot_be_changed_and_its_neighbours_can() {
    let sealed = output(&mut child(&["seal-mapping"]));
    if sealed != "ok\n1\n" {
        assert!(sealed.starts_with("Unsupported: cannot seal a mapping of 4096 bytes: "), "{sealed}");
        return skip("sealing a mapping needs Linux 6.10 on a 64-bit processor");
    }
    let report = output(&mut child(&["change-sealed-mappings"]));
    let mut changes = 0;
    for line in report.lines() {
        let is_as_expected = match line.split_once(' ').unwrap() {
            (_, "sealed true") => true,
            ("bytes", rest) => rest == format!("{} true", 3 * PAGE + 100),
            ("left", rest) => rest == "true",
            ("empty", rest) => rest == "0",
            ("discarded", rest) => rest == "0 true",
            // The control, on a mapping that isn't sealed, succeeds.
            (_, change) => {
                changes += 1;
                change.ends_with(&format!(" {} 0", libc::EPERM))
            }
        };
        assert!(is_as_expected, "{line}\n{report}");
    }
    // Three types of mappings, three ranges of pages and five changes, and the lines with one word before.
    assert_eq!((changes, report.lines().count()), (45, 45 + 3 + 4), "{report}");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn old_kernels_map_frozen_regions_shared() {
    if emulated() {
        return skip(format_args!("the emulator has no seccomp"));
    }
    assert_eq!(output(&mut child(&["map-like-old-kernels"])), "5 r--s\n");
}
