//! Only named children inherit: a child gets a region only if its own command names it.

use std::thread;

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::{is_inheritable, number, output, rounds};

use crate::child;

#[test]
fn each_child_inherits_only_its_named_region() {
    // A region that no command names.
    let others = Region::create(4096).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..rounds(4, 1250) {
                    let region = Region::create(4096).unwrap();
                    let report = output(child(&["regions"]).inherit("mine", &region).unwrap());
                    let numbers: Vec<_> =
                        report.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
                    assert_eq!(numbers, [number(&region).to_string()]);
                    assert!(!is_inheritable(number(&region)), "the handle stayed inheritable");
                }
            });
        }
    });
    assert!(!is_inheritable(number(&others)));
}

#[test]
fn concurrent_spawns_share_one_region() {
    let region = FrozenRegion::from_bytes("shared").unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds(4, 1250) {
                    let report = output(child(&["print-frozen", "a"]).inherit("a", &region).unwrap());
                    assert_eq!(report, "shared");
                }
            });
        }
    });
}

#[test]
fn spawn_without_claim_passes_nothing_on() {
    let region = Region::create(4096).unwrap();
    assert_eq!(output(child(&["spawn", "heirloom"]).inherit("a", &region).unwrap()), "\n");
    // The control: without a claim, a child of the standard library inherits every inheritable handle.
    let report = output(child(&["spawn", "std"]).inherit("a", &region).unwrap());
    assert_eq!(report.trim().lines().count(), 1, "{report}");
}

#[test]
fn dropped_region_leaves_no_handle_in_child() {
    let region = Region::create(4096).unwrap();
    assert_eq!(output(child(&["drop-then-regions", "a"]).inherit("a", &region).unwrap()), "");
    assert_eq!(
        output(child(&["claim-then-flags"]).inherit("a", &region).unwrap()),
        format!("{} false\n", number(&region))
    );
}
