//! The memory model of the library's first page, with two processes that use the same bytes at once.

use heirloom::{Command, Mapping, Region, Stdio};
use heirloom_conformance::soundness::{BYTES, SIZE};

/// Two processes play `game` on fresh bytes, once `prepare` is done with them; whether both were content.
fn play(game: &str, rounds: u32, stderr: fn() -> Stdio, prepare: impl FnOnce(&Mapping)) -> (Region, bool) {
    let region = Region::create(SIZE).unwrap();
    prepare(&region.map().unwrap());
    let sides = ["0", "1"].map(|side| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_child"));
        command.args(["soundness", game, side, &rounds.to_string()]).stderr(stderr());
        command.inherit("bytes", &region).unwrap().spawn().unwrap()
    });
    let ended = sides.map(|mut side| side.wait().unwrap().success());
    (region, ended == [true; 2])
}

fn content(game: &str, rounds: u32) -> Region {
    let (region, content) = play(game, rounds, Stdio::inherit, |_| {});
    assert!(content, "{game}: a side saw what nobody wrote");
    region
}

#[test]
fn integer_access_never_tears() {
    content("tearing", 3_000_000);
}

#[test]
fn integer_reads_never_go_backwards() {
    content("ordering", 6_000_000);
}

#[test]
fn concurrent_counts_add_up() {
    const ROUNDS: u32 = 1_000_000;
    let view = content("counting", ROUNDS).map().unwrap();
    let all = 2 * ROUNDS;
    assert_eq!(view.load_u32(BYTES).unwrap(), all);
    assert_eq!(view.load_u32(BYTES + 4).unwrap(), all.wrapping_neg());
    assert_eq!(view.load_u64(BYTES + 8).unwrap(), u64::from(all) << 31);
    assert_eq!(view.load_u32(BYTES + 16).unwrap(), all);
    assert_eq!(view.load_u64(BYTES + 24).unwrap(), u64::from(all) << 31);
}

#[test]
fn copies_contain_only_written_bytes() {
    content("copying", 250_000);
}

#[test]
fn load_sees_copies_made_before_the_store() {
    content("messaging", 200_000);
}

#[test]
fn control_detects_values_never_written() {
    for game in ["tearing", "ordering", "copying"] {
        let (_, content) = play(game, 100_000, Stdio::null, |view| view.write_at(BYTES, &[1; 1000]).unwrap());
        assert!(!content, "{game}");
    }
}
