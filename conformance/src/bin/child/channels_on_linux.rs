//! The sub-commands about channels for Linux.

use std::fmt::Debug;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::time::Duration;

use heirloom::{Receiver, Sender};
use heirloom_conformance::single_step;
use rustix::event::{PollFd, PollFlags};

pub(super) fn run(args: &[&str]) {
    match args {
        // Closes its end while a forked child, which has copies of the descriptors, waits for the end of standard input.
        ["close-beside-a-fork", name] => {
            let sender = Sender::inherited(name).unwrap();
            // SAFETY: The program has one thread. The child reads, and ends without running any destructor.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    let _ = io::stdin().read_to_end(&mut Vec::new());
                    libc::_exit(0);
                }
                drop(sender);
                assert_eq!(libc::waitpid(child, std::ptr::null_mut(), 0), child);
            }
        }
        // Sends to a receiver that has gone while it slept.
        ["ring-the-dead", name] => {
            // SAFETY: The default action is no handler.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            let mut sender = Sender::inherited(name).unwrap();
            // It has closed, for it has rung.
            let mut hears = [PollFd::new(&sender, PollFlags::IN)];
            rustix::event::poll(&mut hears, None).unwrap();
            sender.send(b"unheard").unwrap();
            println!("sent");
        }
        ["traced-send", name] => {
            let mut sender = Sender::inherited(name).unwrap();
            let message: Vec<u8> = (0..200).collect();
            single_step::begin();
            sender.send(&message).unwrap();
            single_step::end();
        }
        ["traced-receive", name] => {
            let mut receiver = Receiver::inherited(name).unwrap();
            single_step::begin();
            drop(receiver.recv().unwrap());
            single_step::end();
        }
        // Waits two seconds for a message.
        ["idle", name] => {
            let mut receiver = Receiver::inherited(name).unwrap();
            print_processor_time(|| receiver.recv_timeout(Duration::from_secs(2)).unwrap().is_none());
        }
        _ => panic!("unknown arguments {args:?}"),
    }
}

/// Waits, and prints the answer and how long this process used a processor meanwhile.
pub(super) fn print_processor_time<T: Debug>(wait: impl FnOnce() -> T) {
    let before = processor_time();
    let answer = wait();
    let used = processor_time().saturating_sub(before);
    let few = used <= Duration::from_millis(20);
    println!("{answer:?} in {} ms", if few { "at most 20".to_owned() } else { used.as_millis().to_string() });
}

/// Returns how long this process has used a processor.
fn processor_time() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: The call fills in `usage`, for which zeros are valid too.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.try_into().unwrap()) + Duration::from_micros(time.tv_usec.try_into().unwrap())
    };
    duration(usage.ru_utime) + duration(usage.ru_stime)
}
