//! Waiting for a number to change, and waking.

use std::time::{Duration, Instant};

use heirloom::{ErrorKind, Mapping, Region};

use crate::child;

const LONG: Duration = Duration::from_secs(60);
const ROUNDS: u32 = 60;

/// Asks a child `ROUNDS` questions, one after the other.
fn ask(questions: &Mapping, answers: &Mapping, wake: impl Fn()) {
    for number in 1..=ROUNDS {
        questions.atomic_u32(0).unwrap().store(number);
        wake();
        assert_eq!(answers.wait_timeout(0, number - 1, LONG).unwrap(), Some(number));
    }
}

/// Without wakes, each round would take the second after which a waiter looks again, see `change_is_seen_without_a_wake`.
#[test]
fn wakes_reach_other_processes_at_once() {
    let rounds = ROUNDS.to_string();
    for kind in ["region", "read-only"] {
        for one in [true, false] {
            let (answers, questions) = (Region::create(4096).unwrap(), Region::create(4096).unwrap());
            let mut command = child(&["answer", &format!("{kind}:questions"), &rounds]);
            command.inherit("answers", &answers).unwrap();
            let view = if kind == "region" {
                command.inherit("questions", &questions).unwrap();
                questions.map().unwrap()
            } else {
                let (reader, writer) = questions.into_read_only().unwrap();
                command.inherit("questions", &reader).unwrap();
                writer
            };
            let mut child = command.spawn().unwrap();
            let start = Instant::now();
            let wake = || if one { view.wake_one(0) } else { view.wake_all(0) }.unwrap();
            ask(&view, &answers.map().unwrap(), wake);
            assert!(child.wait().unwrap().success());
            assert!(start.elapsed() < Duration::from_secs(u64::from(ROUNDS) / 2), "{kind}: the wakes were not heard");
        }
    }
}

#[test]
fn timeout_ends_a_wait() {
    let view = Region::create(4096).unwrap().map().unwrap();
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(5)] {
        let start = Instant::now();
        assert_eq!(view.wait_timeout(4, 0, timeout).unwrap(), None);
        assert!(start.elapsed() >= timeout);
    }
    // A number that differs is returned without a wait, whatever the timeout.
    view.atomic_u32(4).unwrap().store(9);
    for timeout in [Duration::ZERO, Duration::MAX] {
        assert_eq!(view.wait_timeout(4, 0, timeout).unwrap(), Some(9));
    }
    assert_eq!(view.wait(4, 0).unwrap(), 9);
}

#[test]
fn numbers_outside_or_misaligned_are_errors() {
    let (region, writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    let reader = region.map().unwrap();
    for (offset, kind) in [
        (4096, ErrorKind::OutOfBounds),
        (4093, ErrorKind::OutOfBounds),
        (usize::MAX, ErrorKind::OutOfBounds),
        (2, ErrorKind::Misaligned),
        (4091, ErrorKind::Misaligned),
    ] {
        assert_eq!(writer.wait(offset, 1).unwrap_err().kind(), kind, "{offset}");
        assert_eq!(reader.wait(offset, 1).unwrap_err().kind(), kind, "{offset}");
        assert_eq!(reader.wait_timeout(offset, 1, LONG).unwrap_err().kind(), kind, "{offset}");
        assert_eq!(writer.wake_one(offset).unwrap_err().kind(), kind, "{offset}");
        assert_eq!(writer.wake_all(offset).unwrap_err().kind(), kind, "{offset}");
    }
    assert_eq!(reader.wait(4092, 1).unwrap(), 0);
    writer.wake_all(4092).unwrap();
}
