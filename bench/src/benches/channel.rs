//! Messages between two processes: a round trip, and many messages in one direction.

use std::cell::UnsafeCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{hint, mem, thread};

use heirloom::{Mapping, Receiver, Region, Sender, channel};
use iceoryx2::port::{publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::{LogLevel, Node, NodeBuilder, ipc, set_log_level};
use ipc_channel::ipc::bytes_channel;

use super::Results;
use crate::peer::{fork_peer, futex_wait, futex_wake, init_condition, init_mutex, pin, shared};
use crate::table::{Table, size_label};
use heirloom_bench::measure::{Routine, routine, time};

/// The bytes of each ring, pipe and socket buffer.
const CAPACITY: u32 = 1 << 20;
const ROUND_TRIPS: u32 = 500;
/// Why waiting takes longer than a bare futex.
const TIMER: &str = "each wait has a timer, since any holder can take a wake away from the others";

pub fn measure() -> Results {
    let mut results = Results::default();
    round_trips(&mut results);
    messages(&mut results);
    pin(None);
    results
}

/// Two numbers in memory that both processes map: the question's and the answer's.
#[derive(Clone, Copy)]
struct Numbers(&'static [AtomicU32; 2]);

impl Numbers {
    fn new() -> Self {
        // They share a line of the cache, which goes from one processor to the other once in each direction.
        Self(shared())
    }

    /// Asks and waits for the answer; both by `wait` and `wake`.
    fn ask(self, wake: impl Fn(&AtomicU32), wait: impl Fn(&AtomicU32, u32)) {
        let [question, answer] = self.0;
        let next = question.load(Ordering::Relaxed).wrapping_add(1);
        question.store(next, Ordering::Release);
        wake(question);
        while answer.load(Ordering::Acquire) != next {
            wait(answer, next.wrapping_sub(1));
        }
    }

    fn answer(self, wake: impl Fn(&AtomicU32), wait: impl Fn(&AtomicU32, u32)) {
        let [question, answer] = self.0;
        let mut last = 0_u32;
        loop {
            while question.load(Ordering::Acquire) == last {
                wait(question, last);
            }
            last = last.wrapping_add(1);
            answer.store(last, Ordering::Release);
            wake(answer);
        }
    }
}

/// Answers each question by `wait` and `wake_one`.
fn answer_by_wait(view: &Mapping) {
    let mut last = 0;
    loop {
        last = view.wait(0, last).unwrap();
        view.atomic_u32(64).unwrap().store(last);
        view.wake_one(64).unwrap();
    }
}

fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, CAPACITY as usize).unwrap();
    (reader, writer)
}

/// Returns the ends of two channels for this process, and gives the others to `peer` in a forked one.
fn pair(processor: usize, peer: impl FnOnce(Receiver, Sender)) -> (Sender, Receiver) {
    let ((questions, asked), (answered, answers)) =
        (channel(CAPACITY.into()).unwrap(), channel(CAPACITY.into()).unwrap());
    let mut theirs = Some((asked, answered));
    fork_peer(processor, || {
        let (asked, answered) = theirs.take().unwrap();
        peer(asked, answered);
    });
    // The peer has these ends. Dropping them here would close them.
    mem::forget(theirs);
    (questions, answers)
}

/// Asks by two words, with a system call for each wait and each wake.
fn by_futex(processor: usize) -> Routine<'static> {
    let numbers = Numbers::new();
    fork_peer(processor, || numbers.answer(futex_wake, futex_wait));
    routine("futex", move || time(ROUND_TRIPS, || numbers.ask(futex_wake, futex_wait)))
}

/// Asks by the same words, and looks at them until they change.
fn by_spinning(processor: usize) -> Routine<'static> {
    let numbers = Numbers::new();
    let look = |_: &AtomicU32, _| hint::spin_loop();
    fork_peer(processor, || numbers.answer(|_| (), look));
    routine("spinning", move || time(ROUND_TRIPS, || numbers.ask(|_| (), look)))
}

/// Two numbers under a mutex, each with a condition variable.
struct Conditions {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    changed: [UnsafeCell<libc::pthread_cond_t>; 2],
    numbers: [UnsafeCell<u32>; 2],
}

impl Conditions {
    /// Sets one number, and waits until the other is `wanted`.
    fn exchange(&self, mine: usize, value: u32, wanted: u32) {
        let (mutex, theirs) = (self.mutex.get(), 1 - mine);
        // SAFETY: The mutex and the condition variables were initialized and live for ever, and the numbers are accessed under the
        // mutex.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(mutex), 0);
            *self.numbers[mine].get() = value;
            libc::pthread_cond_signal(self.changed[mine].get());
            while *self.numbers[theirs].get() != wanted {
                libc::pthread_cond_wait(self.changed[theirs].get(), mutex);
            }
            assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
        }
    }
}

