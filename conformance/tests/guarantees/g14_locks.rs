//! G14, one process at a time has a lock, and the next is told when its owner dies.

use std::io::{BufRead, BufReader};
use std::thread;
use std::time::Duration;

use heirloom::{Child, Command, ErrorKind, LockMapping, Locked, Region, Stdio};
use heirloom_conformance::{emulated, rounds, single_step, skip, text};

use crate::child;

/// Longer than any wait here but for a hang.
const LONG: Duration = Duration::from_secs(60);
const WAITS: u32 = 1 << 31;

/// How a lock was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Clean,
    OwnerDied,
    /// It is still taken.
    Taken,
}

/// Releases a lock that was taken.
fn left(locked: Option<Locked<'_>>) -> Left {
    let Some(locked) = locked else { return Left::Taken };
    if matches!(locked, Locked::Clean(_)) { Left::Clean } else { Left::OwnerDied }
}

fn region() -> (Region, LockMapping) {
    let region = Region::create(4096).unwrap();
    let view = region.map_with_locks().unwrap();
    (region, view)
}

fn command(what: &str, region: &Region) -> Command {
    let mut command = child(&["lock", what, "shared"]);
    command.inherit("shared", region).unwrap().stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Starts a child, and waits until it says that it is ready. It ends when its standard input does.
fn ready(what: &str, region: &Region) -> Child {
    let mut child = command(what, region).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn numbers(view: &LockMapping) -> (u64, u64) {
    (view.load_u64(8).unwrap(), view.load_u64(16).unwrap())
}

#[test]
fn g14_one_thread_of_all_processes_has_the_lock() {
    let (region, view) = region();
    let count = rounds(20_000, 1_000_000);
    let start = || {
        let mut command = child(&["lock", "add", "shared", &count.to_string()]);
        command.inherit("shared", &region).unwrap().spawn().unwrap()
    };
    for mut child in [start(), start(), start()] {
        assert!(child.wait().unwrap().success());
    }
    let sum = 3 * 2 * count as u64;
    assert_eq!(numbers(&view), (sum, sum));
    assert_eq!(view.load_u32(0).unwrap(), 0);
}

#[test]
fn g14_blocked_waiter_is_told_of_a_death() {
    let (region, view) = region();
    let mut child = ready("hold", &region);
    // Control: it waits while the child lives.
    assert_eq!(left(view.lock_timeout(0, Duration::from_millis(200)).unwrap()), Left::Taken);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| left(view.lock_timeout(0, LONG).unwrap()));
        child.kill().unwrap();
        assert_eq!(waiter.join().unwrap(), Left::OwnerDied);
    });
    child.wait().unwrap();
    // It was told once, and released the lock.
    assert_eq!(left(view.try_lock(0).unwrap()), Left::Clean);
}

#[test]
fn g14_call_that_does_not_wait_is_told_of_a_death() {
    let (region, view) = region();
    let mut child = ready("hold", &region);
    assert_eq!(left(view.try_lock(0).unwrap()), Left::Taken);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(view.try_lock(0).unwrap()), Left::OwnerDied);
}

#[test]
fn g14_lock_of_a_process_that_ends_itself_is_told() {
    // Standard input that ends lets it return from `main` with the guard dropped.
    let (region, view) = region();
    let mut child = ready("hold", &region);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(left(view.try_lock(0).unwrap()), Left::Clean);
    // One that kills itself leaves the lock.
    assert!(!command("die", &region).status().unwrap().success());
    assert_eq!(left(view.try_lock(0).unwrap()), Left::OwnerDied);
}

#[test]
fn g14_panic_counts_as_a_death() {
    let (region, view) = region();
    for (what, expected) in
        [("panic", Left::OwnerDied), ("lock-in-panic", Left::Clean), ("forget", Left::OwnerDied), ("hold", Left::Taken)]
    {
        let mut child = ready(what, &region);
        assert_eq!(left(view.try_lock(0).unwrap()), expected, "{what}");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert_eq!(left(view.try_lock(0).unwrap()), Left::Clean, "{what}");
    }
}

#[test]
fn g14_executing_another_program_counts_as_a_death() {
    let (region, view) = region();
    let mut child = command("exec", &region).spawn().unwrap();
    assert_eq!(left(lock_after_another(&view)), Left::OwnerDied);
    // The process still runs, as `cat`.
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// Waits until another process has taken the lock, and takes it after that.
fn lock_after_another(view: &LockMapping) -> Option<Locked<'_>> {
    assert!(view.wait_timeout(0, 0, LONG).unwrap().is_some());
    view.lock_timeout(0, LONG).unwrap()
}

