//! G3, read-only can't be undone; G4, the size is fixed; G5, it is data, not a program: what a hostile holder tries, each
//! attempt with its exact answer, and beside it the same call on memory without seals, where it must succeed.

use heirloom::{FrozenRegion, Heirloom, Region};
use heirloom_tests::hostile::{ATTEMPTS, Attempt, DONE, SIZE};

use crate::{child, output};

/// Lets a child try everything, and compares.
fn try_all(region: &impl Heirloom, expected: fn(&Attempt) -> i32) {
    let told = output(child(&["hostile", "target"]).inherit("target", region).unwrap());
    let answers: Vec<Vec<_>> = told.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(answers.len(), ATTEMPTS.len());
    for (attempt, answer) in ATTEMPTS.iter().zip(answers) {
        assert_eq!(answer[0], attempt.name);
        assert_eq!(answer[2], DONE.to_string(), "the control of: {}", attempt.name);
        assert_eq!(answer[1], expected(attempt).to_string(), "{}", attempt.name);
    }
}

#[test]
fn g3_no_way_leads_into_a_frozen_region() {
    let bytes = vec![7; SIZE];
    let region = FrozenRegion::from_bytes(&bytes).unwrap();
    try_all(&region, |attempt| attempt.frozen);
    assert_eq!(*region.map().unwrap(), bytes);
}

#[test]
fn g3_no_way_leads_into_a_published_region() {
    let (region, writer) = Region::create(SIZE as u64).unwrap().publish().unwrap();
    let bytes = vec![7; SIZE];
    writer.write_at(0, &bytes).unwrap();
    try_all(&region, |attempt| attempt.published);
    let mut seen = vec![0; SIZE];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(seen, bytes);
    // The one writer goes on.
    writer.write_at(0, b"news").unwrap();
    region.map().unwrap().read_at(0, &mut seen[..4]).unwrap();
    assert_eq!(&seen[..4], b"news");
}

#[test]
fn g4_the_size_of_a_writable_region_is_fixed() {
    let region = Region::create(SIZE as u64).unwrap();
    try_all(&region, |attempt| attempt.writable);
    assert_eq!(rustix::fs::fstat(&region).unwrap().st_size, i64::try_from(SIZE).unwrap());
}