fn by_pthread(processor: usize) -> Routine<'static> {
    let shared: &Conditions = shared();
    init_mutex(shared.mutex.get(), false);
    shared.changed.iter().for_each(|condition| init_condition(condition.get()));
    fork_peer(processor, || {
        for round in 0_u32.. {
            shared.exchange(1, round, round + 1);
        }
    });
    let mut round = 0;
    routine("pthread condition", move || {
        time(ROUND_TRIPS, || {
            round += 1;
            shared.exchange(0, round, round);
        })
    })
}

/// A publisher and a subscriber of 8 bytes each way, which look again and again.
struct PublishSubscribe {
    publisher: Publisher<ipc::Service, u64, ()>,
    subscriber: Subscriber<ipc::Service, u64, ()>,
    _node: Node<ipc::Service>,
}

impl PublishSubscribe {
    fn new(to: &str, from: &str) -> Self {
        let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
        let service = |topic: &str| {
            let name = format!("heirloom-bench/{}/{topic}", rustix::process::getpgrp().as_raw_nonzero());
            let service = node.service_builder(&name.as_str().try_into().unwrap()).publish_subscribe::<u64>();
            service.open_or_create().unwrap()
        };
        let publisher = service(to).publisher_builder().create().unwrap();
        let subscriber = service(from).subscriber_builder().create().unwrap();
        Self { publisher, subscriber, _node: node }
    }

    fn receive(&self) -> Option<u64> {
        self.subscriber.receive().unwrap().map(|sample| *sample)
    }

    /// Answers until a question ends it, so that it removes its files.
    fn answer(&self) {
        loop {
            match self.receive() {
                Some(END) => return,
                Some(question) => drop(self.publisher.send_copy(question)),
                None => {}
            }
        }
    }
}

const END: u64 = u64::MAX;

struct Asks(PublishSubscribe);

impl Asks {
    fn ask(&self, question: u64) {
        self.0.publisher.send_copy(question).unwrap();
        while self.0.receive() != Some(question) {}
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        let _ = self.0.publisher.send_copy(END);
    }
}

fn by_iceoryx2(processor: usize) -> Routine<'static> {
    set_log_level(LogLevel::Error);
    fork_peer(processor, || PublishSubscribe::new("answers", "questions").answer());
    let asks = Asks(PublishSubscribe::new("questions", "answers"));
    // The peer may not have subscribed yet.
    while asks.0.receive().is_none() {
        asks.0.publisher.send_copy(0).unwrap();
        thread::yield_now();
    }
    let mut question = 0;
    routine("iceoryx2, busy", move || {
        time(ROUND_TRIPS, || {
            question += 1;
            asks.ask(question);
        })
    })
}

fn by_wait_and_wake(processor: usize) -> Routine<'static> {
    let view = Region::create(4096).unwrap().map().unwrap();
    fork_peer(processor, || answer_by_wait(&view));
    let mut last = 0;
    routine("wait and wake_one", move || {
        time(ROUND_TRIPS, || {
            last += 1;
            view.atomic_u32(0).unwrap().store(last);
            view.wake_one(0).unwrap();
            while view.wait(64, last - 1).unwrap() != last {}
        })
    })
}

fn by_channel(processor: usize) -> Routine<'static> {
    let (mut questions, mut answers) = pair(processor, |mut asked, mut replies| {
        while let Ok(question) = asked.recv() {
            replies.send(&question.to_vec()).unwrap();
        }
    });
    routine("heirloom channel", move || {
        time(ROUND_TRIPS, || {
            questions.send(&[7; 8]).unwrap();
            assert_eq!(answers.recv().unwrap().len(), 8);
        })
    })
}

/// Answers 8 bytes until the other end is closed.
fn answer_bytes(mut asked: impl Read, mut replies: impl Write) {
    let mut message = [0; 8];
    while asked.read_exact(&mut message).is_ok() {
        replies.write_all(&message).unwrap();
    }
}

fn ask_bytes(
    name: &'static str,
    mut questions: impl Write + 'static,
    mut answers: impl Read + 'static,
) -> Routine<'static> {
    routine(name, move || {
        time(ROUND_TRIPS, || {
            questions.write_all(&[7; 8]).unwrap();
            answers.read_exact(&mut [0; 8]).unwrap();
        })
    })
}

