//! The memory model that the crate's page documents, with two processes that use the same bytes at once.

use heirloom::{Command, Mapping, Region, Stdio};
use heirloom_conformance::soundness::{BYTES, SIZE};

/// Runs a workload in two processes on a new region, after `prepare`. Returns the region and whether both processes
/// succeeded.
fn run(workload: &str, rounds: u32, stderr: fn() -> Stdio, prepare: impl FnOnce(&Mapping)) -> (Region, bool) {
    let region = Region::create(SIZE).unwrap();
    prepare(&region.map().unwrap());
    let sides = ["0", "1"].map(|side| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_child"));
        command.args(["soundness", workload, side, &rounds.to_string()]).stderr(stderr());
        command.inherit("bytes", &region).unwrap().spawn().unwrap()
    });
    let ended = sides.map(|mut side| side.wait().unwrap().success());
    (region, ended == [true; 2])
}

fn assert_sound(workload: &str, rounds: u32) -> Region {
    let (region, succeeded) = run(workload, rounds, Stdio::inherit, |_| {});
    assert!(succeeded, "{workload}: a process read a value that neither wrote");
    region
}

#[test]
fn integer_access_never_tears() {
    assert_sound("tearing", 3_000_000);
}

#[test]
fn integer_reads_never_go_backwards() {
    assert_sound("ordering", 6_000_000);
}

#[test]
fn concurrent_counts_add_up() {
    const ROUNDS: u32 = 1_000_000;
    let view = assert_sound("counting", ROUNDS).map().unwrap();
    let all = 2 * ROUNDS;
    assert_eq!(view.load_u32(BYTES).unwrap(), all);
    assert_eq!(view.load_u32(BYTES + 4).unwrap(), all.wrapping_neg());
    assert_eq!(view.load_u64(BYTES + 8).unwrap(), u64::from(all) << 31);
    assert_eq!(view.load_u32(BYTES + 16).unwrap(), all);
    assert_eq!(view.load_u64(BYTES + 24).unwrap(), u64::from(all) << 31);
}

#[test]
fn copies_contain_only_written_bytes() {
    assert_sound("copying", 250_000);
}

#[test]
fn load_sees_copies_made_before_the_store() {
    assert_sound("messaging", 200_000);
}

#[test]
fn control_detects_values_never_written() {
    for workload in ["tearing", "ordering", "copying"] {
        let (_, succeeded) = run(workload, 100_000, Stdio::null, |view| view.write_at(BYTES, &[1; 1000]).unwrap());
        assert!(!succeeded, "{workload}");
    }
}
