//! tokio: its `Command` with the extension trait, and heirloom's `Child` through its pidfd.

#![allow(unsafe_code)]

use heirloom::os::linux::ChildExt;
use heirloom::os::unix::InheritExt;
use heirloom::{Command, ErrorKind, Receiver, Region, Result, Sender, Stdio, channel};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;

use crate::CHILD;

#[test]
fn tokio_command_passes_regions() {
    let region = Region::create(4096).unwrap();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut command = tokio::process::Command::new(CHILD);
        command.args(["write", "a", "from tokio"]);
        command.as_std_mut().inherit("a", &region).unwrap();
        assert!(command.status().await.unwrap().success());
    });
    let mut seen = [0; 10];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"from tokio");
}

#[test]
fn tokio_waits_for_child_by_pidfd() {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut child = Command::new("cat").stdin(heirloom::Stdio::piped()).spawn().unwrap();
        // SAFETY: An `OwnedFd` stays open under one number for its lifetime.
        let ended = unsafe { AsyncFd::register(child.pidfd().unwrap()) }.unwrap();
        drop(child.stdin.take());
        drop(ended.readable().await.unwrap());
        assert!(child.try_wait().unwrap().unwrap().success());
    });
}

/// Receives without blocking the runtime's thread.
async fn recv(receiver: &mut AsyncFd<Receiver>) -> Result<Vec<u8>> {
    loop {
        if let Some(message) = receiver.get_mut().try_recv()? {
            return Ok(message.to_vec());
        }
        if receiver.get_mut().arm()? {
            receiver.readable().await.unwrap().clear_ready();
        }
    }
}

/// Sends without blocking the runtime's thread.
async fn send(sender: &mut AsyncFd<Sender>, message: &[u8]) -> Result<()> {
    while !sender.get_mut().try_send(message)? {
        if sender.get_mut().arm(message.len())? {
            sender.readable().await.unwrap().clear_ready();
        }
    }
    Ok(())
}

#[test]
fn tokio_sends_and_receives_messages() {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let ((questions, asked), (answered, answers)) = (channel(4096).unwrap(), channel(4096).unwrap());
        let mut command = Command::new(CHILD);
        command.args(["channel", "echo", "questions", "answers"]).stdout(Stdio::null());
        command.inherit_end("questions", asked).unwrap().inherit_end("answers", answered).unwrap();
        let mut child = command.spawn().unwrap();
        // SAFETY: An end has one descriptor to hear, for its lifetime.
        let (mut questions, mut answers) =
            unsafe { (AsyncFd::register(questions).unwrap(), AsyncFd::register(answers).unwrap()) };
        // Both directions at once, with both rings full for most of the time.
        let asking = tokio::spawn(async move {
            for index in 0..1000_u32 {
                send(&mut questions, &index.to_ne_bytes().repeat(200)).await.unwrap();
            }
        });
        let answering = tokio::spawn(async move {
            for index in 0..1000_u32 {
                assert_eq!(recv(&mut answers).await.unwrap(), index.to_ne_bytes().repeat(200));
            }
            assert_eq!(recv(&mut answers).await.unwrap_err().kind(), ErrorKind::PeerGone);
        });
        asking.await.unwrap();
        answering.await.unwrap();
        assert!(child.wait().unwrap().success());
    });
}
