//! G12, an end of a channel learns of its peer's death, and what was sent whole before arrives.

use std::thread;
use std::time::Duration;

use heirloom::{Child, ErrorKind, Receiver, Sender, Stdio, channel};
use heirloom_conformance::{emulated, single_step, skip};

use crate::child;

/// Returns a channel whose next message of more than 48 bytes begins at the ring's end and goes on at its start.
fn almost_wrapped() -> (Sender, Receiver) {
    let (mut sender, mut receiver) = channel(4096).unwrap();
    for len in [2040, 1992] {
        sender.send(&vec![0xEE; len]).unwrap();
        drop(receiver.recv().unwrap());
    }
    (sender, receiver)
}

fn kind_of_error<T>(result: heirloom::Result<T>) -> Result<T, ErrorKind> {
    result.map_err(|error| error.kind())
}

#[test]
fn g12_everything_sent_before_a_death_arrives() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut command = child(&["channel", "send-and-die", "answers", "100"]);
    let mut child = command.inherit_end("answers", sender).unwrap().spawn().unwrap();
    // Dead before the first is received: the 100 messages fit the ring.
    assert!(!child.wait().unwrap().success());
    for index in 0..100_u32 {
        assert_eq!(receiver.recv().unwrap().to_vec(), index.to_ne_bytes());
    }
    assert_eq!(kind_of_error(receiver.recv().map(drop)), Err(ErrorKind::PeerGone));
    // For good.
    assert_eq!(kind_of_error(receiver.try_recv().map(drop)), Err(ErrorKind::PeerGone));
    assert_eq!(kind_of_error(receiver.recv_timeout(Duration::ZERO).map(drop)), Err(ErrorKind::PeerGone));
}

#[test]
fn g12_calls_that_do_not_wait_are_told_of_a_death() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut command = child(&["channel", "send-and-die", "answers", "0"]);
    let mut started = command.inherit_end("answers", sender).unwrap().spawn().unwrap();
    started.wait().unwrap();
    assert_eq!(kind_of_error(receiver.recv_timeout(Duration::ZERO).map(drop)), Err(ErrorKind::PeerGone));

    let (mut sender, receiver) = channel(4096).unwrap();
    while sender.try_send(&[7; 1000]).unwrap() {}
    let mut command = child(&["channel", "receive-and-die", "jobs", "0"]);
    let mut started = command.inherit_end("jobs", receiver).unwrap().spawn().unwrap();
    started.wait().unwrap();
    assert_eq!(kind_of_error(sender.send_timeout(&[7; 1000], Duration::from_nanos(1))), Err(ErrorKind::PeerGone));
}

#[test]
fn g12_message_of_a_sender_that_died_before_it_rang_arrives() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut command = child(&["channel", "lie", "answers", "unrung"]);
    let mut child = command.inherit_end("answers", sender).unwrap().spawn().unwrap();
    assert_eq!(receiver.recv().unwrap().len(), 8);
    assert_eq!(kind_of_error(receiver.recv().map(drop)), Err(ErrorKind::PeerGone));
    child.wait().unwrap();
}

#[test]
fn g12_blocked_receiver_is_told_of_a_death() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut command = child(&["channel", "hold", "answers"]);
    let mut child = command.inherit_end("answers", sender).unwrap().stdin(Stdio::piped()).spawn().unwrap();
    // Control: it waits while the child lives.
    assert!(receiver.recv_timeout(Duration::from_millis(200)).unwrap().is_none());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| kind_of_error(receiver.recv().map(drop)));
        child.kill().unwrap();
        assert_eq!(waiter.join().unwrap(), Err(ErrorKind::PeerGone));
    });
    child.wait().unwrap();
}

#[test]
fn g12_blocked_sender_is_told_of_a_death() {
    for received in ["0", "3"] {
        let (mut sender, receiver) = channel(4096).unwrap();
        let mut command = child(&["channel", "receive-and-die", "jobs", received]);
        let mut child = command.inherit_end("jobs", receiver).unwrap().spawn().unwrap();
        let gone = loop {
            if let Err(error) = sender.send(&[7; 1000]) {
                break error;
            }
        };
        assert_eq!(gone.kind(), ErrorKind::PeerGone);
        let message = "cannot send: the receiver of the channel is closed, or its process has ended";
        assert_eq!(gone.to_string(), message);
        // No signal: the program of this test would be dead of SIGPIPE, which it doesn't ignore here.
        assert_eq!(kind_of_error(sender.try_send(&[7; 1000])), Err(ErrorKind::PeerGone));
        assert!(!child.wait().unwrap().success());
    }
}

