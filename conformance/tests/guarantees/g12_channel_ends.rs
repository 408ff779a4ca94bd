//! G12, an end of a channel learns of its peer's death, and what was sent whole before arrives.

use std::thread;
use std::time::Duration;

use heirloom::{ErrorKind, Stdio, channel};

use crate::{CHILD, child};

pub(crate) fn kind_of_error<T>(result: heirloom::Result<T>) -> Result<T, ErrorKind> {
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
        // For good.
        assert_eq!(kind_of_error(sender.try_send(&[7; 1000])), Err(ErrorKind::PeerGone));
        assert!(!child.wait().unwrap().success());
    }
}

#[test]
fn g12_other_children_do_not_hide_a_death() {
    // They live while the one that has the end dies. The standard library's command passes all that is inheritable.
    let waits = || {
        let mut command = std::process::Command::new(CHILD);
        command.arg("cat").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut before = waits();
    let mut command = child(&["channel", "send-and-die", "answers", "1"]);
    let mut child = command.inherit_end("answers", sender).unwrap().spawn().unwrap();
    let mut after = waits();
    assert_eq!(receiver.recv().unwrap().to_vec(), 0_u32.to_ne_bytes());
    assert_eq!(kind_of_error(receiver.recv().map(drop)), Err(ErrorKind::PeerGone));
    for other in [&mut before, &mut after] {
        assert!(other.try_wait().unwrap().is_none());
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
    }
    assert!(!child.wait().unwrap().success());
}
