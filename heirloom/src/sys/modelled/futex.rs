//! A model of `futex(2)`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use loom::sync::{Condvar, Mutex};
use loom::thread::{self, ThreadId};

use crate::access::peek;
use crate::sys::failure::Result;
use crate::sys::status::Wake;

thread_local! {
    static SLEEPERS: RefCell<Option<Rc<Mutex<Sleepers>>>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Sleepers {
    /// By the addresses of their numbers.
    queues: HashMap<usize, Rc<Condvar>>,
    /// How many deaths there were, and how many of them each thread has slept through.
    deaths: usize,
    slept_through: HashMap<ThreadId, usize>,
}

impl Sleepers {
    fn queue(&mut self, address: *mut u32) -> Rc<Condvar> {
        Rc::clone(self.queues.entry(address.addr()).or_default())
    }
}

pub(super) fn begin() {
    SLEEPERS.set(Some(Rc::default()));
}

fn sleepers() -> Rc<Mutex<Sleepers>> {
    SLEEPERS.with_borrow(Clone::clone).expect("a test begins with `begin`")
}

/// Sleeps until a wake, or until a process has died: a waiter asks for that after each nap.
pub(crate) fn wait_while(address: *mut u32, value: u32, _: Duration) -> Result<()> {
    let sleepers = sleepers();
    let mut sleepers = sleepers.lock().unwrap();
    let deaths = sleepers.deaths;
    let slept_through = sleepers.slept_through.insert(thread::current().id(), deaths).unwrap_or(0);
    // The kernel compares under the lock of the queue.
    if slept_through == deaths && peek(address) == value {
        let queue = sleepers.queue(address);
        sleepers = queue.wait(sleepers).unwrap();
        let deaths = sleepers.deaths;
        sleepers.slept_through.insert(thread::current().id(), deaths);
    }
    Ok(())
}

pub(crate) fn wake(address: *mut u32, wake: Wake) -> Result<()> {
    let sleepers = sleepers();
    let queue = sleepers.lock().unwrap().queue(address);
    match wake {
        Wake::One => queue.notify_one(),
        Wake::All => queue.notify_all(),
    }
    Ok(())
}

/// Lets the naps of all threads pass.
pub(super) fn tell_of_death() {
    let sleepers = sleepers();
    let mut sleepers = sleepers.lock().unwrap();
    sleepers.deaths += 1;
    sleepers.queues.values().for_each(|queue| queue.notify_all());
}
