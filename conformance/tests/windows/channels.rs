//! Channels: their handles, and the pipes behind them. `g12_` and `g13_` have the guarantees.

use std::fs::File;
use std::io::Read;
use std::thread;
use std::time::Duration;

use heirloom::{ErrorKind, Region, Sender, Stdio, channel};
use heirloom_conformance::{hostile, is_inheritable, number};

use crate::child;

/// The fields of an end's string, after those of its memory: numbers and identities of the two pipes.
const HEARS: usize = 7;
const RINGS: usize = 10;

/// An export string with one field replaced.
fn with(string: &str, index: usize, value: &str) -> String {
    let mut fields: Vec<_> = string.split(':').collect();
    fields[index] = value;
    fields.join(":")
}

#[test]
fn mismatched_end_leaves_handles_untouched() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let exported = sender.export_inheritable().unwrap();
    let string = exported.as_str();
    let fields: Vec<&str> = string.split(':').collect();
    let [own, hears, rings] = [0, HEARS, RINGS].map(|field| fields[field].parse::<i32>().unwrap());
    let file = tempfile::tempfile().unwrap();
    let section = hostile::control().unwrap();
    let region = Region::create(4096).unwrap().export().unwrap();
    let regions = region.as_str().split(':').next().unwrap().to_owned();
    // A pipe that a thread reads: asking the system for more than its rights would wait for that thread.
    let mut echo = child(&["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = echo.stdout.take().unwrap();
    let busy = number(&output);
    thread::scope(|scope| {
        let reader = scope.spawn(move || output.read_to_end(&mut Vec::new()).unwrap());
        for (bad, kind) in [
            (with(string, 0, &hears.to_string()), ErrorKind::Mismatch),
            (with(string, 0, &regions), ErrorKind::Mismatch),
            (with(string, HEARS, &own.to_string()), ErrorKind::Mismatch),
            (with(string, HEARS, &rings.to_string()), ErrorKind::Mismatch),
            (with(string, HEARS, &number(&file).to_string()), ErrorKind::Mismatch),
            (with(string, HEARS, &number(&section).to_string()), ErrorKind::Mismatch),
            (with(string, HEARS, &busy.to_string()), ErrorKind::Mismatch),
            (with(string, RINGS, &busy.to_string()), ErrorKind::Mismatch),
            // Windows ignores the two low bits of a handle, so this would be the same one.
            (with(string, HEARS, &(hears + 1).to_string()), ErrorKind::Mismatch),
            (with(string, HEARS, "0"), ErrorKind::Mismatch),
            (with(string, HEARS, "2147483644"), ErrorKind::Mismatch),
            (with(string, HEARS + 1, "1"), ErrorKind::Mismatch),
            (with(string, HEARS + 2, "1"), ErrorKind::Mismatch),
            (with(string, RINGS + 2, "1"), ErrorKind::Mismatch),
            (with(string, 4, "4096"), ErrorKind::Mismatch),
            (with(string, 3, "receiver"), ErrorKind::WrongKind),
            (format!("{string}:"), ErrorKind::Malformed),
        ] {
            let error = Sender::import(&bad).unwrap_err();
            assert_eq!(error.kind(), kind, "{bad}: {error}");
        }
        drop(echo.stdin.take());
        assert_eq!(reader.join().unwrap(), 0);
    });
    assert!(echo.wait().unwrap().success());
    // The pipes of the other end, each for what it is.
    let swapped = [&fields[..HEARS], &fields[RINGS..], &fields[HEARS..RINGS]].concat().join(":");
    let error = Sender::import(&swapped).unwrap_err();
    assert!(error.to_string().contains("it is another end of the pipe"), "{error}");
    // Rejected handles are unchanged. The control: the true string is accepted.
    assert_eq!([own, hears, rings].map(is_inheritable), [true; 3]);
    assert!(file.metadata().is_ok());
    Sender::import(string).unwrap().send(b"message").unwrap();
    assert_eq!(receiver.recv().unwrap().to_vec(), b"message");
}

#[test]
fn closed_end_is_told_though_its_handles_are_left() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let exported = sender.export_inheritable().unwrap();
    let imported = Sender::import(exported.as_str()).unwrap();
    // Control: it waits while the end is there.
    assert!(receiver.recv_timeout(Duration::from_millis(50)).unwrap().is_none());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| receiver.recv().map(drop).unwrap_err().kind());
        drop(imported);
        assert_eq!(waiter.join().unwrap(), ErrorKind::PeerGone);
    });
    drop(exported);
}

#[test]
fn nobody_else_connects_to_a_pipe_by_its_name() {
    let (sender, receiver) = channel(4096).unwrap();
    let exported = sender.export_inheritable().unwrap();
    let numbers: Vec<u64> = exported.as_str().split(':').map(|field| field.parse().unwrap_or(0)).collect();
    let names = [HEARS, RINGS]
        .map(|field| format!(r"\\.\pipe\heirloom-{:016x}{:016x}", numbers[field + 1], numbers[field + 2]));
    let open = |name: &str| File::options().write(true).open(name).unwrap_err().raw_os_error();
    let (not_found, busy) = (Some(2), Some(231));
    assert_eq!(names.each_ref().map(|name| open(name)), [busy; 2]);
    // Nor once the peer is gone.
    drop(receiver);
    assert_eq!(names.each_ref().map(|name| open(name)), [busy, not_found]);
    // A name ends with its pipe. The control of the above, too.
    drop(exported);
    assert_eq!(names.each_ref().map(|name| open(name)), [not_found; 2]);
}
