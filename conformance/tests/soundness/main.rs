//! The memory model of the library's first page, with two processes that use the same bytes at once.

use heirloom::{Command, Mapping, Region, Stdio};
use heirloom_conformance::soundness::{BYTES, SIZE};

/// Two processes play `game` on fresh bytes, once `prepare` is done with them; whether both were content.
fn play(game: &str, rounds: u32, stderr: fn() -> Stdio, prepare: impl FnOnce(&Mapping)) -> (Region, bool) {
    let region = Region::create(SIZE).unwrap();
    prepare(&region.map().unwrap());
    let sides = ["0", "1"].map(|side| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_child"));
        command.args(["play", game, side, &rounds.to_string()]).stderr(stderr());
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
fn a_number_is_never_half_of_one_and_half_of_another() {
    content("halves", 3_000_000);
}

#[test]
fn a_number_is_one_that_a_side_wrote_and_no_older_than_the_last_one_seen() {
    content("writers", 6_000_000);
}

#[test]
fn what_both_sides_count_adds_up() {
    const ROUNDS: u32 = 1_000_000;
    let view = content("counts", ROUNDS).map().unwrap();
    let all = 2 * ROUNDS;
    assert_eq!(view.load_u32(BYTES).unwrap(), all);
    assert_eq!(view.load_u32(BYTES + 4).unwrap(), all.wrapping_neg());
    assert_eq!(view.load_u64(BYTES + 8).unwrap(), u64::from(all) << 31);
    assert_eq!(view.load_u32(BYTES + 16).unwrap(), all);
    assert_eq!(view.load_u64(BYTES + 24).unwrap(), u64::from(all) << 31);
}

#[test]
fn a_copy_brings_only_bytes_that_were_written_there() {
    content("copies", 250_000);
}

#[test]
fn what_came_before_a_store_is_there_after_the_load_that_saw_it() {
    content("messages", 200_000);
}

#[test]
fn the_control_a_side_tells_what_nobody_wrote() {
    for game in ["halves", "writers", "copies"] {
        let (_, content) = play(game, 100_000, Stdio::null, |view| view.write_at(BYTES, &[1; 1000]).unwrap());
        assert!(!content, "{game}");
    }
}
