//! G13, a peer that breaks a channel's protocol is found out or only sends wrong bytes.

use std::time::Duration;

use heirloom::{Child, ErrorKind, Stdio, channel};

use crate::child;

const LONG: Duration = Duration::from_secs(60);

fn liar(lie: &str, end: impl heirloom::ChannelEnd) -> Child {
    let mut command = child(&["channel", "lie", "end", lie]);
    command.inherit_end("end", end).unwrap().stdin(Stdio::piped()).spawn().unwrap()
}

#[test]
fn g13_receiver_finds_a_lying_sender_out() {
    for (lie, why) in [
        ("tail-beyond-the-ring", "its position is outside of the ring"),
        ("tail-before-the-head", "its position is outside of the ring"),
        ("message-longer-than-sent", "a message is longer than what was sent"),
        ("message-longer-than-allowed", "a message is longer than what was sent"),
        ("message-of-4-gib", "a message is longer than what was sent"),
        ("wrap-of-everything", "the ring goes on at its start, where nothing was sent"),
    ] {
        let (sender, mut receiver) = channel(4096).unwrap();
        let mut child = liar(lie, sender);
        let error = receiver.recv_timeout(LONG).unwrap_err();
        let message = format!("cannot go on with the sender of a channel, which broke the protocol: {why}");
        assert_eq!((error.kind(), error.message()), (ErrorKind::PeerBroken, &*message), "{lie}");
        // For good.
        assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::PeerBroken);
        assert!(!receiver.arm().unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::PeerBroken);
    }
    // The control writes a message by the same means.
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut child = liar("none", sender);
    assert_eq!(receiver.recv_timeout(LONG).unwrap().unwrap().len(), 8);
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn g13_sender_finds_a_lying_receiver_out() {
    for lie in ["head-beyond-the-tail", "head-before-the-head"] {
        let (mut sender, receiver) = channel(4096).unwrap();
        while sender.try_send(&[7; 1000]).unwrap() {}
        let mut child = liar(lie, receiver);
        let error = sender.send_timeout(&[7; 1000], LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PeerBroken, "{lie}: {error}");
        assert_eq!(sender.send(b"x").unwrap_err().kind(), ErrorKind::PeerBroken);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn g13_rings_without_a_reason_are_ignored() {
    let (sender, mut receiver) = channel(4096).unwrap();
    let mut child = liar("only-rings", sender);
    assert!(receiver.recv_timeout(Duration::from_millis(500)).unwrap().is_none());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(receiver.recv().map(drop).unwrap_err().kind(), ErrorKind::PeerGone);
}

#[test]
fn g13_scribbling_peer_ends_in_an_error() {
    // Every message is within the ring, and the end is one of both errors. What arrives before may be anything.
    for _ in 0..heirloom_conformance::rounds(3, 100) {
        let (sender, mut receiver) = channel(4096).unwrap();
        let mut child = liar("scribble", sender);
        let kind = loop {
            match receiver.recv() {
                Ok(message) => assert!(message.to_vec().len() <= 2040),
                Err(error) => break error.kind(),
            }
        };
        assert!(matches!(kind, ErrorKind::PeerBroken | ErrorKind::PeerGone), "{kind}");
        drop(receiver);
        child.wait().unwrap();

        let (mut sender, receiver) = channel(4096).unwrap();
        let mut child = liar("scribble", receiver);
        let kind = loop {
            if let Err(error) = sender.send(&[7; 1000]) {
                break error.kind();
            }
        };
        assert!(matches!(kind, ErrorKind::PeerBroken | ErrorKind::PeerGone), "{kind}");
        drop(sender);
        child.wait().unwrap();
    }
}