fn by_pipe(processor: usize) -> Routine<'static> {
    let ((asked, questions), (answers, replies)) = (pipe(), pipe());
    fork_peer(processor, || answer_bytes(&asked, &replies));
    ask_bytes("pipe", questions, answers)
}

fn by_socket(processor: usize) -> Routine<'static> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    fork_peer(processor, || answer_bytes(&theirs, &theirs));
    ask_bytes("Unix socket", ours.try_clone().unwrap(), ours)
}

fn by_ipc_channel(processor: usize) -> Routine<'static> {
    let ((questions, asked), (replies, answers)) = (bytes_channel().unwrap(), bytes_channel().unwrap());
    fork_peer(processor, || {
        while let Ok(question) = asked.recv() {
            replies.send(&question).unwrap();
        }
    });
    routine("ipc-channel", move || {
        time(ROUND_TRIPS, || {
            questions.send(&[7; 8]).unwrap();
            assert_eq!(answers.recv().unwrap().len(), 8);
        })
    })
}

fn round_trips(results: &mut Results) {
    let mut table = Table::new(
        "round-trip",
        "Send 8 bytes to another process, and get 8 bytes back",
        "",
        "The peer is a forked process. Each process runs on one processor: both on the same, or each on its own. \"futex\" is \
         two words, with a system call for each wait and each wake; \"spinning\" is the same words without any, and \"iceoryx2\" \
         publishes and subscribes without waiting, which makes no sense on one processor. The channel looks for 100 µs before it sleeps, where that has paid.",
    );
    for (place, label, processor) in [(1.0, "one processor", 0), (2.0, "two processors", 1)] {
        pin(Some(0));
        let mut candidates =
            vec![by_futex, by_wait_and_wake, by_channel, by_pipe, by_socket, by_pthread, by_ipc_channel];
        if processor > 0 {
            candidates.extend([by_spinning as fn(usize) -> Routine<'static>, by_iceoryx2]);
        }
        table.add_row(place, label, candidates.into_iter().map(|candidate| candidate(processor)).collect());
    }
    let ratio = |column, baseline, row| table.ratio(column, baseline, row);
    results.at_most(
        "wait and wake: round trip on one processor, ratio to futex",
        1.1,
        ratio("wait and wake_one", "futex", 0),
        TIMER,
    );
    results.at_most(
        "wait and wake: round trip on two processors, ratio to futex",
        1.1,
        ratio("wait and wake_one", "futex", 1),
        TIMER,
    );
    results.at_most(
        "channel: round trip on one processor, ratio to futex",
        1.35,
        ratio("heirloom channel", "futex", 0),
        "",
    );
    results.at_most(
        "channel: round trip on two processors, ratio to spinning",
        1.8,
        ratio("heirloom channel", "spinning", 1),
        "a message is a position and a frame, which are two lines of the cache and an atomic exchange in each direction, for one \
         line of the spinning words",
    );
    results.at_least(
        "channel: round trip on two processors, iceoryx2 to it",
        4.0,
        ratio("iceoryx2, busy", "heirloom channel", 1),
        "",
    );
    results.tables.push(table);
}

/// Sends `count` messages and waits until the last was received.
fn stream<'a>(name: &'static str, count: u32, mut send: impl FnMut() + 'a, mut wait: impl FnMut() + 'a) -> Routine<'a> {
    routine(name, move || {
        time(1, || {
            (0..count).for_each(|_| send());
            wait();
        }) / f64::from(count)
    })
}

/// Receives `count` messages of `size` bytes, and answers; again and again.
fn receive_bytes(size: usize, count: u32, mut messages: impl Read, mut answers: impl Write) {
    let mut buffer = vec![0; size];
    loop {
        for _ in 0..count {
            messages.read_exact(&mut buffer).unwrap();
        }
        answers.write_all(&[0]).unwrap();
    }
}

fn stream_by_channel(message: &[u8], count: u32) -> Routine<'_> {
    let mut buffer = vec![0; message.len()];
    let (mut sender, mut answers) = pair(1, move |mut messages, mut replies| {
        loop {
            for _ in 0..count {
                let Ok(message) = messages.recv() else { return };
                message.read_at(0, &mut buffer[..message.len()]).unwrap();
            }
            replies.send(&[]).unwrap();
        }
    });
    let send = move || sender.send(message).unwrap();
    stream("heirloom channel", count, send, move || drop(answers.recv().unwrap()))
}