#[test]
fn g14_fork_has_no_lock_of_its_parent() {
    let (region, _view) = region();
    let forked = "Forked: cannot take the lock at offset 4: a fork made this process after the region was mapped with \
                  locks; call Region::map_with_locks in this process\n";
    let expected = format!("{forked}the parent's: false\na free one: true\nreleased: true\n");
    assert_eq!(text(command("fork", &region).output().unwrap()), expected);
}

#[test]
fn g14_waiting_uses_no_processor() {
    let (region, view) = region();
    let _locked = view.lock(0).unwrap();
    assert_eq!(text(command("idle", &region).output().unwrap()), "true in at most 20 ms\n");
}

#[test]
fn g14_number_that_no_owner_has_counts_as_a_death() {
    let (_region, view) = region();
    let word = view.atomic_u32(0).unwrap();
    for number in [1, 0x2AAA_AAAA, 1 | WAITS, (1 << 30) - 1, 1 << 30, 1 << 30 | WAITS] {
        word.store(number);
        assert_eq!(left(view.try_lock(0).unwrap()), Left::OwnerDied, "{number:#x}");
        assert_eq!(left(view.lock(0).map(Some).unwrap()), Left::Clean, "{number:#x}");
    }
    // The owner of a lock that another process overwrote leaves that as it is.
    let guard = view.lock(0).unwrap();
    word.store(7);
    drop(guard);
    assert_eq!(word.load(), 7);
    // A number that lives keeps the lock: the control.
    let other = view.lock(4).unwrap();
    word.store(view.load_u32(4).unwrap());
    assert_eq!(left(view.try_lock(0).unwrap()), Left::Taken);
    drop(other);
}

#[test]
fn g14_holder_that_claims_every_number_is_an_error() {
    let region = Region::create(4096).unwrap();
    let mut child = ready("claim-every-number", &region);
    let error = region.map_with_locks().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::System);
    assert!(error.to_string().starts_with("cannot prepare the locks of a region of 4096 bytes: "), "{error}");
    // Control.
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    drop(region.map_with_locks().unwrap());
}

#[test]
fn g14_limit_of_time_holds_beside_a_holder_that_goes_on_writing() {
    let (region, view) = region();
    let mut child = ready("go-on-writing", &region);
    // Each look at an owner takes the kernel milliseconds, and the word is another one then. The answer may be any.
    for timeout in [Duration::ZERO, Duration::from_millis(1)] {
        left(view.lock_timeout(0, timeout).unwrap());
    }
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// Kills a child after each instruction of taking a lock, writing under it and releasing it, where the lock is `word` before.
fn kill_after_every_instruction(word: u32) {
    if emulated() {
        return skip("the emulator has no ptrace");
    }
    let start = || {
        let (region, view) = region();
        view.atomic_u32(0).unwrap().store(word);
        let child = child(&["lock", "traced-add", "shared"]).inherit("shared", &region).unwrap().spawn().unwrap();
        (child, view)
    };
    let (mut torn, mut dead, mut whole) = (0, 0, 0);
    let length = single_step::at_every_instruction(24, start, |mut child, view, instructions| {
        thread::scope(|scope| {
            // It waits before or after the death.
            let waiter = scope.spawn(|| {
                let locked = view.lock_timeout(0, LONG).unwrap();
                // As they are while this thread has the lock.
                (numbers(&view), left(locked))
            });
            child.kill().unwrap();
            let ((first, second), left) = waiter.join().unwrap();
            match left {
                Left::Taken => panic!("a dead process still has the lock after {instructions}"),
                Left::Clean => assert_eq!(first, second, "after {instructions}"),
                Left::OwnerDied => {
                    dead += 1;
                    torn += usize::from(first != second);
                }
            }
            whole += usize::from((first, second) == (1, 1));
        });
        child.wait().unwrap();
    });
    // The operation was there.
    assert!(length > 50 && torn > 0 && dead > torn && whole > 0, "{length} {torn} {dead} {whole}");
}

#[test]
fn g14_owner_killed_at_any_instruction_is_told() {
    kill_after_every_instruction(0);
}

#[test]
fn g14_owner_of_a_lock_that_others_wait_for_killed_at_any_instruction_is_told() {
    kill_after_every_instruction(WAITS);
}

#[test]
fn g14_heir_of_a_dead_owner_killed_at_any_instruction_is_told() {
    kill_after_every_instruction(1 | WAITS);
}
