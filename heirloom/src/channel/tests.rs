//! What a sender wrote before a message is visible behind it. A thread sanitizer checks it, see `.ci/sanitize`.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::thread;

use super::layout::size_for;
use super::{End, EndParts, Receiver, Role, Sender};
use crate::sys::Doorbell;
use crate::{Mapping, Region};

/// Plain memory beside the channel, which only its messages order.
struct Beside(Vec<UnsafeCell<u64>>);

// SAFETY: Each cell is written before the message that names it, and read behind it.
unsafe impl Sync for Beside {}

impl Beside {
    fn cell(&self, index: u32) -> *mut u64 {
        self.0[index as usize].get()
    }
}

/// Makes an end over the same addresses as another.
fn over(view: &Mapping, parts: EndParts) -> End {
    // SAFETY: The caller keeps the mapping for longer than the end.
    End::over(parts, unsafe { view.again() }).unwrap()
}

#[test]
fn messages_order_plain_memory() {
    const MESSAGES: u32 = 20_000;

    let memory = Region::create(size_for(4096)).unwrap().0;
    let (sending, receiving) = Doorbell::pair().unwrap();
    let parts = |doorbell, role| EndParts { memory: Arc::clone(&memory), doorbell, role };
    let (sending, receiving) = (parts(sending, Role::Sender), parts(receiving, Role::Receiver));
    let view = End::view(&sending).unwrap();
    let mut sender = Sender(over(&view, sending));
    let mut receiver = Receiver(over(&view, receiving));
    let beside = Beside((0..MESSAGES).map(|_| UnsafeCell::new(0)).collect());
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for index in 0..MESSAGES {
                // SAFETY: The other thread reads it behind the message.
                unsafe { *beside.cell(index) = u64::from(index) + 1 };
                sender.send(&index.to_ne_bytes()).unwrap();
            }
        });
        for index in 0..MESSAGES {
            assert_eq!(receiver.recv().unwrap().to_vec(), index.to_ne_bytes());
            // SAFETY: The other thread wrote it before the message, and never again.
            assert_eq!(unsafe { *beside.cell(index) }, u64::from(index) + 1);
        }
        // A sanitizer sees this, and not how the scope itself waits.
        sending.join().unwrap();
    });
}
