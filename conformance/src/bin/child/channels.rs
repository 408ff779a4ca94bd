//! The sub-commands about channels.

use std::io::{self, Read};
use std::time::Duration;

use heirloom::{Receiver, Region, Sender};
use heirloom_conformance::{
    Chance, check_message, die, fill_message, is_inheritable, set_inheritable, take_over, write_at_once,
};

use super::describe;

#[allow(clippy::too_many_lines)] // One arm per sub-command.
pub(super) fn run(args: &[&str]) {
    match args {
        // Sends messages of many lengths.
        ["send", name, count, seed] => {
            let mut sender = Sender::inherited(name).unwrap();
            let mut chance = Chance::new(seed.parse().unwrap());
            let mut message = Vec::new();
            for index in 0..count.parse().unwrap() {
                fill_message(index, &mut chance, sender.longest_message(), &mut message);
                sender.send(&message).unwrap();
            }
        }
        ["receive", name, count, seed] => {
            let mut receiver = Receiver::inherited(name).unwrap();
            let mut chance = Chance::new(seed.parse().unwrap());
            let mut expected = Vec::new();
            for index in 0..count.parse().unwrap() {
                let message = receiver.recv().unwrap();
                check_message(index, &mut chance, 2040, &message.to_vec(), &mut expected);
            }
            println!("{}", describe(receiver.recv().map(|_| String::new())));
        }
        // Returns each message.
        ["echo", questions, answers] => {
            let (mut questions, mut answers) =
                (Receiver::inherited(questions).unwrap(), Sender::inherited(answers).unwrap());
            loop {
                match questions.recv() {
                    Ok(question) => answers.send(&question.to_vec()).unwrap(),
                    Err(error) => break println!("{:?}", error.kind()),
                }
            }
        }
        // Returns each message, by ends that it imports.
        ["import-and-echo"] => {
            let string = |name| std::env::var(name).unwrap();
            let mut questions = Receiver::import(&string("QUESTIONS")).unwrap();
            let mut answers = Sender::import(&string("ANSWERS")).unwrap();
            while let Ok(question) = questions.recv() {
                answers.send(&question.to_vec()).unwrap();
            }
            // Not for a child of this process.
            let strings = string("QUESTIONS") + ":" + &string("ANSWERS");
            let fields: Vec<&str> = strings.split(':').collect();
            let inheritable = [0, 7, 10, 13, 20, 23].map(|field| is_inheritable(fields[field].parse().unwrap()));
            println!("{inheritable:?}");
        }
        // Is killed while it writes a message.
        ["send-and-die", name, count] => {
            let mut sender = Sender::inherited(name).unwrap();
            for index in 0..count.parse::<u32>().unwrap() {
                sender.send(&index.to_ne_bytes()).unwrap();
            }
            sender.reserve(1000).unwrap().write_at(0, &[0xAA; 500]).unwrap();
            die();
        }
        ["receive-and-die", name, count] => {
            let mut receiver = Receiver::inherited(name).unwrap();
            for _ in 0..count.parse::<u32>().unwrap() {
                drop(receiver.recv().unwrap());
            }
            let _message = receiver.recv().unwrap();
            die();
        }
        // Holds an end until standard input ends.
        ["hold", name] => {
            let _end = Sender::inherited(name).unwrap();
            let _ = io::stdin().read_to_end(&mut Vec::new());
        }
        // Takes an end, and another of the other kind by the same name.
        ["take", name] => {
            let wrong = Receiver::inherited(name).map(|_| String::new());
            let region = Region::inherited(name).map(|_| String::new());
            let first = Sender::inherited(name).map(|sender| format!("{}", sender.longest_message()));
            let second = Sender::inherited(name).map(|_| String::new());
            for taken in [wrong, region, first, second] {
                println!("{}", describe(taken));
            }
        }
        ["lie", name, lie] => tell_lie(name, lie),
        // Sub-commands of one system.
        #[cfg(target_os = "linux")]
        _ => super::channels_on_linux::run(args),
        #[cfg(windows)]
        _ => panic!("unknown arguments {args:?}"),
    }
}

/// Writes into the memory of a channel what the library never would, and holds the end until standard input ends.
fn tell_lie(name: &str, lie: &str) {
    let variable = std::env::var(heirloom::VARIABLE).unwrap();
    let string = variable.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned();
    let fields: Vec<&str> = string.split(':').collect();
    let descriptor = |field: usize| {
        let number = fields[field].parse().unwrap();
        // The library leaves an end alone that isn't inheritable.
        set_inheritable(number, false);
        // SAFETY: The descriptor was inherited for this call.
        unsafe { take_over(number) }
    };
    // All of them before the library claims.
    let (memory, _hears, rings) = (descriptor(0), descriptor(7), descriptor(10));
    let memory = Region::try_from(memory).unwrap().map().unwrap();
    let word = |offset| memory.atomic_u32(offset).unwrap();
    let (tail, head, ring) = (0, 128, 256);
    match lie {
        // A message of 8 bytes, to show that the others fail for what they say.
        "none" => {
            word(ring).store(8);
            word(tail).store(2 << 1);
        }
        // Dies before it rings, as the receiver sleeps.
        "unrung" => {
            while word(tail).load() & 1 == 0 {
                std::thread::yield_now();
            }
            word(ring).store(8);
            word(tail).store(2 << 1);
            return;
        }
        "tail-beyond-the-ring" => word(tail).store(513 << 1),
        "tail-before-the-head" => word(tail).store(u32::MAX - 1),
        "message-longer-than-sent" => {
            word(ring).store(9);
            word(tail).store(2 << 1);
        }
        "message-longer-than-allowed" => {
            word(ring).store(2041);
            word(tail).store(512 << 1);
        }
        "message-of-4-gib" => {
            word(ring).store(u32::MAX - 1);
            word(tail).store(512 << 1);
        }
        "wrap-of-everything" => {
            word(ring).store(u32::MAX);
            word(tail).store(512 << 1);
        }
        "head-beyond-the-tail" => word(head).store(505 << 1),
        "head-before-the-head" => word(head).store(u32::MAX - 1),
        // Rings without a reason.
        "only-rings" => (0..10_000).for_each(|_| write_at_once(&rings, [0; 8])),
        // Everything at once.
        "scribble" => {
            let mut chance = Chance::new(7);
            let until = std::time::Instant::now() + Duration::from_millis(500);
            while std::time::Instant::now() < until {
                let place = [tail, head, ring, ring + 8 * chance.below(512)][chance.below(4)];
                word(place).store(u32::try_from(chance.number() >> 32).unwrap() >> chance.below(32));
                if chance.below(16) == 0 {
                    write_at_once(&rings, [0; 8]);
                }
            }
            return;
        }
        _ => panic!("unknown lie {lie}"),
    }
    write_at_once(&rings, [0; 8]);
    let _ = io::stdin().read_to_end(&mut Vec::new());
}