fn stream_by_pipe(message: &[u8], count: u32) -> Routine<'_> {
    let ((messages, mut sender), (mut answers, replies)) = (pipe(), pipe());
    fork_peer(1, || receive_bytes(message.len(), count, &messages, &replies));
    let send = move || sender.write_all(message).unwrap();
    stream("pipe", count, send, move || answers.read_exact(&mut [0]).unwrap())
}

fn stream_by_socket(message: &[u8], count: u32) -> Routine<'_> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    fork_peer(1, || receive_bytes(message.len(), count, &theirs, &theirs));
    let (mut sender, mut answers) = (ours.try_clone().unwrap(), ours);
    let send = move || sender.write_all(message).unwrap();
    stream("Unix socket", count, send, move || answers.read_exact(&mut [0]).unwrap())
}

fn stream_by_ipc_channel(message: &[u8], count: u32) -> Routine<'_> {
    let ((sender, messages), (replies, answers)) = (bytes_channel().unwrap(), bytes_channel().unwrap());
    fork_peer(1, || {
        loop {
            for _ in 0..count {
                hint::black_box(messages.recv().unwrap());
            }
            replies.send(&[]).unwrap();
        }
    });
    let send = move || sender.send(message).unwrap();
    stream("ipc-channel", count, send, move || drop(answers.recv().unwrap()))
}

/// Adds a row with these routines behind that of rtrb, whose consumer is a thread.
fn add_row_with_rtrb(table: &mut Table, message: &[u8], count: u32, mut routines: Vec<Routine>) {
    let size = message.len();
    let ended = AtomicU32::new(0);
    let received = AtomicU32::new(0);
    thread::scope(|scope| {
        let (mut producer, mut consumer) = rtrb::RingBuffer::<u8>::new(CAPACITY as usize);
        let (ended, received) = (&ended, &received);
        scope.spawn(move || {
            pin(Some(1));
            let mut buffer = vec![0; size];
            while ended.load(Ordering::Relaxed) == 0 {
                let Ok(chunk) = consumer.read_chunk(size) else {
                    hint::spin_loop();
                    continue;
                };
                let (first, second) = chunk.as_slices();
                buffer[..first.len()].copy_from_slice(first);
                buffer[first.len()..].copy_from_slice(second);
                hint::black_box(&buffer);
                chunk.commit_all();
                received.fetch_add(1, Ordering::Release);
            }
        });
        let mut total = 0_u32;
        let send = move || {
            loop {
                let Ok(mut chunk) = producer.write_chunk(size) else {
                    hint::spin_loop();
                    continue;
                };
                let (first, second) = chunk.as_mut_slices();
                let (start, rest) = message.split_at(first.len());
                first.copy_from_slice(start);
                second.copy_from_slice(rest);
                break chunk.commit_all();
            }
        };
        let wait = move || {
            total = total.wrapping_add(count);
            while received.load(Ordering::Acquire) != total {
                hint::spin_loop();
            }
        };
        routines.insert(0, stream("rtrb, threads", count, send, wait));
        table.add_row(size as f64, size_label(size as u64), routines);
        ended.store(1, Ordering::Relaxed);
    });
}

fn messages(results: &mut Results) {
    let mut table = Table::new(
        "message",
        "Send many messages to another process",
        "size",
        "The time of one message: of thousands in one direction, up to the answer that the last was received. The peer is a \
         forked process on a processor of its own, and copies each message out. \"rtrb\" is that ring between two threads of \
         one process, which spin; a message has no length there. Each ring and pipe holds 1 MiB.",
    );
    for (size, count) in [(64, 20_000), (1 << 10, 10_000), (64 << 10, 500)] {
        pin(Some(0));
        let message = &vec![7; size];
        let candidates = [stream_by_channel, stream_by_pipe, stream_by_socket, stream_by_ipc_channel];
        let routines = candidates.into_iter().map(|candidate| candidate(message, count)).collect();
        // From here on the program has a second thread, so it can't fork.
        add_row_with_rtrb(&mut table, message, count, routines);
    }
    for (row, (to_rtrb, pipe)) in [(1.15, 7.0), (0.9, 3.0), (1.1, 3.0)].into_iter().enumerate() {
        let size = &table.rows[row].1;
        let ratio = table.ratio("heirloom channel", "rtrb, threads", row);
        results.at_most(format!("channel: a message of {size}, ratio to rtrb"), to_rtrb, ratio, "");
        let ratio = table.ratio("pipe", "heirloom channel", row);
        results.at_least(format!("channel: a message of {size}, speedup over a pipe"), pipe, ratio, "");
    }
    results.tables.push(table);
}
