//! Channels: their descriptors, event loops, and the standard library's command.

use std::time::Duration;

use heirloom::os::unix::InheritExt;
use heirloom::{Child, ErrorKind, Sender, Stdio};
use heirloom_conformance::{descriptors, output, rounds};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::channels::{LONG, channel_child, fill, small};
use crate::{CHILD, child};

#[test]
fn standard_command_passes_ends() {
    let (sender, mut receiver) = small();
    let mut command = std::process::Command::new(CHILD);
    command.args(["channel", "send-and-die", "answers", "1"]).inherit_end("answers", sender).unwrap();
    let mut child = command.spawn().unwrap();
    drop(command);
    assert_eq!(receiver.recv().unwrap().to_vec(), 0_u32.to_ne_bytes());
    assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::PeerGone);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn other_children_do_not_inherit_ends() {
    let (_sender, _receiver) = small();
    let descriptors = output(&mut child(&["descriptors"]));
    assert!(!descriptors.contains("heirloom/channel"), "{descriptors}");
}

/// Waits until a descriptor is readable; false if it isn't now.
fn is_readable(end: &impl std::os::fd::AsFd, timeout: Duration) -> bool {
    let timeout = Timespec::try_from(timeout).unwrap();
    poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

#[test]
fn armed_end_is_readable_when_its_peer_moves() {
    let (mut sender, mut receiver) = small();
    for _ in 0..100 {
        assert!(receiver.arm().unwrap());
        assert!(!is_readable(&receiver, Duration::ZERO));
        sender.send(b"message").unwrap();
        assert!(is_readable(&receiver, LONG));
        assert!(!receiver.arm().unwrap());
        assert!(receiver.try_recv().unwrap().is_some());
        assert!(receiver.try_recv().unwrap().is_none());
    }
    fill(&mut sender);
    assert!(sender.arm(1000).unwrap());
    assert!(!is_readable(&sender, Duration::ZERO));
    drop(receiver.recv().unwrap());
    assert!(is_readable(&sender, LONG));
    assert!(!sender.arm(1000).unwrap());
    assert!(sender.try_send(&[7; 1000]).unwrap());

    assert!(sender.arm(1000).unwrap());
    drop(receiver);
    assert!(is_readable(&sender, LONG));
    assert!(!sender.arm(1000).unwrap());
    assert_eq!(sender.try_send(&[7; 1000]).unwrap_err().kind(), ErrorKind::PeerGone);
}

#[test]
fn waiting_for_a_message_takes_no_processor_time() {
    let (_sender, receiver) = small();
    let mut command = channel_child(&["idle", "jobs"]);
    assert_eq!(output(command.inherit_end("jobs", receiver).unwrap()), "true in at most 20 ms\n");
}

#[test]
fn killed_children_leave_no_descriptor() {
    let before = descriptors().len();
    for _ in 0..rounds(100, 10_000) {
        let (sender, mut receiver) = small();
        let mut child = held(sender);
        child.kill().unwrap();
        assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::PeerGone);
        child.wait().unwrap();
    }
    // Other tests of this process open and close some meanwhile.
    assert!(descriptors().len() < before + 50);
}

/// Starts a child that holds a sender.
fn held(sender: Sender) -> Child {
    let mut command = channel_child(&["hold", "answers"]);
    command.inherit_end("answers", sender).unwrap().stdin(Stdio::piped()).spawn().unwrap()
}