#[test]
fn g12_closed_end_is_noticed_though_copies_are_left() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut command = child(&["channel", "close-beside-a-fork", "answers"]);
    let mut child = command.inherit_end("answers", sender).unwrap().stdin(Stdio::piped()).spawn().unwrap();
    let gone = receiver.recv_timeout(Duration::from_secs(20)).map(|message| message.is_some());
    assert_eq!(kind_of_error(gone), Err(ErrorKind::PeerGone));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn g12_ringing_a_dead_peer_sends_no_signal() {
    // Rust's runtime ignores SIGPIPE in this program, so a child with the default action does it.
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut command = child(&["channel", "ring-the-dead", "jobs"]);
    let child = command.inherit_end("jobs", sender).unwrap().stdout(Stdio::piped()).spawn().unwrap();
    // Asleep, so that it is rung.
    assert!(receiver.arm().unwrap());
    drop(receiver);
    assert_eq!(child.wait_with_output().unwrap().stdout, b"sent\n");
}

/// Kills a child after each instruction of its operation. `start` makes the child's peer, and `check` says whether what that saw
/// is right.
fn kill_after_every_instruction<T>(start: impl FnMut() -> (Child, T), mut check: impl FnMut(T, Child, usize)) {
    let length = single_step::at_every_instruction(32, start, |mut child, peer, instructions| {
        child.kill().unwrap();
        check(peer, child, instructions);
    });
    // Far more than a few: the operation was there.
    assert!(length > 100, "{length}");
}

#[test]
fn g12_sender_killed_at_any_instruction_leaves_whole_messages() {
    if emulated() {
        return skip("the emulator has no ptrace");
    }
    let message: Vec<u8> = (0..200).collect();
    let mut whole = 0;
    let start = || {
        let (sender, receiver) = almost_wrapped();
        let mut command = child(&["channel", "traced-send", "answers"]);
        let child = command.inherit_end("answers", sender).unwrap().spawn().unwrap();
        let waiter = thread::spawn(move || {
            let mut receiver = receiver;
            let mut messages = Vec::new();
            loop {
                match receiver.recv() {
                    Ok(message) => messages.push(message.to_vec()),
                    Err(error) => break (messages, error.kind()),
                }
            }
        });
        (child, waiter)
    };
    kill_after_every_instruction(start, |waiter, mut child, instructions| {
        child.wait().unwrap();
        let (received, kind) = waiter.join().unwrap();
        assert_eq!(kind, ErrorKind::PeerGone, "after {instructions}");
        assert!(received.is_empty() || received == [message.clone()], "after {instructions}: {received:?}");
        whole += received.len();
    });
    assert!(whole > 0);
}

#[test]
fn g12_receiver_killed_at_any_instruction_ends_the_sender() {
    if emulated() {
        return skip("the emulator has no ptrace");
    }
    let start = || {
        let (mut sender, receiver) = almost_wrapped();
        let mut command = child(&["channel", "traced-receive", "jobs"]);
        sender.send(&[7; 1000]).unwrap();
        let child = command.inherit_end("jobs", receiver).unwrap().spawn().unwrap();
        let waiter = thread::spawn(move || {
            let mut sent = 1;
            loop {
                match sender.send(&[7; 1000]) {
                    Ok(()) => sent += 1,
                    Err(error) => break (sent, error.kind()),
                }
            }
        });
        (child, waiter)
    };
    kill_after_every_instruction(start, |waiter, mut child, instructions| {
        child.wait().unwrap();
        let (sent, kind) = waiter.join().unwrap();
        // The ring holds three or four, and one was received at most.
        assert!(kind == ErrorKind::PeerGone && sent <= 5, "after {instructions}: {sent} {kind}");
    });
}
