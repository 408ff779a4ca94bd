//! Only the heirs: no process inherits a region unless its spawn named it.

use std::thread;

use heirloom::{FrozenRegion, Region};
use heirloom_conformance::{is_inheritable, number, output, rounds};

use crate::child;

#[test]
fn children_of_eight_threads_get_their_own_region_and_no_other() {
    // One that everybody's spawns could take along by mistake.
    let others = Region::create(4096).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..rounds(4, 1250) {
                    let region = Region::create(4096).unwrap();
                    let told = output(child(&["regions"]).inherit("mine", &region).unwrap());
                    let numbers: Vec<_> = told.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
                    assert_eq!(numbers, [number(&region).to_string()]);
                    assert!(!is_inheritable(number(&region)), "it stayed inheritable");
                }
            });
        }
    });
    assert!(!is_inheritable(number(&others)));
}

#[test]
fn two_spawns_at_once_share_one_region() {
    let region = FrozenRegion::from_bytes("shared").unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds(4, 1250) {
                    let told = output(child(&["print-frozen", "a"]).inherit("a", &region).unwrap());
                    assert_eq!(told, "shared");
                }
            });
        }
    });
}

#[test]
fn a_child_that_spawns_before_it_asked_for_anything_hands_nothing_on() {
    let region = Region::create(4096).unwrap();
    assert_eq!(output(child(&["spawn", "ours"]).inherit("a", &region).unwrap()), "\n");
    // The control: the standard library's, without a claim, hands on all that can be inherited.
    let told = output(child(&["spawn", "std"]).inherit("a", &region).unwrap());
    assert_eq!(told.trim().lines().count(), 1, "{told}");
}

#[test]
fn what_is_gone_in_the_child_is_gone() {
    let region = Region::create(4096).unwrap();
    assert_eq!(output(child(&["drop-then-regions", "a"]).inherit("a", &region).unwrap()), "");
    assert_eq!(
        output(child(&["claim-then-flags"]).inherit("a", &region).unwrap()),
        format!("{} false\n", number(&region))
    );
}
