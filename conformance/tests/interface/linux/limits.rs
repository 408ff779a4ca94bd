//! Exhausted resources: calls fail with a clear error, leave nothing behind, and succeed again afterwards.

use heirloom_conformance::{emulated, skip};

use crate::{child, output};

fn lines(args: &[&str]) -> Vec<String> {
    output(&mut child(args)).lines().map(str::to_owned).collect()
}

#[test]
fn file_size_limit_is_an_error_not_a_signal() {
    assert_eq!(lines(&["limited", "file-size=8192", "create", "8192"]), ["ok 8192"]);
    let report = lines(&["limited", "file-size=8192", "create", "8193"]);
    assert!(report[0].starts_with("TooLarge: ") && report[0].contains("ulimit -f"), "{report:?}");

    // From bytes, a reader and a pipe, at the limit and past it.
    assert_eq!(lines(&["limited", "file-size=8192", "freeze-bytes", "8192"]), ["ok 8192"; 3]);
    let report = lines(&["limited", "file-size=8192", "freeze-bytes", "8193"]);
    assert!(report.len() == 3 && report.iter().all(|line| line.starts_with("TooLarge: ")), "{report:?}");
}

#[test]
fn full_address_space_still_maps_a_range() {
    if emulated() {
        return skip("the emulator has no limit on the address space");
    }
    let report = lines(&["limited", "address-space=500000000", "map", "1000000000"]);
    assert!(report[0].starts_with("OutOfMemory: "), "{report:?}");
    assert_eq!(report[1], "ok 4096");
}

#[test]
fn exhausted_descriptors_fail_each_call_cleanly() {
    let report = lines(&["limited", "descriptors=64", "exhaust-descriptors"]);
    let (errors, rest) = report.split_at(6);
    assert!(errors.iter().all(|line| line.starts_with("OutOfDescriptors: ")), "{report:?}");
    // musl's posix_spawn needs a pipe. So does the fallback to fork, used where posix_spawn reports no error.
    let needs = cfg!(target_env = "musl") || emulated();
    let refused = needs && rest[0].starts_with("OutOfDescriptors: cannot start \"true\": ");
    assert!(rest[0] == "ok exit status: 0" || refused, "{report:?}");
    assert_eq!(rest[1..], ["true", "ok "]);
}

#[test]
fn regions_are_inherited_with_stdio_closed() {
    // Created regions get numbers above 2. A region received as descriptor 0 is inherited under another number.
    assert_eq!(lines(&["with-stdio-closed"]), ["true", "ok 4096", "0", "ok 4096"]);
}

#[test]
fn too_many_mappings_are_named_in_the_error() {
    if emulated() {
        return skip(format_args!("the emulator, not the kernel, would be tested"));
    }
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    if limit.trim().parse::<u64>().unwrap() > 1 << 20 {
        return skip(format_args!("vm.max_map_count is {}", limit.trim()));
    }
    let report = output(&mut child(&["exhaust-mappings"]));
    let (refused, after) = report.split_once('\n').unwrap();
    assert!(refused.starts_with("OutOfMemory: cannot map a region of 16384 bytes: "), "{refused}");
    assert!(refused.contains("vm.max_map_count"), "{refused}");
    assert_eq!(after, "ok \n");
}
