//! G12 on Linux: a death at any instruction, copies of an end in a forked process, and no signal.

use std::thread;
use std::time::Duration;

use heirloom::{Child, ErrorKind, Receiver, Sender, Stdio, channel};
use heirloom_conformance::{emulated, single_step, skip};

use crate::child;
use crate::g12_channel_ends::kind_of_error;

/// Returns a channel whose next message of more than 48 bytes begins at the ring's end and goes on at its start.
fn almost_wrapped() -> (Sender, Receiver) {
    let (mut sender, mut receiver) = channel(4096).unwrap();
    for len in [2040, 1992] {
        sender.send(&vec![0xEE; len]).unwrap();
        drop(receiver.recv().unwrap());
    }
    (sender, receiver)
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
