//! The channel in every interleaving of its ends, as far as each test says.
//!
//! A message that is lost or not whole fails a comparison, a wake that is lost is a deadlock, and bytes that an end uses before
//! they are its own are a race.

#![allow(unsafe_code)]

use std::sync::Arc;

use loom::thread;

use super::layout::{Position, offsets, size_for};
use super::{End, EndParts, Receiver, Role, Sender};
use crate::sys::Doorbell;
use crate::{ErrorKind, Region, interleavings};

/// The lengths of the messages. In a ring of 4096 bytes they begin one unit before its middle: the second one goes on at the
/// start and leaves one unit free, so the third one waits for the first, whose frame it overwrites, and the fourth one for more.
const LENGTHS: [usize; 4] = [2040, 2024, 8, 2040];

fn message(index: u8) -> Vec<u8> {
    vec![index + 1; LENGTHS[usize::from(index)]]
}

/// Runs `test` with the ends of an empty channel.
fn check(preemptions: usize, test: impl Fn(Sender, Receiver) + Send + Sync + 'static) {
    // Positions go on at 0 with the ring.
    let start = Position::of(0).plus(257_u32.wrapping_neg()).awake();
    let numbers = Role::ALL.map(offsets).map(|offsets| [(offsets.word, start), (offsets.closed, 0)]).concat();
    let region = Region::create(size_for(4096)).unwrap();
    interleavings::check(preemptions, region, &numbers, move |region, view| {
        let end = |doorbell, role| {
            // SAFETY: The mapping outlives the test's threads.
            let view = unsafe { view.again() };
            End::over(EndParts { memory: Arc::clone(&region.0), doorbell, role }, view).unwrap()
        };
        let (sending, receiving) = Doorbell::pair().unwrap();
        test(Sender(end(sending, Role::Sender)), Receiver(end(receiving, Role::Receiver)));
    });
}

/// Sends so many messages, and waits for space.
fn send(sender: &mut Sender, messages: u8) {
    (0..messages).for_each(|index| sender.send(&message(index)).unwrap());
}

/// Sends until the receiver is gone, and returns how many messages went into the ring.
fn send_all(sender: &mut Sender) -> u8 {
    (0..4)
        .find(|index| match sender.send(&message(*index)) {
            Ok(()) => false,
            Err(error) => error.kind() == ErrorKind::PeerGone,
        })
        .unwrap()
}

/// Receives until the sender is gone, and returns how many messages came.
fn receive_all(receiver: &mut Receiver) -> u8 {
    (0..=4)
        .find(|index| match receiver.recv() {
            Ok(bytes) => bytes.to_vec() != message(*index),
            Err(error) => error.kind() == ErrorKind::PeerGone,
        })
        .unwrap()
}

#[test]
fn messages_arrive_whole_and_in_order() {
    check(4, |mut sender, mut receiver| {
        let sending = thread::spawn(move || {
            send(&mut sender, 4);
            sender
        });
        for index in 0..4 {
            assert_eq!(receiver.recv().unwrap().to_vec(), message(index));
        }
        drop(sending.join().unwrap());
    });
}

#[test]
fn receiver_gets_all_messages_before_it_is_told_of_the_end() {
    check(4, |mut sender, mut receiver| {
        let sending = thread::spawn(move || send(&mut sender, 3));
        assert_eq!(receive_all(&mut receiver), 3);
        sending.join().unwrap();
    });
}

#[test]
fn receiver_is_told_of_the_end_where_others_have_the_descriptors() {
    check(4, |mut sender, mut receiver| {
        let _copy = sender.0.parts().doorbell.clone();
        let sending = thread::spawn(move || send(&mut sender, 2));
        assert_eq!(receive_all(&mut receiver), 2);
        sending.join().unwrap();
    });
}

#[test]
fn sender_that_waits_is_told_of_the_end() {
    check(4, |mut sender, mut receiver| {
        let receiving = thread::spawn(move || assert_eq!(receiver.recv().unwrap().to_vec(), message(0)));
        assert_eq!(send_all(&mut sender), 3);
        receiving.join().unwrap();
    });
}

#[test]
fn sender_that_waits_is_told_of_the_end_where_others_have_the_descriptors() {
    check(8, |mut sender, receiver| {
        let _copy = receiver.0.parts().doorbell.clone();
        let receiving = thread::spawn(move || drop(receiver));
        assert_eq!(send_all(&mut sender), 2);
        receiving.join().unwrap();
    });
}

#[test]
fn event_loop_of_a_receiver_sleeps_through_no_message() {
    check(3, |mut sender, mut receiver| {
        // So the end is told by its mark and by the bell.
        let _copy = sender.0.parts().doorbell.clone();
        let sending = thread::spawn(move || send(&mut sender, 3));
        let mut received = 0;
        loop {
            match receiver.try_recv() {
                Ok(Some(bytes)) => {
                    assert_eq!(bytes.to_vec(), message(received));
                    received += 1;
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::PeerGone);
                    break;
                }
            }
            if receiver.arm().unwrap() {
                receiver.0.parts().doorbell.until_readable();
            }
        }
        assert_eq!(received, 3);
        sending.join().unwrap();
    });
}

#[test]
fn event_loop_of_a_sender_sleeps_through_no_space() {
    check(3, |mut sender, mut receiver| {
        let sending = thread::spawn(move || {
            for index in 0..4 {
                while !sender.try_send(&message(index)).unwrap() {
                    if sender.arm(message(index).len()).unwrap() {
                        sender.0.parts().doorbell.until_readable();
                    }
                }
            }
        });
        assert_eq!(receive_all(&mut receiver), 4);
        sending.join().unwrap();
    });
}

#[test]
#[ignore = "waits for a bell that it didn't ask for: a deadlock that loom must report"]
fn control_a_lost_wake() {
    check(2, |mut sender, mut receiver| {
        let sending = thread::spawn(move || {
            send(&mut sender, 1);
            sender
        });
        if receiver.try_recv().unwrap().is_none() {
            receiver.0.parts().doorbell.until_readable();
        }
        drop(sending.join().unwrap());
    });
}

#[test]
#[ignore = "reads what was not received yet: a race that loom must report"]
fn control_a_race() {
    check(2, |mut sender, receiver| {
        let sending = thread::spawn(move || {
            send(&mut sender, 1);
            sender
        });
        // SAFETY: The end lives for as long as the message, whose bytes are not the receiver's.
        let early = unsafe { receiver.0.message_at(receiver.0.position(), 8) }.unwrap();
        early.read_at(0, &mut [0; 8]).unwrap();
        drop(sending.join().unwrap());
    });
}
