//! A damaged or hostile table is an error, or another valid table.

use std::panic::{self, catch_unwind};

use heirloom::FrozenRegion;
use heirloom_arrow::{Error, Table};
use heirloom_conformance::rounds;

use crate::samples::region;

/// Reads all batches, and validates again what Arrow's reader has validated.
fn read(bytes: &[u8]) -> Result<(), Error> {
    let table = Table::open(&FrozenRegion::from_bytes(bytes).unwrap())?;
    for batch in table.batches() {
        for column in batch?.columns() {
            column.to_data().validate_full().unwrap();
        }
    }
    Ok(())
}

/// Reads damaged files, and returns how many were errors. The rest were valid tables.
fn errors(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> usize {
    // Arrow's reader panics on some of them, which the library catches, but not before a message is printed.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcomes: Vec<_> = files.into_iter().map(|(what, bytes)| (what, catch_unwind(|| read(&bytes)))).collect();
    panic::set_hook(hook);
    let mut errors = 0;
    for (what, outcome) in outcomes {
        match outcome.unwrap_or_else(|_| panic!("{what}: a panic")) {
            Ok(()) => {}
            Err(Error::Malformed(_) | Error::Unsupported(_)) => errors += 1,
            Err(error) => panic!("{what}: {error}"),
        }
    }
    errors
}

fn whole() -> Vec<u8> {
    let whole = region().map().unwrap().to_vec();
    read(&whole).unwrap();
    whole
}

#[test]
fn every_truncated_table_is_an_error() {
    let whole = whole();
    let lens: Vec<_> = (0..whole.len()).step_by(rounds(97, 1)).collect();
    let damaged = lens.iter().map(|len| (format!("{len} bytes"), whole[..*len].to_vec()));
    assert_eq!(errors(damaged), lens.len());
}

#[test]
fn every_changed_byte_is_an_error_or_another_value() {
    let whole = whole();
    let flipped = (0..whole.len()).step_by(rounds(23, 1)).flat_map(|at| {
        let mut bytes = whole.clone();
        [0x01, 0x80, 0xff].map(|mask| {
            bytes[at] = whole[at] ^ mask;
            (format!("byte {at} changed by {mask:#x}"), bytes.clone())
        })
    });
    assert!(errors(flipped) > rounds(100, 5000));
}

/// What describes a table is in the messages and in the footer, so most of these change a length, an offset or a type.
#[test]
fn several_changed_numbers_are_an_error_or_another_value() {
    let whole = whole();
    let mut random = 1_u64;
    let mut below = |limit: usize| {
        // Marsaglia's xorshift: the same numbers in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % limit as u64).unwrap()
    };
    let numbers =
        [0, 1, -1, 8, 64, 0x7f, 0x8000, i64::from(i32::MIN), i64::from(i32::MAX), i64::MIN, i64::MAX, 1 << 40];
    let damaged = (0..rounds(1000, 50_000)).map(|round| {
        let mut bytes = whole.clone();
        for _ in 0..=below(3) {
            let len = [1, 2, 4, 8][below(4)];
            let at = below(whole.len() / len) * len;
            bytes[at..at + len].copy_from_slice(&numbers[below(numbers.len())].to_le_bytes()[..len]);
        }
        (format!("round {round}"), bytes)
    });
    assert!(errors(damaged) > rounds(100, 5000));
}
